"""What README and docs/ name is there: linked files, commands, make targets; and pictures are not heavy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

from tests.services.selection import ROOT

PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"")
COMMAND = re.compile(r"manage\.py ([a-z]+)(?: ([a-z]+)\b)?")
TARGET = re.compile(r"^\s+make ([a-z-]+)|`make ([a-z-]+)", re.MULTILINE)
HEAVIEST = 250_000


def named(page: Path, pattern: re.Pattern[str]) -> Iterator[str]:
    for found in pattern.finditer(page.read_text("utf-8")):
        yield next(filter(None, found.groups()))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    for target in named(page, LINK):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target.partition("#")[0]).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_make_targets_exist(page: Path) -> None:
    apps = get_commands()
    for name, action in COMMAND.findall(page.read_text("utf-8")):
        assert name in apps, name
        parser = load_command_class(str(apps[name]), name).create_parser("manage.py", name)
        actions = parser._subparsers
        if action and actions is not None:
            choices = actions._group_actions[0].choices
            assert choices is not None and action in choices, f"{name} {action}"
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in named(page, TARGET):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_page_is_in_the_index() -> None:
    seen = {ROOT / "docs" / "README.md"}
    waiting = list(seen)
    while waiting:
        page = waiting.pop()
        linked = {(page.parent / target.partition("#")[0]).resolve() for target in named(page, LINK)}
        new = {target for target in linked if target.suffix == ".md" and target.exists()} - seen
        seen |= new
        waiting += new
    assert {page for page in PAGES if page.is_relative_to(ROOT / "docs")} <= seen


def test_pictures_are_not_heavy() -> None:
    for picture in (ROOT / "docs" / "images").iterdir():
        assert picture.stat().st_size < HEAVIEST, picture.name
