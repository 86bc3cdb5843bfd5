"""The audit table with and without the guards of the database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

from portal.audit import guards


@contextmanager
def guards_off() -> Iterator[None]:
    """As somebody who owns the database can have it."""
    there = {guards.UPDATE, guards.DELETE} - set(guards.missing(connection))
    guards.remove(connection)
    yield
    if there:
        guards.install(connection, *there)


@contextmanager
def all_guards_on() -> Iterator[None]:
    """As every database but that of the tests on SQLite has it."""
    absent = guards.missing(connection)
    guards.install(connection)
    yield
    if absent:
        guards.remove(connection, *absent)
