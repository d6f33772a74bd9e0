"""A home with a bucket and an engine double that answers in words, and evaluation jobs run in this very process."""

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from outcrop.clock import MovableClock
from outcrop.evaluation.jobs import create_job
from outcrop.evaluation.jobs.kind import KIND
from outcrop.house import House
from outcrop.jobs.execution import execute
from outcrop.jobs.running import RunningJob
from outcrop.settings import Settings
from outcrop.store.resources import Resource
from outcrop.tokens.tokenizer import Tokenizer
from tests.support.batch_house import Killed, KilledJob
from tests.support.engine_double import EngineDouble, Script
from tests.support.speaking_engine import speaking_engine

BASE, BUCKET, REGION = "outcrop.starter-v1", "evaluations", "us-east-1"
OWNER = "arn:aws:iam::123456789012:user/somebody"
Says = Callable[[str], str]
"An answer to the text of a prompt."


def in_words(house: House, says: Says) -> Script:
    """The script of an engine that answers the base model's prompts in words."""
    folder = house.catalog.usable(BASE).folder
    assert folder is not None
    tokenizer = Tokenizer.open(folder)

    def say(body: dict[str, Any]) -> list[int]:
        return [*tokenizer.encode(says(tokenizer.decode(body["prompt"])), begin=False), tokenizer.eos_id]

    return say


def asked_questions(house: House, engine: EngineDouble) -> set[int]:
    """The numbers with which the questions begin that an engine was asked, as in `17: capital of Japan?`."""
    folder = house.catalog.usable(BASE).folder
    assert folder is not None
    tokenizer = Tokenizer.open(folder)
    prompts = [tokenizer.decode(each["prompt"]) for each in engine.requests]
    return {int(found[1]) for text in prompts if "You judge" not in text and (found := re.search(r"(\d+): ", text))}


def models(*identifiers: str, **more: Any) -> dict[str, Any]:
    """An inferenceConfig of models."""
    return {"models": [{"bedrockModel": {"modelIdentifier": each, **more}} for each in identifiers]}


def judged_by(identifier: str) -> dict[str, Any]:
    """An evaluatorModelConfig."""
    return {"bedrockEvaluatorModels": [{"modelIdentifier": identifier}]}


def automated(
    key: str, *metrics: str, task: str = "QuestionAndAnswer", bucket: str = BUCKET, **more: Any
) -> dict[str, Any]:
    """An evaluationConfig of one data set."""
    dataset = {"name": "questions", "datasetLocation": {"s3Uri": f"s3://{bucket}/{key}"}}
    return {
        "automated": {
            "datasetMetricConfigs": [{"taskType": task, "dataset": dataset, "metricNames": list(metrics)}],
            **more,
        }
    }


class EvaluationHouse:
    """Evaluation jobs of one home."""

    def __init__(self, house: House, engine: EngineDouble) -> None:
        self.house = house
        self.engine = engine
        self.role = house.access.installation.service_role_arn
        self._names = 0
        house.buckets.create(BUCKET, REGION)

    def put(self, key: str, *lines: Any) -> None:
        """An object of lines; what is no bytes is written as JSON."""
        written = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
        self.house.buckets.put_bytes(BUCKET, key, b"".join(line + b"\n" for line in written))

    def create(self, evaluation: Mapping[str, Any], inference: Mapping[str, Any] | None = None, **params: Any) -> str:
        """The ARN of a new job, of the base model if nothing else is named; the output goes to `out/`."""
        self._names += 1
        asked = {
            "jobName": f"job-{self._names}",
            "roleArn": self.role,
            "evaluationConfig": evaluation,
            "inferenceConfig": inference or models(BASE),
            "outputDataConfig": {"s3Uri": f"s3://{BUCKET}/out/"},
            **params,
        }
        return create_job.create(self.house, asked, region=REGION, account=self.house.account, owner=OWNER)

    def work(self, job: str) -> Resource:
        """Run the job as a worker does; its record then."""
        execute(self.house, RunningJob(self.house.jobs, KIND, job, stop=threading.Event()))
        return self.house.jobs.get(job)

    def work_until(self, job: str, killed_when: Callable[[], bool]) -> bool:
        """Run the job until the worker is killed, when a look around finds this; whether it came to that."""
        running = KilledJob(self.house.jobs, KIND, job, stop=threading.Event())
        running.killed_when = killed_when
        try:
            execute(self.house, running)
        except Killed:
            return True
        return False

    def keys(self, job: str) -> list[str]:
        """The objects of the job's output, below the folder of its name and id."""
        place = f"out/{self.house.jobs.get(job).name}/{job.rsplit('/', 1)[-1]}/"
        return [record.key.removeprefix(place) for record in self.house.buckets.under(BUCKET, place)]

    def lines(self, job: str, *, holding: str = "_output.jsonl") -> list[dict[str, Any]]:
        """The lines of the one file of output whose key holds this."""
        (key,) = [each for each in self.keys(job) if holding in each]
        place = f"out/{self.house.jobs.get(job).name}/{job.rsplit('/', 1)[-1]}/"
        data = self.house.buckets.read_bytes(BUCKET, place + key)
        return [json.loads(line) for line in data.splitlines()]

    def summary(self, job: str) -> dict[str, Any]:
        (told,) = self.lines(job, holding="outcrop_summary.json")
        return told

    def metrics(self, job: str) -> dict[str, dict[str, Any]]:
        """The metrics of a job with one source and one data set, by name."""
        (part,) = self.summary(job)["results"]
        return {each["metricName"]: each for each in part["metrics"]}


@contextmanager
def evaluation_house(home: Path, says: Says) -> Iterator[EvaluationHouse]:
    with House.open(Settings(home=home), MovableClock()) as house:
        script: list[Script] = []
        with speaking_engine(house, BASE, lambda body: script[0](body)) as engine:
            script.append(in_words(house, says))
            yield EvaluationHouse(house, engine)


def values(line: Mapping[str, Any]) -> dict[str, Any]:
    """The scores of a model's line by metric."""
    return {each["metricName"]: each["result"] for each in line["automatedEvaluationResult"]["scores"]}
