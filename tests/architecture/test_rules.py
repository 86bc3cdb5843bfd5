from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture import rules
from tests.architecture.house import ROOT

#: Files over 500 lines that may stay so, each with its reason.
LONG = {
    "static/web/components.css": "one style sheet, served as one file and read by component",
}
#: Files that must name such places.
MACHINE_PLACES: dict[str, str] = {}
#: Variables that nobody sets for Callboard.
OF_THE_SYSTEM = {"PATH", "PYTEST_XDIST_WORKER"}
#: Packages that compute and never answer a request themselves.
ENGINES = ["catalog/ingest", "catalog/query", "scaffolder/language", "scorecards/checks"]
PRODUCT = ("portal/", "catalog/", "scaffolder/", "scorecards/", "runbooks/", "deploy/")


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    return rules.tracked_files(ROOT)


def test_no_file_is_too_long_to_read(files: dict[str, str]) -> None:
    assert rules.long_files(files, LONG) == []


def test_a_long_file_and_a_needless_exemption_are_found() -> None:
    long, short = "x\n" * 501, "x\n" * 500
    assert rules.long_files({"a.py": long, "b.py": short, "c.md": long}, {}) == [
        "a.py: 501 lines; split it behind a small public face"
    ]
    assert len(rules.long_files({"a.css": short}, {"a.css": "because"})) == 1
    assert len(rules.long_files({}, {"gone.css": "because"})) == 1
    assert rules.long_files({"a.css": long, "x/migrations/0001_a.py": long}, {"a.css": "because"}) == []


def test_every_module_is_named_by_what_it_holds(files: dict[str, str]) -> None:
    assert rules.empty_names(files) == []


def test_an_empty_name_is_found() -> None:
    assert len(rules.empty_names(["portal/utils.py", "catalog/helpers/x.py", "static/web/common.css"])) == 3
    assert rules.empty_names(["catalog/helpful.py"]) == []


def test_nothing_names_one_machine_or_a_registry(files: dict[str, str]) -> None:
    assert rules.machine_places(files, MACHINE_PLACES) == []


@pytest.mark.parametrize(
    "line",
    [
        "open('/ro" + "ot/x')",
        "see /wo" + "rk/main",
        "pip install --index-" + "url x",
        '"resolved": "ht' + 'tps://x/y.tgz"',
        "https://files.pythonhosted" + ".org/x.whl",
    ],
)
def test_a_machine_place_is_found(line: str) -> None:
    assert len(rules.machine_places({"a.py": f"x\n{line}\n"}, {})) == 1
    assert rules.machine_places({"a.py": line}, {"a.py": "because"}) == []


def test_an_address_that_only_looks_like_a_machine_place_is_fine() -> None:
    assert rules.machine_places({"a.py": "https://example.com/wo" + "rk/flow and /srv/callboard"}, {}) == []


def test_every_silenced_check_says_why(files: dict[str, str]) -> None:
    assert rules.silenced_without_reason({n: t for n, t in files.items() if "/architecture/" not in n}) == []


@pytest.mark.parametrize(
    "line",
    [
        "import x  # noqa",
        "import x  # noqa: F401",
        "x = 1  # type: ignore",
        "x = 1  # type: ignore[arg-type]",
        "@pytest.mark.skip",
        "@pytest.mark.skipif(True)",
        "pytest.skip()",
        "x = 1  # pragma: no cover",
    ],
)
def test_a_silenced_check_without_a_reason_is_found(line: str) -> None:
    assert len(rules.silenced_without_reason({"a.py": line})) == 1


@pytest.mark.parametrize(
    "line",
    [
        "import x  # noqa: F401  (filled by Django)",
        "x = 1  # type: ignore[arg-type]  # the stub is wrong here",
        "@pytest.mark.skipif(True, reason='macOS has no such limit')",
        "pytest.skip('PostgreSQL has no such lock')",
        "quality = 1  # plain comment",
    ],
)
def test_a_silenced_check_with_a_reason_is_fine(line: str) -> None:
    assert rules.silenced_without_reason({"a.py": line}) == []


def test_every_setting_of_the_environment_is_documented(files: dict[str, str]) -> None:
    # The client of CI jobs runs elsewhere; docs/authors/ci.md says what it reads.
    ours = {n: text for n, text in files.items() if n.startswith(PRODUCT) and not n.startswith("deploy/ci/")}
    read = rules.environment_names(ours)
    for name in OF_THE_SYSTEM:
        read.pop(name, None)
    page = (ROOT / "docs/operators/settings.md").read_text()
    assert rules.undocumented(read, page) == []


def test_a_setting_that_is_not_documented_is_found_and_the_other_way_round() -> None:
    code = "a = env.str('ONE')\nb = env.list('TWO', default=[])\nc = os.environ.get('THREE')\nd = os.environ['FOUR']"
    read = rules.environment_names({"s.py": code})
    assert set(read) == {"ONE", "TWO", "THREE", "FOUR"}
    page = "| `ONE` | x |\n| `TWO` | x |\n| `FOUR` | x |\n| `FIVE` | x |\n"
    assert rules.undocumented(read, page) == [
        "s.py: THREE is not on the page",
        "FIVE is on the page, but nothing reads it",
    ]


def test_engines_know_nothing_of_requests(files: dict[str, str]) -> None:
    forbidden = ["django.http", "django.shortcuts", "rest_framework", "celery"]
    assert rules.direct_imports(files, ENGINES, forbidden) == []


def test_an_import_of_requests_in_an_engine_is_found() -> None:
    code = "import celery\nfrom django.http import HttpRequest\nfrom django import http\nfrom django.db import models\n"
    found = rules.direct_imports({"catalog/query/a.py": code}, ["catalog/query"], ["django.http", "celery"])
    assert [line.rpartition(" ")[2] for line in found] == ["celery", "django.http", "django.http"]
    assert rules.direct_imports({"catalog/views.py": code}, ["catalog/query"], ["django.http"]) == []


def test_every_dependency_has_a_reason() -> None:
    page = (ROOT / "docs/dependencies.md").read_text()
    assert rules.dependencies_without_reason(ROOT, page) == []


def test_a_dependency_without_a_reason_is_found_and_a_reason_without_one(tmp_path: Path) -> None:
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements/base.in").write_text("# x\nalpha[extra]>=1,<2\nbeta\n-r other.in\n")
    (tmp_path / "package.json").write_text('{"devDependencies": {"@a/gamma": "1"}}')
    page = "| package | for |\n|---|---|\n| alpha | a |\n| delta | d |\n"
    assert rules.dependencies_without_reason(tmp_path, page) == [
        "@a/gamma has no reason in docs/dependencies.md",
        "beta has no reason in docs/dependencies.md",
        "delta is in docs/dependencies.md, but nothing asks for it",
    ]
