"""What people and attackers put into sources, read by real syncs: each gets a clear record and harms nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from catalog.ingest.sources import Limits
from catalog.ingest.sources import session as session_module
from catalog.models import Entity, Problem, Source, Sync
from catalog.services.sources import create_source, request_sync
from portal.jobs.running import run_job
from tests.factories.access import StaffFactory
from tests.factories.connections import ConnectionFactory
from tests.factories.sources import (
    SYSTEM,
    Folder,
    assert_catalog_is_consistent,
    component,
    document,
    entity,
    exists,
    location,
)
from tests.services.git_server import GitServer, git_server
from tests.services.http_server import Reply, Seen, hang, raw_serving, serving

__all__ = ["git_server"]

pytestmark = pytest.mark.django_db(transaction=True)
SHOP = "component:default/shop"


class Neighbour(Folder):
    """A good source; whatever happens to others, nothing of it may change."""

    def remember(self) -> None:
        self.write("a.yaml", component("neighbour", dependsOn=f"[{SHOP}]"))
        self.sync()
        self.before = self._state()

    def _state(self) -> tuple[Any, ...]:
        row = entity("component:default/neighbour")
        return row.uid, row.etag, row.state, row.has_errors, row.document.text, self.problems

    def assert_undisturbed(self) -> None:
        assert self._state() == self.before
        assert self.sync()["state"] == "unchanged"


@pytest.fixture
def folder(tmp_path: Path, settings: Any) -> Folder:
    settings.CALLBOARD_FILE_ROOTS = [tmp_path / "roots"]
    return Folder(tmp_path / "roots" / "one", "one")


@pytest.fixture
def neighbour(tmp_path: Path, folder: Folder) -> Neighbour:
    made = Neighbour(tmp_path / "roots" / "two", "two")
    made.remember()
    return made


@pytest.fixture
def browser(db: None) -> Client:
    client = Client()
    client.force_login(StaffFactory())
    return client


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Servers that hang are given up after a second."""
    monkeypatch.setattr(session_module, "Limits", partial(Limits, fetch_seconds=1, request_seconds=1))
    yield


def new_source(target: str, kind: str = Source.Type.URL, **values: Any) -> Source:
    return create_source(actor=SYSTEM, target=target, type=kind, sync=False, **values)


def read(source: Source) -> Sync:
    """Read it as a worker does; returns what came of it."""
    run_job(request_sync(actor=SYSTEM, source=source, force=True).pk)
    return Sync.objects.unrestricted("test").filter(source=source).latest("started_at")


def problems_of(source: Source | None) -> list[Problem]:
    return list(Problem.objects.unrestricted("test").filter(source=source))


def assert_pages_show(browser: Client, *texts: str, ref: str = "") -> None:
    """Every page about it is there, and the problems page says this."""
    kind, _, rest = ref.partition(":")
    namespace, _, name = rest.partition("/")
    pages = ["/catalog/", "/catalog/problems/", "/catalog/sources/"]
    pages += [f"/catalog/{namespace}/{kind}/{name}/"] if ref else []
    for page in pages:
        answer = browser.get(page)
        assert answer.status_code == 200, page
        if page == "/catalog/problems/":
            for text in texts:
                assert text in answer.content.decode()


def bomb() -> bytes:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for n in range(1, 12):
        lines.append(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]")
    return "\n".join(lines).encode()


GOOD = component("shop").encode()
FILES = {
    "broken YAML": (b"kind: [unclosed\nmetadata: {name: shop\n", "catalog.yaml.syntax"),
    "a tab for indentation": (b"kind: Component\nmetadata:\n\tname: shop\n", "catalog.yaml.syntax"),
    "an alias bomb": (bomb(), "catalog.yaml.alias-expansion"),
    "an alias in itself": (b"a: &a [*a]\n", "catalog.yaml"),
    "deep nesting": (b"a: " + b"[" * 5_000 + b"]" * 5_000, "catalog.yaml"),
    "deep blocks": (b"\n".join(b" " * n + b"a:" for n in range(300)), "catalog.yaml"),
    "another encoding": (GOOD + "  note: Größe\n".encode("latin-1"), "catalog.yaml"),
    "half a character": (GOOD + "  note: Größe\n".encode()[:-3] + b"\n", "catalog.yaml"),
    "a binary file": (bytes(range(256)) * 20, "catalog.yaml"),
    "NUL characters": (GOOD + b"  note: a\0b\n", "catalog.yaml"),
    "the same key twice": (GOOD + b"  owner: other\n", "catalog.yaml"),
    "a list": (b"- kind: Component\n", "catalog."),
    "a text": (b"just a text", "catalog."),
    "a number": (b"42", "catalog."),
    "code": (b"!!python/object/apply:os.system ['touch pwned']", "catalog."),
    "a file that is too large": (GOOD + b"# " + b"x" * 60_000, "catalog."),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.req("R003")
def test_a_bad_file_is_named_and_costs_nothing_that_was_good(
    folder: Folder, neighbour: Neighbour, browser: Client, settings: Any, name: str
) -> None:
    settings.CALLBOARD_MAX_FILE_BYTES = 50_000
    data, rule = FILES[name]
    folder.write("a.yaml", component("shop", extra="title: The good one"))
    folder.write("b.yaml", component("stock"))
    folder.sync()
    (folder.path / "a.yaml").write_bytes(data)
    result = folder.sync()

    assert (result["state"], result["removed"]) == ("partial", 0)
    found = folder.problems
    assert found
    for problem in found:
        assert problem.rule.startswith(rule), problem.rule
        assert problem.severity == "error"
        assert problem.message and problem.remedy, (problem.message, problem.remedy)
        assert problem.url.endswith("one/a.yaml")
        assert len(problem.message) < 500 and len(problem.source_line) <= 1_000
    assert document(SHOP)["metadata"]["title"] == "The good one"
    assert entity(SHOP).state == Entity.State.MISSING
    assert entity("component:default/stock").state == Entity.State.ACTIVE
    assert_pages_show(browser, "one/a.yaml", ref=SHOP)
    neighbour.assert_undisturbed()
    assert_catalog_is_consistent()
    folder.write("a.yaml", component("shop"))
    assert (folder.sync()["state"], folder.problems) == ("done", [])
    assert entity(SHOP).state == Entity.State.ACTIVE


# ------------------------------------------------------------------------------------------------------------- pages


class Looked(HTMLParser):
    """What a browser would run or follow on a page."""

    def __init__(self) -> None:
        super().__init__()
        self.dangers: list[str] = []
        self.inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = tag
        if tag in ("iframe", "object", "embed", "base"):
            self.dangers.append(tag)
        for name, value in attrs:
            plain = re.sub(r"[\s\x00-\x1f]", "", value or "").lower()
            if name.startswith("on") or (
                name in ("href", "src", "action", "formaction", "xlink:href", "srcset")
                and plain.startswith(("javascript:", "data:text", "vbscript:"))
            ):
                self.dangers.append(f"{tag} {name}={value}")
            if name == "style" and "url(" in plain:
                self.dangers.append(f"{tag} {name}={value}")

    def handle_data(self, data: str) -> None:
        if self.inside in ("script", "style") and "alert(" in data:
            self.dangers.append(data)

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""


ATTACK = "<script>alert(1)</script><img src=x onerror=alert(2)>"
NASTY = f"""\
apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: shop
  title: 'Title {ATTACK}'
  description: |
    {ATTACK} [click](javascript:alert(3)) <a href="javascript:alert(4)">x</a>
    <iframe src="https://evil.example"></iframe>
  annotations:
    acme.example/note: 'Note {ATTACK}'
    backstage.io/view-url: javascript:alert(5)
    backstage.io/edit-url: " JaVaScRiPt:alert(6)"
    backstage.io/source-location: url:javascript:alert(7)
    backstage.io/techdocs-ref: 'url:{ATTACK}'
  labels:
    tier: gold
  links:
    - url: javascript:alert(8)
      title: 'Link {ATTACK}'
      icon: '{ATTACK}'
    - url: "java\\tscript:alert(9)"
      title: Tab
    - url: data:text/html,<script>alert(10)</script>
      title: Data
    - url: https://runbook.example/ok
      title: Fine
spec:
  type: 'type {ATTACK}'
  lifecycle: 'life {ATTACK}'
  owner: platform
---
apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: '{ATTACK}'
  tags: ['{ATTACK}']
spec: {{type: service, lifecycle: production, owner: '{ATTACK}'}}
---
apiVersion: backstage.io/v1alpha1
kind: API
metadata:
  name: api
  title: 'Api {ATTACK}'
spec:
  type: openapi
  lifecycle: production
  owner: platform
  definition: |
    openapi: 3.0.0
    info: {{title: '{ATTACK}', version: '{ATTACK}', description: '{ATTACK} [x](javascript:alert(11))'}}
    servers: [{{url: 'javascript:alert(12)'}}]
    paths: {{'/{ATTACK}': {{get: {{summary: '{ATTACK}', tags: ['{ATTACK}']}}}}}}
"""


@pytest.mark.req("R067")
def test_nothing_that_a_descriptor_says_becomes_markup_or_a_dangerous_link(
    folder: Folder, browser: Client
) -> None:
    folder.name = f"source {ATTACK}"
    folder.write("a.yaml", NASTY)
    folder.sync()
    pages = [
        "/catalog/", "/catalog/?q=alert", "/catalog/?filter=kind%3Dcomponent", "/catalog/apis/",
        "/catalog/problems/", "/catalog/sources/", f"/catalog/sources/{folder.source.pk if folder.source else ''}/",
        "/catalog/default/component/shop/", "/catalog/default/component/shop/raw/",
        "/catalog/default/component/shop/relations/", "/catalog/default/api/api/",
        "/catalog/default/api/api/definition/", "/catalog/default/location/nope/", "/", f"/catalog/?q={ATTACK}",
    ]  # fmt: skip
    shown = []
    for page in pages:
        answer = browser.get(page, follow=True)
        text = answer.content.decode()
        shown.append((answer.status_code, "alert(" in text))
        looked = Looked()
        looked.feed(text)
        assert looked.dangers == [], page
    assert_catalog_is_consistent()
    assert [status for status, _ in shown[:9]] == [200] * 9, shown
    assert sum(seen for _, seen in shown) >= 5, "the attacks are shown, as text"
    assert 'href="https://runbook.example/ok"' in browser.get(pages[7]).content.decode()


# ---------------------------------------------------------------------------------------------------- out of the box

SECRET = component("secret").encode()


def test_links_and_paths_lead_out_of_no_folder(
    folder: Folder, neighbour: Neighbour, browser: Client, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.yaml").write_bytes(SECRET)
    (outside / "key.txt").write_text("TOPSECRET")
    folder.write("good.yaml", component("shop"))
    (folder.path / "linked.yaml").symlink_to(outside / "secret.yaml")
    (folder.path / "linked").symlink_to(outside)
    (folder.path / "loop.yaml").symlink_to("loop.yaml")
    folder.write("climb.yaml", location("climb", "../../../outside/secret.yaml"))
    folder.write("absolute.yaml", location("absolute", str(outside / "secret.yaml")))
    folder.write("pattern.yaml", location("pattern", "../../../outside/*.yaml"))
    folder.write("steal.yaml", component("thief", extra="description:\n  $text: ../../../outside/key.txt"))
    folder.write("steal2.yaml", component("thief2", extra="description:\n  $text: file:///etc/passwd"))
    result = folder.sync()

    assert (result["state"], exists(SHOP)) == ("partial", True)
    assert not exists("component:default/secret")
    blamed = {p.url.rpartition("/")[2] for p in folder.problems} | {p.entity_ref for p in folder.problems}
    assert {"linked.yaml", "loop.yaml", "steal.yaml", "steal2.yaml"} < blamed
    assert {f"location:default/{name}" for name in ("climb", "absolute", "pattern")} < blamed
    for problem in folder.problems:
        assert problem.message and problem.remedy, (problem.rule, problem.message)
        assert "TOPSECRET" not in f"{problem.message}{problem.value}{problem.source_line}"
    assert not any("TOPSECRET" in row.document.text for row in _all())
    assert_pages_show(browser, "linked.yaml", ref=SHOP)
    neighbour.assert_undisturbed()
    assert_catalog_is_consistent()


def test_links_and_paths_lead_out_of_no_repository(
    git_server: GitServer, neighbour: Neighbour, browser: Client
) -> None:
    ConnectionFactory(host=git_server.host, base_url=git_server.base, kind="github", allow_private=True)
    shop, other = git_server.repository("acme/shop"), git_server.repository("acme/other")
    other.commit({"catalog-info.yaml": SECRET})
    shop.commit(
        {
            "good/catalog-info.yaml": component("shop"),
            "climb/catalog-info.yaml": location("climb", "../../../../../../etc/passwd"),
            "steal/catalog-info.yaml": component(
                "thief", extra="description:\n  $text: ../../../../../etc/passwd"
            ),
            "local/catalog-info.yaml": location("local", "file:///etc/passwd"),
        },
        symlinks={
            "linked/catalog-info.yaml": "/etc/passwd",
            "above/catalog-info.yaml": "../../other.git/catalog-info.yaml",
            "loop/catalog-info.yaml": "catalog-info.yaml",
        },
        submodules={"sub": "1" * 40},
    )
    source = new_source(git_server.url("acme/shop"), Source.Type.GIT)
    sync = read(source)

    assert sync.state == Sync.State.PARTIAL, sync.error
    assert exists(SHOP)
    assert not exists("component:default/secret")
    blamed = " ".join(f"{p.url} {p.entity_ref}" for p in problems_of(source))
    for name in (
        "/linked/",
        "/above/",
        "/loop/",
        "/steal/",
        "location:default/climb",
        "location:default/local",
    ):
        assert name in blamed, name
    for problem in problems_of(source):
        assert problem.message and problem.remedy, (problem.rule, problem.message)
    assert not any("root:" in row.document.text for row in _all())
    assert_pages_show(browser, "acme/shop", ref=SHOP)
    neighbour.assert_undisturbed()
    assert_catalog_is_consistent()


def _all() -> list[Entity]:
    return list(Entity.objects.unrestricted("test").select_related("document"))


# --------------------------------------------------------------------------------------------------------- addresses


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_an_internal_address_is_refused_and_the_good_version_kept(
    neighbour: Neighbour, browser: Client, status: int
) -> None:
    with serving(lambda seen: Reply(body=SECRET)) as inner:
        away = inner.base.replace("127.0.0.1", "127.0.0.2")
        moved: list[str] = []

        def answer(seen: Seen) -> Reply:
            return Reply(status, headers={"Location": moved[0]}) if moved else Reply(body=GOOD)

        with serving(answer) as outer:
            ConnectionFactory(
                host=outer.base.partition("://")[2], base_url=outer.base, kind="plain", allow_private=True
            )
            source = new_source(f"{outer.base}/a.yaml")
            assert read(source).state == Sync.State.DONE
            for target in (f"{away}/x.yaml", "http://169.254.169.254/latest/meta-data", "file:///etc/passwd"):
                moved[:] = [target]
                sync = read(source)
                assert (sync.state, sync.removed) == (Sync.State.FAILED, 0), target
                [problem] = problems_of(source)
                assert problem.message and problem.remedy, problem.message
                assert problem.url == f"{outer.base}/a.yaml"
                assert entity(SHOP).state == Entity.State.MISSING
        assert not inner.seen
    assert not exists("component:default/secret")
    assert_pages_show(browser, problem.url, ref=SHOP)
    neighbour.assert_undisturbed()
    assert_catalog_is_consistent()


@pytest.mark.parametrize(
    ("kind", "target", "branch"),
    [
        ("git", "--upload-pack=touch${IFS}pwned", ""),
        ("git", "ext::sh -c touch% pwned", ""),
        ("git", "git@-oProxyCommand=touch:y", ""),
        ("git", "ssh://-oProxyCommand=touch/x", ""),
        ("git", "https://github.com/acme/shop.git", "--upload-pack=touch pwned"),
        ("url", "https://github.com/acme/shop/blob/--upload-pack=x/a.yaml", ""),
        ("git", "file:///etc", ""),
        ("git", "/etc", ""),
        ("url", "http://127.0.0.1:1/a.yaml", ""),
        ("url", "http://[::1]:1/a.yaml", ""),
        ("url", "http://2130706433:1/a.yaml", ""),
        ("url", "file:///etc/passwd", ""),
        ("url", "gopher://127.0.0.1/x", ""),
        ("url", "/etc/passwd", ""),
    ],
)
def test_a_target_is_an_address_and_nothing_else(
    neighbour: Neighbour, browser: Client, kind: str, target: str, branch: str, monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path, quick: None,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    source = new_source(target, kind, branch=branch)
    sync = read(source)
    assert sync.state == Sync.State.FAILED
    assert sync.error
    [problem] = problems_of(source)
    assert problem.message and problem.remedy, (problem.rule, problem.message)
    assert "Traceback" not in problem.message
    assert Source.objects.unrestricted("test").get(pk=source.pk).last_error == sync.error
    assert not list(tmp_path.rglob("pwned*"))
    assert_pages_show(browser)
    neighbour.assert_undisturbed()


def test_a_git_server_that_hangs_is_given_up_and_what_it_gave_before_stays(
    git_server: GitServer, neighbour: Neighbour, browser: Client, quick: None
) -> None:
    ConnectionFactory(host=git_server.host, base_url=git_server.base, kind="github", allow_private=True)
    shop = git_server.repository("acme/shop")
    shop.commit({"catalog-info.yaml": component("shop")})
    source = new_source(git_server.url("acme/shop"), Source.Type.GIT)
    assert read(source).state == Sync.State.DONE
    with raw_serving(hang) as port:
        ConnectionFactory(
            host=f"127.0.0.1:{port}", base_url=f"http://127.0.0.1:{port}", kind="github", allow_private=True
        )
        Source.objects.filter(pk=source.pk).update(target=f"http://127.0.0.1:{port}/acme/shop.git")
        sync = read(source)
    assert sync.state == Sync.State.FAILED
    assert sync.finished_at is not None
    assert (sync.finished_at - sync.started_at).total_seconds() < 15
    [problem] = problems_of(source)
    assert problem.message and problem.remedy
    assert (exists(SHOP), entity(SHOP).state) == (True, Entity.State.MISSING)
    assert_pages_show(browser, f"127.0.0.1:{port}", ref=SHOP)
    neighbour.assert_undisturbed()
    assert_catalog_is_consistent()
