"""A client that costs little: one connection for latency, several processes' worth of connections for throughput."""

from __future__ import annotations

import http.client
import json
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

from catalog.bench.cases import Case
from portal.core.errors import CallboardError


@dataclass(frozen=True, slots=True)
class Figures:
    """Outcome of one case."""

    p50: float
    p95: float
    per_second: float
    bytes: int
    tool: str


class BenchError(CallboardError):
    """A measured request did not answer as it has to."""

    default_code = "bench.answer"


def _request(connection: http.client.HTTPConnection, case: Case, token: str) -> tuple[float, int]:
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    body = None
    if case.body is not None:
        headers["Content-Type"] = "application/json"
        body = json.dumps(case.body)
    started = time.perf_counter()
    connection.request("POST" if body else "GET", case.path, body, headers)
    answer = connection.getresponse()
    size = len(answer.read())
    taken = time.perf_counter() - started
    if answer.status != 200:
        raise BenchError(f"{case.name} answered {answer.status}.")
    return taken, size


def measure(case: Case, *, port: int, token: str, clients: int, seconds: float, rounds: int = 1) -> Figures:
    """Latency at one client, then requests per second at ``clients``; the best of several rounds.

    The best, because whatever else runs on the machine only ever adds.

    Args:
        seconds: how long each kind of figure is measured in a round, at most.
    """
    found = [_measure(case, port=port, token=token, clients=clients, seconds=seconds) for _ in range(rounds)]
    fastest = min(found, key=lambda figures: figures.p50)
    return replace(fastest, per_second=max(figures.per_second for figures in found))


def _measure(case: Case, *, port: int, token: str, clients: int, seconds: float) -> Figures:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    size, taken = 0, list[float]()
    for _ in range(5):
        _, size = _request(connection, case, token)
    until = time.perf_counter() + seconds
    while time.perf_counter() < until and len(taken) < 2_000:
        taken.append(_request(connection, case, token)[0] * 1000)
    connection.close()
    ordered = sorted(taken)
    per_second, tool = _throughput(case, port=port, token=token, clients=clients, seconds=seconds)
    return Figures(statistics.median(ordered), ordered[int(len(ordered) * 0.95) - 1], per_second, size, tool)


def _throughput(case: Case, *, port: int, token: str, clients: int, seconds: float) -> tuple[float, str]:
    if shutil.which("wrk"):
        return _wrk(case, port=port, token=token, clients=clients, seconds=seconds), "wrk"
    done = [0] * clients
    until = time.perf_counter() + seconds

    def work(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while time.perf_counter() < until:
            _request(connection, case, token)
            done[number] += 1
        connection.close()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(clients)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / (time.perf_counter() - started), "python"


def _wrk(case: Case, *, port: int, token: str, clients: int, seconds: float) -> float:
    method, body = ("POST", json.dumps(case.body)) if case.body is not None else ("GET", "")
    script = f"""
wrk.method = "{method}"
wrk.headers["Authorization"] = "Bearer {token}"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [=[{body}]=]
done = function(summary, latency, requests)
  io.write(string.format("RESULT %d %d %d\\n", summary.requests, summary.duration,
    summary.errors.status + summary.errors.read + summary.errors.timeout))
end
"""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.lua"
        path.write_text(script)
        command = [
            "wrk",
            "-t1",
            f"-c{clients}",
            f"-d{int(max(seconds, 1))}s",
            "--timeout",
            "30s",
            "-s",
            str(path),
        ]
        answer = subprocess.run(
            [*command, f"http://127.0.0.1:{port}{case.path}"],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
    line = next(line for line in answer.stdout.splitlines() if line.startswith("RESULT"))
    requests, microseconds, errors = map(int, line.split()[1:])
    if errors:
        raise BenchError(f"{case.name}: {errors} of {requests} requests failed at {clients} clients.")
    return requests / (microseconds / 1_000_000)
