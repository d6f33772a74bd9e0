"""Pipelines in this very process: the training jobs of their steps are played, second by second."""

import itertools
import json
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from outcrop.access.installation import SAGEMAKER_ROLE
from outcrop.api.sagemaker import pipeline_executions
from outcrop.arn import iam
from outcrop.jobs.execution import execute
from outcrop.sagemaker.pipelines import definition as definitions
from outcrop.sagemaker.pipelines import executions, pipelines
from outcrop.sagemaker.pipelines.kind import KIND
from outcrop.sagemaker.training_states import TrainingStatus
from outcrop.store.resources import Resource
from tests.support.training_programs import IMAGE
from tests.support.tuning_house import OWNER, REGION, Killed, PlayedJob, TuningHouse

BY = {"Arn": OWNER, "PrincipalId": "AIDA"}
METRIC = "loss"
Failing = Mapping[str, str]
"The reasons of the steps that fail, by their names."


def role_of_pipelines(account: str) -> str:
    """The role that may create everything of SageMaker; that of the jobs themselves may not."""
    return iam(account, f"role/{SAGEMAKER_ROLE}")


_NONE: Failing = {}
_numbers = itertools.count(1)


class PipelineHouse(TuningHouse):
    """A home without processes, and its pipelines."""

    def training(self, name: str, *, after: list[str] | None = None, **arguments: Any) -> dict[str, Any]:
        """A Training step; what is None among its arguments is left out."""
        usual = {
            "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
            "RoleArn": self.role,
            "OutputDataConfig": {"S3OutputPath": "s3://b/out"},
            "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 5},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
            **arguments,
        }
        given = {member: value for member, value in usual.items() if value is not None}
        return {"Name": name, "Type": "Training", "Arguments": given} | ({"DependsOn": after} if after else {})

    def defining(self, *steps: Mapping[str, Any], parameters: Any = (), **members: Any) -> str:
        return json.dumps({"Version": "2020-12-01", "Parameters": list(parameters), "Steps": steps} | members)

    def pipeline(self, definition: str, **members: Any) -> Resource:
        """A new pipeline with this definition."""
        params = {
            "PipelineName": f"pipeline-{next(_numbers)}",
            "RoleArn": role_of_pipelines(self.house.account),
            "PipelineDefinition": definition,
            **members,
        }
        document = pipelines.prepared(self.house, params, region=REGION, by=BY)
        made = self.house.store.resources.get(pipelines.create(self.house, params, document, region=REGION))
        assert made is not None
        return made

    def start(self, definition: str, parameters: Mapping[str, str] | None = None, **members: Any) -> str:
        """The ARN of a new execution of a new pipeline."""
        given = [{"Name": name, "Value": value} for name, value in (parameters or {}).items()]
        asked = {"PipelineParameters": given, **members}
        return executions.start(self.house, self.pipeline(definition), asked, owner=OWNER, by=BY)

    def play_execution(
        self,
        arn: str,
        *,
        failing: Failing = _NONE,
        lasting: int = 2,
        ticks: int = 1_000,
        at_tick: Callable[[int], None] = lambda _: None,
    ) -> str:
        """Work on an execution to its end, or raise Killed after some ticks; returns its status.

        Training jobs take `lasting` ticks; those of steps in `failing` fail.
        """
        job = PlayedJob(self.house.jobs, KIND, arn, stop=threading.Event())
        passed = 0

        def tick() -> None:
            nonlocal passed
            passed += 1
            if passed > ticks:
                raise Killed
            at_tick(passed)
            self._second_of_steps(arn, failing, lasting)

        job.tick = tick
        execute(self.house, job)
        return str(self.house.jobs.get(arn).status)

    def steps(self, arn: str) -> dict[str, dict[str, Any]]:
        """The steps that have begun, by name, as ListPipelineExecutionSteps tells them."""
        record = self.house.jobs.get(arn)
        defined = definitions.read(record.document["definition"]).steps
        return {
            name: pipeline_executions._step(record, defined[name], entry)
            for name, entry in record.document["steps"].items()
        }

    def statuses(self, arn: str) -> dict[str, str]:
        return {name: step["StepStatus"] for name, step in self.steps(arn).items()}

    def created_by(self, arn: str, step: str) -> Resource:
        """The row of what a step has created."""
        (about,) = self.steps(arn)[step]["Metadata"].values()
        row = self.house.store.resources.get(about["Arn"])
        assert row is not None
        return row

    def _second_of_steps(self, arn: str, failing: Failing, lasting: int) -> None:
        jobs = self.house.jobs
        running = [child for child in jobs.children(arn) if child.status in ("InProgress", "Stopping")]
        self.most_at_once = max(self.most_at_once, len(running))
        for child in running:
            if "told" not in child.document:
                jobs.begin(child.arn)
            told = jobs.get(child.arn).document.get("told", 0) + 1
            jobs.note(child.arn, told=told)
            name = next(step for step in self.steps(arn) if f"-{step.lower()}-" in child.arn)
            if child.status == "Stopping":
                jobs.end(child.arn, TrainingStatus.STOPPED)
            elif told >= lasting and name in failing:
                jobs.end(child.arn, TrainingStatus.FAILED, failureMessage=failing[name])
            elif told >= lasting:
                metric = {METRIC: {"MetricName": METRIC, "Value": 0.25}}
                jobs.end(child.arn, TrainingStatus.COMPLETED, finalMetrics=metric)
        self.clock.move(timedelta(seconds=1))
