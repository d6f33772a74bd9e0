"""CloudWatch: GetMetricData, many metrics at once and arithmetic over them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from outcrop.api.door import page_tokens
from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.monitoring.metric_members import (
    check_period,
    check_span,
    dimensions_of,
    moment,
    read_token,
    refuse_unbuilt,
)
from outcrop.errors import Invalid
from outcrop.house import House
from outcrop.metrics import expressions
from outcrop.metrics.expressions import Expression
from outcrop.metrics.points import MOST_DATAPOINTS
from outcrop.store.database import microseconds

_MOST_QUERIES = 500
_Pairs = list[tuple[datetime, float]]


@dataclass(frozen=True)
class _Series:
    """The values of one query, in the order of time, and seconds of its periods."""

    values: _Pairs
    period_s: int


def get_metric_data(house: House, call: Call) -> Answered:
    params = call.params
    queries, most = params["MetricDataQueries"], params.get("MaxDatapoints", MOST_DATAPOINTS)
    _check(params, queries, most)
    found = _Computing(house, call, queries).all()
    shown = [query for query in queries if query.get("ReturnData", True)]
    descending = params.get("ScanBy", "TimestampDescending") == "TimestampDescending"
    results, place = _page(shown, found, read_token(call), most, descending=descending)
    return {
        "MetricDataResults": results,
        "Messages": [],
        "NextToken": None if place is None else page_tokens.write(call, place),
    }


def _check(params: Mapping[str, Any], queries: Sequence[Mapping[str, Any]], most: int) -> None:
    check_span(params["StartTime"], params["EndTime"])
    if not 1 <= len(queries) <= _MOST_QUERIES:
        raise Invalid(f"MetricDataQueries: there are {len(queries)}. Send 1 to {_MOST_QUERIES}.")
    if not 1 <= most <= MOST_DATAPOINTS:
        raise Invalid(f"MaxDatapoints: {most} is out of range. Choose 1 to {MOST_DATAPOINTS}.")
    if (params.get("LabelOptions") or {}).get("Timezone"):
        raise Invalid("LabelOptions.Timezone: not built in Outcrop yet. Leave it out.")
    ids = [query["Id"] for query in queries]
    for query in queries:
        name = query["Id"]
        refuse_unbuilt(query, "AccountId")
        if not name[0].islower() or not name.replace("_", "a").isalnum():
            raise Invalid(f"Id: {name[:80]!r} is none. Begin with a small letter; letters, digits and '_' may follow.")
        if ids.count(name) > 1:
            raise Invalid(f"Id: {name[:80]!r} is given twice. Give each query its own.")
        if ("MetricStat" in query) == ("Expression" in query):
            raise Invalid(f"{name}: give either MetricStat or Expression.")
        if "MetricStat" in query and "Period" in query:
            raise Invalid(f"{name}.Period: goes with an Expression. Name the period of a metric in MetricStat.")
        if "${" in query.get("Label", ""):
            raise Invalid(f"{name}.Label: values in labels (${{…}}) are not built in Outcrop yet. Write a plain label.")


class _Computing:
    """Values of queries, each computed when it is first needed."""

    def __init__(self, house: House, call: Call, queries: Sequence[Mapping[str, Any]]) -> None:
        self._house = house
        self._call = call
        self._queries = {query["Id"]: query for query in queries}
        self._found: dict[str, _Series] = {}

    def all(self) -> dict[str, _Series]:
        for name in self._queries:
            self._of(name, ())
        return self._found

    def _of(self, name: str, waiting: tuple[str, ...]) -> _Series:
        if name not in self._found:
            query = self._queries[name]
            if "MetricStat" in query:
                self._found[name] = self._metric(query["MetricStat"])
            else:
                self._found[name] = self._computed(query, expressions.parse(query["Expression"]), (*waiting, name))
        return self._found[name]

    def _metric(self, asked: Mapping[str, Any]) -> _Series:
        metric, period_s = asked["Metric"], asked["Period"]
        for member in ("Namespace", "MetricName"):
            if not metric.get(member):
                raise Invalid(f"MetricStat.Metric.{member}: is not there.")
        check_period(period_s)
        points = self._house.points.statistics(
            [asked["Stat"]],
            namespace=metric["Namespace"],
            metric=metric["MetricName"],
            dimensions=dimensions_of(metric.get("Dimensions")),
            since=self._call.params["StartTime"],
            until=self._call.params["EndTime"],
            period_s=period_s,
            unit=asked.get("Unit"),
            region=self._call.region,
        )
        values = [(point.at, point.values[asked["Stat"]]) for point in points if asked["Stat"] in point.values]
        return _Series(values, period_s)

    def _computed(self, query: Mapping[str, Any], expression: Expression, waiting: tuple[str, ...]) -> _Series:
        given = {}
        for name in sorted(expression.names):
            if name in waiting:
                raise Invalid(f"{query['Id']}: the expression leads back to {name}.")
            if name not in self._queries:
                raise Invalid(f"{query['Id']}: the expression names {name}, and no query has this Id.")
            given[name] = self._of(name, waiting)
        periods = {series.period_s for series in given.values()}
        if len(periods) > 1:
            raise Invalid(f"{query['Id']}: the periods of {', '.join(given)} differ. Give them the same.")
        if query.get("Period") not in (None, *periods):
            raise Invalid(f"{query['Id']}.Period: an expression has the period of what it is made of: {periods.pop()}.")
        for name, series in given.items():
            if len({at for at, _ in series.values}) < len(series.values):
                raise Invalid(f"{name}: the metric has several units at once. Name one in MetricStat.Unit.")
        values = expression.value({name: dict(series.values) for name, series in given.items()})
        return _Series(sorted(values.items()), periods.pop())


def _page(
    queries: Sequence[Mapping[str, Any]],
    found: Mapping[str, _Series],
    place: str | None,
    most: int,
    *,
    descending: bool,
) -> tuple[list[dict[str, Any]], str | None]:
    """The results that go into a page, one query after another, and where the next page begins."""
    begin, _, last = (place or "0 ").partition(" ")
    results: list[dict[str, Any]] = []
    for number, query in enumerate(queries[int(begin) :], int(begin)):
        ordered = sorted(found[query["Id"]].values, key=lambda pair: pair[0], reverse=descending)
        if last:
            ordered = [pair for pair in ordered if _is_behind(pair[0], int(last), descending=descending)]
        taken = _whole_moments(ordered, most)
        if taken or not ordered:
            results.append(_result(query, ordered[:taken], whole=taken == len(ordered)))
        if taken < len(ordered):
            return results, f"{number} {microseconds(ordered[taken - 1][0]) if taken else last}"
        most, last = most - taken, ""
    return results, None


def _is_behind(at: datetime, last_us: int, *, descending: bool) -> bool:
    return microseconds(at) < last_us if descending else microseconds(at) > last_us


def _whole_moments(ordered: _Pairs, most: int) -> int:
    """The number of values that fit; those of one moment, which have different units, stay together."""
    taken = min(most, len(ordered))
    while 0 < taken < len(ordered) and ordered[taken - 1][0] == ordered[taken][0]:
        taken += 1
    return taken


def _result(query: Mapping[str, Any], pairs: _Pairs, *, whole: bool) -> dict[str, Any]:
    metric = query.get("MetricStat", {}).get("Metric", {})
    return {
        "Id": query["Id"],
        "Label": query.get("Label") or metric.get("MetricName") or query["Id"],
        "Timestamps": [moment(at) for at, _ in pairs],
        "Values": [value for _, value in pairs],
        "StatusCode": "Complete" if whole else "PartialData",
    }


OPERATIONS: dict[str, Handler] = {"GetMetricData": get_metric_data}
