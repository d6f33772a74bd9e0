"""The rooms that scale, over instances kept in memory: what a test moves is time, load and the instances themselves."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from outcrop.alarms.alarms import Alarms
from outcrop.clock import MovableClock
from outcrop.errors import NotFound, Refusal
from outcrop.metrics.points import Points
from outcrop.metrics.series import Resolution, series
from outcrop.scaling.activities import ScalingActivity
from outcrop.scaling.predefined import SAGEMAKER
from outcrop.scaling.resources import Capacity
from outcrop.scaling.scaler import Scaler
from outcrop.scaling.scaling import Scaling
from outcrop.scaling.target_id import Dimension, TargetId
from outcrop.store.store import Store

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
REGION, ACCOUNT = "us-east-1", "123456789012"
VARIANT = TargetId("endpoint/e/variant/v", Dimension.INSTANCES)
COMPONENT = TargetId("inference-component/c", Dimension.COPIES)
INVOCATIONS = "SageMakerVariantInvocationsPerInstance"
CONCURRENT = "SageMakerVariantConcurrentRequestsPerModelHighResolution"


@dataclass
class Fleet:
    """Resources in memory: their counts, and what keeps them from being changed."""

    counts: dict[tuple[str, TargetId], Capacity] = field(default_factory=dict)
    refusal: Refusal | None = None
    set: list[int] = field(default_factory=list)
    "What was set, in order."

    def add(self, target: TargetId, count: int, *, region: str = REGION, **more: Any) -> None:
        self.counts[region, target] = Capacity(count, count, **more)

    def find(self, target: TargetId, *, region: str) -> Capacity | None:
        return self.counts.get((region, target))

    def set_desired(self, target: TargetId, count: int, *, region: str) -> None:
        if self.refusal is not None:
            raise self.refusal
        if (region, target) not in self.counts:
            raise NotFound(f"{target.resource_id}: is no more.")
        self.counts[region, target] = self.counts[region, target]._replace(desired=count)
        self.set.append(count)

    def arrive(self) -> None:
        """Let what is wanted be there."""
        for key, capacity in self.counts.items():
            self.counts[key] = capacity._replace(current=capacity.desired)


class ScalingHouse:
    """Alarms, points and scaling by one clock."""

    def __init__(self, store: Store, fleet: Fleet | None = None, start: datetime = NOON) -> None:
        self.store = store
        self.clock = MovableClock(start)
        self.fleet = fleet or Fleet()
        self.points = Points(store, self.clock)
        self.alarms = Alarms(
            store,
            self.points,
            self.clock,
            ACCOUNT,
            takes_action=lambda action, alarm: self.scaling.policies.take(action, alarm),
        )
        self.scaling = Scaling(store, self.alarms, self.fleet, self.clock, ACCOUNT)
        self.scaler = Scaler(self.scaling)

    def register(self, least: int = 1, most: int = 10, target: TargetId = VARIANT, **suspended: bool) -> str:
        bounds = {"least": least, "most": most}
        return self.scaling.register(target, bounds, suspended, region=REGION, tags={})

    def track(
        self, goal: float = 10.0, name: str = "p", metric: str = INVOCATIONS, target: TargetId = VARIANT, **more: Any
    ) -> None:
        """A policy that holds a metric at a goal."""
        configuration = {"TargetValue": goal, "PredefinedMetricSpecification": {"PredefinedMetricType": metric}, **more}
        self.scaling.policies.put(target, name, "TargetTrackingScaling", configuration, region=REGION)

    def step(self, *steps: dict[str, Any], name: str = "s", target: TargetId = VARIANT, **more: Any) -> str:
        """A policy of steps; returns its ARN."""
        configuration = {"AdjustmentType": "ChangeInCapacity", "StepAdjustments": list(steps), **more}
        return self.scaling.policies.put(target, name, "StepScaling", configuration, region=REGION).arn

    def alarm(self, name: str, metric: str, *actions: str, **more: Any) -> None:
        members = {
            "Namespace": "n", "MetricName": metric, "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1,
            "Threshold": 10.0, "ComparisonOperator": "GreaterThanOrEqualToThreshold", "AlarmActions": list(actions),
        }  # fmt: skip
        self.alarms.put(name, members | more, region=REGION, tags={})

    def measure(self, value: float, metric: str = "InvocationsPerInstance", target: TargetId = VARIANT) -> None:
        """A value of a metric that SageMaker writes, now."""
        of = series(SAGEMAKER, metric, target.metric_dimensions)
        self.points.add(of, value, resolution=Resolution.SECOND)
        self.points.flush()

    def put(self, value: float, metric: str) -> None:
        """A value of another metric, now."""
        self.points.add(series("n", metric), value)
        self.points.flush()

    def turn(self) -> None:
        self.alarms.turn()
        self.scaler.turn()

    def pass_minutes(self, number: int = 1, load: float | None = None) -> None:
        """Let minutes go by, in each of which so many invocations come, shared among the instances that serve."""
        for _ in range(number):
            serving = self.fleet.counts[REGION, VARIANT].current
            if load is not None and serving:
                self.measure(load / serving)
            self.clock.move(timedelta(minutes=1))
            self.turn()

    def desired(self, target: TargetId = VARIANT) -> int:
        return self.fleet.counts[REGION, target].desired

    def activities(self, *, with_not_scaled: bool = False) -> list[ScalingActivity]:
        """The activities, the oldest first."""
        since = datetime(1970, 1, 1, tzinfo=UTC)
        found = self.scaling.activities.list(region=REGION, with_not_scaled=with_not_scaled, since=since, most=1000)
        return sorted(found, key=lambda activity: activity.began)

    def told(self) -> list[tuple[str, str, str]]:
        """State, cause and message of each activity, the oldest first."""
        return [(str(each.status), each.cause, each.message) for each in self.activities()]
