from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.architecture import schema

DOCUMENT: dict[str, Any] = {
    "info": {"version": "1"},
    "paths": {
        "/api/x/": {
            "get": {
                "parameters": [{"in": "query", "name": "limit"}],
                "responses": {
                    "200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/X"}}}}
                },
            },
            "post": {
                "requestBody": {
                    "content": {
                        "application/json": {"schema": {"properties": {"a": {}, "b": {}}, "required": ["a"]}}
                    }
                },
                "responses": {"201": {}},
            },
        }
    },
    "components": {
        "schemas": {
            "X": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "items": {"type": "array", "items": {"$ref": "#/components/schemas/X"}},
                },
            }
        }
    },
}


def changed(change: Callable[[dict[str, Any], dict[str, Any], dict[str, Any]], object]) -> list[str]:
    new = copy.deepcopy(DOCUMENT)
    change(new["paths"]["/api/x/"], new["components"]["schemas"]["X"]["properties"], new)
    return schema.breaking_changes(DOCUMENT, new)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda path, _, __: path.pop("get"), "GET /api/x/ is gone"),
        (lambda path, _, __: path["get"].pop("parameters"), "GET /api/x/: parameter limit (query) is gone"),
        (
            lambda path, _, __: path["get"]["parameters"].append(
                {"in": "query", "name": "who", "required": True}
            ),
            "GET /api/x/: parameter who (query) is now required",
        ),
        (
            lambda path, _, __: path["post"]["requestBody"]["content"]["application/json"]["schema"][
                "required"
            ].append("b"),
            "POST /api/x/: b is now required in the body",
        ),
        (
            lambda path, _, __: path["post"]["requestBody"]["content"]["application/json"]["schema"][
                "properties"
            ].pop("b"),
            "POST /api/x/: b is no longer taken in the body",
        ),
        (lambda path, _, __: path["post"]["responses"].pop("201"), "POST /api/x/: answer 201 is gone"),
        (lambda _, properties, __: properties.pop("name"), "GET /api/x/: answer 200: name is gone"),
        (
            lambda _, properties, __: properties["name"].update(type="integer"),
            "GET /api/x/: answer 200: name was string and is integer",
        ),
    ],
)
def test_what_breaks_callers_is_named(change: Callable[..., object], said: str) -> None:
    assert said in changed(change)


@pytest.mark.parametrize(
    "change",
    [
        lambda path, _, __: path.update(delete={"responses": {"204": {}}}),
        lambda path, _, __: path["get"]["parameters"].append({"in": "query", "name": "more"}),
        lambda _, properties, __: properties.update(more={"type": "string"}),
        lambda path, _, new: (path.clear(), new["info"].update(version="2")),
    ],
)
def test_additions_and_a_new_version_break_nobody(change: Callable[..., object]) -> None:
    assert changed(change) == []


def test_writing_refuses_what_breaks_callers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(schema, "COMMITTED", tmp_path / "api" / "openapi.yaml")
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(yaml.safe_dump(DOCUMENT))
    new.write_text(yaml.safe_dump(DOCUMENT | {"paths": {}}))
    assert schema.main("write", old, accept_breaking=False) == 0, "the first one breaks nobody"
    assert schema.main("check", old, accept_breaking=False) == 0
    assert schema.main("check", new, accept_breaking=False) == 1
    assert schema.main("write", new, accept_breaking=False) == 1
    assert "breaks callers: GET /api/x/ is gone" in capsys.readouterr().out
    assert schema.COMMITTED.read_text() == old.read_text()
    assert schema.main("write", new, accept_breaking=True) == 0
    assert schema.main("check", new, accept_breaking=False) == 0
