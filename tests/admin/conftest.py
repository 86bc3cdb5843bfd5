from __future__ import annotations

import pytest
from django.test import Client

from tests.factories.world import World, make_world


@pytest.fixture
def world(db: None) -> World:
    return make_world()


@pytest.fixture
def curator(world: World) -> Client:
    """A browser in which the curator is signed in."""
    client = Client()
    client.force_login(world.staff)
    return client
