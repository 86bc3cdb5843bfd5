"""The committed API description: is it up to date, and does a change break somebody who calls us?

``python -m tests.architecture.schema check NEW`` fails when ``docs/api/openapi.yaml`` is not NEW.
``python -m tests.architecture.schema write NEW`` puts NEW there, and refuses when that would break callers within a
version; ``--accept-breaking`` is for addresses that nobody could have called yet.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.architecture.house import ROOT

COMMITTED = ROOT / "docs/api/openapi.yaml"
_METHODS = ("get", "put", "post", "patch", "delete", "head", "options")
_DEPTH = 12


def breaking_changes(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What a caller of ``old`` would notice: something is gone, has another type or is asked for that was not.

    Args:
        old, new: OpenAPI 3 documents. When ``info.version`` differs, nothing is breaking.
    """
    if old.get("info", {}).get("version") != new.get("info", {}).get("version"):
        return []
    return list(_Comparison(old, new).run())


class _Comparison:
    def __init__(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        self.old, self.new = old, new

    def run(self) -> Iterator[str]:
        for path, methods in self.old.get("paths", {}).items():
            for method in (m for m in _METHODS if m in methods):
                now = self.new.get("paths", {}).get(path, {}).get(method)
                where = f"{method.upper()} {path}"
                if now is None:
                    yield f"{where} is gone"
                    continue
                yield from self._parameters(where, methods[method], now)
                yield from self._bodies(where, methods[method], now)
                yield from self._answers(where, methods[method], now)

    def _parameters(self, where: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
        before = {(p["in"], p["name"]): p for p in old.get("parameters", [])}
        after = {(p["in"], p["name"]): p for p in new.get("parameters", [])}
        for place, name in before.keys() - after.keys():
            yield f"{where}: parameter {name} ({place}) is gone"
        for key, parameter in after.items():
            if parameter.get("required") and not before.get(key, {}).get("required"):
                yield f"{where}: parameter {key[1]} ({key[0]}) is now required"

    def _bodies(self, where: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
        before, after = _content(old.get("requestBody", {})), _content(new.get("requestBody", {}))
        for kind in after.keys() & before.keys():
            first, second = self._resolve(self.old, before[kind]), self._resolve(self.new, after[kind])
            for name in sorted(set(second.get("required", [])) - set(first.get("required", []))):
                yield f"{where}: {name} is now required in the body"
            for name in sorted(first.get("properties", {}).keys() - second.get("properties", {}).keys()):
                yield f"{where}: {name} is no longer taken in the body"

    def _answers(self, where: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
        for status, answer in old.get("responses", {}).items():
            if not status.startswith("2"):
                continue
            now = new.get("responses", {}).get(status)
            if now is None:
                yield f"{where}: answer {status} is gone"
                continue
            before, after = _content(answer), _content(now)
            for kind in before:
                if kind not in after:
                    yield f"{where}: answer {status} is no longer {kind}"
                else:
                    yield from self._shape(f"{where}: answer {status}", before[kind], after[kind], _DEPTH)

    def _shape(self, where: str, old: dict[str, Any], new: dict[str, Any], depth: int) -> Iterator[str]:
        if depth == 0:  # schemas may contain themselves
            return
        old, new = self._resolve(self.old, old), self._resolve(self.new, new)
        if "type" in old and "type" in new and old["type"] != new["type"]:
            yield f"{where} was {old['type']} and is {new['type']}"
            return
        for name, schema in old.get("properties", {}).items():
            if name not in new.get("properties", {}):
                yield f"{where}: {name} is gone"
            else:
                yield from self._shape(f"{where}: {name}", schema, new["properties"][name], depth - 1)
        if "items" in old and "items" in new:
            yield from self._shape(f"{where}[]", old["items"], new["items"], depth - 1)

    @staticmethod
    def _resolve(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in schema:
            found: Any = document
            for part in schema["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            schema = found
        return schema


def _content(holder: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {kind: value.get("schema", {}) for kind, value in holder.get("content", {}).items()}


def main(what: str, new: Path, *, accept_breaking: bool) -> int:
    before = COMMITTED.read_text() if COMMITTED.exists() else ""
    after = new.read_text()
    broken = breaking_changes(yaml.safe_load(before) or {}, yaml.safe_load(after)) if before else []
    for line in broken:
        print(f"breaks callers: {line}")
    if what == "check":
        if before == after:
            return 0
        print(
            "".join(
                difflib.unified_diff(before.splitlines(True), after.splitlines(True), "committed", "now", n=1)
            )
        )
        print("The API differs from docs/api/openapi.yaml. If that is intended, run: make schema")
        return 1
    if broken and not accept_breaking:
        print("Not written. Add a version, or run: make schema ARGS=--accept-breaking")
        return 1
    COMMITTED.parent.mkdir(parents=True, exist_ok=True)
    COMMITTED.write_text(after)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), accept_breaking="--accept-breaking" in sys.argv[3:]))
