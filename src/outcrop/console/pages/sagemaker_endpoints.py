"""SageMaker's endpoints: the list, one with its variants and figures, and a form that asks it something."""

import time
from datetime import timedelta
from typing import Any

from botocore.exceptions import ClientError
from starlette.responses import Response

from outcrop.console.pages.log_tail import log_tails
from outcrop.console.pages.metric_points import AskedMetric, points_of
from outcrop.console.user_client import DENIED
from outcrop.console.views.endpoint_views import METRICS, NAMESPACE, endpoint_page, endpoint_row
from outcrop.console.visit import ConsoleVisit

_PAGE = 50
_LOGS = "/aws/sagemaker/Endpoints"
_SEEN = timedelta(hours=3)
_EXAMPLE = '{"inputs": "Once upon a time", "parameters": {"max_new_tokens": 32}}'
_LONGEST_ANSWER = 100_000
_Points = dict[str, dict[str, list[tuple[Any, float]]]]


def show(visit: ConsoleVisit) -> Response:
    return visit.page("sagemaker_endpoints.html", living=living(visit))


def living(visit: ConsoleVisit) -> str:
    """The list, which changes while one looks."""
    token = {"NextToken": visit.asked("after")} if visit.asked("after") else {}
    found = visit.api.listed("sagemaker", "list_endpoints", "Endpoints", MaxResults=_PAGE, **token)
    rows = [endpoint_row(each, visit.now, visit.language) for each in found.items]
    return visit.text("sagemaker_endpoints_living.html", rows=rows, found=found)


def show_one(visit: ConsoleVisit) -> Response:
    return _page(visit, _asked(visit), body=visit.asked("body") or _EXAMPLE)


def living_one(visit: ConsoleVisit) -> str:
    """The endpoint as it stands now."""
    return _living(visit, _asked(visit))


def _living(visit: ConsoleVisit, name: str) -> str:
    told = visit.api.client("sagemaker").describe_endpoint(EndpointName=name)
    config = _config(visit, told.get("EndpointConfigName", ""))
    components = _components(visit, name)
    page = endpoint_page(
        told,
        config,
        components,
        _points(visit, told, components),
        since=visit.now - _SEEN,
        now=visit.now,
        language=visit.language,
    )
    logs = log_tails(visit, f"{_LOGS}/{name}", "")
    return visit.text("sagemaker_endpoint_living.html", endpoint=page, logs=logs)


def invoke(visit: ConsoleVisit) -> Response:
    """The page again, with what the endpoint answered or the sentence that refused it."""
    form = visit.form
    name, body = form.get("name", ""), form.get("body", "")
    content_type = form.get("content_type", "").strip() or "application/json"
    component = {"InferenceComponentName": form["component"]} if form.get("component") else {}
    answer, problem, began = "", "", time.monotonic()
    try:
        told = visit.api.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=name, Body=body.encode(), ContentType=content_type, **component
        )
        answer = told["Body"].read().decode("utf-8", "replace")[:_LONGEST_ANSWER]
    except ClientError as refusal:
        problem = refusal.response["Error"]["Message"]
    took = f"{time.monotonic() - began:.2f}"
    return _page(visit, name, body=body, content_type=content_type, answer=answer, problem=problem, took=took)


def delete(visit: ConsoleVisit) -> Response:
    """The endpoint that the form names is deleted; its configuration and model stay."""
    visit.api.client("sagemaker").delete_endpoint(EndpointName=visit.form.get("name", ""))
    return visit.to("/sagemaker/endpoints")


def _page(
    visit: ConsoleVisit,
    name: str,
    *,
    body: str,
    content_type: str = "application/json",
    answer: str = "",
    problem: str = "",
    took: str = "",
) -> Response:
    components = [each["InferenceComponentName"] for each in _summaries(visit, name)]
    return visit.page(
        "sagemaker_endpoint.html",
        living=_living(visit, name),
        name=name,
        components=components,
        body=body,
        content_type=content_type,
        answer=answer,
        problem=problem,
        took=took,
    )


def _asked(visit: ConsoleVisit) -> str:
    return visit.asked("arn") or str(visit.request.path_params.get("endpoint", ""))


def _config(visit: ConsoleVisit, name: str) -> dict[str, Any]:
    """The configuration of an endpoint; nothing for who may not see it, or where it is gone."""
    try:
        found: dict[str, Any] = visit.api.client("sagemaker").describe_endpoint_config(EndpointConfigName=name)
    except ClientError as refusal:
        if refusal.response["Error"]["Code"] not in {*DENIED, "ValidationException"}:
            raise
        return {}
    return found


def _summaries(visit: ConsoleVisit, endpoint: str) -> list[dict[str, Any]]:
    return visit.api.listed(
        "sagemaker",
        "list_inference_components",
        "InferenceComponents",
        EndpointNameEquals=endpoint,
        MaxResults=_PAGE,
    ).items


def _components(visit: ConsoleVisit, endpoint: str) -> list[dict[str, Any]]:
    client = visit.api.client("sagemaker")
    return [
        client.describe_inference_component(InferenceComponentName=each["InferenceComponentName"])
        for each in _summaries(visit, endpoint)
    ]


def _points(visit: ConsoleVisit, told: dict[str, Any], components: list[dict[str, Any]]) -> _Points:
    """The points of each variant's and each component's metrics in the last hours."""
    parts = {
        each["VariantName"]: {"EndpointName": told["EndpointName"], "VariantName": each["VariantName"]}
        for each in told.get("ProductionVariants", [])
    }
    parts |= {
        each["InferenceComponentName"]: {"InferenceComponentName": each["InferenceComponentName"]}
        for each in components
    }
    asked = [
        (part, name, AskedMetric(NAMESPACE, name, dimensions, statistic))
        for part, dimensions in parts.items()
        for name, statistic in METRICS
    ]
    points = points_of(
        visit,
        [each for _, _, each in asked],
        since=visit.now - _SEEN,
        until=visit.now + timedelta(minutes=1),
        period_s=60,
    )
    found: _Points = {part: {} for part in parts}
    for (part, name, _), values in zip(asked, points, strict=True):
        found[part][name] = values
    return found
