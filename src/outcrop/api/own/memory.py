"""GET /outcrop/memory: engines and trainings with what they hold, deployments with last use and price so far.

    curl --aws-sigv4 aws:amz:us-east-1:outcrop --user KEY_ID:SECRET …/outcrop/memory

It is the middle of `outcrop doctor --json`, for whoever may do `outcrop:GetMemory`. A provisioned throughput costs its
share of the machine by the hour, since it stays in memory; a deployment on demand costs the tokens of its answers and
the time they took. Rates are those of `prices.toml` in the home. Without it there is no price, and a sentence says so.
"""

from datetime import datetime, timedelta
from typing import Any

from outcrop.api.own.operation import OwnCall
from outcrop.customization.prices import FILE, ListedRates, rates_of
from outcrop.house import House
from outcrop.metrics.traffic import BEDROCK

_EVERY = "*"
_PERIOD_S = 86_400


def get_memory(call: OwnCall) -> Any:
    """Raises a refusal for a signature that is wrong, or one of somebody who may not know."""
    call.allowed("outcrop:GetMemory")
    return told(call.house)


def told(house: House) -> dict[str, Any]:
    """The report, as JSON."""
    from outcrop.deployments import usage

    orders = [order for order in house.engines.orders() if order.is_here]
    engines = [usage.engine_told(order) for order in orders]
    trainings = usage.trainings(house)
    deployments = usage.examine(house, {order.name: order for order in orders})
    listed = rates_of(house.settings.home / FILE, _EVERY)
    return {
        "budgetBytes": house.sharing.budget_bytes,
        "heldBytes": sum(each["heldBytes"] for each in [*engines, *trainings]),
        "engines": engines,
        "trainings": trainings,
        "deployments": [each | {"price": _price(house, each)} for each in deployments],
        "prices": {"whyNone": listed}
        if isinstance(listed, str)
        else {"currency": listed.currency, "perHour": listed.rates.per_hour},
    }


def _price(house: House, deployment: dict[str, Any]) -> dict[str, Any]:
    """The price of a deployment until now, what an hour more costs unasked, or why neither is known."""
    listed = rates_of(house.settings.home / FILE, deployment["base"] or _EVERY)
    if isinstance(listed, str):
        return {"whyNone": listed}
    units = deployment["modelUnits"]
    if units is None:
        return {"currency": listed.currency, "amount": _of_answers(house, deployment, listed), "perHour": 0.0}
    # What stays in memory costs its share of the machine, whether it is asked or not.
    per_hour = listed.rates.per_hour * units / house.units.num_units
    created = datetime.fromisoformat(deployment["created"])
    hours = (house.clock.now() - created).total_seconds() / 3600
    return {"currency": listed.currency, "amount": per_hour * hours, "perHour": per_hour}


def _of_answers(house: House, deployment: dict[str, Any], listed: ListedRates) -> float:
    """The price of the answers that points are kept of. Of answers side by side each counts its own time."""
    read, written, milliseconds = (
        _sum(house, metric, deployment["arn"])
        for metric in ("InputTokenCount", "OutputTokenCount", "InvocationLatency")
    )
    return listed.rates.answers(input_tokens=read, output_tokens=written, seconds=milliseconds / 1000)


def _sum(house: House, metric: str, model: str) -> float:
    now = house.clock.now()
    found = house.points.statistics(
        ["Sum"],
        namespace=BEDROCK,
        metric=metric,
        dimensions={"ModelId": model},
        since=now - house.settings.points_kept.age,
        until=now + timedelta(minutes=1),
        period_s=_PERIOD_S,
    )
    return sum(float(each.values["Sum"]) for each in found)
