from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from portal.web import supervisor as module
from portal.web.supervisor import Program, Supervisor

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)",
]


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that ended and waits to be collected does not."""
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def until(true: Callable[[], object], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


class Running:
    """A supervisor with what it said and which processes it called over."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []
        self.ended: list[int] = []
        self.supervisor = Supervisor(
            [], environment=os.environ, say=self.said.append, ended=self.ended.append
        )

    def start(self, **commands: list[str]) -> list[Program]:
        programs = [Program(name, command, self.folder / f"{name}.log") for name, command in commands.items()]
        self.supervisor.programs = programs
        self.supervisor.start_all()
        return programs


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    monkeypatch.setattr(module, "GRACE_SECONDS", 1.0)
    monkeypatch.setattr(module, "BACKOFF", (0.1, 0.2))
    made = Running(tmp_path)
    yield made
    made.supervisor.stop_all()


def test_programs_run_until_they_are_stopped(running: Running) -> None:
    web, worker = running.start(web=SLEEP, worker=SLEEP)
    pids = [p.process.pid for p in (web, worker) if p.process]
    until(lambda: web.last_lines() == ["up"])
    running.supervisor.look()
    assert all(map(is_alive, pids))
    running.supervisor.stop_all()
    assert not any(map(is_alive, pids))
    assert running.ended == pids
    assert running.said == []


def test_a_program_that_was_killed_runs_again_and_somebody_is_told(running: Running) -> None:
    (worker,) = running.start(worker=SLEEP)
    first = worker.process.pid
    os.kill(first, signal.SIGKILL)
    until(lambda: not worker.is_running)
    running.supervisor.look()
    assert "worker ended (SIGKILL)" in running.said[0]
    assert "worker.log" in running.said[0]
    until(lambda: running.supervisor.look() or worker.is_running)
    assert worker.process.pid != first
    assert running.said[1] == "worker runs again"
    assert running.ended == [first]


def test_a_program_that_keeps_ending_waits_longer_each_time(running: Running) -> None:
    (web,) = running.start(web=[sys.executable, "-c", "print('no settings'); raise SystemExit(3)"])
    until(lambda: running.supervisor.look() or web.failures >= 3)
    waits = [line for line in running.said if "ended" in line]
    assert all("status 3" in line for line in waits)
    assert web.start_at - time.monotonic() <= 0.2
    assert "no settings" in web.last_lines()


def test_a_program_that_does_not_listen_is_killed(running: Running) -> None:
    (worker,) = running.start(worker=STUBBORN)
    pid = worker.process.pid
    until(lambda: worker.last_lines() == ["up"])
    began = time.monotonic()
    running.supervisor.stop_all()
    assert 0.9 < time.monotonic() - began < 5
    assert not is_alive(pid)
    assert "is killed" in running.said[0]


def test_a_ctrl_c_in_the_terminal_does_not_reach_the_programs(running: Running) -> None:
    (web,) = running.start(web=SLEEP)
    assert os.getpgid(web.process.pid) != os.getpgid(0)
