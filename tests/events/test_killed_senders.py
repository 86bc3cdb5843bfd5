"""kill -9 of whoever sends, at any moment: nothing is lost, and what comes twice carries the same id."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from portal.events.models import Delivery, Subscription
from tests.events.receivers import happen, receiver
from tests.jobs.worker import ROOT, environment
from tests.services.http_server import Reply, Seen

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.req("R224")
@pytest.mark.parametrize(("kills", "events"), [(3, 40), pytest.param(8, 100, marks=pytest.mark.slow)])
def test_a_sender_that_is_killed_at_any_moment_loses_nothing_and_repeats_under_the_same_id(
    tmp_path: Path, kills: int, events: int
) -> None:
    chance = random.Random(20)

    def answer(seen: Seen) -> Reply:
        time.sleep(chance.random() * 0.01)
        return Reply(500 if chance.random() < 0.02 else 204)

    with receiver(answer) as (server, subscription):
        for start in range(0, events, 10):
            happen(*(str(n) for n in range(start, start + 10)))
        env = environment() | {"DJANGO_SETTINGS_MODULE": "tests.events.sender_settings"}
        command = [sys.executable, "-m", "tests.events.sender", str(subscription.pk)]
        killed = 0
        deadline = time.monotonic() + 240
        while position(subscription) < events:
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            with (tmp_path / "log").open("ab") as log:
                process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)
            seen = len(server.seen)
            waited = 0
            while len(server.seen) == seen and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.005)
                waited += 1
                if waited % 100 == 0:
                    soon(subscription)  # the last words of the dead one may have come after the first time
            if killed < kills:
                time.sleep(chance.random() * 0.12)
                process.send_signal(signal.SIGKILL)
                killed += 1
            else:
                while position(subscription) < events and time.monotonic() < deadline:
                    soon(subscription)
                    time.sleep(0.1)
                process.kill()
            process.wait()
            soon(subscription)
        # A sender that was killed in the middle of a request leaves a body that is cut off: nothing was received.
        whole = [seen for seen in server.seen if len(seen.body) == int(seen.headers["content-length"])]
        received = [(seen.headers["webhook-id"], json.loads(seen.body)["subject"]) for seen in whole]
    firsts = list(dict.fromkeys(received))
    assert [subject for _, subject in firsts] == [str(n) for n in range(events)], "each arrives, in order"
    assert len({message for message, _ in firsts}) == events, "and under one id"
    assert killed == kills or len(received) >= events
    rows: Any = Delivery.objects.filter(subscription=subscription).order_by("position")
    assert [row.subject for row in rows] == [str(n) for n in range(events)]
    assert {row.state for row in rows} == {"delivered"}


def position(subscription: Subscription) -> int:
    return Subscription.objects.values_list("position", flat=True).get(pk=subscription.pk)


def soon(subscription: Subscription) -> None:
    """The lease of a dead sender and pauses end now; a living one's lease is in the future by nearly all of it."""
    now = timezone.now()
    rows = Subscription.objects.filter(pk=subscription.pk)
    rows.filter(next_try_at__isnull=False).update(next_try_at=now)
    rows.update(lease_until=None)
