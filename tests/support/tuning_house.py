"""Tuning jobs in this very process: their training jobs are played, second by second, on a clock that is moved."""

import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from outcrop.api.sagemaker.tuning_jobs import members_of
from outcrop.clock import MovableClock
from outcrop.house import House
from outcrop.jobs.execution import execute
from outcrop.jobs.running import RunningJob
from outcrop.metrics.series import Resolution, series
from outcrop.sagemaker.metric_definitions import NAMESPACE
from outcrop.sagemaker.training_states import TrainingStatus
from outcrop.sagemaker.tuning import request
from outcrop.sagemaker.tuning.children import TunedJob
from outcrop.sagemaker.tuning.kind import KIND
from outcrop.settings import Retention, Settings
from tests.support.training_programs import IMAGE, name_environment

REGION = "us-east-1"
OWNER = "arn:aws:iam::123456789012:user/somebody"
RANGES: dict[str, Any] = {"ContinuousParameterRanges": [{"Name": "rate", "MinValue": "0", "MaxValue": "10"}]}
Score = Callable[[Mapping[str, str]], float | None]
"The objective that a training job with these hyperparameters ends with; None where it tells none."


class Killed(BaseException):
    """The end of a worker by `kill -9`, played."""


class PlayedJob(RunningJob):
    """A tuning job in the hands of a worker for which time passes only while it waits."""

    tick: Callable[[], None]

    def pause(self, seconds: float) -> None:  # noqa: ARG002
        self._asked_at = float("-inf")  # whether it is to stop is asked again after each wait
        self.tick()


class TuningHouse:
    """A home without processes."""

    def __init__(self, home: Path, *, points_days: int = 15) -> None:
        name_environment(home)
        self.clock = MovableClock()
        settings = Settings(home=home, points_kept=Retention(days=points_days, megabytes=8))
        self.house = House.open(settings, self.clock)
        self.role = self.house.access.installation.service_role_arn
        self.most_at_once = 0

    def params(
        self,
        name: str,
        *,
        strategy: str = "Random",
        ranges: Any = None,
        most: int | None = 4,
        parallel: int = 2,
        config: Mapping[str, Any] | None = None,
        definition: Mapping[str, Any] | None = None,
        limits: Mapping[str, Any] | None = None,
        **members: Any,
    ) -> dict[str, Any]:
        """A CreateHyperParameterTuningJob request; what is None is left out."""
        told = {"MaxParallelTrainingJobs": parallel, "MaxNumberOfTrainingJobs": most, **(limits or {})}
        configured = {
            "Strategy": strategy,
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "score"},
            "ResourceLimits": {member: value for member, value in told.items() if value is not None},
            "ParameterRanges": ranges or RANGES,
            "RandomSeed": 7,
            **(config or {}),
        }
        asked = {
            "HyperParameterTuningJobName": name,
            "HyperParameterTuningJobConfig": {k: value for k, value in configured.items() if value is not None},
            "TrainingJobDefinition": self.definition(**(definition or {})),
            **members,
        }
        return {member: value for member, value in asked.items() if value is not None}

    def definition(self, **members: Any) -> dict[str, Any]:
        usual = {
            "StaticHyperParameters": {"epochs": "9"},
            "AlgorithmSpecification": {
                "TrainingImage": IMAGE,
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "score", "Regex": "score=([0-9.]+);"}],
            },
            "RoleArn": self.role,
            "OutputDataConfig": {"S3OutputPath": "s3://b/out/"},
            "HyperParameterTuningResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge"},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        }
        return {member: value for member, value in {**usual, **members}.items() if value is not None}

    def create(self, name: str, **asked: Any) -> str:
        return request.create(self.house, self.params(name, **asked), region=REGION, owner=OWNER)

    def play(
        self,
        arn: str,
        score: Score,
        *,
        ticks: int = 1_000,
        epochs: int = 0,
        at_tick: Callable[[int], None] = lambda _: None,
        every: Callable[[int], int] = lambda _: 1,
    ) -> dict[str, Any]:
        """Work on a tuning job to its end, or raise Killed after some ticks; returns its description.

        Each tick is a second: training jobs begin, tell the objective `epochs` times, and end. `every`: the seconds
        from one value to the next, by the training job's number.
        """
        job = PlayedJob(self.house.jobs, KIND, arn, stop=threading.Event())
        passed = 0

        def tick() -> None:
            nonlocal passed
            passed += 1
            if passed > ticks:
                raise Killed
            at_tick(passed)
            self._second(arn, score, epochs, every)

        job.tick = tick
        execute(self.house, job)
        return self.described(arn)

    def described(self, arn: str) -> dict[str, Any]:
        return members_of(self.house.jobs.get(arn))

    def children(self, arn: str) -> list[TunedJob]:
        """The training jobs in the order in which they were begun."""
        found = [TunedJob.of(record) for record in self.house.jobs.children(arn)]
        return sorted((each for each in found if each is not None), key=lambda each: each.number)

    def tuned(self, arn: str) -> list[dict[str, str]]:
        return [dict(each.tuned) for each in self.children(arn)]

    def _second(self, arn: str, score: Score, epochs: int, every: Callable[[int], int]) -> None:
        jobs, now = self.house.jobs, self.clock.now()
        running = [each for each in self.children(arn) if each.is_running]
        self.most_at_once = max(self.most_at_once, len(running))
        for child in running:
            record = child.record
            if "trainingStartTime" not in record.document:
                jobs.begin(record.arn)
                jobs.note(record.arn, trainingStartTime=now.isoformat(), told=0)
                record = jobs.get(record.arn)
            value, told = score(child.tuned), record.document["told"]
            stopping = child.status is TrainingStatus.STOPPING
            if told < epochs and not stopping:
                assert value is not None, "it tells values"
                began = datetime.fromisoformat(record.document["trainingStartTime"])
                if (now - began).seconds % every(child.number):
                    continue
                of = series(NAMESPACE, "score", {"TrainingJobName": str(record.name)})
                self.house.points.add(of, value, at=now, resolution=Resolution.SECOND)
                jobs.note(record.arn, told=told + 1)
                continue
            final = {} if value is None else {"score": {"MetricName": "score", "Value": value}}
            jobs.note(record.arn, finalMetrics=final, trainingEndTime=now.isoformat())
            jobs.end(record.arn, TrainingStatus.STOPPED if stopping else TrainingStatus.COMPLETED)
        self.clock.move(timedelta(seconds=1))
