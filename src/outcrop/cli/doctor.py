"""`outcrop doctor`: the machine, its memory and who holds it, who waits for what, and what is wrong.

It mends nothing. It reads the records and what the supervisor wrote down, so that it tells something too where the
server does not answer.
"""

import json
import os
import platform
import shutil
import textwrap
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Any, NamedTuple

from outcrop.cli import doctor_cluster, doctor_deployments, doctor_remote, tables
from outcrop.cli.listening import opener_of
from outcrop.cli.options import as_running
from outcrop.cli.supervisor import LEAST_DISK_BYTES
from outcrop.clock import Clock
from outcrop.deployments import usage
from outcrop.engines.budget import budget_of, gib
from outcrop.engines.orders import Order
from outcrop.engines.reservations import Reservation
from outcrop.house import House
from outcrop.isolation import found as found_ways
from outcrop.machine import memory
from outcrop.machine.compiling import COMPILERS
from outcrop.machine.nodes import ClusterStatus
from outcrop.settings import PARTS_FILE, Settings

_ENDED_OFTEN = 3
_WIDTH = 80


@dataclass(frozen=True, kw_only=True)
class Findings:
    """The findings of `outcrop doctor`. `told` is the same for programs."""

    machine: dict[str, Any]
    home: str
    endpoint: str | None
    "Where Outcrop runs; None: it does not, on this home."
    budget_bytes: int
    held_bytes: int
    engines: list[dict[str, Any]]
    remote_models: list[dict[str, Any]]
    trainings: list[dict[str, Any]]
    deployments: list[dict[str, Any]]
    model_units: list[dict[str, Any]]
    cluster: ClusterStatus | None
    "None: everything runs on this machine."
    wrong: list[str]

    def told(self) -> dict[str, Any]:
        return {
            "machine": self.machine,
            "home": self.home,
            "endpoint": self.endpoint,
            "memory": {"budgetBytes": self.budget_bytes, "heldBytes": self.held_bytes},
            "engines": self.engines,
            "remoteModels": self.remote_models,
            "trainings": self.trainings,
            "deployments": self.deployments,
            "modelUnits": self.model_units,
            "cluster": doctor_cluster.told(self.cluster),
            "wrong": self.wrong,
        }


def print_findings(settings: Settings, clock: Clock, *, as_json: bool) -> int:
    """0, or 1 where something is wrong."""
    findings = examine(settings, clock)
    if as_json:
        print(json.dumps(findings.told(), indent=2, ensure_ascii=False))
    else:
        _print(findings, clock.now())
    return 1 if findings.wrong else 0


def examine(settings: Settings, clock: Clock) -> Findings:
    """Look at everything once."""
    parts = _parts(settings)
    running = as_running(settings) if parts is not None else None
    records = _records(settings, clock, runs=parts is not None)
    budget_bytes = int(parts["memoryBytes"]) if parts is not None else budget_of(settings)
    engines = [usage.engine_told(order) for order in records.orders if order.is_here]
    trainings = [usage.training_told(one) for one in records.reservations]
    held_bytes = sum(each["heldBytes"] for each in [*engines, *trainings])
    machine = _machine(settings)
    cluster = ClusterStatus.read(settings.home) if parts is not None else None
    return Findings(
        machine=machine,
        home=str(settings.home),
        endpoint=running.endpoint if running is not None else None,
        budget_bytes=budget_bytes,
        held_bytes=held_bytes,
        engines=engines,
        remote_models=doctor_remote.examine(settings, records.orders),
        trainings=trainings,
        deployments=records.deployments,
        model_units=records.model_units,
        cluster=cluster,
        wrong=[
            *_wrong_with_machine(machine, budget_bytes - held_bytes),
            *(_wrong_with_parts(running, parts) if running is not None and parts is not None else ()),
            *(each["failure"] for each in engines if each["failure"] is not None),
            *doctor_cluster.wrong(cluster),
        ],
    )


def _machine(settings: Settings) -> dict[str, Any]:
    place = next(folder for folder in (settings.home, *settings.home.parents) if folder.exists())
    return {
        "system": f"{platform.system()} {platform.release()} on {platform.machine()}",
        "processors": os.cpu_count(),
        "memoryBytes": memory.total(),
        "availableBytes": memory.available(),
        "diskFreeBytes": shutil.disk_usage(place).free,
        "sandbox": found_ways.told()[-1],
        "compiler": next((name for name in COMPILERS if shutil.which(name)), None),
        "python": platform.python_version(),
        "torch": version("torch"),
        "outcrop": version("outcrop"),
    }


def _parts(settings: Settings) -> dict[str, Any] | None:
    """The state of the parts, as the supervisor wrote it down; None where no supervisor runs."""
    file = settings.home / PARTS_FILE
    if not file.is_file():
        return None
    as_running(settings)  # raises for what is no such file
    told: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return told


class _Records(NamedTuple):
    """The records of a home, as far as they are told."""

    orders: list[Order]
    reservations: list[Reservation]
    deployments: list[dict[str, Any]]
    model_units: list[dict[str, Any]]


def _records(settings: Settings, clock: Clock, *, runs: bool) -> _Records:
    """The records, or nothing of a home that has none. `runs`: whether engines on record may run."""
    if not (settings.home / "outcrop.db").exists() and not settings.database_url:
        return _Records([], [], [], [])
    house = House(settings, clock)
    try:
        orders = house.engines.orders() if runs else []  # of an installation that was ended none of them runs
        return _Records(
            orders,
            house.sharing.reservations.all(),
            usage.examine(house, {order.name: order for order in orders}),
            usage.rates(house),
        )
    finally:
        house.close()


def _wrong_with_machine(machine: dict[str, Any], room: int) -> Iterator[str]:
    if machine["diskFreeBytes"] < LEAST_DISK_BYTES:
        yield f"Only {gib(machine['diskFreeBytes'])} of disk are free. Free some, or choose another home with --home."
    if machine["availableBytes"] < room // 2:  # some of it: programs come and go
        yield (
            f"Engines and trainings may take {gib(room)} more, and this machine has {gib(machine['availableBytes'])} "
            "free: other programs hold the rest. End some, or set OUTCROP_MEMORY_LIMIT lower."
        )


def _wrong_with_parts(running: Settings, parts: dict[str, Any]) -> Iterator[str]:
    status = _status(running)
    if status is None:
        yield f"The server does not answer at {running.endpoint}. Its log is {running.logs / 'server.log'}."
    elif status != "ok":
        yield f"The server says that not all is well. Its log is {running.logs / 'server.log'}."
    for name, part in parts["parts"].items():
        if part["restarts"] >= _ENDED_OFTEN and name == "server":
            yield f"The server has ended {part['restarts']} times. Its log is {running.logs / 'server.log'}."


def _status(running: Settings) -> str | None:
    """The status that GET /health tells everybody; None where nobody answers."""
    opener = opener_of(running)
    try:
        with opener.open(f"{running.endpoint}/health", timeout=2) as answer:
            return str(json.load(answer)["status"])
    except urllib.error.HTTPError as refused:
        return f"status {refused.code}"
    except (OSError, ValueError, KeyError):
        return None


def _print(findings: Findings, now: datetime) -> None:
    for label, value in _facts(findings):
        _wrapped(value, first=f"{label:9}  ", then=" " * 11)
    if findings.engines:
        print()
        rows = [
            [doctor_remote.with_kind(each), each["state"], _amount(each["heldBytes"]), _ago(each["lastUsed"], now)]
            for each in findings.engines
        ]
        tables.print_rows(["engine", "state", "memory", "last used"], rows, as_json=False)
    _print_deployments(findings, now)
    if findings.remote_models:
        print()
        rows = [[each["name"], each["host"], _ago(each["lastUsed"], now)] for each in findings.remote_models]
        tables.print_rows(["remote model", "where its data goes", "last used"], rows, as_json=False)
    if findings.trainings:
        print()
        rows = [
            [each["name"], "waits" if each["waits"] else "runs", _amount(each["heldBytes"])]
            for each in findings.trainings
        ]
        tables.print_rows(["training", "state", "memory"], rows, as_json=False)
    if findings.cluster is not None:
        doctor_cluster.print_cluster(findings.cluster)
    waits = [each["waits"] for each in [*findings.engines, *findings.trainings] if each["waits"]]
    for sentence in [*waits, *(doctor_cluster.waiting(findings.cluster) if findings.cluster is not None else ())]:
        print()
        _wrapped(sentence)
    print()
    for sentence in findings.wrong:
        _wrapped(sentence, first="wrong: ", then="       ")
    if not findings.wrong:
        print("Nothing is wrong.")


def _print_deployments(findings: Findings, now: datetime) -> None:
    if findings.deployments:
        print()
        rows = [[*told, _ago(moment, now)] for *told, moment in doctor_deployments.table(findings.deployments)]
        tables.print_rows(["deployment", "kind", "status", "in memory", "last used"], rows, as_json=False)
    for sentence in doctor_deployments.sentences(findings.model_units):
        print()
        _wrapped(sentence)


def _facts(findings: Findings) -> Iterator[tuple[str, str]]:
    machine = findings.machine
    compiler = machine["compiler"] or "none: training goes without the C kernels, slower"
    yield "machine", f"{machine['system']}, {machine['processors']} processors, C compiler {compiler}"
    yield "memory", f"{gib(machine['memoryBytes'])}, {gib(machine['availableBytes'])} of it free"
    yield "disk", f"{gib(machine['diskFreeBytes'])} free for {findings.home}"
    yield "sandbox", machine["sandbox"]
    yield "programs", f"Outcrop {machine['outcrop']}, torch {machine['torch']}, Python {machine['python']}"
    where = f"at {findings.endpoint}" if findings.endpoint is not None else "nothing; `outcrop up` starts everything"
    yield "running", where
    yield "budget", f"{gib(findings.budget_bytes)} for engines and trainings, {gib(findings.held_bytes)} of it held"


def _wrapped(text: str, *, first: str = "", then: str = "") -> None:
    """A path or an address is never broken."""
    lines = textwrap.wrap(
        text,
        min(tables.width() or _WIDTH, 100),
        initial_indent=first,
        subsequent_indent=then,
        break_long_words=False,
        break_on_hyphens=False,
    )
    print("\n".join(lines))


def _amount(num_bytes: int) -> str:
    return gib(num_bytes) if num_bytes else "none"


def _ago(moment: str | None, now: datetime) -> str:
    if moment is None:
        return "never"
    seconds = (now - datetime.fromisoformat(moment)).total_seconds()
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit} ago"
    return f"{max(0, seconds):.0f} s ago"
