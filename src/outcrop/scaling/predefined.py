"""The metrics that a policy can name by one word: SageMaker's own, which the room that hosts endpoints writes.

Invocations per instance are a sum over a minute: each invocation is a point of 1 / the number of instances at that
moment. Concurrent requests are values seen every ten seconds, on each instance or copy.
https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
"""

from dataclasses import dataclass

from outcrop.errors import Invalid
from outcrop.scaling.target_id import Dimension

SAGEMAKER = "AWS/SageMaker"
NO_CAPACITY = "NoCapacityInvocationFailures"
"A count of requests that found no copy of their inference component: a step policy on it scales from zero."
MINUTE_S, HIGH_RESOLUTION_S = 60, 10


@dataclass(frozen=True)
class PredefinedMetric:
    """A metric of SageMaker, and the value of it that a policy holds to its target."""

    name: str
    statistic: str
    period_s: int


_PREDEFINED = {
    Dimension.INSTANCES: {
        "SageMakerVariantInvocationsPerInstance": PredefinedMetric("InvocationsPerInstance", "Sum", MINUTE_S),
        "SageMakerVariantConcurrentRequestsPerModelHighResolution": PredefinedMetric(
            "ConcurrentRequestsPerModel", "Average", HIGH_RESOLUTION_S
        ),
    },
    Dimension.COPIES: {
        "SageMakerInferenceComponentInvocationsPerCopy": PredefinedMetric("InvocationsPerCopy", "Sum", MINUTE_S),
        "SageMakerInferenceComponentConcurrentRequestsPerCopyHighResolution": PredefinedMetric(
            "ConcurrentRequestsPerCopy", "Average", HIGH_RESOLUTION_S
        ),
    },
}


def predefined(word: str, dimension: Dimension) -> PredefinedMetric:
    """The metric of this PredefinedMetricType. Raises Invalid where the dimension has no such metric."""
    known = _PREDEFINED[dimension]
    if word not in known:
        allowed = ", ".join(known)
        raise Invalid(f"Scalable dimension {dimension} only supports the following predefined metric types: {allowed}")
    return known[word]
