"""What pages cost right after a publication, when nothing is remembered: at most 12 statements each, all counted."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from catalog.ingest.remote import RemoteReading
from catalog.models import Entity, Hook, Problem, RemoteEntry, Source, Sync
from catalog.presenters.history import moment_text
from catalog.query.memory import memory
from catalog.refs import LocationRef
from catalog.services.remote_report import store_report
from portal.access.models import User
from portal.jobs.models import Job
from portal.plugins.registry import registry
from tests.catalog.views.conftest import BOOKINGS, MOST_STATEMENTS
from tests.factories.access import StaffFactory
from tests.factories.hooks import deliver, make_hook, push
from tests.factories.managed import Api, written

API = "/catalog/default/api/bookings/"
COMPONENT = "/catalog/default/component/booking-api/"


@pytest.fixture
def sources(transactional_db: None, catalog: dict[str, Entity]) -> Source:
    """Two sources, so that there is one to choose, and a problem in the first."""
    made = [
        Source.objects.create(
            name=f"source {n}", target=f"https://{n}.example.org", entity_ref=f"location:default/{n}"
        )
        for n in range(2)
    ]
    for source, name in zip(made, ("booking-api", "fare-engine"), strict=True):
        Entity.objects.filter(name=name).update(source=source)
    now = catalog["component:default/booking-api"].changed_at
    Problem.objects.create(
        source=made[0], fingerprint="1", rule="catalog.format.tag", message="A tag has to be lower case",
        owner_ref=BOOKINGS, entity_ref="component:default/booking-api", first_seen_at=now, last_seen_at=now,
    )  # fmt: skip
    return made[0]


def _with_report(source: Source) -> None:
    """Make the source another instance that was read, with every sort of loss."""
    Source.objects.filter(pk=source.pk).update(type=Source.Type.REMOTE, view_url="https://0.example.org")
    sync = Sync.objects.create(source=source, actor="test", started_at=source.created_at)
    for number, outcome in enumerate(RemoteEntry.Outcome.values):
        RemoteEntry.objects.create(
            source=source, ref=f"component:default/c{number}", kind="component", outcome=outcome, status_error="bad",
            lost=[["a", "b:c/d"]], lost_count=1,
        )  # fmt: skip
    reading = RemoteReading(complete=True, locations=[LocationRef("url", "https://0.example.org/a.yaml")])
    store_report(source=source, sync=sync, reading=reading, kept=set())


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "address",
    [
        "/",
        "/catalog/",
        "/catalog/?sort=-updated",
        "/catalog/?q=booking",
        "/catalog/?kind=component",
        "/catalog/?kind=component&owner=group:default/bookings&lifecycle=production",
        "/catalog/?kind=component&owner=group:default/bookings&lifecycle=production&q=booking",
        "/catalog/?kind=component&type=service&owner=group:default/bookings&system=system:default/reservations"
        "&lifecycle=production&tag=kotlin&tag=-java&state=active&errors=false&q=booking",
        "/catalog/?kind=component&kind=api&owner=none&q=nothing+has+this",
        "/catalog/?kind=component&type=tool&owner=none&lifecycle=on&tag=x&state=active&errors=true&q=nothing+has+this",
        COMPONENT,
        f"{COMPONENT}relations/",
        f"{COMPONENT}apis/",
        f"{COMPONENT}raw/",
        f"{COMPONENT}history/",
        API,
        f"{API}api/",
        f"{API}relations/",
        f"{API}raw/",
        "/catalog/default/group/bookings/",
        "/catalog/default/group/bookings/relations/",
        "/catalog/default/user/maren/",
        "/catalog/default/system/reservations/",
        "/catalog/problems/",
        "/catalog/problems/?mine=1&rule=catalog.format.tag",
        "/catalog/health/",
        "/catalog/conflicts/",
        "/catalog/conflicts/?mine=1&ref=component:default/booking-api",
        "/catalog/references/",
        "/catalog/references/?mine=1",
        "/catalog/references/?to=group:default/gone",
        "/catalog/?fresh=stale&refs=nothing",
        "/catalog/sources/",
        "one source",
        "another instance",
    ],
)
def test_a_page_right_after_a_publication_takes_at_most_twelve_statements(
    sources: Source, person: User, address: str
) -> None:
    reader = Client()
    reader.force_login(person)
    if address == "another instance":
        _with_report(sources)
    if address in ("one source", "another instance"):
        address = f"/catalog/sources/{sources.pk}/"
    reader.get("/catalog/")  # people and rules are remembered: a publication changes none of them
    memory.forget()
    registry.forget_switches()
    with CaptureQueriesContext(connection) as caught:
        assert reader.get(address).status_code == 200
    assert len(caught) <= MOST_STATEMENTS, "\n".join(query["sql"][:160] for query in caught)


@pytest.fixture
def curator(sources: Source) -> Client:
    """A curator who wrote two entities, one of them twice, removed one, and whose host sent a push."""
    user = StaffFactory(username="curator")
    api = Api(user)
    for name in ("kept", "gone"):
        assert api.put(f"component/default/{name}", written(name)).status_code == 201
    assert (
        api.patch("component/default/kept", {"metadata": {"description": "anew"}}, if_match="*").status_code
        == 200
    )
    assert api.delete("component/default/gone", if_match="*").status_code in (200, 204)
    Source.objects.filter(pk=sources.pk).update(
        type=Source.Type.GIT, target="https://github.com/acme/shop.git"
    )
    deliver(make_hook(name="acme"), push("https://github.com/acme/shop.git"), id="one")
    client = Client()
    client.force_login(user)
    return client


def _of_curators(name: str) -> str:
    """The address of a page that exists only for what :func:`curator` made."""
    kept = Entity.objects.get(ref="component:default/kept")
    return {
        "versions": f"/catalog/versions/{kept.uid}/",
        "then": f"/catalog/default/component/kept/?at={moment_text(kept.revised_at)}",
        "list then": f"/catalog/?at={moment_text(kept.revised_at)}",
        "tombstone": "/catalog/default/component/gone/",
        "hook": f"/catalog/hooks/{Hook.objects.get().pk}/",
        "job": f"/jobs/{Job.objects.filter(kind='catalog.sync_source').values_list('pk', flat=True)[0]}/",
    }.get(name, name)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "page",
    [
        "/catalog/default/component/kept/",
        "/catalog/default/component/kept/history/",
        "versions",
        "then",
        "list then",
        "tombstone",
        "/catalog/preview/",
        "/catalog/act/?kind=component",
        "/catalog/act/?kind=component&do=set&field=owner&value=group:default/fares",
        "/catalog/operations/",
        "/catalog/hooks/",
        "hook",
        "job",
    ],
)
def test_a_page_of_curators_takes_at_most_twelve_statements(curator: Client, page: str) -> None:
    address = _of_curators(page)
    curator.get("/catalog/")
    memory.forget()
    registry.forget_switches()
    with CaptureQueriesContext(connection) as caught:
        assert curator.get(address).status_code == (410 if page == "tombstone" else 200)
    assert len(caught) <= MOST_STATEMENTS, "\n".join(query["sql"][:160] for query in caught)
