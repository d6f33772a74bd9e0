"""The metrics of endpoints in CloudWatch's names: invocations, errors, latency, and how many requests run at once.

https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from outcrop.clock import Clock
from outcrop.errors import Invalid, Refusal, ServiceRefusal
from outcrop.metrics.points import Points
from outcrop.metrics.series import Resolution, Unit, series
from outcrop.sagemaker.hosting.routing import Route

NAMESPACE = "AWS/SageMaker"
_MICROSECONDS = "Microseconds"
_CLIENT_ERRORS = range(400, 500)


@dataclass
class Invocation:
    """One request to a model, as it is measured."""

    model_s: float = 0.0
    "What the model took; all of the time, where nobody says."


class EndpointMetrics:
    """The metrics of this process's requests to endpoints."""

    def __init__(self, points: Points, clock: Clock) -> None:
        self._points = points
        self._clock = clock

    @contextmanager
    def invocation(self, route: Route) -> Iterator[Invocation]:
        """Measure the request of the block, whatever comes of it."""
        told, began = Invocation(), time.monotonic()
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
            self._add(route, told, whole_s=time.monotonic() - began, status=status)

    def running(self, endpoint: str, variant: str, number: int) -> None:
        """Note how many requests run at once now."""
        dimensions = {"EndpointName": endpoint, "VariantName": variant}
        self._points.add(
            series(NAMESPACE, "ConcurrentRequestsPerModel", dimensions, unit=Unit.COUNT),
            float(number),
            at=self._clock.now(),
            resolution=Resolution.SECOND,
        )

    def _add(self, route: Route, told: Invocation, *, whole_s: float, status: int) -> None:
        dimensions = {"EndpointName": route.name, "VariantName": route.variant.name}
        model_s = told.model_s or whole_s
        values = {
            ("Invocations", Unit.COUNT): 1.0,
            ("Invocation4XXErrors", Unit.COUNT): float(status in _CLIENT_ERRORS),
            ("Invocation5XXErrors", Unit.COUNT): float(status >= _CLIENT_ERRORS.stop),
            ("InvocationsPerInstance", Unit.NONE): 1.0 / max(1, route.fleet.num_copies),
            ("ModelLatency", _MICROSECONDS): model_s * 1e6,
            ("OverheadLatency", _MICROSECONDS): max(0.0, whole_s - model_s) * 1e6,
        }
        now = self._clock.now()
        for (name, unit), value in values.items():
            self._points.add(series(NAMESPACE, name, dimensions, unit=unit), value, at=now)


def _status_of(refused: Refusal) -> int:
    if isinstance(refused, ServiceRefusal):
        return int(refused.members.get("OriginalStatusCode") or refused.http_status)
    return 400 if isinstance(refused, Invalid) else 500
