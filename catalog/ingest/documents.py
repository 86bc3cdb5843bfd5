"""A whole descriptor file: every document for itself, every problem with its line."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from catalog.ingest.hosts import Hosts
from catalog.ingest.placeholders import ReadPlaceholder
from catalog.ingest.problems import Problem, Rejected
from catalog.ingest.process import Processed, process_document
from catalog.ingest.rules import AllowRules
from catalog.kinds import KindRegistry
from catalog.refs import DEFAULT_NAMESPACE, LocationRef, RefError, parse_ref
from portal.core.yaml import DEFAULT_LIMITS, Document, Limits, YamlError, load_documents


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one document.

    Args:
        index: its number in the file, from 0, empty ones counted.
        line: its first line, from 1.
        processed: the entity, when it is valid.
        problems: errors (there is no entity then) or warnings, with their places.
        ref: canonical reference, also of a rejected entity whose name was readable; else empty.
        owner: canonical reference of the owner that a refused document names, where that can be read; else empty.
        mark: fingerprint of its text.
        skipped: it was not processed, because the caller knows it.
    """

    index: int
    line: int
    processed: Processed | None
    problems: tuple[Problem, ...] = ()
    ref: str = ""
    owner: str = ""
    mark: str = ""
    skipped: bool = False


def process_file(
    data: bytes,
    *,
    location: LocationRef,
    origin: LocationRef,
    registry: KindRegistry,
    hosts: Hosts,
    read_placeholder: ReadPlaceholder,
    rules: AllowRules | None = None,
    limits: Limits = DEFAULT_LIMITS,
    skip: Collection[str] = (),
) -> Iterator[Outcome]:
    """The documents of a descriptor file, processed one after the other; empty ones are left out.

    Args:
        skip: marks of documents that need not be processed.
        others: see :func:`catalog.ingest.process.process_document`.

    Yields:
        one outcome for each document. A file that cannot be read as a whole (size, encoding) is one outcome 0.
    """
    for document in load_documents(data, limits=limits, skip=skip):
        if document.skipped:
            yield Outcome(document.index, document.first_line, None, mark=document.fingerprint, skipped=True)
            continue
        if document.error is not None:
            problem = yaml_problem(document.error, document, location.target)
            yield Outcome(document.index, document.first_line, None, (problem,))
            continue
        try:
            processed = process_document(
                document.value,
                location=location,
                origin=origin,
                registry=registry,
                hosts=hosts,
                read_placeholder=read_placeholder,
                rules=rules,
            )
        except Rejected as rejected:
            problems = located(rejected.problems, document, location.target)
            owner = named_owner(document.value)
            yield Outcome(document.index, document.first_line, None, problems, rejected.ref, owner)
            continue
        warnings: tuple[Problem, ...] = ()
        if processed.warnings or document.warnings:
            warnings = located(processed.warnings, document, location.target)
            warnings += tuple(_tag_warning(text, document, location.target) for text in document.warnings)
            processed = replace(processed, warnings=warnings)
        yield Outcome(
            document.index,
            document.first_line,
            processed,
            warnings,
            processed.ref,
            mark=document.fingerprint,
        )


def named_owner(value: Any) -> str:
    """Canonical reference of ``spec.owner`` in a document that may be anything; empty where there is none to read."""
    spec = value.get("spec") if isinstance(value, dict) else None
    owner = spec.get("owner") if isinstance(spec, dict) else None
    metadata = value.get("metadata") if isinstance(value, dict) else None
    namespace = metadata.get("namespace") if isinstance(metadata, dict) else None
    try:
        found = parse_ref(
            owner if isinstance(owner, str) else None,
            default_kind="Group",
            default_namespace=namespace if isinstance(namespace, str) and namespace else DEFAULT_NAMESPACE,
        )
    except RefError:
        return ""
    return str(found)


def located(problems: Iterable[Problem], document: Document, url: str) -> tuple[Problem, ...]:
    """The problems with their places in the file."""
    return tuple(problem.located(document, url) for problem in problems)


def yaml_problem(error: YamlError, document: Document, url: str) -> Problem:
    """A document that cannot be read, as a problem."""
    place = error.place
    return Problem(
        f"catalog.{error.code}",
        f"YAML error: {error.message}",
        remedy=error.remedy,
        url=url,
        document=document.index,
        line=place.line if place else document.first_line,
        column=place.column if place else 0,
        source_line=place.source_line if place else "",
        corrected_line=error.corrected_line,
    )


def _tag_warning(text: str, document: Document, url: str) -> Problem:
    return Problem(
        "catalog.yaml.unknown-tag",
        f"YAML: {text}",
        severity="warning",
        remedy="Remove the tag, or put the value in quotes.",
        url=url,
        document=document.index,
        line=document.first_line,
    )
