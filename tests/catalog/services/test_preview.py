"""What a change would do, asked before it is made: nothing is written, and everything a sync would do is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from catalog.ingest.sources import SentFiles
from catalog.models import Entity, Problem, Quarantine, Source, Sync
from catalog.services.preview import Report, preview_changes
from catalog.services.preview.report import EntityChange
from catalog.services.publishing import remove_entity
from catalog.services.sources import create_source
from portal.access.viewer import Viewer
from portal.audit.models import AuditEvent
from portal.core.errors import InputError, NotAllowedError, TooLargeError
from portal.events.models import Event
from portal.jobs.models import Job
from tests.factories.access import StaffFactory
from tests.factories.sources import SYSTEM, Folder, component, entity, exists, location

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.req("R031")]

SHOP, TILL = "component:default/shop", "component:default/till"
GROUP = (
    "apiVersion: backstage.io/v1alpha1\nkind: Group\nmetadata:\n  name: {name}\n"
    "spec:\n  type: team\n  children: []\n"
)


@pytest.fixture
def folder(tmp_path: Path, settings: Any) -> Folder:
    settings.CALLBOARD_FILE_ROOTS = [tmp_path]
    return Folder(tmp_path / "one", "one")


def sent(*files: tuple[str, str], removed: tuple[str, ...] = (), complete: bool = True) -> SentFiles:
    return SentFiles.of(
        [(path, text.encode()) for path, text in files],
        removed=removed,
        complete=complete,
        file_bytes=1_000_000,
    )


def ask(folder: Folder, **values: Any) -> Report:
    return preview_changes(actor=SYSTEM, source=folder.source, **values)


def one(report: Report, what: Any, ref: str) -> EntityChange:
    return next(e for e in report.of(what) if e.ref == ref)


def refs(report: Report, what: Any) -> list[str]:
    return sorted(e.ref for e in report.of(what))


def test_a_source_as_it_would_be_read_now(folder: Folder) -> None:
    folder.write("a.yaml", component("shop"), component("old"))
    folder.sync()
    folder.write("a.yaml", component("shop", extra="title: The shop"))
    folder.write("b.yaml", component("till"))

    report = ask(folder)

    assert (refs(report, "appear"), refs(report, "change"), refs(report, "remove")) == (
        [TILL],
        [SHOP],
        ["component:default/old"],
    )
    (change,) = one(report, "change", SHOP).changes
    assert (change.field, change.kind, change.new) == ("metadata.title", "added", "The shop")
    appearing = one(report, "appear", TILL)
    assert appearing.document is not None
    assert appearing.document["spec"]["owner"] == "platform"
    assert {"type": "ownedBy", "targetRef": "group:default/platform"} in appearing.document["relations"]
    assert "uid" not in appearing.document["metadata"]
    assert report.counts["unchanged"] == 1  # the Location of the source


def test_a_rename_is_told_as_one(folder: Folder) -> None:
    folder.write("a.yaml", component("shop"))
    folder.sync()
    folder.write("a.yaml", component("till"))

    report = ask(folder)

    renamed = one(report, "rename", TILL)
    assert renamed.before == SHOP
    assert [change.field for change in renamed.changes] == ["metadata.name"]
    assert (refs(report, "appear"), refs(report, "remove")) == ([], [])


def test_nothing_is_written(folder: Folder) -> None:
    folder.write("a.yaml", component("shop"))
    folder.sync()
    tables = (Entity, Problem, Quarantine, Source, Sync, AuditEvent, Event, Job)

    def rows() -> list[Any]:
        return [list(model.objects.unrestricted("test").order_by("pk").values()) for model in tables]

    before = rows()

    ask(folder, sent=sent(("a.yaml", component("till")), ("b.yaml", "kind: [")))

    assert rows() == before


def test_sent_files_stand_for_the_files_of_the_source(folder: Folder) -> None:
    folder.write("a.yaml", component("shop"))
    folder.write("b.yaml", component("till"))
    folder.sync()

    report = ask(folder, sent=sent(("a.yaml", component("shop")), ("deep/c.yaml", component("new"))))

    assert (refs(report, "appear"), refs(report, "remove"), refs(report, "change")) == (
        ["component:default/new"],
        [TILL],
        [],
    )
    assert one(report, "appear", "component:default/new").place.path == "deep/c.yaml"
    assert one(report, "appear", "component:default/new").place.url == f"{folder.path}/deep/c.yaml"


def test_a_part_of_the_files_leaves_the_others_as_they_are(folder: Folder) -> None:
    folder.write("a.yaml", component("shop"))
    folder.write("b.yaml", component("till"))
    folder.write("c.yaml", component("other"))
    folder.sync()

    changed = sent(
        ("a.yaml", component("shop", subcomponentOf="till")),
        removed=("c.yaml",),
        complete=False,
    )
    report = ask(folder, sent=changed)

    assert (refs(report, "change"), refs(report, "remove")) == ([SHOP], ["component:default/other"])
    assert not report.of("appear")


def test_a_file_that_a_location_names_and_nobody_sent_is_missing(folder: Folder) -> None:
    folder.write("root.yaml", location("all", "./parts/a.yml"))
    folder.write("parts/a.yml", component("shop"))
    folder.sync()

    report = ask(folder, sent=sent(("root.yaml", location("all", "./parts/a.yml"))))

    assert refs(report, "missing") == [SHOP]
    assert report.verdict == "error"
    (finding,) = report.problems
    assert finding.place.url.endswith("/parts/a.yml")
    assert "not among the files" in finding.problem.message


def test_files_without_a_source_stand_for_themselves() -> None:
    files = sent(
        ("catalog-info.yaml", location("all", "./deep/api.yaml")),
        ("deep/api.yaml", component("shop", extra="description:\n    $text: ./words.txt")),
        ("deep/words.txt", "Sells things."),
        ("other.yaml", component("unseen")),
    )

    report = preview_changes(actor=SYSTEM, sent=files)

    assert report.source == ""
    shop = one(report, "appear", SHOP)
    assert shop.document is not None
    assert shop.document["metadata"]["description"] == "Sells things."
    assert shop.place.path == "deep/api.yaml"
    assert "component:default/unseen" not in refs(report, "appear")


def test_problems_name_file_line_rule_and_remedy(folder: Folder) -> None:
    folder.write("a.yaml", component("shop"))
    folder.sync()

    report = ask(folder, sent=sent(("a.yaml", component("shop", extra="tags: [Java]"))))

    (finding,) = report.problems
    assert (finding.problem.rule, finding.place.path, finding.place.line) == (
        "catalog.format.tag",
        "a.yaml",
        5,
    )
    assert finding.problem.remedy
    assert refs(report, "fail") == [SHOP]
    assert report.verdict == "error"


def test_an_entity_that_another_source_has_is_a_conflict_and_says_why(folder: Folder, tmp_path: Path) -> None:
    folder.write("a.yaml", component("shop"))
    folder.sync(priority=50)

    report = preview_changes(actor=SYSTEM, sent=sent(("a.yaml", component("shop"))))

    (conflict,) = report.conflicts
    assert (conflict.ref, conflict.ours, conflict.winner.source) == (SHOP, False, "one")
    assert "priority 50" in conflict.why
    assert conflict.winner.place.url.endswith("/one/a.yaml")
    assert conflict.loser.place.path == "a.yaml"
    assert report.verdict == "error"


def test_a_better_priority_takes_an_entity_over(folder: Folder, tmp_path: Path) -> None:
    folder.write("a.yaml", component("shop"))
    folder.sync(priority=200)
    other = Folder(tmp_path / "two", "two")
    other.write("b.yaml", component("till"))
    other.sync()

    report = ask(other, sent=sent(("b.yaml", component("till")), ("c.yaml", component("shop", "team-b"))))

    (conflict,) = report.conflicts
    assert (conflict.ours, conflict.loser.source, conflict.winner.source) == (True, "one", "two")
    change = one(report, "change", SHOP)
    assert change.why
    assert ("changed", "platform", "team-b") in [(c.kind, c.old, c.new) for c in change.changes]
    assert report.verdict == "warning"


def test_what_is_declared_twice_in_one_source_is_a_conflict(folder: Folder) -> None:
    report = preview_changes(
        actor=SYSTEM, sent=sent(("a.yaml", component("shop")), ("b.yaml", component("shop")))
    )

    (conflict,) = report.conflicts
    assert (conflict.winner.place.path, conflict.loser.place.path, conflict.ours) == (
        "a.yaml",
        "b.yaml",
        False,
    )


def test_references_to_nothing_are_told_by_who_makes_them(folder: Folder, tmp_path: Path) -> None:
    folder.write("g.yaml", GROUP.format(name="platform"))
    folder.write(
        "a.yaml", component("shop", dependsOn="[component:till, component:later]"), component("till")
    )
    folder.sync()

    report = ask(
        folder,
        sent=sent(
            ("g.yaml", GROUP.format(name="platform")),
            ("a.yaml", component("shop", dependsOn="[component:till, component:later]")),
            ("b.yaml", component("later", "nobody")),
        ),
    )

    new = {(r.ref, r.type, r.target, r.here) for r in report.dangling}
    assert new == {
        (SHOP, "dependsOn", TILL, False),
        ("component:default/later", "ownedBy", "group:default/nobody", True),
    }
    assert [(r.ref, r.target) for r in report.mended] == [(SHOP, "component:default/later")]
    assert report.verdict == "warning"


def test_relations_that_others_would_show_are_told(folder: Folder) -> None:
    folder.write("g.yaml", GROUP.format(name="platform"))
    folder.write("a.yaml", component("shop"))
    folder.sync()

    report = ask(folder, sent=sent(("g.yaml", GROUP.format(name="platform")), ("a.yaml", component("till"))))

    (change,) = [change for change in report.relations if change.ref == "group:default/platform"]
    assert (change.added, change.removed) == ((("ownerOf", TILL),), (("ownerOf", SHOP),))


def test_removals_that_would_be_held_back_are_told(folder: Folder) -> None:
    folder.write("many.yaml", *(component(f"c{n}") for n in range(30)))
    folder.sync()

    report = ask(folder, sent=sent(("many.yaml", component("c0"))))

    assert report.held is not None
    assert (len(report.held.refs), report.held.total) == (29, 31)
    assert not report.of("remove")
    assert len(report.of("missing")) == 29
    assert report.verdict == "warning"


def test_a_file_that_moves_keeps_its_entities(folder: Folder) -> None:
    folder.write("a.yaml", component("shop"))
    folder.sync()

    report = ask(folder, sent=sent(("moved/a.yaml", component("shop"))))

    change = one(report, "change", SHOP)  # the annotations name the file
    assert {c.field for c in change.changes} == {
        'metadata.annotations["backstage.io/managed-by-location"]',
    }
    assert change.place.url.endswith("/moved/a.yaml")


def test_what_goes_says_who_gets_it_next(folder: Folder, tmp_path: Path) -> None:
    folder.write("a.yaml", component("shop"), component("till"))
    folder.sync()
    other = Folder(tmp_path / "two", "two")
    other.write("b.yaml", component("shop"))
    other.sync()

    report = ask(folder, sent=sent(("a.yaml", component("till"))))

    assert one(report, "remove", SHOP).why == "two declares it too and gets it then."


def test_an_entity_that_nobody_declared_any_more_is_taken_in_silence(folder: Folder) -> None:
    folder.write("a.yaml", component("shop"))
    folder.sync()
    remove_entity(actor=SYSTEM, uid=str(entity(SHOP).uid))
    assert not exists(SHOP)

    report = ask(folder)

    assert refs(report, "appear") == [SHOP]
    assert not report.conflicts


@pytest.mark.parametrize("path", ["", "/etc/passwd", "a/../../b", "..", "a\0b"])
def test_paths_that_are_none_are_refused(path: str) -> None:
    with pytest.raises(InputError, match="not the path"):
        sent((path, "x"))


def test_more_than_the_bounds_is_refused() -> None:
    with pytest.raises(TooLargeError, match="1000000"):
        sent(("a.yaml", "x" * 1_000_001))
    with pytest.raises(TooLargeError, match="5000 files"):
        sent(*((f"{n}.yaml", "") for n in range(5_001)))
    with pytest.raises(TooLargeError, match="bytes were sent"):
        sent(*((f"{n}.yaml", "x" * 1_000_000) for n in range(21)))
    with pytest.raises(InputError, match="twice"):
        sent(("a.yaml", ""), ("./a.yaml", ""))


def test_nothing_to_look_at_is_refused() -> None:
    with pytest.raises(InputError, match="nothing to look at"):
        preview_changes(actor=SYSTEM)
    with pytest.raises(InputError, match="need the source"):
        preview_changes(actor=SYSTEM, sent=sent(("a.yaml", ""), complete=False))


def test_files_of_this_machine_can_be_asked_for_on_the_command_line_only(folder: Folder) -> None:
    folder.write("a.yaml", component("shop"))
    curator = StaffFactory()
    viewer = Viewer(actor="user:curator", user_id=curator.pk, is_staff=True)

    with pytest.raises(InputError, match="command line only"):
        preview_changes(actor=viewer, target=str(folder.path), type=Source.Type.FILE, pattern="**/*.yaml")
    report = preview_changes(
        actor=SYSTEM, target=str(folder.path), type=Source.Type.FILE, pattern="**/*.yaml"
    )
    assert SHOP in refs(report, "appear")


def test_an_address_that_may_not_be_reached_is_a_problem_of_the_answer() -> None:
    report = preview_changes(actor=SYSTEM, target="http://127.0.0.1:9/catalog-info.yaml")

    assert report.unread
    assert report.verdict == "error"


def test_a_folder_has_no_other_branches(folder: Folder) -> None:
    folder.write("a.yaml", component("shop"))
    folder.sync()

    with pytest.raises(InputError, match="no Git repository"):
        ask(folder, ref="topic")


def test_a_place_outside_of_the_roots_stays_out(folder: Folder, settings: Any, tmp_path: Path) -> None:
    outside = create_source(
        actor=SYSTEM,
        target="/etc",
        type=Source.Type.FILE,
        registered_by=Source.RegisteredBy.COMMAND,
        sync=False,
    )
    with pytest.raises(NotAllowedError, match="CALLBOARD_FILE_ROOTS"):
        preview_changes(actor=SYSTEM, source=outside, sent=sent(("a.yaml", "")))


def test_who_sends_files_reads_no_others_of_the_server(folder: Folder, tmp_path: Path) -> None:
    folder.write("a.yaml", component("shop"))
    folder.sync()
    (folder.path / "private.txt").write_text("a secret")
    (tmp_path / "elsewhere.yaml").write_text(component("elsewhere", extra="description: a secret"))
    viewer = Viewer(actor="user:curator", user_id=StaffFactory().pk, is_staff=True)
    asking = [
        component("shop", extra="description:\n    $text: ./private.txt"),
        location("all", "../elsewhere.yaml"),
        location("all", "../*.yaml"),
        location("all", str(tmp_path / "elsewhere.yaml")),
    ]
    for text in asking:
        files = sent(("b.yaml", text), complete=False)
        report = preview_changes(actor=viewer, source=folder.source, sent=files)
        assert "a secret" not in str(report.as_json())
        assert "component:default/elsewhere" not in str(report.as_json())
        assert report.problems
        report = preview_changes(actor=viewer, source=folder.source, sent=sent(("b.yaml", text)))
        assert "a secret" not in str(report.as_json())
    assert "a secret" in str(preview_changes(actor=SYSTEM, source=folder.source, sent=files).as_json())
