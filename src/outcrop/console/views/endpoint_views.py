"""SageMaker's endpoints as plain values: rows, variants with their figures, and what one that nobody asks costs."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from outcrop.console.views.amounts import age
from outcrop.console.views.metric_chart import MetricChart, metric_chart

NAMESPACE = "AWS/SageMaker"
METRICS = (
    ("Invocations", "Sum"),
    ("ModelLatency", "Average"),
    ("Invocation4XXErrors", "Sum"),
    ("Invocation5XXErrors", "Sum"),
)
"Metrics of a variant, each with its statistic."
_MICROSECONDS = 1e6


class EndpointRow(NamedTuple):
    """An endpoint in a list."""

    name: str
    status: str
    age: str


class EndpointPart(NamedTuple):
    """A variant of an endpoint, or an inference component on it."""

    name: str
    model: str
    copies: str
    weight: str
    status: str
    figures: list[tuple[str, str]]
    charts: list[MetricChart]


class EndpointPage(NamedTuple):
    """Everything that the page of one endpoint shows, but its log."""

    row: EndpointRow
    config: str
    parts: list[EndpointPart]
    failure: str
    can_be_asked: bool


def endpoint_row(told: Mapping[str, Any], now: datetime, language: str) -> EndpointRow:
    """A row of an endpoint's summary, or of its description."""
    return EndpointRow(told["EndpointName"], told["EndpointStatus"], age(told["CreationTime"], now, language))


def endpoint_page(
    told: Mapping[str, Any],
    config: Mapping[str, Any],
    components: Sequence[Mapping[str, Any]],
    points: Mapping[str, Mapping[str, Sequence[tuple[datetime, float]]]],
    *,
    since: datetime,
    now: datetime,
    language: str,
) -> EndpointPage:
    """The page of an endpoint; `points` are those of each variant's and each component's metrics."""
    models = {each["VariantName"]: each for each in config.get("ProductionVariants", [])}
    parts = [_variant(each, models, points, since, now, language) for each in told.get("ProductionVariants", [])]
    parts += [_component(each, points, since, now, language) for each in components]
    return EndpointPage(
        row=endpoint_row(told, now, language),
        config=told.get("EndpointConfigName", ""),
        parts=parts,
        failure=told.get("FailureReason", ""),
        can_be_asked=told["EndpointStatus"] in ("InService", "Updating"),
    )


def figures_of(
    points: Mapping[str, Sequence[tuple[datetime, float]]], now: datetime, language: str
) -> list[tuple[str, str]]:
    """Invocations, the latency of the latest minute, errors, and since when nobody asked."""
    asked = [(moment, value) for moment, value in points.get("Invocations", ()) if value]
    errors = sum(value for name in ("Invocation4XXErrors", "Invocation5XXErrors") for _, value in points.get(name, ()))
    found = [("sagemaker.invocations", f"{sum(value for _, value in asked):,.0f}")]
    if latency := points.get("ModelLatency"):
        found.append(("sagemaker.latency", f"{latency[-1][1] / _MICROSECONDS:.2f} s"))
    if errors:
        found.append(("sagemaker.errors", f"{errors:,.0f}"))
    if asked:
        found.append(("sagemaker.last_asked", age(asked[-1][0], now, language)))
    return found


def _variant(
    told: Mapping[str, Any],
    models: Mapping[str, Mapping[str, Any]],
    points: Mapping[str, Mapping[str, Sequence[tuple[datetime, float]]]],
    since: datetime,
    now: datetime,
    language: str,
) -> EndpointPart:
    name = told["VariantName"]
    of_config = models.get(name, {})
    serverless = told.get("CurrentServerlessConfig") or of_config.get("ServerlessConfig")
    if serverless:
        copies = f"{serverless.get('MaxConcurrency', '')} · {serverless.get('MemorySizeInMB', '')} MB"
    else:
        current, wanted = told.get("CurrentInstanceCount"), told.get("DesiredInstanceCount")
        copies = str(current) if current == wanted else f"{current} → {wanted}"
    weight = told.get("CurrentWeight")
    return EndpointPart(
        name=name,
        model=of_config.get("ModelName", ""),
        copies=copies,
        weight="" if weight is None else f"{weight:g}",
        status="",
        figures=figures_of(points.get(name, {}), now, language),
        charts=_charts(points.get(name, {}), since),
    )


def _component(
    told: Mapping[str, Any],
    points: Mapping[str, Mapping[str, Sequence[tuple[datetime, float]]]],
    since: datetime,
    now: datetime,
    language: str,
) -> EndpointPart:
    name = told["InferenceComponentName"]
    runtime = told.get("RuntimeConfig", {})
    specification = told.get("Specification", {})
    return EndpointPart(
        name=name,
        model=specification.get("ModelName") or specification.get("BaseInferenceComponentName", ""),
        copies=str(runtime.get("CurrentCopyCount", "")),
        weight="",
        status=told["InferenceComponentStatus"],
        figures=figures_of(points.get(name, {}), now, language),
        charts=_charts(points.get(name, {}), since),
    )


def _charts(points: Mapping[str, Sequence[tuple[datetime, float]]], since: datetime) -> list[MetricChart]:
    asked = points.get("Invocations", ())
    latency = [(moment, value / _MICROSECONDS) for moment, value in points.get("ModelLatency", ())]
    found = [metric_chart("sagemaker.each_minute", asked, since), metric_chart("sagemaker.latency_s", latency, since)]
    return [each for each in found if each.chart is not None]
