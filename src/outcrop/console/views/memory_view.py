"""Memory, use and prices of deployments as plain values, and what was perhaps forgotten."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from outcrop.console.views.amounts import age, duration

FORGOTTEN = timedelta(hours=1)
"So long nobody asked what stays in memory for as long as it lives: it is worth a warning before the night."
NIGHT_H = 12
_GIB = 2**30
_GONE = "Evicted"


class EngineRow(NamedTuple):
    """An engine, or a training, and what it holds."""

    name: str
    state: str
    held: str
    share: str
    "Percent of what engines and trainings may hold together, for a bar."
    last_used: str
    waits: str


class UsedDeployment(NamedTuple):
    """The use of a deployment until now."""

    in_memory: bool
    idle_since: str
    "Empty where nobody asked it yet."
    price: str
    requests: str
    latency: str


class ForgottenThing(NamedTuple):
    """A deployment or an endpoint that stays in memory, and that nobody has asked for a while."""

    name: str
    page: str
    idle: str
    "How long nobody asked."
    price: str
    night: str
    "The price of another night; empty without a price list."


class MemoryPage(NamedTuple):
    """Everything that is told of memory, use and prices."""

    figures: list[tuple[str, str]]
    engines: list[EngineRow]
    used: dict[str, UsedDeployment]
    "By ARN."
    forgotten: list[ForgottenThing]
    why_no_price: str


def memory_page(
    told: Mapping[str, Any],
    traffic: Mapping[str, tuple[float, float]],
    endpoints: Sequence[tuple[Mapping[str, Any], datetime | None]],
    now: datetime,
    language: str,
) -> MemoryPage:
    """The page of `GET /outcrop/memory`.

    `traffic` is, by ARN, requests and mean milliseconds of the last hour; `endpoints` are SageMaker's, each with the
    moment at which it was last asked.
    """
    budget = told["budgetBytes"] or 1
    prices = told["prices"]
    engines = [each for each in told["engines"] if each["state"] != _GONE]
    return MemoryPage(
        figures=[
            ("memory.held", f"{told['heldBytes'] / _GIB:.2f} GiB"),
            ("memory.budget", f"{told['budgetBytes'] / _GIB:.1f} GiB"),
        ],
        engines=[_engine(each, budget, now, language) for each in [*engines, *told["trainings"]]],
        used={each["arn"]: _used(each, traffic.get(each["arn"]), now, language) for each in told["deployments"]},
        forgotten=[
            *(found for each in told["deployments"] if (found := _forgotten_units(each, now, language))),
            *(found for each, asked in endpoints if (found := _forgotten_endpoint(each, asked, prices, now, language))),
        ],
        why_no_price=prices.get("whyNone", ""),
    )


def _engine(told: Mapping[str, Any], budget: int, now: datetime, language: str) -> EngineRow:
    held, used = told["heldBytes"], told.get("lastUsed")
    return EngineRow(
        name=told["name"],
        state=told.get("state") or ("waiting" if told.get("waits") else "training"),
        held=f"{held / _GIB:.2f} GiB" if held else "–",
        share=f"{min(100.0, 100 * held / budget):.0f}",
        last_used=age(datetime.fromisoformat(used), now, language) if used else "",
        waits=told.get("waits") or told.get("failure") or "",
    )


def _used(told: Mapping[str, Any], traffic: tuple[float, float] | None, now: datetime, language: str) -> UsedDeployment:
    requests, milliseconds = traffic or (0.0, 0.0)
    return UsedDeployment(
        in_memory=told["inMemory"],
        idle_since=age(datetime.fromisoformat(told["lastUsed"]), now, language) if told["lastUsed"] else "",
        price=_price(told["price"].get("amount"), told["price"].get("currency", "")),
        requests=f"{requests:,.0f}" if requests else "",
        latency=f"{milliseconds / 1000:.2f} s" if requests else "",
    )


def _price(amount: float | None, currency: str) -> str:
    return "" if amount is None else f"{amount:,.2f} {currency}".strip()


def _forgotten_units(told: Mapping[str, Any], now: datetime, language: str) -> ForgottenThing | None:
    """A provisioned throughput that nobody asks; on demand nothing is held, so nothing can be forgotten."""
    if told["modelUnits"] is None or told["status"] != "InService":
        return None
    last = datetime.fromisoformat(told["lastUsed"] or told["created"])
    if now - last < FORGOTTEN:
        return None
    price = told["price"]
    hour = price.get("perHour")
    return ForgottenThing(
        told["name"] or told["arn"],
        "/deployments",
        duration((now - last).total_seconds(), language),
        _price(price.get("amount"), price.get("currency", "")),
        _price(None if hour is None else hour * NIGHT_H, price.get("currency", "")),
    )


def _forgotten_endpoint(
    told: Mapping[str, Any], asked: datetime | None, prices: Mapping[str, Any], now: datetime, language: str
) -> ForgottenThing | None:
    """An endpoint that nobody asks: its copies stay until it is deleted."""
    last = asked or told["CreationTime"]
    if told["EndpointStatus"] != "InService" or now - last < FORGOTTEN:
        return None
    hour, currency = prices.get("perHour"), prices.get("currency", "")
    hours = (now - told["CreationTime"]).total_seconds() / 3600
    return ForgottenThing(
        told["EndpointName"],
        f"/sagemaker/endpoints/{told['EndpointName']}",
        duration((now - last).total_seconds(), language),
        _price(None if hour is None else hour * hours, currency),
        _price(None if hour is None else hour * NIGHT_H, currency),
    )
