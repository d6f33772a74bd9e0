"""Remote models as `outcrop doctor` tells of them: which there are, where they are, and when they were asked last."""

from collections.abc import Iterable
from typing import Any

from outcrop.catalog.catalog import Catalog
from outcrop.engines.orders import Order
from outcrop.engines.states import EngineKind
from outcrop.settings import Settings


def examine(settings: Settings, orders: Iterable[Order]) -> list[dict[str, Any]]:
    """Every remote model of the catalogue. Nothing is sent to see whether it is there."""
    used = {order.name: order.last_used for order in orders if not order.is_here}
    found = []
    for entry in Catalog(settings.home).invocable():
        if entry.remote is not None:
            last = used.get(entry.id)
            found.append(
                {
                    "name": entry.id,
                    "api": entry.remote.api.value,
                    "host": entry.remote.host,
                    "model": entry.remote.model,
                    "lastUsed": last.isoformat() if last is not None else None,
                }
            )
    return found


def with_kind(engine: dict[str, Any]) -> str:
    """The name of an engine, and its kind where that is not the usual one."""
    kind = engine["kind"]
    return engine["name"] if kind == EngineKind.EMBEDDED else f"{engine['name']} ({kind})"
