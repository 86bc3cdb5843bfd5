"""``manage.py source`` and ``manage.py sync``, as somebody in a terminal meets them."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from catalog.models import Source
from tests.factories.sources import component, exists

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shop(tmp_path: Path, settings: Any) -> Path:
    settings.CALLBOARD_FILE_ROOTS = [tmp_path]
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "catalog-info.yaml").write_text(component("shop"))
    return folder


def run(*words: str) -> str:
    out = StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


def test_a_folder_is_added_read_listed_and_removed(shop: Path) -> None:
    assert "shop: 2 entities, 0 problems." in run("source", "add", str(shop), "--name", "shop", "--wait")
    assert exists("component:default/shop")
    assert f"shop\tfile\t{shop}\tdone" in run("source", "list")
    assert json.loads(run("sync", "shop", "--wait", "--json"))["state"] == "unchanged"
    assert "Removed shop and 2 entities." in run("source", "remove", "shop")
    assert not exists("component:default/shop")


def test_a_source_that_cannot_be_read_is_a_failure_with_its_reason(shop: Path, settings: Any) -> None:
    settings.CALLBOARD_FILE_ROOTS = []
    with pytest.raises(CommandError, match=r"could not be read: .* is not below a folder that may be read"):
        run("source", "add", str(shop), "--name", "shop", "--wait")
    assert Source.objects.unrestricted("test").filter(name="shop", state="failed").exists()
    with pytest.raises(CommandError, match="1 of 1 sources could not be read"):
        run("sync", "shop", "--wait")


def test_a_target_twice_is_refused_with_what_to_do(shop: Path) -> None:
    run("source", "add", str(shop), "--name", "shop", "--wait")
    with pytest.raises(CommandError, match="registered already"):
        run("source", "add", str(shop), "--name", "again")
    with pytest.raises(CommandError, match=r"manage\.py source list"):
        run("sync", "nobody")


def test_a_file_of_sources_is_checked_applied_and_applied_again(shop: Path, settings: Any) -> None:
    file = shop.parent / "sources.yaml"
    file.write_text(
        "rules: [{allow: [Component]}]\nsources:\n- {name: shop, target: shop}\n- {name: old, target: old}\n"
    )
    assert "created    shop" in run("source", "apply", "--file", str(file), "--check")
    assert run("source", "list") == ""
    said = run("source", "apply", "--file", str(file))
    assert "created    old" in said
    assert "count only where CALLBOARD_SOURCES names it" in said
    run("sync", "shop", "--wait")
    settings.CALLBOARD_SOURCES = str(file)
    file.write_text("rules: [{allow: [Component]}]\nsources: [{name: old, target: old, interval: 9}]\n")
    assert run("source", "apply") == (
        "changed    old: interval\n"
        "disabled   shop: no longer listed; its 2 entities stay until it is removed\n"
        "unchanged  none\n"
    )
    said = json.loads(run("source", "apply", "--json"))
    assert (said["unchanged"], said["changed"], said["file"]) == (["old"], {}, str(file))
    assert said["rules_in_use"]


def test_without_a_file_there_is_nothing_to_apply() -> None:
    assert "CALLBOARD_SOURCES names no file" in run("source", "apply")


def test_a_file_with_a_mistake_is_a_failure_with_its_place_and_remedy(shop: Path) -> None:
    file = shop.parent / "sources.yaml"
    file.write_text("sources: [{name: shop, taget: shop}]\n")
    with pytest.raises(
        CommandError, match=r"sources\.yaml, line 1: sources\[0\]\.taget: .* Is target meant\?"
    ):
        run("source", "apply", "--file", str(file))
