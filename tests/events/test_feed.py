"""The change feed: cursors that go on for ever, filters, what each viewer may see, what is forgotten."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone
from prometheus_client import REGISTRY

from portal.access.viewer import Viewer
from portal.core.errors import InputError
from portal.events import selectors
from portal.events.cursors import open_cursor, seal_cursor
from portal.events.exceptions import CursorGoneError
from portal.events.filters import EventFilter
from portal.events.models import Event
from portal.events.registry import event_types
from portal.events.selectors import feed_page
from portal.events.services import forget_old_events, publish, seal
from tests.factories.access import StaffFactory, TokenFactory, UserFactory
from tests.factories.events import SubscriptionFactory

pytestmark = pytest.mark.django_db
SYSTEM = Viewer.system("test")
MEMBER = Viewer("user:member", user_id=1)
URL = "/api/events/v1/events"


def happen(*subjects: str, type: str = "tests.happened") -> None:
    publish(events=[(type, subject, {"s": subject}) for subject in subjects])
    seal()


@pytest.fixture
def member() -> Client:
    TokenFactory(user=UserFactory(), text="cb_member")
    return Client(headers={"Authorization": "Bearer cb_member"})


@pytest.fixture
def staff() -> Client:
    TokenFactory(user=StaffFactory(), text="cb_staff")
    return Client(headers={"Authorization": "Bearer cb_staff"})


def read(client: Client, **parameters: Any) -> dict[str, Any]:
    answer = client.get(URL, parameters)
    assert answer.status_code == 200, answer.content
    body: dict[str, Any] = answer.json()
    return body


def subjects(page: dict[str, Any]) -> list[str]:
    return [item["subject"] for item in page["items"]]


def refused(client: Client, **parameters: Any) -> tuple[int, str]:
    answer = client.get(URL, parameters)
    return answer.status_code, answer.json()["error"]["code"]


# ------------------------------------------------------------------------------------------------------------ cursors


def test_an_empty_feed_gives_a_cursor_that_goes_on_when_something_happens(member: Client) -> None:
    empty = read(member)
    assert (empty["items"], empty["hasMore"]) == ([], False)
    happen("a", "b")
    page = read(member, cursor=empty["nextCursor"])
    assert (subjects(page), page["hasMore"]) == (["a", "b"], False)
    nothing = read(member, cursor=page["nextCursor"])
    assert nothing["items"] == []
    happen("c")
    assert subjects(read(member, cursor=nothing["nextCursor"])) == ["c"]


def test_pages_follow_each_other_without_holes_and_an_item_says_what_happened(member: Client) -> None:
    happen(*"abcde")
    first = read(member, limit=2)
    second = read(member, limit=2, cursor=first["nextCursor"])
    last = read(member, limit=2, cursor=second["nextCursor"])
    assert [subjects(page) for page in (first, second, last)] == [["a", "b"], ["c", "d"], ["e"]]
    assert [page["hasMore"] for page in (first, second, last)] == [True, True, False]
    item = first["items"][0]
    assert set(item) == {"id", "type", "subject", "data", "at"}
    assert (item["type"], item["data"]) == ("tests.happened", {"s": "a"})
    assert item["id"] == f"evt_{Event.objects.get(subject='a').uid.hex}" and item["at"].endswith("Z")


def test_now_begins_at_the_end(member: Client) -> None:
    happen("a")
    now = read(member, cursor="now")
    assert (now["items"], now["hasMore"]) == ([], False)
    happen("b")
    assert subjects(read(member, cursor=now["nextCursor"])) == ["b"]


def test_a_cursor_does_not_tell_how_much_happened() -> None:
    one, other = seal_cursor(7), seal_cursor(7)
    assert one != other and open_cursor(one) == open_cursor(other) == 7
    assert "=" not in one


def test_a_cursor_outlives_a_change_of_keys_and_one_whose_key_is_gone_says_so(settings: Any) -> None:
    old = settings.CALLBOARD_KEYS
    cursor = seal_cursor(7)
    new = "new:" + "A" * 43 + "="
    settings.CALLBOARD_KEYS = [new, *old]
    assert open_cursor(cursor) == 7
    settings.CALLBOARD_KEYS = [new]
    with pytest.raises(InputError) as caught:
        open_cursor(cursor)
    assert caught.value.code == "events.cursor.key" and "CALLBOARD_KEYS" in caught.value.message


@pytest.mark.parametrize("cursor", ["x", "12", "cb1:test:AAAA", "é", "cb1", "x" * 5000])
def test_a_cursor_that_nobody_gave_out_is_an_error(member: Client, cursor: str) -> None:
    status, code = refused(member, cursor=cursor)
    assert status == 400 and code in ("cursor.malformed", "events.cursor.key")


def test_parameters_are_checked(member: Client) -> None:
    assert refused(member, after=1) == (400, "api.parameter.unknown")
    assert refused(member, limit=0) == (400, "api.number")
    assert refused(member, limit=1001) == (400, "events.limit")
    assert refused(member, type="a*b") == (400, "events.filter")
    assert refused(member, subject=[f"s{n}" for n in range(51)]) == (400, "events.filter")
    assert Client().get(URL).status_code == 401


# ------------------------------------------------------------------------------------------------------------ filters


def test_filters_by_type_and_subject_exact_or_by_prefix(member: Client) -> None:
    happen("component:default/a", type="tests.entity.created")
    happen("component:default/a", "api:default/b", type="tests.entity.changed")
    happen("Component:default/c", type="tests.sync")
    everything = ["component:default/a", "component:default/a", "api:default/b", "Component:default/c"]
    assert subjects(read(member)) == everything
    assert subjects(read(member, type="*")) == everything
    assert subjects(read(member, type="tests.entity.*")) == everything[:3]
    assert subjects(read(member, type=["tests.sync", "tests.entity.created"])) == [
        everything[0],
        everything[3],
    ]
    assert subjects(read(member, subject="component:*")) == everything[:2], (
        "letter case counts, on SQLite as well"
    )
    assert subjects(read(member, subject="component:*", type="tests.entity.changed")) == [everything[1]]
    assert subjects(read(member, type="tests.entity")) == []
    wanted = EventFilter.of(["tests.entity.*"], ["api:*"])
    assert wanted.matches("tests.entity.changed", "api:default/b") and not wanted.matches(
        "tests.sync", "api:x"
    )


def test_a_filtered_reading_moves_past_what_does_not_match(member: Client, monkeypatch: Any) -> None:
    monkeypatch.setattr(selectors, "WINDOW", 3)
    monkeypatch.setattr(selectors, "MOST_WINDOWS", 2)
    happen(*(f"s{n}" for n in range(10)), type="tests.other")
    happen("found")
    seen, cursor, asked = [], {}, 0
    while True:
        page = read(member, type="tests.happened", **cursor)
        seen += subjects(page)
        asked += 1
        cursor = {"cursor": page["nextCursor"]}
        if not page["hasMore"]:
            break
    assert (seen, asked) == (["found"], 2), "six at a time, and empty pages lead on"


# ------------------------------------------------------------------------------------------------------------- access


def test_types_of_nobody_are_for_staff_only(member: Client, staff: Client) -> None:
    happen("secret", type="operations.key-lost")
    happen("known")
    assert subjects(read(member)) == ["known"]
    assert subjects(read(staff)) == ["secret", "known"]
    assert read(member, type="operations.*")["items"] == []


def test_the_rule_of_a_type_narrows_its_subjects_for_everybody_and_is_asked_once_a_page() -> None:
    asked: list[set[str]] = []

    def visible(viewer: Viewer, subjects: Collection[str]) -> Collection[str]:
        asked.append(set(subjects))
        return {subject for subject in subjects if not subject.startswith("hidden")}

    event_types.register("tests.entity", visible=visible)
    happen("hidden 1", "shown 1", "shown 2", "shown 1", type="tests.entity.changed")
    happen("hidden but of another type")
    curator = Viewer("user:curator", user_id=2, is_staff=True)
    for viewer in (MEMBER, curator):
        page = feed_page(viewer, None, EventFilter())
        assert [row.subject for row in page.rows] == [
            "shown 1",
            "shown 2",
            "shown 1",
            "hidden but of another type",
        ]
    assert asked == [{"hidden 1", "shown 1", "shown 2"}] * 2
    assert len(feed_page(SYSTEM, None, EventFilter()).rows) == 5


def test_a_page_of_what_may_not_be_seen_leads_on_to_what_may(member: Client) -> None:
    happen(*(f"s{n}" for n in range(5)), type="operations.secret")
    happen("known")
    assert subjects(read(member, limit=2)) == ["known"]


# ---------------------------------------------------------------------------------------------------------- retention


def age(days: int, *subjects: str) -> None:
    Event.objects.filter(subject__in=subjects).update(at=timezone.now() - timedelta(days=days))


def test_old_events_are_forgotten_and_a_cursor_from_before_them_is_gone(member: Client) -> None:
    start = read(member)["nextCursor"]
    happen(*"abcd")
    after_a = read(member, limit=1)["nextCursor"]
    after_c = read(member, limit=3)["nextCursor"]
    age(31, "a", "b", "c")
    assert forget_old_events() == 3
    assert subjects(read(member)) == ["d"], "without a cursor it begins with the oldest that is kept"
    assert subjects(read(member, cursor=after_c)) == ["d"]
    for cursor in (start, after_a):
        answer = member.get(URL, {"cursor": cursor})
        error = answer.json()["error"]
        assert (answer.status_code, error["name"], error["code"]) == (410, "GoneError", "events.cursor.gone")
        assert "cursor=now" in error["remedy"]


def test_positions_go_on_where_everything_is_old(member: Client) -> None:
    happen(*"abc")
    cursor = read(member)["nextCursor"]
    age(99, *"abc")
    assert forget_old_events() == 2, "the newest is kept, so that its number is not given again"
    happen("d")
    assert subjects(read(member, cursor=cursor)) == ["d"]


def test_what_is_kept_has_no_holes() -> None:
    happen(*"abcd")
    age(99, "a", "c")
    assert forget_old_events() == 1
    assert list(Event.objects.order_by("position").values_list("subject", flat=True)) == ["b", "c", "d"]


def test_what_a_webhook_has_not_got_yet_is_not_forgotten() -> None:
    happen(*"abcd")
    age(99, *"abcd")
    waiting = SubscriptionFactory(position=1)
    assert forget_old_events() == 1
    waiting.enabled = False
    waiting.save()
    assert forget_old_events() == 2, "one that is off holds nothing back"


def test_a_cursor_of_a_database_that_was_set_back_is_refused() -> None:
    happen("a")
    with pytest.raises(CursorGoneError) as caught:
        feed_page(SYSTEM, 5, EventFilter())
    assert caught.value.code == "events.cursor.ahead"


# ------------------------------------------------------------------------------------------------------------ writing


def test_ten_thousand_events_are_written_and_sealed_in_a_few_statements(
    django_assert_max_num_queries: Any,
) -> None:
    with django_assert_max_num_queries(20):
        assert publish(events=((f"tests.{n % 3}", f"s{n}", {"n": n}) for n in range(10_000))) == 10_000
        assert seal() == 10_000
    rows = Event.objects.order_by("position")
    assert [row.data["n"] for row in rows] == list(range(10_000))
    assert len({row.uid for row in rows}) == 10_000


def test_whatever_is_in_an_event_does_not_end_the_transaction_of_its_writer() -> None:
    publish(
        events=[
            ("tests.odd", "a\x00b", {"text": "c\x00d", "list": ["\x00"], "when": timezone.now(), 1: "x\ty\\"})
        ]
    )
    event = Event.objects.get()
    assert event.subject == "a\ufffdb"
    assert event.data["text"] == "c\ufffdd" and event.data["1"] == "x\ty\\"


@pytest.mark.django_db(transaction=True)
def test_events_are_counted_when_they_are_committed() -> None:
    def counted() -> float:
        return REGISTRY.get_sample_value("callboard_events_written_total", {"type": "tests.counted"}) or 0.0

    before = counted()
    with pytest.raises(RuntimeError), transaction.atomic():
        publish(events=[("tests.counted", "a", {})])
        raise RuntimeError
    publish(events=[("tests.counted", "a", {}), ("tests.counted", "b", {})])
    assert counted() - before == 2


# ------------------------------------------------------------------------------------------------------------- races


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("seed", range(3))
def test_readers_see_every_event_once_and_in_commit_order_whatever_the_writers_do(seed: int) -> None:
    """Writers with transactions of random length, some rolled back, two sealers, readers with and without a filter."""
    chance = random.Random(seed)
    plans = [
        [(chance.randint(1, 12), chance.random() * 0.02, chance.random() < 0.2) for _ in range(20)]
        for _ in range(4)
    ]
    clock, lock = [0], threading.Lock()
    spans: dict[str, tuple[int, int]] = {}
    stop = threading.Event()

    def tick() -> int:
        with lock:
            clock[0] += 1
            return clock[0]

    def write(writer: int) -> list[str]:
        done: list[str] = []
        for number, (count, length, fails) in enumerate(plans[writer]):
            name = f"{writer}:{number}"
            begun = tick()
            try:
                with transaction.atomic():
                    for n in range(count):
                        publish(events=[(f"tests.{n % 2}", f"{name}:{n}", {})])
                        if connection.vendor != "sqlite":
                            time.sleep(length / count)
                    if fails:
                        raise RuntimeError
            except RuntimeError:
                continue
            spans[name] = (begun, tick())
            done += [f"{name}:{n}" for n in range(count)]
        connection.close()
        return done

    def keep_sealing() -> None:
        while not stop.is_set():
            seal()
            time.sleep(0.005)
        connection.close()

    def follow(wanted: EventFilter, limit: int) -> list[str]:
        seen: list[str] = []
        position: int | None = 0
        last = False
        while True:
            page = feed_page(MEMBER, position, wanted, limit)
            seen += [row.subject for row in page.rows]
            position = page.position
            if not page.has_more:
                if last:
                    break
                last = stop.is_set()
                time.sleep(0.003)
        connection.close()
        return seen

    with ThreadPoolExecutor(9) as pool:
        sealers = [pool.submit(keep_sealing) for _ in range(2)]
        readers = [
            pool.submit(follow, EventFilter(), 7),
            pool.submit(follow, EventFilter(), 100),
            pool.submit(follow, EventFilter(("tests.1",)), 5),
        ]
        writers = [pool.submit(write, writer) for writer in range(4)]
        written = [subject for writer in writers for subject in writer.result()]
        seal()
        stop.set()
        for sealer in sealers:
            sealer.result()
        everything, again, odd = (reader.result() for reader in readers)
    assert sorted(everything) == sorted(written), "every event once, and none that was rolled back"
    assert again == everything
    assert odd == [subject for subject in everything if int(subject.rpartition(":")[2]) % 2 == 1]
    places: dict[str, list[int]] = {}
    for place, subject in enumerate(everything):
        places.setdefault(subject.rpartition(":")[0], []).append(place)
    for one, (_, ended) in spans.items():
        for other, (begun, _) in spans.items():
            if ended < begun:
                assert max(places[one]) < min(places[other]), f"{one} was committed before {other} began"
    for writer in range(4):
        own = [subject for subject in everything if subject.startswith(f"{writer}:")]
        assert own == [subject for subject in written if subject.startswith(f"{writer}:")]
