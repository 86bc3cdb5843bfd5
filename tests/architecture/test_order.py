from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.house import ROOT, SHELL, House

LAYERS = [
    "portal.urls : portal.web",
    "(scorecards) | (runbooks)",
    "catalog",
    "portal.access",
    "portal.audit",
    "portal.core",
]

#: References upward that stay, each with its reason: (file, package) -> reason.
ALLOWED = {
    ("catalog/bench/installation.py", package): "starts the programs from outside, as an operator would"
    for package in ("portal.settings", "portal.wsgi", "portal.celery")
}


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path, LAYERS)


def put(house: House, name: str, text: str) -> Path:
    path = house.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_nothing_refers_upward_or_sideways_by_name() -> None:
    found = House.of_this_project().violations()
    assert [str(reference) for reference in found if (reference.path, reference.target) not in ALLOWED] == []
    assert set(ALLOWED) <= {(reference.path, reference.target) for reference in found}, "no longer needed"


def test_the_order_read_from_pyproject_is_the_whole_house() -> None:
    house = House.of_this_project()
    packages = {f"portal.{p.parent.name}" for p in (ROOT / "portal").glob("*/__init__.py")}
    assert packages <= set(house.rank), "a package of portal has no place in the order of pyproject.toml"
    assert house.allows("catalog", "portal.core")
    assert not house.allows("portal.core", "catalog")
    assert not house.allows("scorecards", "runbooks")
    assert house.allows("portal.urls", "portal.web")


@pytest.mark.parametrize(
    ("name", "text", "target"),
    [
        ("templates/access/people.html", "{% extends 'catalog/base.html' %}", "catalog"),
        ("templates/scorecards/a.html", '{% include "runbooks/card.html" with x=1 %}', "runbooks"),
        ("templates/audit/row.html", "<a href=\"{% url 'catalog:index' %}\">", "catalog"),
        ("templates/catalog/row.html", "{% url 'web:home' %}", "portal.web"),
        ("templates/catalog/row.html", "{% static 'web/app.js' %}", "portal.web"),
        ("templates/access/row.html", "{% url 'admin:catalog_entity_change' 1 %}", "catalog"),
        ("templates/base.html", "{% url 'catalog:index' %}", "catalog"),
        ("templates/includes/card.html", "{% include 'scorecards/x.html' %}", "scorecards"),
        ("portal/access/views.py", "x = reverse('catalog:index')", "catalog"),
        ("portal/access/views.py", "class V:\n    template_name = 'catalog/x.html'", "catalog"),
        ("portal/access/models.py", "x = models.ForeignKey('catalog.Entity', models.CASCADE)", "catalog"),
        ("portal/audit/models.py", "x = ForeignKey(to='access.User', on_delete=1)", "portal.access"),
        ("portal/audit/models.py", "x = models.ForeignKey(settings.AUTH_USER_MODEL, 1)", "portal.access"),
        ("portal/audit/models.py", "User = get_user_model()", "portal.access"),
        ("portal/access/models.py", "x = models.ManyToManyField(Y, through='catalog.Owner')", "catalog"),
        ("portal/access/jobs.py", "x = apps.get_model('catalog', 'Entity')", "catalog"),
        ("portal/access/jobs.py", "x = apps.get_model('catalog.Entity')", "catalog"),
        ("portal/audit/migrations/0002_x.py", "d = [('access', '0001_initial')]", "portal.access"),
    ],
)
def test_a_reference_upward_is_found(house: House, name: str, text: str, target: str) -> None:
    put(house, name, text)
    found = house.violations()
    assert [(f.path, f.target) for f in found] == [(name, target)]
    assert str(found[0]).startswith(f"{name}:")


def test_a_module_path_in_a_string_is_found(house: House) -> None:
    put(house, "catalog/services.py", "")
    put(house, "portal/audit/services.py", "x = import_string('catalog.services.sync')")
    assert [f.target for f in house.violations()] == ["catalog"]


def test_a_tag_library_of_an_upper_app_is_found(house: House) -> None:
    put(house, "catalog/templatetags/refs.py", "")
    put(house, "templates/audit/row.html", "{% load i18n refs %}")
    assert [f.text for f in house.violations()] == ["load refs"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("templates/catalog/a.html", "{% extends 'base.html' %}{% include 'includes/card.html' %}"),
        ("templates/catalog/a.html", "{% url 'access:token-list' %}{% url 'account_login' %}"),
        ("templates/base.html", "{% url 'web:home' %}{% static 'web/base.css' %}"),
        ("templates/web/home.html", "{% include 'catalog/card.html' %}"),
        ("portal/audit/models.py", '"""Rows of catalog.Entity are named in catalog.services.""" '),
        ("portal/access/models.py", "x = models.ForeignKey('self', 1)"),
        ("catalog/models.py", "x = models.ForeignKey('access.User', 1)"),
        ("catalog/tasks.py", "@shared_task(name='catalog.sync_source')\ndef f(): pass"),
    ],
)
def test_what_points_downward_is_allowed(house: House, name: str, text: str) -> None:
    put(house, name, text)
    assert house.violations() == []


def test_templates_without_an_app_belong_to_the_shell(house: House) -> None:
    assert house.package_of_template("base.html") == SHELL
    assert house.package_of_template("includes/card.html") == SHELL
    assert house.package_of_template("access/people.html") == "portal.access"


def test_the_import_contracts_hold() -> None:
    checked = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
