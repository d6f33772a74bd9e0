"""Search: resources by any of their properties, and suggestions of properties.

A new kind of resource is one line of `_SEARCHED`. Its records are what its Describe operation tells, with its tags.
"""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from outcrop.api.bedrock.listing import told
from outcrop.api.door import page_tokens
from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.sagemaker import endpoints, search_expressions, searched_properties, training_jobs, tuning_jobs
from outcrop.errors import Invalid
from outcrop.house import House
from outcrop.loops import each as each_sound
from outcrop.protocol import service_model
from outcrop.protocol.shapes import StructureShape
from outcrop.sagemaker import training_kind
from outcrop.sagemaker.hosting import endpoints as endpoint_records
from outcrop.sagemaker.tuning import kind as tuning_kind
from outcrop.store.listing import Filters
from outcrop.store.resources import Resource

_DEFAULT_RESULTS = 100
_AT_A_TIME = 500
_DEFAULT_ORDER = "LastModifiedTime"
_MOST_SUGGESTIONS = 100
_log = logging.getLogger("outcrop.door")


@dataclass(frozen=True, kw_only=True)
class Searched:
    """A kind of resource that can be searched. It stands under its own name in a SearchRecord."""

    kind: str
    members: Callable[[Resource], dict[str, Any]]
    "Everything that is told of one."
    name: str
    "The property that is the name on record, and below the one that is the status."
    status: str


_SEARCHED: dict[str, Searched] = {
    "TrainingJob": Searched(
        kind=training_kind.KIND.name,
        members=training_jobs.members_of,
        name="TrainingJobName",
        status="TrainingJobStatus",
    ),
    "Endpoint": Searched(
        kind=endpoint_records.KIND,
        members=endpoints.members_of,
        name="EndpointName",
        status="EndpointStatus",
    ),
    "HyperParameterTuningJob": Searched(
        kind=tuning_kind.KIND.name,
        members=tuning_jobs.members_of,
        name="HyperParameterTuningJobName",
        status="HyperParameterTuningJobStatus",
    ),
}


def search(house: House, call: Call) -> Answered:
    params = call.params
    if params.get("VisibilityConditions"):
        raise Invalid("VisibilityConditions: jobs of pipelines are found like all others. Leave it out.")
    if params.get("CrossAccountFilterOption", "SameAccount") == "CrossAccount":
        raise Invalid("CrossAccountFilterOption: there is one account. Leave it out, or say SameAccount.")
    resource: str = params["Resource"]
    shape, expression = _shape(resource), params.get("SearchExpression")
    sort_by, ascending = params.get("SortBy", _DEFAULT_ORDER), params.get("SortOrder", "Descending") == "Ascending"
    matches = search_expressions.compiled(expression, shape)
    ordering = searched_properties.find(shape, sort_by)
    spoken_of = json.dumps([expression, sort_by])
    entries = sorted(
        (
            (*search_expressions.sort_key(ordering, record), arn, record)
            for arn, record in _records(house, call.region, resource, expression, with_tags="Tags" in spoken_of)
            if matches(record)
        ),
        key=lambda entry: entry[:3],
        reverse=not ascending,
    )
    total, place = len(entries), page_tokens.read(call)
    if place is not None:
        last = tuple(json.loads(place))
        entries = [entry for entry in entries if (entry[:3] > last if ascending else entry[:3] < last)]
    most = params.get("MaxResults", _DEFAULT_RESULTS)
    page = entries[:most]
    return {
        "Results": [{resource: {**record, "Tags": _tags(house, arn)}} for *_, arn, record in page],
        "NextToken": page_tokens.write(call, json.dumps(page[-1][:3])) if len(entries) > most else None,
        "TotalHits": {"Value": total, "Relation": "EqualTo"},
    }


def get_search_suggestions(house: House, call: Call) -> Answered:
    resource: str = call.params["Resource"]
    query = (call.params.get("SuggestionQuery") or {}).get("PropertyNameQuery") or {}
    hint = query.get("PropertyNameHint", "")
    found = {name for name in searched_properties.names(_shape(resource)) if not name.startswith("Tags.")}
    for _, record in _records(house, call.region, resource, None, with_tags=True):
        found.update(f"Tags.{tag['Key']}" for tag in record["Tags"])
        found.update(f"Metrics.{each['MetricName']}" for each in record.get("FinalMetricDataList") or ())
        found.update(f"HyperParameters.{name}" for name in record.get("HyperParameters") or ())
    names = sorted(name for name in found if name.lower().startswith(hint.lower()))
    return {"PropertyNameSuggestions": [{"PropertyName": name} for name in names[:_MOST_SUGGESTIONS]]}


def _searched(resource: str) -> Searched:
    if resource not in _SEARCHED:
        raise Invalid(f"Resource: {resource} cannot be searched here yet. Choose among {', '.join(_SEARCHED)}.")
    return _SEARCHED[resource]


def _shape(resource: str) -> StructureShape:
    _searched(resource)
    records = service_model.load("sagemaker").shape_for("SearchRecord")
    assert isinstance(records, StructureShape), "one of several structures"
    shape = records.members[resource]
    assert isinstance(shape, StructureShape), "a record is a structure"
    return shape


def _narrowed(expression: Mapping[str, Any] | None, searched: Searched) -> Filters:
    """The part of an expression that the store can look for; all of it is asked of the records again."""
    if expression is None or expression.get("Operator", "And") == "Or":
        return Filters()
    filters = expression.get("Filters") or ()
    asked = {(each["Name"], each.get("Operator", "Equals")): each.get("Value") for each in filters}
    status = asked.get((searched.status, "Equals"))
    return Filters(name_contains=asked.get((searched.name, "Contains")), statuses=() if status is None else (status,))


def _records(
    house: House, region: str, resource: str, expression: Mapping[str, Any] | None, *, with_tags: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The records of a kind with their ARNs; damaged ones are logged and left out.

    Tags cost a question each, and are there where somebody asks about them.
    """
    searched, shape = _searched(resource), _shape(resource)

    def record(row: Resource) -> tuple[str, dict[str, Any]]:
        members = {**told(row, searched.members), **({"Tags": _tags(house, row.arn)} if with_tags else {})}
        return row.arn, {name: members[name] for name in shape.members if members.get(name) is not None}

    filters, token = _narrowed(expression, searched), None
    while True:
        page = house.store.resources.list(searched.kind, region, filters=filters, max_results=_AT_A_TIME, token=token)
        yield from each_sound(page.items, record, log=_log, name=lambda row: row.arn)
        token = page.next_token
        if token is None:
            return


def _tags(house: House, arn: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in house.store.tags.get(arn).items()]


OPERATIONS: dict[str, Handler] = {"Search": search, "GetSearchSuggestions": get_search_suggestions}
