"""Keeps the processes of endpoints: asked for again after a start, told from, and cleared up when nobody needs them.

`turn` now and then, in a thread. Everything it knows is on record; a server that is started anew goes on.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from outcrop.errors import Refusal
from outcrop.isolation import leftovers
from outcrop.loops import contained, each
from outcrop.sagemaker.hosting import hosted
from outcrop.sagemaker.hosting.async_kind import KIND as ASYNC
from outcrop.sagemaker.hosting.capture import DataCapture
from outcrop.sagemaker.hosting.change_kind import KIND as CHANGE
from outcrop.sagemaker.hosting.copy_logs import GROUP, TRANSFORMS, CopyLogs
from outcrop.sagemaker.hosting.endpoint_metrics import EndpointMetrics
from outcrop.sagemaker.hosting.endpoints import EndpointRecord
from outcrop.sagemaker.hosting.fleets import Fleets, copy_folder
from outcrop.sagemaker.hosting.plans import FleetPlan
from outcrop.sagemaker.hosting.rooms import HostingRooms
from outcrop.sagemaker.hosting.routing import Router
from outcrop.sagemaker.hosting.states import EndpointStatus
from outcrop.sagemaker.hosting.transform_kind import KIND as TRANSFORM
from outcrop.store.damage import Damaged, understood
from outcrop.store.resources import Resource

_LOOK_EVERY = timedelta(seconds=5)
_MEASURE_EVERY = timedelta(seconds=10)
"So often the requests under way are counted, as SageMaker's high-resolution metrics are."
_UNNEEDED_FOR = timedelta(seconds=60)
"So long a copy's folder stays after its record is gone: its process may still end, and its log be told."
_COPIES = "endpoint-"
_MOST_FORGOTTEN = 100
_log = logging.getLogger("outcrop.server")


class _LogPlace(NamedTuple):
    """The log of a copy."""

    group: str
    stream: str
    "What stands before the copy's own name."
    region: str


class EndpointKeeper:
    """The keeper of a server's endpoints."""

    def __init__(self, house: HostingRooms, router: Router, capture: DataCapture) -> None:
        self._house = house
        self._router = router
        self._capture = capture
        self._fleets = Fleets(house)
        self._logs = CopyLogs(house.log_groups, house.clock)
        self._metrics = EndpointMetrics(house.points, house.clock)
        self._watch = house.endpoints.watch()
        self._records: list[EndpointRecord] = []
        self._transforms: list[tuple[Resource, FleetPlan]] = []
        self._unneeded: dict[Path, datetime] = {}
        self._looked = self._measured = house.clock.now() - _MEASURE_EVERY
        self._retried: dict[str, datetime] = {}

    def turn(self) -> None:
        """Tell logs, and look after processes where something has changed, or for a while nobody has looked."""
        now = self._house.clock.now()
        with self._watch.news() as moved:
            if moved or now - self._looked >= _LOOK_EVERY:
                self._looked = now
                self._records = list(self._house.endpoints.all())
                self._transforms = _transforms(self._house)
                each(self._records, self._keep, log=_log, name=lambda record: record.row.arn)
                self._clear_up(now)
        for name, place in self._copies().items():
            folder = copy_folder(self._house.settings, name)
            self._logs.tell(folder, group=place.group, stream=place.stream, region=place.region)
        if now - self._measured >= _MEASURE_EVERY:
            self._measured = now
            self._measure()
            self._capture.flush()

    def _keep(self, record: EndpointRecord) -> None:
        """Ask for everything that an endpoint serves with; after a start nothing of it is there."""
        for fleet in record.serving.fleets if record.serving is not None else ():
            with suppress(Refusal, Damaged):  # whoever invokes it is told
                for order in self._fleets.order(fleet, region=record.row.region):
                    if order.failure is not None and self._may_retry(order.name):
                        self._house.engines.retry(order.name)

    def _may_retry(self, name: str) -> bool:
        """Whether a process that was given up is tried again, as SageMaker tries again: once a minute."""
        now = self._house.clock.now()
        if now - self._retried.get(name, now - _UNNEEDED_FOR) < _UNNEEDED_FOR:
            return False
        self._retried[name] = now
        return True

    def _copies(self) -> dict[str, _LogPlace]:
        """Every copy that serves, or is to serve, by its name."""
        found = {}
        for record in self._records:
            for plan in record.plans:
                for variant in plan.variants:
                    for name in variant.fleet.copies if variant.fleet is not None else ():
                        group = f"{GROUP}/{record.endpoint_name}"
                        found[name] = _LogPlace(group, variant.name, record.row.region)
        for job, fleet in self._transforms:
            found |= {name: _LogPlace(TRANSFORMS, str(job.name), job.region) for name in fleet.copies}
        return found

    def _measure(self) -> None:
        for record in self._records:
            if record.status is EndpointStatus.IN_SERVICE and record.serving is not None:
                for variant in record.serving.variants:
                    if variant.fleet is not None:
                        running = self._router.running_of(variant.fleet.id) / max(1, variant.fleet.num_copies)
                        self._metrics.running(record, variant, running)

    def _clear_up(self, now: datetime) -> None:
        copies = self._copies()
        for order in self._house.engines.orders():
            if order.name.startswith(_COPIES) and order.name not in copies:
                self._fleets.clear(order.name)
        kept = _keys(self._records, self._transforms)
        unneeded = [folder for folder in self._fleets.folders() if folder.name not in copies]
        unneeded += [folder for folder in self._models() if folder.name.removeprefix(hosted.PREFIX)[:16] not in kept]
        self._unneeded = {folder: self._unneeded.get(folder, now) for folder in unneeded}
        for folder, since in self._unneeded.items():
            if now - since >= _UNNEEDED_FOR:
                with contained(_log, f"clearing up {folder.name}"):
                    self._remove(folder)
        for kind in (CHANGE, ASYNC):
            for job in self._house.store.resources.in_states(kind.name, kind.lifecycle.ended, most=_MOST_FORGOTTEN):
                self._house.jobs.forget(job.arn)

    def _models(self) -> Iterator[Path]:
        return self._house.settings.models.glob(f"{hosted.PREFIX}*")

    def _remove(self, folder: Path) -> None:
        if folder.parent == self._house.settings.runs:
            self._logs.forget(folder)
            self._fleets.remove(folder)
            return
        key = folder.name.removeprefix(hosted.PREFIX)[:16]
        gone = folder.with_name(f".gone-{folder.name}")
        with self._house.store.transaction():  # nobody makes an endpoint of this model at this moment
            if key in _keys(self._house.endpoints.all(), _transforms(self._house)):
                return
            folder.rename(gone)
        self._house.engines.forget(f"{hosted.PREFIX}{key}")
        leftovers.remove(gone)


def _transforms(house: HostingRooms) -> list[tuple[Resource, FleetPlan]]:
    """The transform jobs that run, each with its fleet."""
    found = []
    for job in house.jobs.running(TRANSFORM):
        with suppress(Damaged), understood(job.arn):
            found.append((job, FleetPlan.from_document(job.document["fleet"])))
    return found


def _keys(records: Iterable[EndpointRecord], transforms: Iterable[tuple[Resource, FleetPlan]]) -> set[str]:
    """The keys of the models that somebody serves with, or is to."""
    served = {fleet.model_key for record in records for fleet in record.fleets}
    return served | {fleet.model_key for _, fleet in transforms}


def kept_engines(house: HostingRooms) -> set[str]:
    """Names of the engines that endpoints serve with: their memory is bought."""
    fleets, found = Fleets(house), set[str]()
    for record in house.endpoints.all():
        for fleet in record.serving.fleets if record.serving is not None else ():
            with suppress(Refusal, Damaged):
                if (name := fleets.engine_of(fleet)) is not None:
                    found.add(name)
    return found
