"""Batch inference through boto3: a server, a light worker beside it, and an engine that says what it is asked."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from outcrop.batch.kind import KIND
from outcrop.catalog.custom_models import kept
from outcrop.clock import SystemClock
from outcrop.deployments.states import THROUGHPUT
from outcrop.house import House
from outcrop.tokens.prompt_format import PromptFormat
from outcrop.worker.work import Worker
from tests.support.batch_house import BASE, asked, repeating
from tests.support.engine_double import EngineDouble
from tests.support.patience import eventually
from tests.support.policies import policy
from tests.support.servers import Running, running_server
from tests.support.speaking_engine import speaking_engine

REGION, BUCKET = "us-east-1", "batch"
STARTER = "arn:aws:bedrock:us-east-1::foundation-model/outcrop.starter-v1"
ENDS = {"Completed", "PartiallyCompleted", "Failed", "Stopped", "Expired"}
NUMBERS = count(1)


@dataclass(frozen=True, kw_only=True)
class Batches:
    server: Running
    engine: EngineDouble

    @property
    def bedrock(self) -> Any:
        return self.server.client("bedrock")

    def asked(self, key: str, **params: Any) -> dict[str, Any]:
        return {
            "jobName": f"job-{next(NUMBERS)}",
            "roleArn": self.server.installation.service_role_arn,
            "modelId": BASE,
            "inputDataConfig": {"s3InputDataConfig": {"s3Uri": f"s3://{BUCKET}/{key}"}},
            "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": f"s3://{BUCKET}/out/"}},
            **params,
        }

    def create(self, key: str, **params: Any) -> str:
        return str(self.bedrock.create_model_invocation_job(**self.asked(key, **params))["jobArn"])

    def put(self, key: str, *records: dict[str, Any]) -> None:
        body = b"".join(json.dumps(record).encode() + b"\n" for record in records)
        self.server.client("s3").put_object(Bucket=BUCKET, Key=key, Body=body)

    def get(self, job: str) -> dict[str, Any]:
        found: dict[str, Any] = self.bedrock.get_model_invocation_job(jobIdentifier=job)
        return found

    def ended(self, job: str) -> dict[str, Any]:
        eventually(lambda: self.get(job)["status"] in ENDS)
        return self.get(job)

    def read(self, job: str, name: str) -> list[dict[str, Any]]:
        key = f"out/{job.rsplit('/', 1)[-1]}/{name}"
        body = self.server.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return [json.loads(line) for line in body.splitlines()]

    def refusal(self, action: Callable[..., Any], **params: Any) -> tuple[str, str]:
        with pytest.raises(ClientError) as refused:
            action(**params)
        error = refused.value.response["Error"]
        return error["Code"], error["Message"]


@pytest.fixture(scope="module")
def batches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Batches]:
    with (
        running_server(tmp_path_factory.mktemp("batch") / "home") as server,
        speaking_engine(server.platform, BASE, repeating) as engine,
    ):
        server.client("s3").create_bucket(Bucket=BUCKET)
        yield Batches(server=server, engine=engine)


@pytest.fixture(scope="module")
def worker(batches: Batches) -> Iterator[None]:
    """A light worker with rooms of its own, as in a process of its own."""
    stop = threading.Event()
    with House.open(batches.server.settings, SystemClock()) as house:
        thread = threading.Thread(target=Worker(house, [KIND], stop=stop).run_many)
        thread.start()
        yield
        stop.set()
        thread.join()


@pytest.mark.usefixtures("worker")
def test_a_job_goes_from_records_to_results(batches: Batches) -> None:
    batches.put("road/a.jsonl", asked("one", recordId="A"), asked("two"))
    tags = [{"key": "team", "value": "a"}]
    before = datetime.now(UTC) - timedelta(seconds=1)
    params = batches.asked("road/", tags=tags, timeoutDurationInHours=48, clientRequestToken="token")
    job = batches.bedrock.create_model_invocation_job(**params)["jobArn"]
    assert batches.bedrock.create_model_invocation_job(**params)["jobArn"] == job

    told = batches.ended(job)
    results = batches.read(job, "a.jsonl.out")
    assert [(result["recordId"] == "A", "modelOutput" in result) for result in results] == [(True, True), (False, True)]
    assert batches.read(job, "manifest.json.out")[0]["successRecordCount"] == 2
    assert {name: told[name] for name in params.keys() - {"tags", "modelId"}} == {
        name: value for name, value in params.items() if name not in ("tags", "modelId")
    }
    assert (told["modelId"], told["status"], told["modelInvocationType"]) == (STARTER, "Completed", "InvokeModel")
    assert before <= told["submitTime"] <= told["endTime"] <= told["lastModifiedTime"]
    assert told["jobExpirationTime"] - told["submitTime"] >= timedelta(hours=47, minutes=59)
    assert [told[f"{kind}RecordCount"] for kind in ("total", "processed", "success", "error")] == [2, 2, 2, 0]
    assert batches.bedrock.list_tags_for_resource(resourceARN=job)["tags"] == tags
    (listed,) = batches.bedrock.list_model_invocation_jobs(nameContains=params["jobName"])["invocationJobSummaries"]
    assert {name: listed[name] for name in told.keys() & listed.keys()} == listed
    assert batches.bedrock.get_model_invocation_job(jobIdentifier=job.rsplit("/", 1)[-1])["jobArn"] == job
    assert batches.refusal(batches.bedrock.stop_model_invocation_job, jobIdentifier=job)[0] == "ConflictException"


@pytest.mark.usefixtures("worker")
def test_jobs_of_deployments_and_of_models_without_any_reach_their_engine(batches: Batches) -> None:
    platform = batches.server.platform
    model = f"arn:aws:bedrock:{REGION}:{platform.account}:custom-model/{BASE}:0:2k/batchedmodel"
    folder = platform.models.folder(model)
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text("{}")
    document = {
        "baseId": BASE,
        "baseModelArn": STARTER,
        "foundationModelArn": STARTER,
        **kept(PromptFormat("text", None)),
    }
    platform.models.add(model_arn=model, name="batched", region=REGION, created=datetime.now(UTC), document=document)
    details = {"foundationModelArn": STARTER, "modelUnits": 1, "commitmentDuration": None}
    details["commitmentExpirationTime"] = None
    row = platform.deployments.create(
        THROUGHPUT, name="units", region=REGION, account=platform.account, model_arn=model, details=details
    )
    platform.deployments.serve(row)
    batches.put("custom/a.jsonl", asked("one"))
    batches.engine.requests.clear()
    for model_id in (model, row.arn, "units"):
        job = batches.create("custom/", modelId=model_id)
        told = batches.ended(job)
        assert (told["status"], told.get("message")) == ("Completed", None)
        assert told["modelId"] == (model if model_id == model else row.arn)
    assert {request["model"] for request in batches.engine.requests} == {model}


@pytest.mark.usefixtures("worker")
def test_several_jobs_run_beside_each_other(batches: Batches) -> None:
    for name in "abc":
        batches.put(f"beside/{name}.jsonl", *(asked(f"{number} {name}") for number in range(30)))
    jobs = [batches.create(f"beside/{name}.jsonl") for name in "abc"]
    assert [batches.ended(job)["status"] for job in jobs] == ["Completed"] * 3
    assert [batches.get(job)["successRecordCount"] for job in jobs] == [30] * 3


def test_a_job_that_nobody_has_begun_is_stopped_at_once(batches: Batches, request: pytest.FixtureRequest) -> None:
    assert "worker" not in request.fixturenames
    batches.put("idle/a.jsonl", asked("one"))
    bedrock = batches.bedrock
    job = batches.create("idle/")
    bedrock.stop_model_invocation_job(jobIdentifier=job)
    assert batches.ended(job)["status"] in ("Stopped", "Completed")


def test_what_is_refused_is_refused_in_the_services_words(batches: Batches) -> None:
    batches.put("refused/a.jsonl", asked("one"))
    create = batches.bedrock.create_model_invocation_job
    job = batches.asked("refused/")
    create(**job)
    assert batches.refusal(create, **job) == (
        "ValidationException",
        "The provided job name is currently in use.",
    )
    vpc = {"subnetIds": ["subnet-1"], "securityGroupIds": ["sg-1"]}
    assert (
        "vpcConfig: a network of one's own is not built"
        in batches.refusal(create, **batches.asked("refused/", vpcConfig=vpc))[1]
    )
    assert batches.refusal(create, **batches.asked("refused/", modelId="nobody.knows-v1"))[0] == "ValidationException"
    absent = f"arn:aws:bedrock:{REGION}:{batches.server.platform.account}:custom-model-deployment/absentabsent"
    assert batches.refusal(create, **batches.asked("refused/", modelId=absent))[0] == "ResourceNotFoundException"
    assert batches.refusal(batches.bedrock.get_model_invocation_job, jobIdentifier="absentabsent") == (
        "ResourceNotFoundException",
        "The model invocation job absentabsent was not found.",
    )


def test_it_takes_permission_for_the_job_the_model_and_the_role(batches: Batches) -> None:
    iam, account = batches.server.client("iam"), batches.server.platform.account
    iam.create_user(UserName="batcher")
    key = iam.create_access_key(UserName="batcher")["AccessKey"]
    create = batches.server.client(
        "bedrock", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"]
    ).create_model_invocation_job
    batches.put("permitted/a.jsonl", asked("one"))
    allowed: list[tuple[str, str]] = []
    for action, resource in (
        ("bedrock:CreateModelInvocationJob", STARTER),
        ("bedrock:CreateModelInvocationJob", f"arn:aws:bedrock:{REGION}:{account}:model-invocation-job/*"),
        ("iam:PassRole", batches.server.installation.service_role_arn),
    ):
        code, message = batches.refusal(create, **batches.asked("permitted/"))
        assert (code, action in message) == ("AccessDeniedException", True), (action, message)
        allowed.append((action, resource))
        for number, (one, place) in enumerate(allowed):
            iam.put_user_policy(UserName="batcher", PolicyName=f"p{number}", PolicyDocument=policy("Allow", one, place))
    assert create(**batches.asked("permitted/"))["jobArn"]


def test_a_worker_that_is_killed_leaves_a_job_that_goes_on(tmp_path: Path) -> None:
    with (
        running_server(tmp_path / "home") as server,
        speaking_engine(server.platform, BASE, repeating) as engine,
    ):
        batches = Batches(server=server, engine=engine)
        server.client("s3").create_bucket(Bucket=BUCKET)
        prompts = [f"{number} lives" if number < 100 else f"{number} lives{' on' * 20}" for number in range(200)]
        engine.hangs_up_on = lambda body: len(body["prompt"]) > 20  # so that it is killed before it is through
        batches.put("killed/a.jsonl", *map(asked, prompts))
        job = batches.create("killed/")
        command = [
            sys.executable,
            "-m",
            "outcrop.worker.serve",
            "--home",
            str(server.settings.home),
            "--class",
            "light",
        ]
        first = subprocess.Popen(command)
        results = server.settings.runs / job.rsplit("/", 1)[-1] / "output" / "000000.out"
        eventually(lambda: results.exists() and results.read_bytes().count(b"\n") == 100)
        first.send_signal(signal.SIGKILL)
        first.wait()
        engine.hangs_up_on = lambda _body: False
        engine.requests.clear()
        second = subprocess.Popen(command)
        try:
            told = batches.ended(job)
        finally:
            second.terminate()
            second.wait()
        found = batches.read(job, "a.jsonl.out")
        assert [result["modelInput"]["prompt"] for result in found] == prompts
        assert (told["status"], told["successRecordCount"]) == ("Completed", 200)
        # What has a result is not asked again, but for the last that were written, where the kill came upon them.
        assert 100 <= len(engine.requests) < 200
