"""CloudWatch: metrics put, listed, and read as statistics of periods."""

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from outcrop.api.door import page_tokens
from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.monitoring.metric_members import (
    check_period,
    check_span,
    contradictory,
    dimension_list,
    dimensions_of,
    missing,
    moment,
    refuse_unbuilt,
    wrong,
)
from outcrop.house import House
from outcrop.metrics.series import Point, Resolution, Series, Summary, Unit, in_region, series

MOST_DATAPOINTS = 1440
"Of one answer of GetMetricStatistics."
_MOST_DATA = 1000
_MOST_VALUES = 150
_LARGEST = 2.0**360
_OLDEST, _LATEST = timedelta(days=14), timedelta(hours=2)
_RECENT = timedelta(hours=3)
_PAGE = 500
_RESERVED = ("AWS/", "Outcrop/")


def put_metric_data(house: House, call: Call) -> Answered:
    params = call.params
    namespace = params["Namespace"]
    if namespace.startswith(_RESERVED):
        raise wrong(f"The value {namespace} for parameter Namespace is invalid: it begins with what is reserved.")
    refuse_unbuilt(params, "StrictEntityValidation")
    data = [*(params.get("MetricData") or ())]
    for each in params.get("EntityMetricData") or ():
        data += each.get("MetricData") or ()  # without the entity, which only matters to the strict
    if not data:
        raise missing("The parameter MetricData is required.")
    if len(data) > _MOST_DATA:
        raise wrong(f"MetricData: {len(data)} are more than {_MOST_DATA}. Send them in several requests.")
    now = house.clock.now()
    recorded = in_region(call.region, namespace)
    house.points.put([_point(each, place, namespace, recorded, now) for place, each in enumerate(data, 1)])
    return {}


def list_metrics(house: House, call: Call) -> Answered:
    params = call.params
    refuse_unbuilt(params, "IncludeLinkedAccounts")
    if params.get("OwningAccount", house.account) != house.account:
        raise wrong("OwningAccount: is not the account of this installation, which has no other.")
    place = page_tokens.read(call)
    found = house.points.series(
        namespace=params.get("Namespace"),
        metric=params.get("MetricName"),
        region=call.region,
        since=house.clock.now() - _RECENT if "RecentlyActive" in params else None,
    )
    wanted = params.get("Dimensions") or ()
    keys = {_key(each) for each in found if all(_has(each, dimension) for dimension in wanted)}
    behind = sorted((key for key in keys if place is None or _text(key) > place), key=_text)
    page = behind[:_PAGE]
    return {
        "Metrics": [
            {"Namespace": namespace, "MetricName": metric, "Dimensions": dimension_list(dimensions)}
            for namespace, metric, dimensions in page
        ],
        "NextToken": page_tokens.write(call, _text(page[-1])) if len(behind) > _PAGE else None,
    }


def get_metric_statistics(house: House, call: Call) -> Answered:
    params = call.params
    plain, extended = params.get("Statistics") or [], params.get("ExtendedStatistics") or []
    if not plain and not extended:
        raise missing("At least one of the parameters Statistics and ExtendedStatistics must be specified.")
    since, until, period_s = params["StartTime"], params["EndTime"], params["Period"]
    check_span(since, until)
    check_period(period_s)
    asked = math.ceil((until - since).total_seconds() / period_s)
    if asked > MOST_DATAPOINTS:
        raise contradictory(
            f"You have requested up to {asked:,} datapoints, which exceeds the limit of {MOST_DATAPOINTS:,}. You may "
            "reduce the datapoints requested by increasing Period, or decreasing the time range."
        )
    found = house.points.statistics(
        [*plain, *extended],
        namespace=params["Namespace"],
        metric=params["MetricName"],
        dimensions=dimensions_of(params.get("Dimensions")),
        since=since,
        until=until,
        period_s=period_s,
        unit=params.get("Unit"),
        region=call.region,
    )
    return {
        "Label": params["MetricName"],
        "Datapoints": [
            {
                "Timestamp": moment(each.at),
                "Unit": each.unit,
                **{name: each.values[name] for name in plain},
                **_extended({name: each.values[name] for name in extended if name in each.values}),
            }
            for each in found
            if each.values
        ],
    }


def _extended(values: dict[str, float]) -> dict[str, Any]:
    return {"ExtendedStatistics": values} if values else {}


def _point(datum: Mapping[str, Any], place: int, namespace: str, recorded: str, now: datetime) -> Point:
    """A point of a request. Raises what is wrong with it, by its place."""
    here = f"MetricData.member.{place}"
    at = datum.get("Timestamp", now)
    if not now - _OLDEST <= at <= now + _LATEST:
        raise wrong(f"The parameter {here}.Timestamp must be within two weeks of the past and two hours of the future.")
    resolution = datum.get("StorageResolution", Resolution.MINUTE)
    if resolution not in set(Resolution):
        raise wrong(f"The parameter {here}.StorageResolution must be 1 or 60.")
    counts, summary = _values(datum, here)
    given = dimensions_of(datum.get("Dimensions"))
    of = series(namespace, datum["MetricName"], given, unit=datum.get("Unit", Unit.NONE))
    return Point(
        series=of._replace(namespace=recorded),
        at=at,
        counts=counts,
        resolution=Resolution(resolution),
        summary=summary,
    )


def _values(datum: Mapping[str, Any], here: str) -> tuple[dict[float, int], Summary | None]:
    members = [name for name in ("Value", "Values", "StatisticValues") if datum.get(name) is not None]
    if not members:
        raise missing(f"At least one of the parameters must be specified: {here}.Value, Values, StatisticValues.")
    if len(members) > 1:
        raise contradictory(f"The parameters {here}.{members[0]} and {here}.{members[1]} are mutually exclusive.")
    if "StatisticValues" in members:
        return {}, _summary(datum["StatisticValues"], f"{here}.StatisticValues")
    if "Value" in members:
        if datum.get("Counts"):
            raise contradictory(f"The parameters {here}.Value and {here}.Counts are mutually exclusive.")
        return {_number(datum["Value"], f"{here}.Value"): 1}, None
    return _counts(datum["Values"], datum.get("Counts"), here), None


def _counts(values: list[float], times: list[float] | None, here: str) -> dict[float, int]:
    if not values or len(values) > _MOST_VALUES:
        raise wrong(f"The parameter {here}.Values must have 1 to {_MOST_VALUES} members.")
    if times is not None and len(times) != len(values):
        raise wrong(f"The parameters {here}.Values and {here}.Counts must be of the same size.")
    counts: dict[float, int] = {}
    for value, number in zip(values, times or [1.0] * len(values), strict=True):
        kept = _number(value, f"{here}.Values")
        counts[kept] = counts.get(kept, 0) + _times(number, f"{here}.Counts")
    return counts


def _summary(given: Mapping[str, float], here: str) -> Summary:
    total, least, most = (_number(given[name], f"{here}.{name}") for name in ("Sum", "Minimum", "Maximum"))
    if least > most:
        raise wrong(f"The parameter {here}.Minimum must be less than or equal to {here}.Maximum.")
    return Summary(_times(given["SampleCount"], f"{here}.SampleCount"), total, least, most)


def _number(value: float, here: str) -> float:
    if not math.isfinite(value) or abs(value) > _LARGEST:
        raise wrong(f"The value {value} for parameter {here} is invalid.")
    return float(value)


def _times(number: float, here: str) -> int:
    if not math.isfinite(number) or number != int(number) or not 1 <= number < 1 << 53:
        raise wrong(f"The value {number} for parameter {here} is invalid: a whole number from 1 on is asked for.")
    return int(number)


_Key = tuple[str, str, tuple[tuple[str, str], ...]]


def _key(of: Series) -> _Key:
    return of.namespace, of.metric, of.dimensions


def _text(key: _Key) -> str:
    """A metric's place in the listing."""
    namespace, metric, dimensions = key
    return "\0".join([namespace, metric, *(part for pair in dimensions for part in pair)])


def _has(of: Series, wanted: Mapping[str, str]) -> bool:
    return any(name == wanted["Name"] and wanted.get("Value", value) == value for name, value in of.dimensions)


OPERATIONS: dict[str, Handler] = {
    "GetMetricStatistics": get_metric_statistics,
    "ListMetrics": list_metrics,
    "PutMetricData": put_metric_data,
}
