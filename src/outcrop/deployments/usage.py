"""Deployments in use: which have weights in memory, which are idle and since when, and model units.

Engines are asked at their sockets, so that what it tells is so now. A deployment that holds nothing was last used when
the points over time say so.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Protocol

from outcrop.catalog.catalog import Catalog
from outcrop.catalog.custom_models import CustomModels
from outcrop.clock import Clock
from outcrop.deployments.model_units import ModelUnits, units_of
from outcrop.deployments.networks import network_of
from outcrop.deployments.precision import precision_of
from outcrop.deployments.records import model_arns
from outcrop.deployments.states import FAILED, ON_DEMAND, THROUGHPUT
from outcrop.engines.launchers import load_of
from outcrop.engines.orders import Order
from outcrop.engines.reservations import Reservation
from outcrop.engines.sharing import MemorySharing, held_by
from outcrop.engines.states import RUNNING, EngineKind, EngineState
from outcrop.errors import OutcropError, Refusal
from outcrop.machine.nodes import ClusterJob, ClusterStatus
from outcrop.metrics.points import Points
from outcrop.metrics.traffic import BEDROCK
from outcrop.settings import Settings
from outcrop.store.damage import Damaged, understood
from outcrop.store.resources import Resource
from outcrop.store.store import Store

_TELLS_ADAPTERS = (EngineKind.EMBEDDED,)
"vLLM does not tell when an adapter was last used: its adapters count as being where their engine is."
_MOST = 50
"Deployments that are looked at; there may be thousands."


class DeploymentRooms(Protocol):
    """The rooms in which deployments, their networks and their use are on record."""

    @property
    def settings(self) -> Settings: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def store(self) -> Store: ...
    @property
    def catalog(self) -> Catalog: ...
    @property
    def models(self) -> CustomModels: ...
    @property
    def units(self) -> ModelUnits: ...
    @property
    def points(self) -> Points: ...


class MemoryRooms(Protocol):
    """The rooms that know who holds memory."""

    @property
    def settings(self) -> Settings: ...
    @property
    def sharing(self) -> MemorySharing: ...


def examine(rooms: DeploymentRooms, orders: Mapping[str, Order]) -> list[dict[str, Any]]:
    """The deployments, each with what it holds; `orders` are the engines that run, by name."""
    found = [row for kind in (ON_DEMAND, THROUGHPUT) for row in sorted(rooms.store.resources.all(kind), key=_name)]
    rows = found[:_MOST]
    asked = [order for order in orders.values() if order.state is EngineState.READY and order.kind in _TELLS_ADAPTERS]
    loads = {order.name: load_of(order) for order in asked}
    adapters = {name: {} if load is None else dict(load.adapters) for name, load in loads.items()}
    return [_told(rooms, row, orders, adapters) for row in rows]


def rates(rooms: DeploymentRooms) -> list[dict[str, Any]]:
    """The model units of the networks that were measured."""
    return [
        {
            "network": rate.network,
            "tokensPerMinute": round(rate.tokens_per_minute),
            "tokensPerMinuteOfOneUnit": round(rate.tokens_per_minute / rooms.units.num_units),
            "measured": rate.measured.isoformat(),
        }
        for rate in rooms.units.all()
    ]


def _name(row: Resource) -> tuple[str, str]:
    return row.name or "", row.arn


def _told(
    rooms: DeploymentRooms, row: Resource, orders: Mapping[str, Order], adapters: Mapping[str, Mapping[str, float]]
) -> dict[str, Any]:
    in_memory, used = False, None
    if row.status != FAILED:
        with suppress(Refusal, Damaged):  # of its record or its files; whoever asks it is told
            in_memory, used = _in_memory(rooms, row, orders, adapters)
    last_used = used or _last_invoked(rooms, row)
    return {
        "name": row.name,
        "arn": row.arn,
        "created": row.created.isoformat(),
        "kind": "on demand" if row.kind == ON_DEMAND else "provisioned",
        "status": row.status,
        "modelUnits": units_of(row) if row.kind == THROUGHPUT else None,
        "weights": _weights(row),
        "base": _base(rooms, row),
        "inMemory": in_memory,
        "lastUsed": None if last_used is None else last_used.isoformat(),
    }


def _base(rooms: DeploymentRooms, row: Resource) -> str | None:
    """The id of the catalogue entry below a deployment; None where its record, or its model's, does not say so."""
    with suppress(Refusal, Damaged):
        model_arn, _ = model_arns(row)
        custom = rooms.models.look(row.region, model_arn)
        if custom is None:
            return rooms.catalog.usable(model_arn).id
        with understood(custom.arn):
            return str(custom.document["baseId"])
    return None


def _weights(row: Resource) -> str | None:
    """The numbers in which its weights are kept; None where its record does not say so."""
    with suppress(Damaged):
        return precision_of(row).value
    return None


def _in_memory(
    rooms: DeploymentRooms, row: Resource, orders: Mapping[str, Order], adapters: Mapping[str, Mapping[str, float]]
) -> tuple[bool, datetime | None]:
    """Whether the weights of the model that a deployment serves are in memory, and when they were last used."""
    model_arn, _ = model_arns(row)
    base = network_of(rooms.catalog, rooms.models, row.region, model_arn, precision_of(row))
    custom = rooms.models.look(row.region, model_arn)
    order = orders.get(base.engine)
    if order is None or order.state is not EngineState.READY:
        return False, None
    if custom is None or rooms.models.adapter(custom.arn) is None or order.kind not in _TELLS_ADAPTERS:
        return True, order.last_used
    idle_s = adapters.get(order.name, {}).get(custom.arn)
    return idle_s is not None, None if idle_s is None else rooms.clock.now() - timedelta(seconds=idle_s)


def _last_invoked(rooms: DeploymentRooms, row: Resource) -> datetime | None:
    """The last minute in which a deployment answered, as far back as points are kept."""
    now = rooms.clock.now()
    try:
        found = rooms.points.statistics(
            ["SampleCount"],
            namespace=BEDROCK,
            metric="Invocations",
            dimensions={"ModelId": row.arn},
            since=now - rooms.settings.points_kept.age,
            until=now + timedelta(minutes=1),
            period_s=_period(rooms.settings),
        )
    except OutcropError:
        return None
    return found[-1].at if found else None


def _period(settings: Settings) -> int:
    """A period of which not too many are in the time that points are kept."""
    return 60 if settings.points_kept.days <= 60 else 3600


def engine_told(order: Order) -> dict[str, Any]:
    """The state of an engine on record, as JSON."""
    return {
        "name": order.name,
        "kind": order.kind.value,
        "state": order.state.value,
        "heldBytes": held_by(order) if order.state in RUNNING else 0,
        "estimatedBytes": order.estimated_bytes,
        "lastUsed": order.last_used.isoformat() if order.last_used is not None else None,
        "waits": order.waits if order.state is EngineState.ORDERED else None,
        "failure": order.failure,
    }


def trainings(rooms: MemoryRooms) -> list[dict[str, Any]]:
    """The trainings of this machine with what they hold; and those of a cluster, elsewhere or waiting."""
    here = [training_told(one) for one in rooms.sharing.reservations.all()]
    cluster = ClusterStatus.read(rooms.settings.home)
    known = {each["arn"] for each in here}
    others = [] if cluster is None else [job for job in cluster.jobs if job.arn not in known]
    return [*here, *map(_elsewhere, others)]


def _elsewhere(job: ClusterJob) -> dict[str, Any]:
    """A training of a cluster. None of this machine's memory is held for it."""
    name = job.name if job.node is None else f"{job.name} ({job.node})"
    return {"name": name, "arn": job.arn, "heldBytes": 0, "wantedBytes": 0, "pid": None, "waits": job.waits}


def training_told(one: Reservation) -> dict[str, Any]:
    """The memory of a training, as JSON."""
    return {
        "name": one.title.removeprefix("the training "),
        "arn": one.owner,
        "heldBytes": one.held_bytes,
        "wantedBytes": one.wanted_bytes,
        "pid": one.pid,
        "waits": one.waits if one.missing_bytes else None,
    }
