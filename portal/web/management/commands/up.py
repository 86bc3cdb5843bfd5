"""``manage.py up``: everything on this machine, in one terminal."""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import io
import json
import os
import shutil
import signal
import socket
import sys
import threading
import time
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection, connections
from django.db.migrations.executor import MigrationExecutor

from portal.observability import logs
from portal.observability.metrics import process_ended
from portal.web.supervisor import Program, Supervisor

HOST = "127.0.0.1"
#: Seconds that the web process may take until it is ready.
READY_SECONDS = 60.0


class Command(BaseCommand):
    help = "Run web, worker and scheduler on this machine, on 127.0.0.1 only, until Ctrl-C."
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--port", type=int, default=8000, help="Port of the web pages (default 8000, 0: any)."
        )
        parser.add_argument(
            "--no-demo", action="store_true", help="Leave out the demo company and its people."
        )
        parser.add_argument("--json", action="store_true", help="Print JSON lines instead of text.")

    def handle(self, *args: Any, port: int, no_demo: bool, json: bool, **options: Any) -> None:
        self.as_json = json
        if not getattr(settings, "CALLBOARD_LOCAL", False):
            raise CommandError(
                "up runs Callboard on one machine for one person, and these are production settings. "
                "Run the processes of docs/operators/production.md instead."
            )
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        settings.DATA_DIR.mkdir(parents=True, exist_ok=True)
        settings.DATA_DIR.chmod(0o700)  # keys, passwords and everybody's data are in there
        # This terminal shows what we say; the processes log to files of their own.
        logs.configure({"format": "text", "level": "WARNING"})
        with (settings.DATA_DIR / "up.lock").open("a+") as lock:
            self._take_lock(lock)
            port = self._free_port(port)
            url = f"http://{HOST}:{port}"
            lock.truncate(0)
            lock.write(url)
            lock.flush()
            self._prepare(demo=not no_demo)
            connections.close_all()
            if not stop.is_set():
                self._run(url, port, people=[] if no_demo else self._people(), stop=stop)

    # ------------------------------------------------------------------------------------------------------ saying

    def say(self, what: str, detail: str = "") -> None:
        """One line of progress."""
        if self.as_json:
            self.stdout.write(json.dumps({"event": "progress", "what": what, "detail": detail}))
        else:
            self.stdout.write(f"  {what:<16}{detail}".rstrip())
        self.stdout.flush()

    def _announce(self, url: str, people: list[dict[str, Any]]) -> None:
        if self.as_json:
            self.stdout.write(json.dumps({"event": "ready", "url": url, "people": people}))
            self.stdout.flush()
            return
        self.stdout.write(f"ready {url}")
        if people:
            width = max(len(person["username"]) for person in people)
            self.stdout.write("\nSign in as")
            for person in people:
                who = f"{person.get('full_name', '')}, {person.get('role', '')}".strip(", ")
                self.stdout.write(f"  {person['username']:<{width}}  {person['password']}  {who}")
        self.stdout.write("\nCtrl-C stops everything.")
        self.stdout.flush()

    # --------------------------------------------------------------------------------------------------- preparing

    def _take_lock(self, lock: IO[str]) -> None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            where = lock.read().strip()
            raise CommandError(
                f"Callboard already runs from {settings.DATA_DIR}{f', at {where}' if where else ''}. "
                "Use that one, stop it first, or set CALLBOARD_DATA_DIR to another folder."
            ) from error

    def _free_port(self, wanted: int) -> int:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, wanted))
            except OSError as error:
                raise CommandError(
                    f"Port {wanted} of {HOST} is taken by another program ({error.strerror}). "
                    f"Stop that one, or choose another port: up --port {wanted + 1}"
                ) from error
            port: int = probe.getsockname()[1]
            return port

    def _prepare(self, *, demo: bool) -> None:
        self.say(f"Callboard {version('callboard')}", f"data in {_short(settings.DATA_DIR)}")
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if plan:
            self.say("database", f"applying {len(plan)} migrations")
            call_command("migrate", interactive=False, verbosity=0)
        else:
            self.say("database", "up to date")
        self._collect_static_files()
        for folder in ("data_folder_in", "control_folder"):
            if folder in settings.CELERY_BROKER_TRANSPORT_OPTIONS:
                Path(str(settings.CELERY_BROKER_TRANSPORT_OPTIONS[folder])).mkdir(parents=True, exist_ok=True)
        if demo:
            self._load_demo()
        if settings.CALLBOARD_SOURCES:
            self._apply_sources()

    def _load_demo(self) -> None:
        self.say("demo company", "reading its files")
        try:
            if self.as_json:
                call_command("demo", json=True, stdout=io.StringIO())
            else:
                call_command("demo", stdout=self.stdout)
        except CommandError as error:
            # Callboard works without it, and its own pages are the place to see what is wrong.
            self.say("!", str(error))

    def _apply_sources(self) -> None:
        self.say("sources", settings.CALLBOARD_SOURCES)
        try:
            call_command("source", "apply", stdout=io.StringIO() if self.as_json else self.stdout)
        except CommandError as error:
            # They stay as they were.
            self.say("!", str(error))

    def _collect_static_files(self) -> None:
        """Collects when any source file is new or changed since the last time."""
        seen = hashlib.sha256(version("callboard").encode())
        for finder in get_finders():
            for name, storage in finder.list([]):
                status = Path(storage.path(name)).stat()
                seen.update(f"{name}:{status.st_size}:{status.st_mtime_ns}\n".encode())
        mark = settings.DATA_DIR / "static.seen"
        if mark.exists() and settings.STATIC_ROOT.exists() and mark.read_text() == seen.hexdigest():
            self.say("static files", "up to date")
            return
        self.say("static files", "collecting")
        call_command("collectstatic", interactive=False, clear=True, verbosity=0)
        mark.write_text(seen.hexdigest())

    def _people(self) -> list[dict[str, Any]]:
        path = settings.DATA_DIR / "demo-people.json"
        people: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
        return people

    # ----------------------------------------------------------------------------------------------------- running

    def _run(self, url: str, port: int, *, people: list[dict[str, Any]], stop: threading.Event) -> None:
        metrics = settings.DATA_DIR / "metrics"
        shutil.rmtree(metrics, ignore_errors=True)
        metrics.mkdir()
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(metrics)  # for process_ended, which runs here
        environment = {"CALLBOARD_BASE_URL": url, **os.environ, "PYTHONUNBUFFERED": "1"}
        supervisor = Supervisor(
            programs(port), environment=environment, say=lambda line: self.say("!", line), ended=process_ended
        )
        supervisor.start_all()
        try:
            self._wait_until_ready(supervisor, port, stop)
            if not stop.is_set():
                self._announce(url, people)
            while not stop.wait(1.0):
                supervisor.look()
        finally:
            self.say("stopping")
            supervisor.stop_all()
        self.say("stopped")

    def _wait_until_ready(self, supervisor: Supervisor, port: int, stop: threading.Event) -> None:
        names = ", ".join(program.name for program in supervisor.programs)
        self.say("starting", names)
        until = time.monotonic() + READY_SECONDS
        while not stop.wait(0.1):
            for program in supervisor.programs:
                if not program.is_running:
                    raise CommandError(_failure(program, "ended while it started"))
            if _is_ready(port):
                return
            if time.monotonic() > until:
                raise CommandError(
                    _failure(supervisor.programs[0], f"is not ready after {READY_SECONDS:.0f} s")
                )


def programs(port: int) -> list[Program]:
    """The three processes of a local Callboard."""
    folder = settings.DATA_DIR / "logs"
    python = [sys.executable, "-m"]
    web = ["uvicorn", "portal.asgi:application", "--host", HOST, "--port", str(port), "--lifespan", "off"]
    worker = ["celery", "-A", "portal.celery", "worker", "--pool", "threads", "-c", "4"]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    manage = str(settings.BASE_DIR / "manage.py")
    return [
        Program(
            "web", [*python, *web, "--no-access-log", "--timeout-graceful-shutdown", "5"], folder / "web.log"
        ),
        Program("worker", [*python, *worker, *quiet], folder / "worker.log"),
        Program("scheduler", [sys.executable, manage, "scheduler"], folder / "scheduler.log"),
    ]


def _is_ready(port: int) -> bool:
    asking = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        asking.request("GET", "/health/ready")
        return asking.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False  # not listening yet
    finally:
        asking.close()


def _failure(program: Program, what: str) -> str:
    lines = "\n".join(f"  {line}" for line in program.last_lines())
    return f"{program.name} {what}. The end of {program.log}:\n{lines}"


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
