"""The folder of messages under many writers and readers, and with rubbish in it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from kombu import Connection

from portal.jobs.broker import Channel
from tests.jobs.worker import ROOT


@contextmanager
def channel(folder: Path) -> Iterator[Channel]:
    options = {name: str(folder) for name in ("data_folder_in", "data_folder_out", "control_folder")}
    with Connection(
        "filesystem://", transport="portal.jobs.broker:Transport", transport_options=options
    ) as connection:
        made: Any = connection.channel()
        yield made


def _drain(made: Channel) -> list[Any]:
    found = []
    while True:
        try:
            found.append(made._get("jobs"))
        except Empty:
            return found


def test_messages_come_in_the_order_in_which_they_were_put(tmp_path: Path) -> None:
    with channel(tmp_path) as made:
        for n in range(3):
            made._put("jobs", {"n": n})
            made._put("others", {"n": n})
        assert sorted(message["n"] for message in _drain(made)) == [0, 1, 2]
        assert len(list(tmp_path.glob("*.others.msg"))) == 3


def test_a_file_that_is_no_message_ends_no_worker(tmp_path: Path) -> None:
    (tmp_path / "0_x.jobs.msg").touch()
    (tmp_path / "0_y.jobs.msg").write_text("{broken")
    (tmp_path / ".3.draft").write_text("half a mess")
    with channel(tmp_path) as made:
        made._put("jobs", {"n": 1})
        for _ in range(2):
            with pytest.raises(Empty):
                made._get("jobs")
        assert made._get("jobs") == {"n": 1}


WRITER = """
import sys
from kombu import Connection
folder, transport, total = sys.argv[1], sys.argv[2], int(sys.argv[3])
options = {name: folder for name in ("data_folder_in", "data_folder_out", "control_folder")}
with Connection("filesystem://", transport=transport, transport_options=options) as connection:
    channel = connection.channel()
    for n in range(total):
        channel._put("jobs", {"n": n, "text": "x" * 2_000})
"""


@pytest.mark.parametrize("total", [1_500, pytest.param(5_000, marks=pytest.mark.slow)])
def test_no_reader_ever_sees_half_a_message(tmp_path: Path, total: int) -> None:
    """kombu's own channel lost 88 of 20,000 messages this way, and with each of them the worker that met it."""
    command = [sys.executable, "-c", WRITER, str(tmp_path), "portal.jobs.broker:Transport", str(total)]
    writer = subprocess.Popen(command, cwd=ROOT)
    read, unreadable = [], 0
    with channel(tmp_path) as made:
        while True:
            over = writer.poll() is not None
            try:
                read.append(made._get("jobs")["n"])
            except Empty as nothing:
                unreadable += nothing.__cause__ is not None
                if over and nothing.__cause__ is None:
                    break
    assert writer.returncode == 0
    assert unreadable == 0
    assert sorted(read) == list(range(total))
