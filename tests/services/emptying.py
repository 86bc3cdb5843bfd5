"""Empties the database after a test with real transactions, in a fraction of the time that Django's flush takes.

Django empties every table, used or not, and makes anew what a migration ends with: content types, permissions and the
shipped kinds. Here only tables with rows are emptied, and what a migration ends with stays where it is. Where the test
changed any of that, Django's flush does it all after all.

Either way the database is afterwards as it was before the test. Number sequences go on and are not set back, as with
Django's flush, and there are no triggers that would tell DELETE from TRUNCATE.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.db import connections, transaction
from django.test import TransactionTestCase

from catalog.query.memory import forget_everything

#: Rows of one table by their primary key.
Rows = dict[Any, tuple[Any, ...]]


class _ChangedError(Exception):
    """A row that a migration ends with is gone or different."""


class Emptier:
    """Empties one database. The first time by Django's flush, which shows what stays.

    Args:
        alias: of the database in ``DATABASES``.
    """

    def __init__(self, alias: str = "default") -> None:
        self._alias = alias
        self._tables: list[str] = []
        self._keys: dict[str, str] = {}
        self._references: set[tuple[str, str]] = set()
        self._stays: dict[str, Rows] = {}

    def empty(self, flush: Callable[[], object]) -> None:
        """Remove what a test made.

        Args:
            flush: Django's way, called the first time and where the test changed what stays.
        """
        try:
            if not self._tables:
                raise _ChangedError
            with transaction.atomic(using=self._alias):
                self._remove()
        except _ChangedError:
            flush()
            self._look()
        else:  # what a flush makes processes forget
            forget_everything()
            ContentType.objects.clear_cache()

    def _look(self) -> None:
        models = list(apps.get_models(include_auto_created=True))
        self._keys = {model._meta.db_table: model._meta.pk.column for model in models}
        self._references = {
            (model._meta.db_table, field.related_model._meta.db_table)
            for model in models
            for field in model._meta.local_concrete_fields
            if field.remote_field and field.db_constraint
        }
        self._tables = connections[self._alias].introspection.django_table_names(
            only_existing=True, include_views=False
        )
        self._stays = {table: self._rows(table) for table in self._with_rows()}

    def _remove(self) -> None:
        truncates = connections[self._alias].vendor == "postgresql"
        if truncates:
            # Wait, as TRUNCATE of all would, for what a process that was killed may still be committing.
            self._execute(f"LOCK TABLE {', '.join(map(self._name, self._tables))} IN EXCLUSIVE MODE")
        filled = [table for table in self._with_rows() if table not in self._stays]
        if truncates and filled:
            # Not DELETE: statistics of the emptied table would stay, and mislead the planner in a larger test.
            self._execute(f"TRUNCATE {', '.join(map(self._name, self._with_referring(filled)))}")
        for table in [] if truncates else filled:
            self._execute(f"DELETE FROM {self._name(table)}")
        for table, before in self._stays.items():
            now = self._rows(table)
            if any(now.get(key) != row for key, row in before.items()):
                raise _ChangedError
            if added := [key for key in now if key not in before]:
                marks = ", ".join(["%s"] * len(added))
                key = self._name(self._keys[table])
                self._execute(f"DELETE FROM {self._name(table)} WHERE {key} IN ({marks})", *added)

    def _with_rows(self) -> list[str]:
        asked = ", ".join(f"EXISTS (SELECT 1 FROM {self._name(table)})" for table in self._tables)
        (answer,) = self._execute(f"SELECT {asked}")
        return [table for table, found in zip(self._tables, answer, strict=True) if found]

    def _with_referring(self, tables: list[str]) -> list[str]:
        """They and those that refer to them, which TRUNCATE wants to be named even where they are empty."""
        found = dict.fromkeys(tables)
        while more := {own for own, other in self._references if other in found} - found.keys():
            found |= dict.fromkeys(sorted(more))
        return list(found)

    def _rows(self, table: str) -> Rows:
        rows = self._execute(f"SELECT {self._name(self._keys[table])}, t.* FROM {self._name(table)} t")
        return {row[0]: row for row in rows}

    def _name(self, name: str) -> str:
        quoted: str = connections[self._alias].ops.quote_name(name)
        return quoted

    def _execute(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with connections[self._alias].cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []


@contextmanager
def quick_emptying() -> Iterator[None]:
    """Within it, tests with real transactions are cleared away the short way, unless they ask for a special one."""
    emptier, django = Emptier(), TransactionTestCase._fixture_teardown

    def teardown(case: TransactionTestCase) -> None:
        if case.available_apps is not None or case.serialized_rollback or set(case.databases) != {"default"}:
            django(case)
        else:
            emptier.empty(lambda: django(case))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", teardown)
        yield
