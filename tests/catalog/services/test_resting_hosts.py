"""Syncs from a host that fails: the host is spared, and what is known of it stays."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from catalog.models import Entity, Kind, Source, Sync
from catalog.services.sources import create_source, request_sync
from portal.connections.models import Connection
from portal.jobs.running import run_job
from tests.factories.connections import ConnectionFactory
from tests.factories.sources import SYSTEM, component, entity
from tests.services.http_server import Reply, Server, serving

pytestmark = pytest.mark.django_db(transaction=True)


class Site:
    """One descriptor on a web server, its source and its connection."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.reply = Reply(body=component("shop").encode())
        server.answer = lambda _: self.reply
        self.row = ConnectionFactory(
            name="work", host=f"127.0.0.1:{server.port}", base_url=server.base, allow_private=True
        )
        kinds = list(Kind.objects.unrestricted("test").values_list("name", flat=True))
        self.source = create_source(
            actor=SYSTEM, name="site", target=f"{server.base}/a.yaml", allowed_kinds=kinds, sync=False
        )

    def sync(self) -> Sync:
        run_job(request_sync(actor=SYSTEM, source=self.source).pk)
        return Sync.objects.unrestricted("test").filter(source=self.source).latest("id")

    @property
    def connection(self) -> Connection:
        return Connection.objects.unrestricted("test").get(pk=self.row.pk)


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(lambda _: Reply()) as server:
        yield Site(server)


def test_an_open_breaker_ends_a_sync_at_once_and_keeps_what_is_known(site: Site) -> None:
    assert site.sync().state == Sync.State.DONE
    requests = len(site.server.seen)
    until = timezone.now() + timedelta(minutes=5)
    Connection.objects.filter(pk=site.row.pk).update(failures=5, open_until=until, last_error="down")
    failed = site.sync()
    assert (failed.state, len(site.server.seen)) == (Sync.State.FAILED, requests)
    assert "The connection work is left alone until" in failed.error
    assert Source.objects.unrestricted("test").get(pk=site.source.pk).last_error == failed.error
    assert entity("component:default/shop").state == Entity.State.MISSING
    Connection.objects.filter(pk=site.row.pk).update(failures=0, open_until=None)
    site.sync()
    assert entity("component:default/shop").state == Entity.State.ACTIVE


def test_five_failing_syncs_open_the_breaker_and_the_probe_after_the_pause_closes_it(site: Site) -> None:
    good, site.reply = site.reply, Reply(500)
    for failures in range(1, 6):
        assert "status 500" in site.sync().error
        assert (site.connection.failures, site.connection.open_until is not None) == (failures, failures == 5)
    requests = len(site.server.seen)
    assert "left alone" in site.sync().error
    assert len(site.server.seen) == requests
    site.reply = good
    with time_machine.travel(timezone.now() + timedelta(seconds=31), tick=True):
        assert site.sync().state == Sync.State.DONE
    assert (site.connection.failures, site.connection.open_until) == (0, None)
    assert entity("component:default/shop").state == Entity.State.ACTIVE
