"""Which models are restricted, proved from the code: every one, but for those on a written list."""

from __future__ import annotations

import ast
from pathlib import Path

from django.apps import apps
from django.db import models

from portal.access.models import PersonManager
from portal.access.querysets import RestrictedQuerySet
from portal.core.querysets import GuardedQuerySet

ROOT = Path(__file__).resolve().parents[2]
#: Models that anybody's request may read whole, each with the reason.
UNRESTRICTED = {
    "access.User": "sign-in looks people up before anybody is known (PersonManager says unrestricted itself)",
    "catalog.AttributeKey": "words of the filter index: which of them exist says nothing of any entity",
    "catalog.AttributeValue": "as AttributeKey; what an entity has is in EntityAttribute, which is restricted",
    "catalog.DataVersion": "numbers that only grow, so that processes know when to read anew",
}
#: Models below portal.access, guarded all the same; portal.access narrows them by visible().
BELOW = {"audit.AuditEvent", "audit.Checkpoint", "plugins.ExtensionState"}
#: Packages of others, whose models our pages do not list.
FOREIGN = {"admin", "auth", "contenttypes", "sessions", "account", "guardian"}
#: Modules that write SQL by hand, each with the reason why nothing leaks there.
HANDWRITTEN = {
    "catalog/query/sql.py": "every statement contains scope.visible_sql, made by visible_to; see test_leaks.py",
    "catalog/query/query.py": "raw() of a statement that visible_to made, over tables of another time",
    "catalog/services/publishing/revisions.py": "copies rows inside the database; nothing is read",
    "portal/events/selectors.py": "every row goes through seen_by, the rule of its type",
    "portal/audit/guards.py": "makes triggers, and reads which there are",
    "portal/access/selectors.py": "groups of one person, for that person",
    "portal/core/bulk.py": "writes rows",
    "portal/core/querysets.py": "raw() of a guarded queryset asks for unrestricted() first",
    "portal/core/sealing.py": "the sealer writes positions",
    "portal/observability/health.py": "asks for the number 1",
}


def _ours() -> list[type[models.Model]]:
    return [model for model in apps.get_models() if model._meta.app_label not in FOREIGN]


def _queryset_of(model: type[models.Model]) -> type:
    return type(model._default_manager.all())


def test_every_model_is_restricted_or_on_the_list() -> None:
    restricted = {m._meta.label for m in _ours() if issubclass(_queryset_of(m), RestrictedQuerySet)}
    open_models = {m._meta.label for m in _ours()} - restricted - set(UNRESTRICTED) - BELOW
    assert open_models == set(), "use RestrictedQuerySet, or write down here why not"


def test_the_list_names_nothing_that_is_restricted_or_gone() -> None:
    known = {model._meta.label: model for model in _ours()}
    assert {*UNRESTRICTED, *BELOW} - set(known) == set()
    for label in UNRESTRICTED:
        model = known[label]
        manager = model._default_manager
        assert isinstance(manager, PersonManager) or not issubclass(_queryset_of(model), RestrictedQuerySet)


def test_models_below_access_are_guarded_too() -> None:
    assert all(issubclass(_queryset_of(apps.get_model(label)), GuardedQuerySet) for label in BELOW)


def test_every_manager_of_a_restricted_model_is_guarded() -> None:
    leaks = [
        f"{model._meta.label}.{manager.name}"
        for model in _ours()
        for manager in model._meta.managers
        if issubclass(_queryset_of(model), GuardedQuerySet)
        and not issubclass(type(manager.all()), GuardedQuerySet)
    ]
    assert leaks == []


def test_sql_is_written_by_hand_only_where_somebody_said_why() -> None:
    found = set()
    for folder in ("portal", "catalog"):
        for path in (ROOT / folder).rglob("*.py"):
            nodes = ast.walk(ast.parse(path.read_text()))
            calls = {
                n.func.attr for n in nodes if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)
            }
            if {"cursor", "raw", "extra"} & calls:
                found.add(str(path.relative_to(ROOT)))
    assert found - set(HANDWRITTEN) == set(), "say in HANDWRITTEN why nothing leaks there"
    assert set(HANDWRITTEN) - found == set()


def test_no_base_manager_reaches_around_the_guard() -> None:
    users = []
    for folder in ("portal", "catalog"):
        for path in (ROOT / folder).rglob("*.py"):
            if "_base_manager" in path.read_text():
                users.append(str(path.relative_to(ROOT)))
    assert users == []
