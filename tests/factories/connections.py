"""Connections."""

from __future__ import annotations

import factory
from factory.django import DjangoModelFactory

from portal.connections.models import Connection


class ConnectionFactory(DjangoModelFactory[Connection]):
    class Meta:
        model = Connection

    name = factory.Sequence(lambda n: f"host{n}")
    host = factory.Sequence(lambda n: f"git{n}.acme.example")
    purposes = factory.LazyFunction(lambda: ["read"])
