"""``manage.py catalog``, as somebody in a terminal meets it."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from portal.audit.models import AuditEvent
from tests.factories.sources import Folder, component, exists

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def folder(tmp_path: Path, settings: Any) -> Folder:
    settings.CALLBOARD_FILE_ROOTS = [tmp_path]
    folder = Folder(tmp_path / "one", "one")
    folder.write("catalog-info.yaml", component("shop"))
    return folder


def run(*words: str) -> tuple[str, int]:
    out = StringIO()
    try:
        call_command("catalog", *words, stdout=out)
    except SystemExit as end:
        return out.getvalue(), int(end.code or 0)
    return out.getvalue(), 0


@pytest.mark.req("R031")
def test_a_folder_that_nobody_registered_is_looked_at(folder: Folder) -> None:
    said, status = run("diff", str(folder.path))

    assert status == 0
    assert f"+ component:default/shop  {folder.path}/catalog-info.yaml:1" in said
    assert not exists("component:default/shop")


@pytest.mark.req("R031")
def test_a_registered_folder_is_compared_with_what_the_catalog_has(folder: Folder) -> None:
    folder.sync()
    folder.write("catalog-info.yaml", component("shop", extra="title: The shop"))

    for words in ((str(folder.path),), ("--source", "one")):
        said, status = run("diff", *words)
        assert status == 0
        assert '    metadata.title: added "The shop"' in said


@pytest.mark.req("R031")
def test_a_working_tree_stands_for_a_source(folder: Folder, tmp_path: Path) -> None:
    folder.sync()
    tree = Folder(tmp_path / "tree")
    tree.write("till.yaml", component("till"))

    said, status = run("diff", str(tree.path), "--source", "one", "--json")

    report = json.loads(said)
    assert {(e["what"], e["ref"]) for e in report["entities"]} == {
        ("appear", "component:default/till"),
        ("remove", "component:default/shop"),
    }
    assert status == 0
    assert run("diff", str(tree.path), "--source", "one", "--strict")[1] == 1  # its owner is nowhere


@pytest.mark.req("R031")
def test_objections_end_it_with_status_1(folder: Folder) -> None:
    folder.write("catalog-info.yaml", component("shop", extra="tags: [Java]"))

    said, status = run("diff", str(folder.path), "--format", "github")

    assert status == 1
    assert "::error title=catalog.format.tag::" in said


def test_an_unknown_source_is_told(folder: Folder) -> None:
    with pytest.raises(CommandError, match="no source nobody"):
        run("diff", "--source", "nobody")


def test_a_list_is_written_to_the_terminal_or_a_file(folder: Folder, tmp_path: Path) -> None:
    folder.write("catalog-info.yaml", component("shop"), component("till"))
    folder.sync()

    said, _ = run("export", "--filter", "kind=component", "--query", "q=shop", "--fields", "metadata.name")
    assert said == '{"metadata":{"name":"shop"}}\n'

    file = tmp_path / "all.csv"
    said, _ = run(
        "export", "--format", "csv", "--query", "kind=component&sort=-name", "--output", str(file), "--json"
    )
    assert json.loads(said) == {"entities": 2, "bytes": file.stat().st_size, "file": str(file)}
    assert [line.split(",")[0] for line in file.read_text().splitlines()] == [
        "ref", "component:default/till", "component:default/shop",
    ]  # fmt: skip
    assert AuditEvent.objects.filter(verb="catalog.entities.exported").count() == 2
    with pytest.raises(CommandError, match="--output"):
        run("export", "--json")
