"""Bedrock as this example speaks to it: jobs, provisioned throughput, and answers, in plain boto3 calls."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

PATIENT = Config(retries={"mode": "standard", "max_attempts": 20}, read_timeout=600)
ON_AWS = "AWS_ENDPOINT_URL" not in os.environ
AT_ONCE = 8
Turn = tuple[str, str]
"An example before the question: what was asked, and what was answered."


@dataclass(frozen=True, kw_only=True)
class SummaryAnswer:
    """The answer of a model, with its tokens and its time."""

    text: str
    input_tokens: int
    output_tokens: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class SummaryModel:
    """A custom model, as its job has left it."""

    arn: str
    job: Mapping[str, Any] = field(repr=False)
    loss: float


class Bedrock:
    """The clients, the bucket of this run, and the role that jobs run under."""

    def __init__(self, run: str) -> None:
        self.run = run
        self.bucket = f"{run}-data"
        self.s3, self.models, self.runtime = (
            boto3.client(service, config=PATIENT) for service in ("s3", "bedrock", "bedrock-runtime")
        )

    def upload(self, files: Sequence[Path]) -> None:
        """Put files into the bucket of this run, which is made."""
        region = self.s3.meta.region_name
        place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        self.s3.create_bucket(Bucket=self.bucket, **place)
        for path in files:
            self.s3.upload_file(str(path), self.bucket, path.name)
            print(f"  {path.name:18} {path.stat().st_size:>9,} bytes -> s3://{self.bucket}/{path.name}")

    def start(self, name: str, base: str, hyperparameters: Mapping[str, str]) -> str:
        """Create a customization job; returns its name."""
        job = f"{self.run}-{name}"
        self.models.create_model_customization_job(
            jobName=job,
            customModelName=job,
            roleArn=os.environ["OUTCROP_ROLE_ARN"],
            baseModelIdentifier=base,
            customizationType="FINE_TUNING",
            trainingDataConfig={"s3Uri": f"s3://{self.bucket}/train.jsonl"},
            validationDataConfig={"validators": [{"s3Uri": f"s3://{self.bucket}/validation.jsonl"}]},
            outputDataConfig={"s3Uri": f"s3://{self.bucket}/output/"},
            hyperParameters=dict(hyperparameters),
        )
        return job

    def finished(self, job: str) -> SummaryModel:
        """The model of a job that is waited for. Ends the program where the job fails."""
        began = time.monotonic()
        ended = wait_while(
            ("InProgress", "Stopping"), lambda: self.models.get_model_customization_job(jobIdentifier=job)
        )
        if ended["status"] != "Completed":
            sys.exit(f"The job {job} ended as {ended['status']}: {ended.get('failureMessage', 'no message')}")
        loss = float(ended["validationMetrics"][0]["validationLoss"])
        print(f"  {job}: validation loss {loss:.3f}, waited {time.monotonic() - began:.0f} s", flush=True)
        return SummaryModel(arn=str(ended["outputModelArn"]), job=ended, loss=loss)

    @contextmanager
    def provisioned(self, name: str, model: str) -> Iterator[str]:
        """A model unit without commitment. It is paid by the hour while it exists, so it is given back at once."""
        made = self.models.create_provisioned_model_throughput(
            modelUnits=1, provisionedModelName=f"{self.run}-{name}", modelId=model
        )
        arn = str(made["provisionedModelArn"])
        try:
            seen = wait_while(
                ("Creating", "Updating"),
                lambda: self.models.get_provisioned_model_throughput(provisionedModelId=arn),
            )
            if seen["status"] != "InService":
                sys.exit(f"The throughput for {model} failed: {seen.get('failureMessage')}")
            print(f"  {arn} is InService", flush=True)
            yield arn
        finally:
            self.models.delete_provisioned_model_throughput(provisionedModelId=arn)
            print(f"  {arn} is deleted", flush=True)

    def ask(self, model: str, prompt: str, *, most: int, examples: Sequence[Turn] = ()) -> SummaryAnswer:
        """The answer of a model at temperature 0, behind examples, which are turns of the talk."""
        turns = [(role, text) for pair in examples for role, text in zip(("user", "assistant"), pair, strict=True)]
        began = time.monotonic()
        told = self.runtime.converse(
            modelId=model,
            messages=[{"role": role, "content": [{"text": text}]} for role, text in (*turns, ("user", prompt))],
            inferenceConfig={"maxTokens": most, "temperature": 0.0},
        )
        text = "".join(block.get("text", "") for block in told["output"]["message"]["content"])
        return SummaryAnswer(
            text=text.strip(),
            input_tokens=told["usage"]["inputTokens"],
            output_tokens=told["usage"]["outputTokens"],
            seconds=time.monotonic() - began,
        )

    def ask_all(
        self, model: str, prompts: Sequence[str], *, most: int, examples: Sequence[Turn] = ()
    ) -> list[SummaryAnswer]:
        """The answers to all prompts, in order, several at a time."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(lambda prompt: self.ask(model, prompt, most=most, examples=examples), prompts))


def wait_while(states: Sequence[str], look: Callable[[], Any], *, every_s: float = 0.5) -> Any:
    """Look again and again until the status is none of these."""
    while (seen := look())["status"] in states:
        time.sleep(every_s)
    return seen
