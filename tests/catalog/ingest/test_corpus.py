"""Every verdict that stock gave on real files and on our cases is given here too."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from catalog.ingest.documents import Outcome, process_file
from catalog.ingest.hosts import Hosts
from catalog.kinds import KindRegistry
from catalog.refs import LocationRef
from portal.core.errors import NotFoundError

pytestmark = pytest.mark.shared

HOSTS = Hosts()
# A stub stands for a file that the recording did not have either.
STUB = b"stub"
# First violation of each document as stock says it, by the group of its message.
RULES = {
    "kind: unknown kind or apiVersion": ("catalog.kind.unknown", "catalog.kind.unknown-version"),
    "location: type not allowed": ("catalog.location.type",),
    "not an object": ("catalog.envelope.not-object",),
    "placeholder": ("catalog.placeholder.json", "catalog.placeholder.not-text"),
    "placeholder: other repository": ("catalog.placeholder.other-repository",),
    "policy: envelope schema": ("catalog.structure.",),
    "policy: foreign root field": ("catalog.structure.foreign-field",),
    "relations: bad entity reference": ("catalog.relation.",),
}


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@cache
def outcomes(root: Path, file: str, repo: str, commit: str, path: str) -> dict[int, Outcome]:
    location = LocationRef("url", f"https://github.com/{repo}/blob/{commit}/{path}")
    folder = root / file.removesuffix(path)
    prefix = f"https://github.com/{repo}/tree/{commit}/"

    def read(place: LocationRef) -> bytes:
        if place.target.startswith(prefix) and (folder / place.target.removeprefix(prefix)).is_file():
            return (folder / place.target.removeprefix(prefix)).read_bytes()
        if place.type != "url":
            raise NotFoundError(f"{place} is not there")
        return STUB

    found = process_file(
        (root / file).read_bytes(),
        location=location,
        origin=location,
        registry=KindRegistry.shipped(),
        hosts=HOSTS,
        read_placeholder=read,
    )
    return {outcome.index: outcome for outcome in found}


def differences(row: dict[str, Any], outcome: Outcome | None) -> Iterator[str]:
    """Where an outcome is not what stock said of the document."""
    if row["verdict"] == "ignored" or outcome is None:
        if (row["verdict"] == "ignored") != (outcome is None):
            yield f"expected {row['verdict']}, got {outcome}"
        return
    verdict = "reject" if outcome.processed is None else "accept"
    if verdict != row["verdict"]:
        yield f"expected {row['verdict']} ({row.get('error')}), got {[p.message for p in outcome.problems]}"
        return
    if row.get("ref", "") != outcome.ref:
        yield f"ref {outcome.ref}, expected {row.get('ref')}"
    if outcome.processed is None:
        yield from rejection_differences(row, outcome)
        return
    processed = outcome.processed
    if sorted(map(list, processed.relations)) != sorted(row["relations"]):
        yield f"relations {processed.relations}, expected {row['relations']}"
    if "targets" in row and [str(target) for target in processed.targets] != row["targets"]:
        yield f"targets {processed.targets}, expected {row['targets']}"
    if "placeholders" in row and [p.target for p in processed.placeholders] != [
        p["url"] for p in row["placeholders"]
    ]:
        yield f"placeholders {processed.placeholders}, expected {row['placeholders']}"
    if "entity" in row and processed.entity != row["entity"]:
        yield f"entity {json.dumps(processed.entity)}\n    expected {json.dumps(row['entity'])}"
    if "entity_sha256" in row:
        text = json.dumps(processed.entity, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        if hashlib.sha256(text.encode()).hexdigest() != row["entity_sha256"]:
            yield f"entity digest of {text[:500]}"


def rejection_differences(row: dict[str, Any], outcome: Outcome) -> Iterator[str]:
    first, reason = outcome.problems[0], row["reason"]
    if not first.line or not first.remedy or not first.rule.startswith("catalog.") or not first.message:
        yield f"problem without line, remedy, rule or message: {first}"
    expected: tuple[str, ...] = RULES.get(reason, ())
    if reason.startswith("yaml:"):
        expected = ("catalog.yaml.",)
    elif reason.startswith("envelope"):
        expected = ("catalog.envelope.",)
    elif reason.startswith("field format"):
        expected = ("catalog.format.",)
        field = row["error"].split('"')[1]
        if f'"{field}"' not in first.message:
            yield f"stock names {field} first, we say {first.message}"
    elif reason.startswith("kind schema"):
        expected = ("catalog.schema.",)
        said = row["error"].partition("TypeError: ")[2].partition(" - ")[0]
        if said not in first.message:
            yield f"stock says {said} first, we say {first.message}"
    elif reason == "policy: envelope schema":
        said = row["error"].partition("Malformed envelope, ")[2]
        if said not in first.message:
            yield f"stock says {said} first, we say {first.message}"
    if not first.rule.startswith(expected):
        yield f"rule {first.rule} for {reason}"
    name = row["error"].partition(":")[0]
    if row["stage"] != "parse" and first.error_name != name:
        yield f"error name {first.error_name}, stock's is {name}"


@pytest.mark.req("R003")
@pytest.mark.parametrize(("part", "documents"), [("", 578), ("cases", 405)])
def test_every_verdict_of_the_corpus_is_reproduced(shared_dir: Path, part: str, documents: int) -> None:
    root = shared_dir / "corpus" / part
    compared: Counter[str] = Counter()
    wrong: list[str] = []
    for row in rows_of(root / "EXPECTED.jsonl"):
        found = outcomes(root, row["file"], row["repo"], row["commit"], row["path"])
        compared[row["verdict"]] += 1
        for key in ("ref", "relations", "entity", "entity_sha256", "targets", "error"):
            compared[key] += key in row
        wrong += [
            f"{row['file']} document {row['doc']}: {text}" for text in differences(row, found.get(row["doc"]))
        ]
    assert not wrong, "\n".join(wrong)
    assert compared["accept"] + compared["reject"] + compared["ignored"] == documents
    assert compared["error"] == compared["reject"]
    assert compared["relations"] == compared["accept"]
    assert compared["entity"] + compared["entity_sha256"] >= compared["accept"] - 2


def test_no_document_is_found_that_stock_did_not_see(shared_dir: Path) -> None:
    for part in ("", "cases"):
        root = shared_dir / "corpus" / part
        seen: dict[tuple[str, ...], set[int]] = {}
        for row in rows_of(root / "EXPECTED.jsonl"):
            key = (row["file"], row["repo"], row["commit"], row["path"])
            seen.setdefault(key, set()).add(row["doc"])
        extra = {key[0]: set(outcomes(root, *key)) - indexes for key, indexes in seen.items()}
        assert not {file: indexes for file, indexes in extra.items() if indexes}
        assert len(seen) > 390


def test_only_documents_that_stock_refuses_have_problems_of_severity_error(shared_dir: Path) -> None:
    root = shared_dir / "corpus" / "cases"
    warned = 0
    for row in rows_of(root / "EXPECTED.jsonl"):
        outcome = outcomes(root, row["file"], row["repo"], row["commit"], row["path"]).get(row["doc"])
        if outcome is not None:
            severities = {problem.severity for problem in outcome.problems}
            assert severities <= ({"error"} if row["verdict"] == "reject" else {"warning"})
            warned += "warning" in severities
    assert warned >= 5
