"""``POST /api/catalog/v1/preview``, and the client that CI jobs run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from catalog.api.v1 import preview as view
from catalog.models import Entity
from catalog.services.preview import changes
from catalog.services.sources import create_source, request_sync
from portal.jobs.running import run_job
from tests.factories.access import StaffFactory, TokenFactory, UserFactory
from tests.factories.connections import ConnectionFactory
from tests.factories.sources import SYSTEM, Folder, component
from tests.services.git_server import GitServer, git, git_server
from tests.services.selection import ROOT

__all__ = ["git_server"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.req("R031")]

ADDRESS = "/api/catalog/v1/preview"
CLIENT = ROOT / "deploy" / "ci" / "callboard-diff.py"


@pytest.fixture
def folder(tmp_path: Path, settings: Any) -> Folder:
    settings.CALLBOARD_FILE_ROOTS = [tmp_path]
    folder = Folder(tmp_path / "one", "one")
    folder.write("a.yaml", component("shop"))
    folder.sync()
    return folder


@pytest.fixture
def curator() -> Client:
    TokenFactory(user=StaffFactory(), text="cb_curator")
    return Client(headers={"Authorization": "Bearer cb_curator"})


def post(client: Client, body: Any, query: str = "") -> Any:
    return client.post(f"{ADDRESS}{query}", json.dumps(body), content_type="application/json")


def files(**named: str) -> list[dict[str, str]]:
    return [{"path": f"{name}.yaml", "content": text} for name, text in named.items()]


def test_files_are_compared_with_what_the_source_has(curator: Client, folder: Folder) -> None:
    answer = post(
        curator, {"source": "one", "files": files(a=component("shop", "team-b"), b=component("till"))}
    )

    assert answer.status_code == 200
    report = answer.json()
    assert report["counts"] == {
        "appear": 1, "change": 1, "move": 0, "rename": 0, "remove": 0, "missing": 0, "fail": 0, "unchanged": 1,
    }  # fmt: skip
    appear, change = report["entities"]
    assert (appear["ref"], appear["document"]["spec"]["owner"]) == ("component:default/till", "platform")
    assert appear["place"]["path"] == "b.yaml"
    owner = next(c for c in change["changes"] if c["field"] == "spec.owner")
    assert owner == {
        "path": ["spec", "owner"], "field": "spec.owner", "kind": "changed", "old": "platform", "new": "team-b",
    }  # fmt: skip
    assert [item["targetRef"] for item in report["dangling"]] == [
        "group:default/team-b",
        "group:default/platform",
    ]
    assert report["verdict"] == "warning"
    assert Entity.objects.unrestricted("test").filter(name="till").count() == 0


def test_a_source_may_be_named_by_its_id(curator: Client, folder: Folder) -> None:
    assert folder.source is not None
    assert post(curator, {"source": str(folder.source.pk)}).json()["counts"]["unchanged"] == 2


def test_texts_are_rendered_on_demand(curator: Client, folder: Folder) -> None:
    body = {"source": "one", "files": files(a=component("shop", extra="tags: [Java]"))}

    rendered = post(
        curator, body, "?render=github&render=sarif&render=gitlab&render=markdown&render=text"
    ).json()["rendered"]

    assert "::error file=a.yaml,line=5,title=catalog.format.tag::" in rendered["github"]
    (result,) = json.loads(rendered["sarif"])["runs"][0]["results"]
    place = result["locations"][0]["physicalLocation"]
    assert (place["artifactLocation"]["uri"], place["region"]["startLine"]) == ("a.yaml", 5)
    (issue,) = json.loads(rendered["gitlab"])
    assert issue["location"] == {"path": "a.yaml", "lines": {"begin": 5}}
    assert "### Catalog: Something would not be taken in" in rendered["markdown"]
    assert "error a.yaml:5 catalog.format.tag" in rendered["text"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "nothing to look at"),
        ({"source": "nobody"}, "no source nobody"),
        ({"source": "one", "target": "https://a.example/x.yaml"}, "not both"),
        ({"source": "one", "files": [{"path": "a.yaml"}]}, "files/0"),
        ({"source": "one", "files": ["a.yaml"]}, "files/0"),
        ({"source": "one", "removed": [1]}, "removed/0"),
        ({"source": "one", "files": [], "more": 1}, "additional"),
        ({"target": "/etc/passwd", "type": "file"}, "url or git"),
        ({"source": "one", "ref": "main"}, "no Git repository"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_its_reason(
    curator: Client, folder: Folder, body: dict[str, Any], said: str
) -> None:
    answer = post(curator, body)

    assert answer.status_code in (400, 404)
    assert said in answer.json()["error"]["message"]


def test_unknown_words_are_refused(curator: Client, folder: Folder) -> None:
    assert post(curator, {"source": "one"}, "?render=html").status_code == 400
    assert post(curator, {"source": "one"}, "?rendered=text").status_code == 400


def test_a_body_that_is_too_large_is_refused(
    curator: Client, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view, "MOST_BODY", 1_000)

    answer = post(curator, {"source": "one", "files": files(a="x" * 2_000)})

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "catalog.preview.too-large")


def test_those_who_may_not_register_may_not_ask(folder: Folder) -> None:
    TokenFactory(user=UserFactory(), text="cb_member")
    member = Client(headers={"Authorization": "Bearer cb_member"})

    assert post(member, {"source": "one"}).status_code == 403
    assert post(Client(), {"source": "one"}).status_code == 401


def test_only_so_many_are_made_at_a_time(
    curator: Client, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "WAIT_SECONDS", 0.01)
    held = [changes._turns.acquire(blocking=False) for _ in range(changes.TURNS)]
    try:
        answer = post(curator, {"source": "one"})
    finally:
        for _ in filter(None, held):
            changes._turns.release()

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "catalog.preview.busy")
    assert post(curator, {"source": "one"}).status_code == 200


def test_one_that_takes_too_long_ends(
    curator: Client, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "LONGEST_SECONDS", -1.0)

    assert post(curator, {"source": "one"}).status_code == 504


def test_another_branch_of_a_repository_shows_what_a_pull_request_would_do(
    curator: Client, git_server: GitServer
) -> None:
    ConnectionFactory(host=git_server.host, base_url=git_server.base, kind="github", allow_private=True)
    repository = git_server.repository("acme/shop")
    repository.commit({"catalog-info.yaml": component("shop"), "till/catalog-info.yaml": component("till")})
    source = create_source(
        actor=SYSTEM, sync=False, type="git", target=f"{git_server.base}/acme/shop", name="shop"
    )
    run_job(request_sync(actor=SYSTEM, source=source).pk)
    repository.commit(
        {
            "catalog-info.yaml": component("shop", extra="title: The shop"),
            "new/catalog-info.yaml": component("new"),
        },
        branch="topic",
        keep=False,
    )

    report = post(curator, {"source": "shop", "ref": "topic"}).json()

    assert {(e["what"], e["ref"]) for e in report["entities"]} == {
        ("appear", "component:default/new"),
        ("change", "component:default/shop"),
        ("remove", "component:default/till"),
    }
    (change,) = next(e for e in report["entities"] if e["what"] == "change")["changes"]
    assert change["field"] == "metadata.title"
    assert report["ref"] == "topic"


# --- the client of CI jobs


def run_client(
    server: Any, folder: Path, *words: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", str(CLIENT), "--root", str(folder), *words],
        env={
            "PATH": "/usr/bin:/bin",
            "CALLBOARD_URL": server.url,
            "CALLBOARD_TOKEN": "cb_curator",
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A working tree with a commit in which the shop is as the catalog has it."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "a.yaml").write_text(component("shop"))
    git("init", "--quiet", "--initial-branch=main", cwd=tree)
    git("add", ".", cwd=tree)
    git("commit", "--quiet", "-m", "first", cwd=tree)
    return tree


def test_the_client_says_what_changes_and_ends_well(
    live_server: Any, curator: Client, folder: Folder, tree: Path
) -> None:
    (tree / "b.yaml").write_text(component("till"))

    done = run_client(live_server, tree, "--source", "one")

    assert (done.returncode, done.stderr) == (0, "")
    assert "+ component:default/till  b.yaml:1" in done.stdout
    assert run_client(live_server, tree, "--source", "one", "--strict").returncode == 1


def test_the_client_ends_badly_where_the_catalog_objects(
    live_server: Any, curator: Client, folder: Folder, tree: Path, tmp_path: Path
) -> None:
    (tree / "a.yaml").write_text(component("shop", extra="tags: [Java]"))
    summary = tmp_path / "summary.md"

    done = run_client(
        live_server, tree, "--source", "one", GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(summary)
    )

    assert done.returncode == 1
    assert "::error file=a.yaml,line=5,title=catalog.format.tag::" in done.stdout
    assert summary.read_text().startswith("### Catalog")


def test_the_client_sends_only_what_differs_from_a_commit(
    live_server: Any, curator: Client, folder: Folder, tree: Path, tmp_path: Path
) -> None:
    folder.write("kept.yaml", component("kept"))
    folder.sync()
    (tree / "a.yaml").unlink()
    (tree / "b.yaml").write_text(component("till"))
    git("add", "--all", cwd=tree)
    output = tmp_path / "out.json"

    done = run_client(
        live_server,
        tree,
        "--source",
        "one",
        "--changed-since",
        "main",
        "--format",
        "json",
        "--output",
        str(output),
    )

    assert done.returncode == 0, done.stderr
    report = json.loads(output.read_text())
    assert {(e["what"], e["ref"]) for e in report["entities"]} == {
        ("appear", "component:default/till"),
        ("remove", "component:default/shop"),
    }
    assert "+ component:default/till" in done.stdout


def test_the_client_says_why_it_could_not_ask(
    live_server: Any, curator: Client, folder: Folder, tree: Path
) -> None:
    refused = run_client(live_server, tree, "--source", "nobody")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "There is no source nobody." in refused.stderr
    unknown = run_client(live_server, tree, "--source", "one", CALLBOARD_TOKEN="cb_wrong")
    assert (unknown.returncode, "unknown, expired or revoked" in unknown.stderr) == (2, True)
    away = run_client(live_server, tree, "--source", "one", "--server", "http://127.0.0.1:9")
    assert (away.returncode, "does not answer" in away.stderr) == (2, True)
    assert run_client(live_server, tree, "--source", "one", CALLBOARD_TOKEN="").returncode == 2
    assert run_client(live_server, tree, "--source", "one", "--changed-since", "nowhere").returncode == 2


def test_the_client_follows_no_link_out_of_the_tree(
    live_server: Any, curator: Client, folder: Folder, tree: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.yaml"
    secret.write_text(component("secret"))
    (tree / "link.yaml").symlink_to(secret)

    done = run_client(live_server, tree, "--source", "one")

    assert done.returncode == 0
    assert "secret" not in done.stdout
