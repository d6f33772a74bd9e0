"""Curves of objectives: the values that training jobs have printed so far, read from their metric points.

Points are kept by the second, with the number and the sum of its values: enough for running averages, be there one
value in a minute or a hundred in a second. A value stands for an epoch.
"""

import math
from datetime import datetime, timedelta

from outcrop.metrics.points import MOST_DATAPOINTS, Points
from outcrop.sagemaker.metric_definitions import NAMESPACE
from outcrop.sagemaker.tuning.children import TunedJob
from outcrop.search.curves import ObjectiveCurve


class CurveReader:
    """The curve of one training job, read on from where it was left."""

    def __init__(self, points: Points) -> None:
        self.curve = ObjectiveCurve()
        self._points = points
        self._attempt = ""
        self._from: datetime | None = None

    def read(self, job: TunedJob, *, now: datetime) -> ObjectiveCurve:
        """The curve up to the last whole second, of a training job that has ended up to its end.

        A training job that began again has a new one.
        """
        began: str | None = job.record.document.get("trainingStartTime")
        if began is None:
            return self.curve
        if began != self._attempt:
            self._attempt, self._from, self.curve = began, datetime.fromisoformat(began), ObjectiveCurve()
        assert self._from is not None, "it has just been set"
        until = now.replace(microsecond=0)
        if not job.is_running:
            until += timedelta(seconds=1)  # nothing more comes, and what came in this second is not asked for again
        if until <= self._from:
            return self.curve
        self._points.flush()  # what this process has heard, the run of the training job among others
        seconds = (until - self._from).total_seconds()
        found = self._points.statistics(
            ["SampleCount", "Sum"],
            namespace=NAMESPACE,
            metric=job.objective.metric,
            dimensions={"TrainingJobName": str(job.record.name)},
            since=self._from,
            until=until,
            period_s=max(1, math.ceil((seconds + 1) / MOST_DATAPOINTS)),
        )
        for point in found:
            self.curve.add(int(point.values["SampleCount"]), point.values["Sum"])
        self._from = until
        return self.curve
