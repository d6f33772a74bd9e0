"""The metrics of GET /metrics, as families of prometheus_client: requests, tokens, records by state, the machine."""

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from outcrop.api.door.health import Health
from outcrop.house import House
from outcrop.metrics.traffic import BOUNDS_S

TYPE = CONTENT_TYPE_LATEST
_ENGINE = "engine"
_JOB = "-job"
"How the kinds of all jobs end."


def text_of(house: House, health: Health) -> bytes:
    house.traffic.pass_on(house.points)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(house, health))
    return generate_latest(registry)


class _Families(Collector):
    def __init__(self, house: House, health: Health) -> None:
        self._house = house
        self._health = health

    def collect(self) -> Iterable[Metric]:
        yield from _requests(self._house)
        yield from _records(self._house)
        yield from _processes(self._health())
        yield from _storage(self._house)


def _requests(house: House) -> Iterator[Metric]:
    traffic = house.traffic
    told = "Requests that were answered."
    requests = CounterMetricFamily("outcrop_requests", told, labels=("service", "operation", "status"))
    for ended, number in sorted(traffic.requests.items()):
        requests.add_metric((ended.service, ended.operation, str(ended.status)), number)
    yield requests
    told = "Seconds from a request's arrival to the end of its answer."
    seconds = HistogramMetricFamily("outcrop_request_seconds", told, labels=("service", "operation"))
    names = [*map(str, BOUNDS_S), "+Inf"]
    for labels, histogram in sorted(traffic.latencies.items()):
        buckets = list(zip(names, accumulate(histogram.counts), strict=True))
        seconds.add_metric(labels, buckets, histogram.seconds)
    yield seconds
    told = "Tokens of invocations, by model; `input` or `output`."
    tokens = CounterMetricFamily("outcrop_tokens", told, labels=("model", "direction"))
    for labels, number in sorted(traffic.tokens.items()):
        tokens.add_metric(labels, number)
    yield tokens


def _records(house: House) -> Iterator[Metric]:
    jobs = GaugeMetricFamily("outcrop_jobs", "Jobs on record.", labels=("kind", "state"))
    engines = GaugeMetricFamily("outcrop_engines", "Engines that were ordered.", labels=("state",))
    others = GaugeMetricFamily("outcrop_resources", "Everything else on record.", labels=("kind", "state"))
    for (kind, state), number in sorted(house.store.resources.counts().items()):
        if kind == _ENGINE:
            engines.add_metric((state,), number)
        else:
            (jobs if kind.endswith(_JOB) else others).add_metric((kind, state), number)
    yield from (jobs, engines, others)
    told = "Tokens a minute of one model unit, by the network that was measured."
    units = GaugeMetricFamily("outcrop_model_unit_tokens_per_minute", told, labels=("network",))
    for rate in house.units.all():
        units.add_metric((rate.network,), round(rate.tokens_per_minute / house.units.num_units, 1))
    yield units


def _processes(told: Mapping[str, Any]) -> Iterator[Metric]:
    """The server, its loops, and the parts that the supervisor keeps alive, with the memory of each."""
    loops = GaugeMetricFamily("outcrop_loop_ok", "Whether a loop of the server comes round.", labels=("loop",))
    for name, loop in told.get("loops", {}).items():
        loops.add_metric((name,), loop["ok"])
    yield loops
    parts = GaugeMetricFamily("outcrop_part_ready", "Whether a process answers.", labels=("part",))
    restarts = CounterMetricFamily("outcrop_part_restarts", "How often a process was started anew.", labels=("part",))
    memory = GaugeMetricFamily("outcrop_part_resident_bytes", "Memory of a process; Linux only.", labels=("part",))
    pids = {"server": os.getpid()}
    for name, part in told.get("parts", {}).items():
        parts.add_metric((name,), part["ready"])
        restarts.add_metric((name,), part["restarts"])
        if part["alive"] and part["pid"]:
            pids[name] = part["pid"]
    for name, pid in pids.items():
        size = _resident_bytes(pid)
        if size is not None:
            memory.add_metric((name,), size)
    yield from (parts, restarts, memory)


def _storage(house: House) -> Iterator[Metric]:
    disk = shutil.disk_usage(house.settings.home)
    yield GaugeMetricFamily("outcrop_disk_free_bytes", "Room on the disk of the home.", value=disk.free)
    yield GaugeMetricFamily("outcrop_disk_bytes", "Size of that disk.", value=disk.total)
    if house.store.is_local:
        size = sum(_size(Path(f"{house.store.engine.url.database}{end}")) for end in ("", "-wal"))
        yield GaugeMetricFamily("outcrop_database_bytes", "Size of the database.", value=size)
    waiting = GaugeMetricFamily("outcrop_waiting_to_be_written", "Collected in memory.", labels=("record",))
    lost = CounterMetricFamily("outcrop_left_out", "Beyond the bounds of what is collected.", labels=("record",))
    kept = (("points", house.points), ("audit", house.audit), ("invocation log", house.invocation_logs))
    for name, record in kept:
        waiting.add_metric((name,), record.waiting)
        lost.add_metric((name,), record.left_out)
    yield from (waiting, lost)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def _resident_bytes(pid: int) -> int | None:
    """None for a process that has ended, and on systems without /proc."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")
