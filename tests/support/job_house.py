"""The rooms of a worker in this very process: jobs are asked for as the door would, and run to their end or to a kill."""

import io
import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas

from outcrop.buckets.listing import ListingRequest
from outcrop.clock import SystemClock
from outcrop.customization import create_job, imported
from outcrop.customization.kind import KIND
from outcrop.house import House
from outcrop.jobs.execution import execute
from outcrop.jobs.running import RunningJob
from outcrop.keys import sealing
from outcrop.keys.sealing import AuthorizeKey
from outcrop.metrics import measurements
from outcrop.settings import Settings
from tests.support.homes import TINY, pairs

REGION = "us-east-1"
BUCKET = "house"


class Killed(BaseException):
    """What `kill -9` is to a process: nothing of the job's code runs after it but what closes threads."""


class JobHouse:
    """A home with a tiny base model, a bucket with data, and a worker's rooms."""

    def __init__(self, home: Path, *, database_url: str = "", seal: bool = False) -> None:
        """`seal`: everything is sealed by the installation's key, as by `outcrop up --seal`."""
        self.settings = Settings(home=home, threads=1, database_url=database_url, seal=seal)
        self.context = self._open()
        self.role = self.context.access.installation.service_role_arn
        if not self.context.buckets.exists(BUCKET):
            self.context.buckets.create(BUCKET, REGION)
            self.put("train.jsonl", pairs(12))
            self.put("validation.jsonl", pairs(2))

    def _open(self) -> House:
        return House.open(self.settings, SystemClock())

    def reopen(self) -> None:
        """Close the store and open it anew, as a restarted process would."""
        self.context.store.close()
        self.context = self._open()

    def put(self, key: str, content: bytes) -> None:
        self.context.buckets.put_bytes(BUCKET, key, content)

    def create(
        self,
        name: str,
        *,
        base: str = TINY,
        validate: bool = True,
        more: Mapping[str, str] = {},
        pre_train: bool = False,
        data: str = "train.jsonl",
        validation: str = "validation.jsonl",
        key: str = "",
    ) -> str:
        """The ARN of a new job; `more` are hyperparameters, `data` and `validation` keys or prefixes, `key` is a KMS key
        that whoever asks may use."""
        params: dict[str, Any] = {
            "jobName": name,
            "customModelName": name,
            "roleArn": self.role,
            "baseModelIdentifier": base,
            "trainingDataConfig": {"s3Uri": f"s3://{BUCKET}/{data}"},
            "outputDataConfig": {"s3Uri": f"s3://{BUCKET}/out/{name}"},
            "hyperParameters": {"epochCount": "2", "batchSize": "4", "learningRate": "0.003", **more},
        }
        if validate:
            params["validationDataConfig"] = {"validators": [{"s3Uri": f"s3://{BUCKET}/{validation}"}]}
        if pre_train:
            params["customizationType"] = "CONTINUED_PRE_TRAINING"
        if key:
            params["customModelKmsKeyId"] = key
        models, catalog = self.context.models, self.context.catalog
        return create_job.create(
            self.context,
            params,
            base=catalog.find(base),
            parent=models.look(REGION, base),
            region=REGION,
            account=self.context.access.account,
            owner="arn:aws:iam::123456789012:user/somebody",
            authorize_key=lambda _key, _context: None,
        )

    def create_custom_model(
        self, name: str, uri: str, *, authorize_key: AuthorizeKey = sealing.nobody_may, **more: Any
    ) -> str:
        """CreateCustomModel from `uri`; `authorize_key` says which KMS keys whoever asks may use."""
        source = {"s3DataSource": {"s3Uri": uri}}
        params = {"modelName": name, "modelSourceConfig": source, "roleArn": self.role, **more}
        return imported.create(
            self.context, params, region=REGION, account=self.context.access.account, authorize_key=authorize_key
        )

    def work(
        self,
        job: str,
        *,
        attempt: int = 1,
        report: Callable[[str], None] = lambda _words: None,
        context: House | None = None,
    ) -> bool:
        """Execute a job as a worker does; `report` may raise Killed."""
        house = context or self.context
        numbers = measurements.of_jobs(house.points)
        running = RunningJob(
            house.jobs, KIND, job, attempt=attempt, stop=threading.Event(), told=report, numbers=numbers
        )
        return execute(house, running)

    def output(self, job: str, path: str) -> bytes:
        """An object in the job's folder of the output bucket."""
        return self.context.buckets.read_bytes(BUCKET, f"{self.folder(job)}/{path}")

    def folder(self, job: str) -> str:
        """Key of the job's folder."""
        return f"out/{self.context.jobs.get(job).name}/model-customization-job-{job.rsplit('/', 1)[-1]}"

    def keys(self, job: str) -> list[str]:
        """All objects in the job's folder."""
        prefix = f"{self.folder(job)}/"
        found = self.context.buckets.list_objects(BUCKET, ListingRequest(prefix=prefix)).objects
        return [item.key.removeprefix(prefix) for item in found]

    def events(self, job: str) -> list[dict[str, Any]]:
        lines = self.output(job, "training_artifacts/events.jsonl").splitlines()
        return [json.loads(line) for line in lines]

    def training_csv(self, job: str) -> Any:
        """The step-wise training metrics of a job, as a notebook reads them."""
        return pandas.read_csv(io.BytesIO(self.output(job, "training_artifacts/step_wise_training_metrics.csv")))
