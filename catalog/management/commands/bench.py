"""``manage.py bench``: measure an installation beside stock's figures (catalog, refresh), or let it fail (faults)."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
from django.core.management.base import BaseCommand, CommandError, CommandParser

from catalog.bench.cases import cases
from catalog.bench.faults.report import BROKERS, DATABASES, KILL, combinations, missing_for, run, table
from catalog.bench.faults.scenarios import OUTAGES
from catalog.bench.generate import kind_counts, write_tree
from catalog.bench.git_server import WorkingCopy, serving
from catalog.bench.installation import Installation, throw_away_installation
from catalog.bench.load import measure
from catalog.bench.refresh import Changes, Client, Hook, figures, steps
from catalog.bench.scale import measure_scale

STOCK = {"cold": 80.0, "idle": 12.0, "memory": 740.0}
VISIBLE = {"changed file": 1.0, "removed entity": 27.0}
#: Stock's figures are of this many entities; of larger installations only the targets of their size are measured.
LARGEST_COMPARED = 10_000
TARGETS = {"cold": 8.0, "again": 1.0, "idle": 1.0, "memory": 250.0}


class Command(BaseCommand):
    help = (
        "Measure a throw-away installation (catalog: ingest, sync, reads, idle CPU, memory; refresh: from a commit to "
        "the answer that shows it), or show that it loses nothing when processes, servers and disks fail (faults)."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("what", choices=["catalog", "refresh", "faults"])
        parser.add_argument("--json", action="store_true")
        faults = parser.add_argument_group("faults")
        faults.add_argument("--scenario", choices=[KILL, *OUTAGES], default=KILL)
        faults.add_argument("--kills", type=int, default=1_000, help="Shared out among the combinations.")
        faults.add_argument("--database", choices=[*DATABASES, "both"], default="both")
        faults.add_argument("--broker", choices=[*BROKERS, "both"], default="both")
        faults.add_argument("--seed", type=int, default=1, help="Of what changes and what is killed.")
        parser = parser.add_argument_group("catalog")  # type: ignore[assignment]  # takes arguments like a parser
        parser.add_argument("--entities", type=int, default=10_000)
        parser.add_argument("--clients", type=int, default=16)
        parser.add_argument("--seconds", type=float, default=2.0, help="Per case and kind of figure.")
        parser.add_argument("--rounds", type=int, default=5, help="Of each case; the best one counts.")
        parser.add_argument("--changes", type=int, default=30, help="refresh: changes of each kind.")
        parser.add_argument("--idle", type=float, default=20.0, help="Seconds to watch the idle processes.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["what"] == "faults":
            self._fail(options)
            return
        measure = self._measure_refresh if options["what"] == "refresh" else self._measure
        with throw_away_installation() as installation:
            rows = measure(installation, options)
        if options["json"]:
            self.stdout.write(json.dumps(rows))
        else:
            self._print(rows, options)
        missed = [row["name"] for row in rows if not row["ok"]]
        if missed:
            raise CommandError(f"Behind the target: {', '.join(missed)}.")

    def _fail(self, options: dict[str, Any]) -> None:
        """Run a scenario; exit status 1 when anything was lost, doubled or unclear."""
        scenario = options["scenario"]
        databases = DATABASES if options["database"] == "both" else (options["database"],)
        brokers = BROKERS if options["broker"] == "both" else (options["broker"],)
        pairs = combinations(scenario, databases, brokers)
        if not pairs:
            raise CommandError(f"{scenario} is not about {options['database']} with {options['broker']}.")
        for pair in pairs:
            if missing := missing_for(scenario, *pair):
                raise CommandError(f"{missing}. Choose with --database and --broker what is there.")
        outcomes = list(run(scenario, pairs, kills=options["kills"], seed=options["seed"], say=self._say))
        if options["json"]:
            self.stdout.write(json.dumps([one.as_json() for one in outcomes]))
        else:
            self.stdout.write("\n".join(table(outcomes)))
        if not all(one.ok for one in outcomes):
            raise CommandError("Something was lost, doubled or unclear.")

    def _say(self, text: str) -> None:
        self.stderr.write(f"  {text}")

    def _measure(self, installation: Installation, options: dict[str, Any]) -> list[dict[str, Any]]:
        entities = options["entities"]
        self._say(f"generating {entities} entities")
        write_tree(installation.folder / "company", entities)
        copy = WorkingCopy(installation.folder / "company")
        token = self._prepare(installation)
        cold = self._ingest(installation, str(copy.folder), entities)
        again = installation.manage_json("sync", "company", "--wait")
        rows = [
            _row("cold ingest", cold["seconds"], "s", _cold(entities), _compared(entities, "cold")),
            _row("sync, unchanged", again["seconds"], "s", TARGETS["again"], None),
        ]
        installation.start()
        self._say("idle")
        time.sleep(3)
        before, started = installation.cpu_seconds(), time.monotonic()
        time.sleep(options["idle"])
        idle = (installation.cpu_seconds() - before) / (time.monotonic() - started) * 100
        rows.append(_row("idle CPU, all processes", idle, "%", TARGETS["idle"], STOCK["idle"]))
        for sort in measure_scale(installation, token, self._say):
            row = _row(f"{sort['name']}, all different, p95", sort["p95"], "ms", sort["target"], None)
            rows.append({**row, "p50": round(sort["p50"], 2)})
        if entities > LARGEST_COMPARED:
            return [*rows, _memory(installation)]
        refs, component = _some(installation.port, token)
        for case in cases(refs, component):
            self._say(case.name)
            found = measure(
                case,
                port=installation.port,
                token=token,
                clients=options["clients"],
                seconds=options["seconds"],
                rounds=options["rounds"],
            )
            fast, many = case.times
            rows.append(
                _row(
                    f"{case.name}, one client",
                    found.p50,
                    "ms",
                    case.stock.milliseconds / fast,
                    case.stock.milliseconds,
                )
            )
            row = _row(
                f"{case.name}, {options['clients']} clients", found.per_second, "req/s", case.stock.per_second * many,
                case.stock.per_second, more=True,
            )  # fmt: skip
            rows.append({**row, "tool": found.tool, "bytes": found.bytes, "p95": round(found.p95, 2)})
        return [*rows, _memory(installation)]

    def _prepare(self, installation: Installation) -> str:
        """Migrated, with a user; returns a token of theirs."""
        installation.manage("migrate", "-v", "0")
        installation.manage("collectstatic", "--no-input", "-v", "0")
        installation.manage("user", "create", "bench", "--staff")
        return str(installation.manage_json("token", "create", "--user", "bench", "--name", "bench")["token"])

    def _ingest(self, installation: Installation, repository: str, entities: int) -> dict[str, Any]:
        self._say("cold ingest")
        allowed = [word for kind in (*kind_counts(entities), "Location") for word in ("--allow", kind)]
        add = ["source", "add", repository, "--type", "git", "--name", "company", "--wait", *allowed]
        cold = installation.manage_json(*add, "--pattern", "**/catalog-info.yaml")
        if cold["entities"] != entities + 1 or cold["problems"]:
            raise CommandError(
                f"{cold['entities']} entities with {cold['problems']} problems came of {entities}."
            )
        return cold

    def _measure_refresh(self, installation: Installation, options: dict[str, Any]) -> list[dict[str, Any]]:
        entities = options["entities"]
        visible = 0.5 if entities <= 10_000 else 5.0  # of larger ones only a sync has a target
        self._say(f"generating {entities} entities")
        root = installation.folder / "served"
        write_tree(root / "company", entities)
        copy = WorkingCopy(root / "company")
        token = self._prepare(installation)
        with serving(root) as host:
            base = ["--host", host, "--base-url", f"http://{host}", "--allow-private"]
            installation.manage("connection", "add", "bench", *base)
            cold = self._ingest(installation, f"http://{host}/company/.git", entities)
            installation.start()
            client = Client(installation.port, token)
            changes = Changes(copy, client)
            rows = [
                _row(
                    "cold ingest",
                    cold["seconds"],
                    "s",
                    _cold(entities),
                    None,
                )
            ]
            hook = Hook(client, f"http://{host}/company/.git")
            for name, change, told, tell in (
                ("changed file", changes.change_one, "refresh", client.refresh),
                ("removed entity", changes.remove_one, "refresh", client.refresh),
                ("changed file", changes.change_one, "webhook", hook.push),
                ("removed entity", changes.remove_one, "webhook", hook.push),
            ):
                self._say(f"{name}, told by {told}, {options['changes']} times")
                changes.tell = tell
                change()  # the first one also starts what processes keep
                found = figures([change() for _ in range(options["changes"])])
                stock = VISIBLE[name] if told == "refresh" else None
                for key in ("p50", "p95"):
                    row = _row(f"{name}, visible after {told}, {key}", found[key], "s", visible, stock)
                    rows.append({**row, "max": round(found["max"], 3)})
                rows[-1]["steps"] = steps(installation, options["changes"])
                self._say(f"slowest {found['max']:.2f} s; steps in ms: {rows[-1]['steps']}")
            for name, many, target in (
                ("sync of 1 % changed, whole files", changes.change_share, 5.0),
                # The files have a hundred entities each: git brings and we read nearly all of the catalog again,
                ("sync of 1 % changed, one in each file", changes.change_scattered, 5.0),
                # and here nearly every entity stands at another line afterwards, too.
                ("the same, all below them moved", changes.shift_scattered, None),
            ):
                self._say(name)
                wanted = many(0.01)
                sync: dict[str, Any] = installation.manage_json("sync", "company", "--wait")
                if sync["changed"] < wanted:
                    raise CommandError(f"{sync['changed']} of {wanted} changes arrived.")
                row = _row(f"{name} ({sync['changed']} entities)", sync["seconds"], "s", target, None)
                rows.append({**row, "steps": sync.get("steps")})
                self._say(f"steps in ms: {sync.get('steps')}")
        return rows

    def _print(self, rows: list[dict[str, Any]], options: dict[str, Any]) -> None:
        self.stdout.write(f"{options['entities']} entities; reads: the best of {options['rounds']} rounds")
        self.stdout.write(f"{'':42} {'Callboard':>12} {'stock':>10} {'target':>12}")
        for row in rows:
            stock = f"{row['stock']:g}" if row["stock"] is not None else ""
            sign = ">=" if row["more"] else "<="
            mark = "" if row["ok"] else "  behind"
            value = f"{row['value']:g} {row['unit']}"
            target = f"{sign} {row['target']:g}" if row["target"] is not None else ""
            self.stdout.write(f"{row['name']:42} {value:>12} {stock:>10} {target:>12}{mark}")


def _cold(entities: int) -> float:
    """Seconds that a first reading may take."""
    return TARGETS["cold"] if entities <= LARGEST_COMPARED else 100.0


def _compared(entities: int, name: str) -> float | None:
    """Stock's figure, which is of an installation of that size."""
    return STOCK[name] if entities <= LARGEST_COMPARED else None


def _memory(installation: Installation) -> dict[str, Any]:
    value = installation.largest_web_process()
    return _row("largest web process", value, "MB", TARGETS["memory"], STOCK["memory"])


def _row(
    name: str, value: Any, unit: str, target: float | None, stock: float | None, *, more: bool = False
) -> dict[str, Any]:
    """One line of the table; without a target it says what is."""
    value = round(float(value), 2)
    ok = target is None or (value >= target if more else value <= target)
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "target": None if target is None else round(target, 2),
        "stock": stock,
        "more": more,
        "ok": ok,
    }


def _some(port: int, token: str) -> tuple[list[str], str]:
    """100 references and the name of a component, from the catalog itself."""
    url = f"http://127.0.0.1:{port}/api/catalog/entities/by-query?limit=100&filter=kind=component,metadata.namespace=default"
    answer = httpx.get(
        url + "&fields=kind,metadata", headers={"Authorization": f"Bearer {token}"}, timeout=60
    )
    answer.raise_for_status()
    found = [e["metadata"] for e in answer.json()["items"]]
    return [f"component:default/{m['name']}".lower() for m in found], str(found[0]["name"])
