"""Jobs of a bake-off through the API: data put once, a job created or found again, and waited for.

Nothing is deployed here: the API deploys a custom model when it is first asked.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from outcrop.errors import Conflict, Invalid
from outcrop.evaluation.bakeoff.outcome import TrainingNeed
from outcrop.evaluation.bakeoff.sharing import SharedJob

_LOOK_EVERY_S = 0.5
_BUSY = ("InProgress", "Stopping")


class BakeoffClients(NamedTuple):
    """The services that a bake-off speaks to, as clients of boto3."""

    s3: Any
    bedrock: Any


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """The custom model that a job left behind, and what the whole chain of jobs has cost."""

    job_arn: str
    model_arn: str
    need: TrainingNeed
    note: str = ""
    "What the service says of a model that is no better than its base."
    was_found: bool = False
    "Whether the job had been done before."


@dataclass(frozen=True, kw_only=True)
class JobRunner:
    """Runs jobs, one after the other, in one bucket and under one role."""

    clients: BakeoffClients
    bucket: str
    role: str
    tell: Callable[[str], None]

    def model_of(self, job: SharedJob, parent: TrainedModel | None) -> TrainedModel:
        """The model of a job that has ended, is under way, or is created here. Raises Conflict, Invalid."""
        ended, was_found = self._found_or_created(job, parent)
        if ended["status"] != "Completed":
            raise Conflict(
                f"the job {ended['jobName']} ended as {ended['status']}: {ended.get('failureMessage', 'no message')}"
            )
        need = training_need(self.clients.s3, ended) + (parent.need if parent is not None else TrainingNeed())
        return TrainedModel(
            job_arn=ended["jobArn"],
            model_arn=ended["outputModelArn"],
            need=need,
            note=ended.get("failureMessage", ""),
            was_found=was_found,
        )

    def _found_or_created(self, job: SharedJob, parent: TrainedModel | None) -> tuple[Mapping[str, Any], bool]:
        attempts = self._attempts(job.name)
        for each in attempts:
            if each["status"] == "Completed":
                return self.clients.bedrock.get_model_customization_job(jobIdentifier=each["jobArn"]), True
        for each in attempts:
            if each["status"] in _BUSY:
                self.tell(f"{each['jobName']} is under way already; waiting for it.")
                return self._ended(each["jobArn"]), True
        name = f"{job.name}-{len(attempts) + 1}" if attempts else job.name
        began = time.monotonic()
        arn = self._create(name, job, parent)
        ended = self._ended(arn)
        self.tell(f"{name}: {ended['status']} after {time.monotonic() - began:.0f} s")
        return ended, False

    def _attempts(self, name: str) -> list[Mapping[str, Any]]:
        """The jobs of this digest: the first, and those that were tried after one failed."""
        pages = self.clients.bedrock.get_paginator("list_model_customization_jobs").paginate(nameContains=name)
        return [job for page in pages for job in page["modelCustomizationJobSummaries"]]

    def _create(self, name: str, job: SharedJob, parent: TrainedModel | None) -> str:
        training = self._put(job.training, job.training_digest)
        more: dict[str, Any] = {}
        if job.validation is not None and job.validation_digest is not None:
            validators = [{"s3Uri": self._put(job.validation, job.validation_digest)}]
            more["validationDataConfig"] = {"validators": validators}
        try:
            created = self.clients.bedrock.create_model_customization_job(
                jobName=name,
                customModelName=name,
                roleArn=self.role,
                baseModelIdentifier=job.model if parent is None else parent.model_arn,
                customizationType=job.type,
                trainingDataConfig={"s3Uri": training},
                outputDataConfig={"s3Uri": f"s3://{self.bucket}/output/"},
                hyperParameters=dict(job.hyperparameters),
                **more,
            )
        except ClientError as refused:
            raise Invalid(f"{job.training.name}: no job: {refused.response['Error']['Message']}") from refused
        self.tell(f"{name}: {job.type} of {job.training.name} on {job.model if parent is None else parent.model_arn}")
        return str(created["jobArn"])

    def _put(self, path: Path, digest: str) -> str:
        """Put a file under its digest; what is there already is not sent again."""
        key = f"data/{digest[:20]}/{path.name}"
        try:
            self.clients.s3.head_object(Bucket=self.bucket, Key=key)
        except ClientError:
            self.clients.s3.upload_file(str(path), self.bucket, key)
        return f"s3://{self.bucket}/{key}"

    def _ended(self, arn: str) -> Mapping[str, Any]:
        while (job := self.clients.bedrock.get_model_customization_job(jobIdentifier=arn))["status"] in _BUSY:
            time.sleep(_LOOK_EVERY_S)
        ended: Mapping[str, Any] = job
        return ended


def training_need(s3: Any, job: Mapping[str, Any]) -> TrainingNeed:
    """The need of a job, from its phases and the events in its output. A figure that is not told is 0."""
    steps = {each["step"]: each for each in _events(s3, job) if each["event"] == "step"}
    return TrainingNeed(
        seconds=_seconds(job),
        tokens=sum(int(each["tokens"]) for each in steps.values()),
        peak_bytes=max((int(each["peak_bytes"]) for each in steps.values()), default=0),
    )


def _events(s3: Any, job: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    bucket, _, prefix = job["outputDataConfig"]["s3Uri"].removeprefix("s3://").partition("/")
    folder = f"model-customization-job-{job['jobArn'].rpartition('/')[2]}"
    key = f"{prefix.rstrip('/')}/{folder}/training_artifacts/events.jsonl"
    try:
        body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError:
        return
    yield from map(json.loads, body.splitlines())


def _seconds(job: Mapping[str, Any]) -> float:
    """The time from the beginning of the first phase to the end of the last."""
    phases = [each for each in job.get("statusDetails", {}).values() if "creationTime" in each]
    if not phases:
        return 0.0
    end = job.get("endTime") or max(each["lastModifiedTime"] for each in phases)
    seconds: float = (end - min(each["creationTime"] for each in phases)).total_seconds()
    return seconds
