from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

import pytest

from portal.core.errors import ServiceUnavailableError, TimedOutError, TooLargeError
from portal.core.process import CancelledError, ProcessFailedError, run_limited


def python(code: str, *args: str) -> list[str]:
    return [sys.executable, "-I", "-c", code, *args]


def alive(pid: int) -> bool:
    """Whether the process still runs (a zombie that nobody waited for yet does not)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_gone(pid: int) -> bool:
    end = time.monotonic() + 5
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.02)
    return not alive(pid)


def test_output_and_error_output_come_back_as_bytes() -> None:
    done = run_limited(python("import sys; sys.stdout.write('out'); sys.stderr.write('err')"), timeout=20)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"out", b"err")


def test_what_is_given_on_standard_input_arrives_even_when_it_is_larger_than_a_pipe() -> None:
    data = os.urandom(1_000_000)
    done = run_limited(["cat"], stdin=data, timeout=20)
    assert done.stdout == data


def test_a_program_that_does_not_read_its_input_is_no_error() -> None:
    assert run_limited(["true"], stdin=b"x" * 1_000_000, timeout=20).returncode == 0


def test_arguments_are_never_read_by_a_shell(tmp_path: Path) -> None:
    args = ["$(touch pwned)", "; touch pwned", "`touch pwned`", "*", "", "-n", "two  words"]
    done = run_limited(
        python("import sys, json; print(json.dumps(sys.argv[1:]))", *args), cwd=tmp_path, timeout=20
    )
    assert json.loads(done.stdout) == args
    assert not list(tmp_path.iterdir())


def test_the_environment_is_minimal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLBOARD_SECRET_KEY", "do not tell")
    done = run_limited(["env"], env={"WANTED": "yes"}, timeout=20)
    names = {line.split("=", 1)[0] for line in done.stdout.decode().splitlines()}
    assert names - {"TMPDIR", "PWD", "OLDPWD", "SHLVL", "_"} == {"PATH", "LC_ALL", "WANTED"}


def test_a_missing_program_is_named() -> None:
    with pytest.raises(ServiceUnavailableError, match="no-such-program is not installed") as caught:
        run_limited(["no-such-program"], timeout=5)
    assert caught.value.remedy


def test_a_failure_carries_the_status_and_the_last_line_of_the_error_output() -> None:
    with pytest.raises(ProcessFailedError, match="ended with status 3: the reason") as caught:
        run_limited(["sh", "-c", "echo first >&2; echo the reason >&2; exit 3"], timeout=20)
    assert caught.value.returncode == 3
    assert "first" in caught.value.stderr


def test_a_failure_can_be_taken_as_a_result() -> None:
    assert run_limited(["false"], timeout=20, check=False).returncode == 1


def test_a_program_that_hangs_is_ended_with_all_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    started = time.monotonic()
    with pytest.raises(TimedOutError, match=r"did not finish within 0\.5 s"):
        run_limited(["sh", "-c", f"sleep 60 & echo $! $$ > {pids}; wait"], timeout=0.5)
    assert time.monotonic() - started < 5
    child, parent = map(int, pids.read_text().split())
    assert wait_gone(child)
    assert wait_gone(parent)


def test_children_left_behind_by_a_program_that_ended_are_ended_too(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    run_limited(["sh", "-c", f"sleep 60 >/dev/null 2>&1 </dev/null & echo $! > {pids}"], timeout=20)
    assert wait_gone(int(pids.read_text()))


def test_a_program_that_closes_its_outputs_and_hangs_is_ended() -> None:
    with pytest.raises(TimedOutError):
        run_limited(["sh", "-c", "exec >&- 2>&-; sleep 60"], timeout=0.5)


def test_a_cancel_ends_the_run_soon() -> None:
    flag = threading.Event()
    timer = threading.Timer(0.3, flag.set)
    timer.start()
    started = time.monotonic()
    with pytest.raises(CancelledError):
        run_limited(["sleep", "60"], timeout=60, cancelled=flag.is_set)
    assert time.monotonic() - started < 3
    timer.join()


def test_an_exception_in_the_caller_ends_the_group(tmp_path: Path) -> None:
    pids = tmp_path / "pids"

    def broken() -> bool:
        if pids.exists() and pids.read_text().strip():
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        run_limited(["sh", "-c", f"echo $$ > {pids}; sleep 60"], timeout=60, cancelled=broken)
    assert wait_gone(int(pids.read_text()))


def test_a_flood_of_output_is_cut_off() -> None:
    with pytest.raises(TooLargeError, match="more than 100000 bytes"):
        run_limited(["yes"], timeout=20, max_output=100_000)


def test_a_flood_of_error_output_is_read_and_dropped() -> None:
    done = run_limited(python("import sys; sys.stderr.write('e' * 3_000_000); print('done')"), timeout=20)
    assert done.stdout == b"done\n"
    assert len(done.stderr) == 64 * 1024


def test_processor_time_is_limited() -> None:
    with pytest.raises(TimedOutError, match="more than 1 s of processor time"):
        run_limited(python("while True: pass"), timeout=30, cpu_seconds=1)


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS cannot limit address space")
def test_memory_is_limited() -> None:
    with pytest.raises(ProcessFailedError, match="MemoryError"):
        run_limited(python("x = bytearray(400_000_000)"), timeout=20, memory_bytes=200_000_000)


def test_the_size_of_written_files_is_limited(tmp_path: Path) -> None:
    with pytest.raises(TooLargeError, match="a file of more than 10240 bytes"):
        run_limited(
            ["dd", "if=/dev/zero", "of=big", "bs=1024", "count=100"],
            cwd=tmp_path,
            timeout=20,
            file_bytes=10240,
        )
    assert (tmp_path / "big").stat().st_size <= 10240
