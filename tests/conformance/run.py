"""Hold a throw-away Callboard against the recorded answers of a stock Backstage: ``make conformance``.

Starts a server with an empty catalog as the kit's README asks for (embedded: SQLite and file broker; another database
by DATABASE_URL, which has to be empty), serves the kit's files, loads the seed, replays, and ends everything it
started. The exit status is that of ``replay.py``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("read", "write", "scaffolder")
READY_SECONDS = 120.0


class FailedError(Exception):
    """Something did not start; the text says what and where to look."""


def main(arguments: Sequence[str] | None = None) -> int:
    given = _parse(arguments)
    # Asked to end, we end what we started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    kit = _kit(given.kit)
    data = Path(tempfile.mkdtemp(prefix="callboard-conformance-"))
    environment = _environment(data)
    status = 1
    try:
        with contextlib.ExitStack() as running:
            running.enter_context(
                _program([sys.executable, kit / "replay.py", "serve", "--kit", kit], ready="serving")
            )
            tokens = _prepare(environment)
            url = running.enter_context(_callboard(environment, data))
            status = _replay(kit, given, url, tokens)
    except FailedError as error:
        print(error, file=sys.stderr)
    finally:
        if given.keep:
            print(f"data and logs: {data}", file=sys.stderr)
        else:
            shutil.rmtree(data, ignore_errors=True)
    return status


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kit", default=os.environ.get("KIT") or None, help="folder of the kit (or KIT)")
    parser.add_argument(
        "--part",
        choices=PARTS,
        default=os.environ.get("PART") or None,
        help="only this part (or PART); else the catalog",
    )
    parser.add_argument("--group", action="append", default=[], help="only this group of cases, repeatable")
    parser.add_argument("--case", action="append", default=[], help="only this case, repeatable")
    parser.add_argument("--list-failures", type=int, default=20, help="show the first N, -1 for all")
    parser.add_argument("--messages", action="store_true", help="compare error texts too")
    parser.add_argument(
        "--patience", type=float, default=60, help="seconds that a change may take to be visible"
    )
    parser.add_argument(
        "--keep", action="store_true", help="leave the data folder, with the logs, where it is"
    )
    return parser.parse_args(arguments)


def _kit(named: str | None) -> Path:
    """The folder of the kit: as named, else that of CALLBOARD_SHARED, else beside the checkout."""
    shared = Path(os.environ.get("CALLBOARD_SHARED") or ROOT.parent / "shared")
    kit = Path(named).resolve() if named else shared / "conformance"
    if not (kit / "replay.py").is_file():
        raise SystemExit(
            f"There is no conformance kit in {kit}. Name its folder: make conformance KIT=folder"
        )
    return kit


def _environment(data: Path) -> dict[str, str]:
    """Everything embedded, in a folder of its own; sources are read again every few seconds."""
    return {
        **os.environ,
        "CALLBOARD_DATA_DIR": str(data),
        "CALLBOARD_SYNC_INTERVAL": "5",
        "CALLBOARD_LOG_LEVEL": "WARNING",
        "DJANGO_SETTINGS_MODULE": "portal.settings.local",
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
    }


def _prepare(environment: dict[str, str]) -> dict[str, str]:
    """Migrate, allow what the kit needs, make tokens: ``{"service": ..., "user": ...}``."""
    command = [sys.executable, "-m", "tests.conformance.prepare"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise FailedError(f"The database could not be prepared:\n{done.stdout}{done.stderr}")
    tokens: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return tokens


@contextlib.contextmanager
def _callboard(environment: dict[str, str], data: Path) -> Iterator[str]:
    """Web, worker and scheduler; the value is the address."""
    command = [sys.executable, ROOT / "manage.py", "up", "--no-demo", "--port", "0", "--json"]
    with _program(command, ready='"ready"', environment=environment) as line:
        try:
            yield str(json.loads(line)["url"])
        finally:
            _show_errors(data)


def _show_errors(data: Path) -> None:
    """The last lines of logs that hold a traceback: what a failed case cannot tell."""
    for log in sorted(data.rglob("*.log")):
        lines = log.read_text(errors="replace").splitlines()
        if any("Traceback" in line for line in lines):
            print(f"--- {log.name}", *lines[-30:], sep="\n", file=sys.stderr)


@contextlib.contextmanager
def _program(
    command: Sequence[str | Path], *, ready: str, environment: dict[str, str] | None = None
) -> Iterator[str]:
    """Run a program until the end of the block; the value is the first line in which it says that it is ready.

    It gets a process group of its own and is asked to end with SIGTERM, after ten seconds with SIGKILL.
    """
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield _wait_for(process, ready)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_for(process: subprocess.Popen[str], ready: str) -> str:
    found: list[str] = []
    said: list[str] = []
    seen = threading.Event()

    def read(output: IO[str]) -> None:
        for line in output:  # to the end, or the program would block on a full pipe
            if not seen.is_set():
                said.append(line)
                if ready in line:
                    found.append(line)
                    seen.set()
        seen.set()

    if process.stdout is None:
        raise FailedError("The program has no output to wait for.")
    threading.Thread(target=read, args=(process.stdout,), daemon=True).start()
    if not seen.wait(READY_SECONDS) or not found:
        raise FailedError(f"{process.args!r} did not become ready. It said:\n{''.join(said)}")
    return found[0]


def _replay(kit: Path, given: argparse.Namespace, url: str, tokens: dict[str, str]) -> int:
    """Load, then the parts that were asked for; the first status that is not 0."""
    access = ["--base", url, "--token", tokens["service"], "--kit", str(kit)]
    choice: list[Any] = ["--list-failures", given.list_failures, "--patience", given.patience]
    choice += [option for name in given.group for option in ("--group", name)]
    choice += [option for name in given.case for option in ("--case", name)]
    choice += ["--messages"] if given.messages else []
    runs: list[list[Any]] = []
    if given.part == "scaffolder":
        runs.append(["scaffolder", *access, "--user-token", tokens["user"], *choice])
    else:
        runs += [["load", *access], ["catalog", *access, "--part", given.part or "all", *choice]]
    for run in runs:
        command = [sys.executable, kit / "replay.py", *run]
        status = subprocess.run([str(part) for part in command], cwd=ROOT, check=False).returncode
        if status:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
