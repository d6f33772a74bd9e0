"""The metrics of endpoints in CloudWatch's names: invocations, errors, latency, and how many requests run at once.

https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from outcrop.clock import Clock
from outcrop.errors import Invalid, Refusal, ServiceRefusal
from outcrop.metrics.points import Points
from outcrop.metrics.series import Resolution, Unit, series
from outcrop.sagemaker.hosting.endpoints import COMPONENT, KIND, EndpointRecord
from outcrop.sagemaker.hosting.plans import VariantPlan
from outcrop.sagemaker.hosting.routing import Route

NAMESPACE = "AWS/SageMaker"
_MICROSECONDS = "Microseconds"
_CLIENT_ERRORS = range(400, 500)


class _MetricNames(NamedTuple):
    """The names that differ between endpoints and components."""

    running: str
    per_copy: str


_NAMES = {
    KIND: _MetricNames("ConcurrentRequestsPerModel", "InvocationsPerInstance"),
    COMPONENT: _MetricNames("ConcurrentRequestsPerCopy", "InvocationsPerCopy"),
}


@dataclass
class MeasuredInvocation:
    """A request to a model, as it is measured."""

    model_s: float = 0.0
    "What the model took; all of the time, where nobody says."


class EndpointMetrics:
    """The metrics of this process's requests to endpoints."""

    def __init__(self, points: Points, clock: Clock) -> None:
        self._points = points
        self._clock = clock

    @contextmanager
    def invocation(self, route: Route) -> Iterator[MeasuredInvocation]:
        """Measure the request of the block, whatever comes of it; those of jobs are no metrics."""
        told, began = MeasuredInvocation(), time.monotonic()
        status = 200
        try:
            yield told
        except Refusal as refused:
            status = _status_of(refused)
            raise
        except Exception:
            status = 500
            raise
        finally:
            if route.endpoint.row.kind in _NAMES:
                self._add(route, told, whole_s=time.monotonic() - began, status=status)

    def running(self, record: EndpointRecord, variant: VariantPlan, number: float) -> None:
        """Note how many requests to each copy of a variant, or of a component, run at once now."""
        names = _NAMES[record.row.kind]
        self._points.add(
            series(NAMESPACE, names.running, _dimensions(record, variant), unit=Unit.COUNT),
            number,
            at=self._clock.now(),
            resolution=Resolution.SECOND,
        )

    def without_capacity(self, record: EndpointRecord) -> None:
        """Note a request to a component that has no copies: what scaling from zero looks at."""
        dimensions = {"InferenceComponentName": str(record.row.name)}
        self._points.add(
            series(NAMESPACE, "NoCapacityInvocationFailures", dimensions, unit=Unit.COUNT), 1.0, at=self._clock.now()
        )

    def _add(self, route: Route, told: MeasuredInvocation, *, whole_s: float, status: int) -> None:
        names, record = _NAMES[route.endpoint.row.kind], route.endpoint
        model_s, copies = told.model_s or whole_s, max(1, route.fleet.num_copies)
        values = {
            ("Invocations", Unit.COUNT): 1.0,
            ("Invocation4XXErrors", Unit.COUNT): float(status in _CLIENT_ERRORS),
            ("Invocation5XXErrors", Unit.COUNT): float(status >= _CLIENT_ERRORS.stop),
            (names.per_copy, Unit.NONE): 1.0 / copies,
            ("ModelLatency", _MICROSECONDS): model_s * 1e6,
            ("OverheadLatency", _MICROSECONDS): max(0.0, whole_s - model_s) * 1e6,
        }
        now, dimensions = self._clock.now(), _dimensions(record, route.variant)
        for (name, unit), value in values.items():
            self._points.add(series(NAMESPACE, name, dimensions, unit=unit), value, at=now)


def _dimensions(record: EndpointRecord, variant: VariantPlan) -> dict[str, str]:
    """The dimensions of an endpoint's variant, or of a component."""
    if record.row.kind == COMPONENT:
        return {"InferenceComponentName": str(record.row.name)}
    return {"EndpointName": str(record.row.name), "VariantName": variant.name}


def _status_of(refused: Refusal) -> int:
    if isinstance(refused, ServiceRefusal):
        return int(refused.members.get("OriginalStatusCode") or refused.http_status)
    return 400 if isinstance(refused, Invalid) else 500
