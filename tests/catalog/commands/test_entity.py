"""``manage.py entity``: the same writes for scripts on the server."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from catalog.models import Source
from tests.factories.sources import component, document, entity, exists

pytestmark = pytest.mark.django_db(transaction=True)
SHOP = "component:default/shop"


def run(*arguments: str) -> list[dict[str, Any]]:
    out = StringIO()
    call_command(*arguments, "--json", stdout=out)
    return [json.loads(line) for line in out.getvalue().splitlines()]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "shop.yaml"
    path.write_text(f"{component('shop', extra='title: One')}---\n{component('till')}")
    return path


def test_a_file_is_written_changed_and_put_back(file: Path) -> None:
    assert [each["outcome"] for each in run("entity", "put", str(file))] == ["created", "created"]
    assert [each["outcome"] for each in run("entity", "put", str(file))] == ["unchanged", "unchanged"]
    file.write_text(component("shop", extra="title: Two"))
    with pytest.raises(CommandError, match="1 of 1"):
        run("entity", "put", str(file))
    with pytest.raises(CommandError, match="1 of 1"):
        run("entity", "put", str(file), "--if-match", "other")
    changed = run("entity", "put", str(file), "--if-match", entity(SHOP).etag)
    assert [(each["outcome"], each["revision"]) for each in changed] == [("changed", 2)]
    assert run("entity", "restore", SHOP, "--revision", "1")[0]["revision"] == 3
    assert document(SHOP)["metadata"]["title"] == "One"
    assert entity(SHOP).revised_by == "system:command line"
    uid = entity(SHOP).uid
    assert run("entity", "delete", SHOP)[0]["outcome"] == "deleted"
    assert not exists(SHOP)
    assert run("entity", "restore", SHOP)[0]["uid"] == str(uid)
    with pytest.raises(CommandError, match="removed lately"):
        run("entity", "restore", SHOP)


def test_a_document_that_is_refused_does_not_keep_the_others_back(file: Path, capsys: Any) -> None:
    file.write_text(f"kind: Component\n---\n{component('till')}---\na: [\n---\n[1]\n")
    out = StringIO()
    with pytest.raises(CommandError, match="3 of 4 documents were refused"):
        call_command("entity", "put", str(file), "--json", stdout=out)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["outcome"] for line in lines] == ["refused", "created", "refused", "refused"]
    assert lines[0]["place"] == f"{file}:1"
    with pytest.raises(CommandError, match="cannot be read"):
        run("entity", "put", str(file) + ".none")
    with pytest.raises(CommandError, match="one document"):
        run("entity", "put", str(file), "--if-match", "x")


def test_a_source_that_is_kept_here_is_made_by_its_name(file: Path) -> None:
    made = run("source", "add", "--type", "managed", "Team A")
    assert made[0]["name"] == "Team A"
    assert run("entity", "put", str(file), "--source", "Team A")[0]["outcome"] == "created"
    source = Source.objects.unrestricted("test").get()
    assert (source.type, source.interval, entity(SHOP).source) == ("managed", 0, source)
    out = StringIO()
    call_command("entity", "delete", SHOP, stdout=out)
    assert out.getvalue() == "deleted    component:default/shop\n"
