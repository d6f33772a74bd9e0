"""List operations of models, endpoints and what belongs to them."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from outcrop.store.resources import Resource
from tests.support.listings.listing import Kept, Listing
from tests.support.listings.sagemaker import START
from tests.support.servers import Running

STATES = ["InService", "Creating", "Failed", "Updating", "InService"]
_CONTAINER = {"image": "i", "source": "", "environment": {}}
_FLEET = {
    "id": "f", "model_name": "m", "model_arn": "arn:m", "model_key": "k", "container": _CONTAINER, "role": "arn:r",
    "isolated": False, "num_copies": 1, "startup_s": 600, "memory_bytes": None,
}  # fmt: skip
_VARIANT = {
    "name": "AllTraffic", "weight": 1.0, "instance_type": None, "max_concurrency": None, "serverless": None,
    "managed": None, "fleet": _FLEET,
}  # fmt: skip
_PLAN = {"config_name": "c", "variants": [_VARIANT], "capture": None, "asynchronous": None}
_SERVES = {"generation": 1, "serving": _PLAN, "desired": _PLAN, "failureMessage": None}


def _document(kind: str, number: int) -> dict[str, Any]:
    if kind in ("endpoint", "inference-component"):
        of_endpoint = {"endpointName": f"e-{number % 2}", "endpointArn": "arn:e", "variant": f"v-{number % 3}"}
        return _SERVES | (of_endpoint if kind == "inference-component" else {})
    return {"request": {}, "container": _CONTAINER, "fleet": _FLEET}


def _place(house: Running, kind: str, name: str) -> str:
    return f"arn:aws:sagemaker:us-east-1:{house.platform.account}:{kind}/{name}"


def _add(kind: str, house: Running, number: int, *, states: list[str] | None = None) -> str:
    at, name = START + timedelta(minutes=number), f"row-{number}"
    row = Resource(
        arn=_place(house, kind, name),
        kind=kind,
        region="us-east-1",
        name=name,
        status=states[number % len(states)] if states else "",
        created=at,
        updated=at,
        document=_document(kind, number),
    )
    house.platform.store.resources.add(row)
    return name


def _remove(kind: str, house: Running, name: str) -> None:
    house.platform.store.resources.remove(_place(house, kind, name))


def _times(member: str, name: str) -> dict[str, tuple[Any, Kept]]:
    after, before = START + timedelta(minutes=1), START + timedelta(minutes=3)
    return {
        f"{name}After": (after, lambda row: row[member] > after),
        f"{name}Before": (before, lambda row: row[member] < before),
    }


def _listing(
    operation: str,
    *,
    into: str,
    noun: str,
    kind: str,
    states: list[str] | None = None,
    status: str = "",
    updates: bool = True,
    more: dict[str, tuple[Any, Kept]] | None = None,
) -> Listing:
    filters: dict[str, tuple[Any, Kept]] = {
        "NameContains": ("OW-2", lambda row: "ow-2" in row[f"{noun}Name"]),
        **_times("CreationTime", "CreationTime"),
        **(_times("LastModifiedTime", "LastModifiedTime") if updates else {}),
        **({"StatusEquals": (states[0], lambda row: row[status] == states[0])} if states else {}),
        **(more or {}),
    }
    rows: Callable[[dict[str, Any]], list[Any]] = lambda answer: answer[into]  # noqa: E731 (as the others have it)
    return Listing(
        service="sagemaker",
        operation=operation,
        rows=rows,
        name_of=lambda row: str(row[f"{noun}Name"]),
        add=partial(_add, kind, states=states),
        remove=partial(_remove, kind),
        filters=filters,
        not_filters=frozenset({"SortBy", "SortOrder"}),
        size="MaxResults",
        largest=100,
        wrong_sizes=(0, 101),
        tokens={"NextToken": "NextToken"},
    )


LISTINGS = [
    _listing("ListModels", into="Models", noun="Model", kind="model", updates=False),
    _listing(
        "ListEndpointConfigs", into="EndpointConfigs", noun="EndpointConfig", kind="endpoint-config", updates=False
    ),
    _listing(
        "ListEndpoints", into="Endpoints", noun="Endpoint", kind="endpoint", states=STATES, status="EndpointStatus"
    ),
    _listing(
        "ListInferenceComponents",
        into="InferenceComponents",
        noun="InferenceComponent",
        kind="inference-component",
        states=STATES,
        status="InferenceComponentStatus",
        more={
            "EndpointNameEquals": ("e-1", lambda row: row["EndpointName"] == "e-1"),
            "VariantNameEquals": ("v-1", lambda row: row["VariantName"] == "v-1"),
        },
    ),
    _listing(
        "ListTransformJobs",
        into="TransformJobSummaries",
        noun="TransformJob",
        kind="transform-job",
        states=["Completed", "InProgress", "Failed"],
        status="TransformJobStatus",
    ),
]
