"""The file of ``CALLBOARD_SOURCES``: what it makes of the sources, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from catalog.exceptions import SourceTakenError
from catalog.models import Source
from catalog.services.declared_sources import FILE, apply_declared_sources
from catalog.services.preview import preview_location
from catalog.services.sources import create_source
from portal.audit.models import AuditEvent
from portal.core.errors import InputError
from portal.jobs.models import Job, Schedule
from portal.jobs.running import run_job
from tests.factories.connections import ConnectionFactory
from tests.factories.sources import SYSTEM, Folder, component, exists
from tests.services.http_server import Reply, serving

pytestmark = pytest.mark.django_db(transaction=True)

TWO = """
sources:
  - name: company
    target: https://git.example.com/platform/catalog.git
    branch: main
    pattern: "**/catalog-info.yaml"
    allowed_kinds: [Component, API]
    interval: 60
    priority: 0
  - name: shop
    target: shop/*.yaml
"""


class File:
    """The file, and the sources there are."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def apply(self, text: str, **options: Any) -> Any:
        self.path.write_text(text)
        return apply_declared_sources(path=self.path, **options)

    @property
    def sources(self) -> dict[str, Source]:
        return {row.name: row for row in Source.objects.unrestricted("test")}


@pytest.fixture
def file(tmp_path: Path, settings: Any) -> File:
    settings.CALLBOARD_FILE_ROOTS = [tmp_path]
    settings.CALLBOARD_SYNC_INTERVAL = 600
    return File(tmp_path / "sources.yaml")


def written() -> tuple[int, int, list[Any]]:
    """How much was recorded and queued, and when what runs next."""
    return (
        AuditEvent.objects.count(),
        Job.objects.unrestricted("test").count(),
        list(Schedule.objects.unrestricted("test").order_by("pk").values()),
    )


def test_what_the_file_lists_is_registered_with_its_fields_and_read(file: File, tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "a.yaml").write_text(component("shop"))
    assert file.apply(TWO).created == ["company", "shop"]
    company, shop = file.sources["company"], file.sources["shop"]
    assert (company.type, company.branch, company.pattern) == ("git", "main", "**/catalog-info.yaml")
    assert (company.allowed_kinds, company.interval, company.priority) == (["Component", "API"], 60, 0)
    assert (shop.type, shop.target) == ("file", str(tmp_path / "shop/*.yaml")), (
        "as seen from the file's folder"
    )
    assert (shop.interval, shop.priority, shop.enabled, shop.registered_by) == (600, 100, True, "settings")
    run_job(Job.objects.unrestricted("test").get(subject="shop").pk)
    assert exists("component:default/shop")


def test_the_same_file_again_writes_nothing_and_queues_nothing(file: File) -> None:
    file.apply(TWO)
    Job.objects.unrestricted("test").delete()
    before = written()
    applied = file.apply(TWO)
    assert (applied.unchanged, applied.created, applied.changed) == (["company", "shop"], [], {})
    assert written() == before


def test_only_what_the_file_says_otherwise_is_changed(file: File) -> None:
    file.apply(TWO)
    shop, entity_ref = file.sources["shop"], file.sources["company"].entity_ref
    applied = file.apply(TWO.replace("interval: 60", "interval: 90").replace("platform/", "other/"))
    assert applied.changed == {"company": ["target", "interval"]}
    assert file.sources["company"].interval == 90
    assert file.sources["company"].entity_ref != entity_ref, "it stands for another place now"
    event = AuditEvent.objects.get(verb="catalog.source.changed")
    assert (event.object_name, event.actor) == ("company", FILE.actor)
    assert file.sources["shop"] == shop


def test_what_is_no_longer_listed_is_disabled_with_its_entities_and_enabled_when_listed_again(
    file: File, tmp_path: Path
) -> None:
    folder = Folder(tmp_path / "shop", "shop")
    folder.write("a.yaml", component("shop"))
    file.apply(TWO)
    folder.source = file.sources["shop"]
    folder.sync()
    applied = file.apply(TWO[: TWO.index("  - name: shop")])
    assert (applied.disabled, applied.unchanged) == ({"shop": 2}, ["company"])
    assert not file.sources["shop"].enabled
    assert exists("component:default/shop")
    assert not file.apply(TWO[: TWO.index("  - name: shop")]).disabled, "once is enough"
    assert file.apply(TWO).changed == {"shop": ["enabled"]}
    assert file.sources["shop"].enabled


def test_a_source_that_settings_brought_otherwise_stays_as_it_is(file: File) -> None:
    demo = create_source(
        actor=SYSTEM, name="Demo company", target="/srv/demo.yaml", type="file", registered_by="settings"
    )
    file.apply("sources: []")
    assert file.sources["Demo company"] == demo
    assert file.sources["Demo company"].enabled


def test_a_renamed_entry_keeps_its_source(file: File) -> None:
    file.apply(TWO)
    shop = file.sources["shop"]
    assert file.apply(TWO.replace("name: shop", "name: store")).changed == {"store": ["name"]}
    assert file.sources["store"].pk == shop.pk


def test_a_place_that_one_entry_leaves_is_free_for_another(file: File) -> None:
    file.apply(TWO)
    moved = TWO.replace("shop/*.yaml", "store/*.yaml")
    fresh = "sources:\n  - name: new\n    target: shop/*.yaml" + moved.removeprefix("\nsources:")
    assert file.apply(fresh).created == ["new"]
    assert file.sources["new"].target.endswith("/shop/*.yaml")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            {"name": "shop", "target": "https://git.example.com/a.yaml"},
            r"line 10: sources\[1\]\.name: there is already a source named shop \(registered by: REST\)",
        ),
        (
            {"name": "theirs", "type": "git", "branch": "main", "pattern": "**/catalog-info.yaml",
             "target": "https://git.example.com/platform/catalog.git"},
            r"line 4: sources\[0\]\.target: it is registered already, as theirs \(registered by: REST\)",
        ),
    ],
)  # fmt: skip
def test_a_name_or_place_of_a_source_that_was_registered_otherwise_is_refused(
    file: File, other: dict[str, str], message: str
) -> None:
    theirs = create_source(actor=SYSTEM, registered_by="api", **other)
    with pytest.raises(InputError, match=message) as refused:
        file.apply(TWO)
    assert f'manage.py source remove "{theirs.name}"' in refused.value.remedy
    assert list(file.sources) == [theirs.name]


def test_a_place_that_a_source_which_is_no_longer_listed_still_has_is_refused(file: File) -> None:
    file.apply(TWO)
    shop = TWO[: TWO.index("  - name: company")] + TWO[TWO.index("  - name: shop") :]
    taken = shop.replace("shop/*.yaml", "https://git.example.com/platform/catalog.git")
    taken += '    branch: main\n    pattern: "**/catalog-info.yaml"\n'
    with pytest.raises(InputError, match=r"line 4: sources\[0\]\.target: .*, as company \(.*: Settings\)"):
        file.apply(taken)
    assert file.sources["company"].enabled


def test_a_dry_run_says_the_same_and_writes_nothing(file: File) -> None:
    before = written()
    assert file.apply(TWO, dry_run=True).created == ["company", "shop"]
    assert (file.sources, written()) == ({}, before)


@pytest.mark.parametrize(
    ("text", "message", "remedy"),
    [
        (
            TWO.replace("interval: 60", "interval: soon"),
            "line 8: sources[0].interval: 'soon' is not a whole",
            "a whole",
        ),
        (TWO.replace("interval: 60", "interval: -1"), "line 8: sources[0].interval: ", "documentation"),
        (TWO.replace("branch: main", "branch: 1.0"), "line 5: sources[0].branch: 1", "quotes"),
        (
            TWO.replace("branch: main", "branch:"),
            "line 5: sources[0].branch: nothing is not a text",
            "leave it out",
        ),
        (
            TWO.replace("allowed_kinds", "allow"),
            "line 7: sources[0].allow: there is no such key",
            "Is allowed_kinds meant",
        ),
        (
            TWO.replace("[Component, API]", "[Component, Apy]"),
            "line 7: sources[0].allowed_kinds[1]: there is no kind Apy",
            "API",
        ),
        (
            TWO.replace("[Component, API]", "[1]"),
            "line 7: sources[0].allowed_kinds[0]: 1 is not a text",
            "quotes",
        ),
        (
            TWO.replace("name: shop", "name: company"),
            "line 10: sources[1].name: company stands in the file twice",
            "Rename",
        ),
        (
            TWO + "  - name: again\n    target: shop/*.yaml\n",
            "line 13: sources[2].target: shop reads the same",
            "Remove",
        ),
        (TWO + "  - target: x\n", "line 12: sources[2]: the source has no name", "Add name"),
        (TWO + "  - name: x\n", "line 12: sources[2]: the source has no target", "Add target"),
        (
            TWO + "  - name: x\n    target: y\n    type: svn\n",
            "line 14: sources[2].type: 'svn' is not known",
            "url, git, file",
        ),
        (
            TWO + "  - name: x\n    target: 'javascript:1'\n    type: url\n",
            "line 12: sources[2]: 'javascript:1' is no place",
            "",
        ),
        (TWO + "  - company\n", "line 12: sources[2]: 'company' is not a mapping", "a mapping"),
        (TWO + "sauces: []\n", "line 12: sauces: there is no such key", "Is sources meant"),
        (TWO + "sources: []\n", "line 12: the key sources is given twice", "Keep one"),
        (TWO + "rules: {}\n", "line 12: rules: {} is not a list", "a list"),
        (TWO + "rules: [{allow: [Apy]}]\n", "line 12: rules[0].allow: there is no kind apy", "Known kinds"),
        (TWO + "rules: [{alow: [API]}]\n", "line 12: rules[0].alow: there is no such key", "Is allow meant"),
        (TWO + "rules: [{}]\n", "line 12: rules[0]: an allow rule needs a list allow", "allow rules"),
        (
            TWO + "rules: [{allow: [{kind: API, type: x}]}]\n",
            "rules[0].allow[0].type: there is no such key",
            "spec.type",
        ),
        (
            TWO + "rules: [{allow: [API], locations: [{type: url, exact: 1}]}]\n",
            "rules[0].locations[0].exact: 1 is",
            "quotes",
        ),
        (
            TWO + "rules: [{allow: [API], locations: [{exact: x}]}]\n",
            "rules[0]: a location of an allow rule needs",
            "rules",
        ),
        ("", "has no documents", "sources: []"),
        ("sources: []\n---\nsources: []\n", "has 2 documents", "one document"),
        ("- a\n", "['a'] is not a mapping", "a mapping"),
        ("sources: [x\n", "sources.yaml, line 1: ", "bracket"),
    ],
)
def test_what_is_wrong_is_named_with_its_place_and_nothing_changes(
    file: File, text: str, message: str, remedy: str
) -> None:
    file.apply(TWO.replace("name: shop", "name: before"))
    before = written()
    with pytest.raises(InputError) as refused:
        file.apply(text)
    assert refused.value.message.startswith(str(file.path))
    assert message in refused.value.message
    assert remedy in refused.value.remedy
    assert refused.value.code not in ("", "input")
    assert (set(file.sources), written()) == ({"company", "before"}, before)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml cannot be read: No such file"):
        apply_declared_sources(path=tmp_path / "none.yaml")


def test_its_rules_say_what_sources_without_kinds_of_their_own_may_bring(
    file: File, tmp_path: Path, settings: Any
) -> None:
    settings.CALLBOARD_SOURCES = str(file.path)
    file.apply("rules: [{allow: [Location, API]}]")
    free, own = Folder(tmp_path / "free", "free"), Folder(tmp_path / "own", "own")
    free.write("a.yaml", component("one"))
    own.write("a.yaml", component("two"))
    free.sync(allowed_kinds=[])
    own.sync(allowed_kinds=["Component"])
    assert (exists("component:default/one"), exists("component:default/two")) == (False, True)
    assert [p.rule for p in free.problems] == ["catalog.kind.not-allowed"]


def test_other_rules_have_unchanged_files_compared_anew(file: File, tmp_path: Path, settings: Any) -> None:
    settings.CALLBOARD_SOURCES = str(file.path)
    folder = Folder(tmp_path / "shop", "shop")
    folder.write("a.yaml", component("shop"))
    file.apply("rules: [{allow: [Component]}]")
    folder.sync(allowed_kinds=[])
    assert folder.sync()["state"] == "unchanged"
    elsewhere = "{type: file, exact: /elsewhere}"
    file.apply(f"rules: [{{allow: [Component], locations: [{elsewhere}]}}]")
    assert folder.sync()["problems"] == 1
    here = f"{{type: file, pattern: '{tmp_path}/**'}}"
    file.apply(f"rules: [{{allow: [Component], locations: [{elsewhere}, {here}]}}]")
    assert folder.sync()["problems"] == 0
    assert folder.sync()["state"] == "unchanged"


def test_while_its_rules_cannot_be_read_a_sync_fails_and_everything_stays(
    file: File, tmp_path: Path, settings: Any
) -> None:
    settings.CALLBOARD_SOURCES = str(file.path)
    file.apply("rules: [{allow: [Component]}]")
    folder = Folder(tmp_path / "shop", "shop")
    folder.write("a.yaml", component("shop"))
    folder.sync(allowed_kinds=[])
    file.path.write_text("rules: nonsense")
    folder.try_sync()
    assert "sources.yaml, line 1: rules: 'nonsense' is not a list" in file.sources["shop"].last_error
    assert exists("component:default/shop")


def test_a_registration_that_is_only_asked_about_follows_the_rules_of_its_place(
    file: File, settings: Any
) -> None:
    settings.CALLBOARD_SOURCES = str(file.path)
    with serving(lambda seen: Reply(body=component("shop").encode())) as server:
        ConnectionFactory(
            host=server.base.partition("//")[2], base_url=server.base, kind="plain", allow_private=True
        )
        rule = (
            f"rules: [{{allow: [Component], locations: [{{type: url, pattern: '{server.base}/ours/**'}}]}}]"
        )
        file.apply(rule)
        assert len(preview_location(target=f"{server.base}/ours/a.yaml")) == 2
        with pytest.raises(InputError, match="not of an allowed kind for that location"):
            preview_location(target=f"{server.base}/theirs/a.yaml")


def test_a_target_twice_names_the_source_that_has_it() -> None:
    create_source(actor=SYSTEM, name="shop", target="https://git.example.com/a.yaml")
    with pytest.raises(SourceTakenError, match=r"is registered already, as shop\."):
        create_source(actor=SYSTEM, name="again", target="https://git.example.com/a.yaml")
