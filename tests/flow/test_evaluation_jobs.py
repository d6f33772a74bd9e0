"""Evaluation jobs through boto3: a server, a light worker beside it, and an engine that answers in words."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from outcrop.clock import SystemClock
from outcrop.evaluation.jobs.kind import KIND
from outcrop.house import House
from outcrop.worker.work import Worker
from tests.support.engine_double import EngineDouble, Script
from tests.support.evaluation_house import BASE, asked_questions, automated, in_words, judged_by, models
from tests.support.evaluation_reader import ReadOutput, read_output
from tests.support.knowledge_house import knowledge_base
from tests.support.patience import eventually
from tests.support.policies import policy
from tests.support.servers import Running, running_server
from tests.support.speaking_engine import speaking_engine

BUCKET, OUT = "measured", "s3://measured/out"
EXTRACTS = "arn:aws:bedrock:us-east-1::foundation-model/outcrop.extractive-v1"
ENDS = {"Completed", "Failed", "Stopped"}
NUMBERS = count(1)
RULES = {
    "s3://rules/fee.txt": "The fee of an application is 2,500 dollars.",
    "s3://rules/lamp.txt": "Each tram carries two lamps.",
}


def says(prompt: str) -> str:
    if "You judge" not in prompt:
        return "Tokyo" if "Japan" in prompt else "Paris"
    if "supported" in prompt:
        return "The passage says so.\nGrade: supported"
    if "- relevant" in prompt:
        return f"Reason.\nGrade: {'relevant' if 'The fee of' in prompt else 'irrelevant'}"
    return f"Reason.\nGrade: {'correct' if 'Tokyo' in prompt else 'incorrect'}"


@dataclass(frozen=True, kw_only=True)
class Evaluations:
    server: Running
    engine: EngineDouble

    @property
    def bedrock(self) -> Any:
        return self.server.client("bedrock")

    def asked(
        self, evaluation: dict[str, Any], inference: dict[str, Any] | None = None, **params: Any
    ) -> dict[str, Any]:
        return {
            "jobName": f"job-{next(NUMBERS)}",
            "roleArn": self.server.installation.service_role_arn,
            "evaluationConfig": evaluation,
            "inferenceConfig": inference or models(BASE),
            "outputDataConfig": {"s3Uri": OUT},
            **params,
        }

    def put(self, key: str, *records: dict[str, Any]) -> None:
        body = b"".join(json.dumps(record).encode() + b"\n" for record in records)
        self.server.client("s3").put_object(Bucket=BUCKET, Key=key, Body=body)

    def ended(self, job: str) -> dict[str, Any]:
        found: dict[str, Any] = eventually(lambda: self._ended(job))
        return found

    def _ended(self, job: str) -> dict[str, Any] | None:
        found: dict[str, Any] = self.bedrock.get_evaluation_job(jobIdentifier=job)
        return found if found["status"] in ENDS else None

    def read(self, job_name: str) -> ReadOutput:
        return read_output(self.server.client("s3"), OUT, job_name)


def refusal(action: Callable[..., Any], **params: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        action(**params)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def of_bucket(key: str, *metrics: str, **more: Any) -> dict[str, Any]:
    return automated(key, *metrics, bucket=BUCKET, **more)


@pytest.fixture(scope="module")
def evaluations(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evaluations]:
    script: list[Script] = []
    with (
        running_server(tmp_path_factory.mktemp("evaluations") / "home") as server,
        speaking_engine(server.platform, BASE, lambda body: script[0](body)) as engine,
    ):
        script.append(in_words(server.platform, says))
        server.client("s3").create_bucket(Bucket=BUCKET)
        made = Evaluations(server=server, engine=engine)
        made.put(
            "capitals.jsonl",
            {"prompt": "The capital of Japan?", "referenceResponse": "Tokyo", "category": "Asia"},
            {"prompt": "The capital of Chad?", "referenceResponse": "N'Djamena"},
        )
        yield made


@pytest.fixture(scope="module")
def worker(evaluations: Evaluations) -> Iterator[None]:
    """A light worker with rooms of its own, as in a process of its own."""
    stop = threading.Event()
    with House.open(evaluations.server.settings, SystemClock()) as house:
        thread = threading.Thread(target=Worker(house, [KIND], stop=stop).run_many)
        thread.start()
        yield
        stop.set()
        thread.join()


@pytest.mark.usefixtures("worker")
def test_a_job_is_created_listed_read_back_and_deleted(evaluations: Evaluations) -> None:
    bedrock = evaluations.bedrock
    tags = [{"key": "team", "value": "a"}]
    evaluation = of_bucket(
        "capitals.jsonl", "Builtin.Accuracy", "Builtin.Correctness", evaluatorModelConfig=judged_by(BASE)
    )
    params = evaluations.asked(evaluation, jobTags=tags, clientRequestToken="token", jobDescription="capitals")
    job = bedrock.create_evaluation_job(**params)["jobArn"]
    assert bedrock.create_evaluation_job(**params)["jobArn"] == job
    assert refusal(bedrock.create_evaluation_job, **params | {"clientRequestToken": "another"}) == (
        "ValidationException",
        "The provided job name is currently in use.",
    )

    told = evaluations.ended(job)
    assert (told["status"], told.get("failureMessages")) == ("Completed", None)
    assert (told["jobType"], told["applicationType"]) == ("Automated", "ModelEvaluation")
    same = ("jobName", "jobDescription", "roleArn", "evaluationConfig", "inferenceConfig", "outputDataConfig")
    assert {name: told[name] for name in same} == {name: params[name] for name in same}
    assert bedrock.list_tags_for_resource(resourceARN=job)["tags"] == tags
    (listed,) = bedrock.list_evaluation_jobs(nameContains=params["jobName"])["jobSummaries"]
    assert listed["evaluationTaskTypes"] == ["QuestionAndAnswer"]
    assert (listed["modelIdentifiers"], listed["evaluatorModelIdentifiers"]) == ([BASE], [BASE])
    assert listed["inferenceConfigSummary"] == {"modelConfigSummary": {"bedrockModelIdentifiers": [BASE]}}
    assert bedrock.list_evaluation_jobs(nameContains=params["jobName"], statusEquals="Failed")["jobSummaries"] == []
    assert bedrock.list_evaluation_jobs(applicationTypeEquals="RagEvaluation")["jobSummaries"] == []

    read = evaluations.read(params["jobName"]).records["questions"]
    assert [(each.response, each.category, each.scores) for each in read] == [
        ("Tokyo", "Asia", {"Accuracy": 1.0, "Builtin.Correctness": 1.0}),
        ("Paris", None, {"Accuracy": 0.0, "Builtin.Correctness": 0.0}),
    ]
    assert read[0].explanations == {"Builtin.Correctness": "Reason."}

    assert refusal(bedrock.stop_evaluation_job, jobIdentifier=job)[0] == "ConflictException"
    absent = job[:-12] + "absentabsent"
    deleted = bedrock.batch_delete_evaluation_job(jobIdentifiers=[job, absent])
    assert deleted["evaluationJobs"] == [{"jobIdentifier": job, "jobStatus": "Deleting"}]
    assert [(each["jobIdentifier"], each["code"]) for each in deleted["errors"]] == [
        (absent, "ResourceNotFoundException")
    ]
    assert refusal(bedrock.get_evaluation_job, jobIdentifier=job)[0] == "ResourceNotFoundException"


def rag_line(question: str, *, reference: str = "") -> dict[str, Any]:
    turn: dict[str, Any] = {"prompt": {"content": [{"text": question}]}}
    if reference:
        turn["referenceResponses"] = [{"content": [{"text": reference}]}]
    return {"conversationTurns": [turn]}


@pytest.mark.usefixtures("worker")
def test_a_knowledge_base_is_evaluated_by_its_passages_and_by_its_answers(evaluations: Evaluations) -> None:
    bedrock, base = evaluations.bedrock, knowledge_base(evaluations.server.platform, RULES)
    evaluations.put("rag.jsonl", rag_line("What is the fee of an application?", reference="2,500 dollars"))
    search = {"vectorSearchConfiguration": {"numberOfResults": 2}}
    retrieve = {"knowledgeBaseId": base, "knowledgeBaseRetrievalConfiguration": search}
    judge = {"evaluatorModelConfig": judged_by(BASE)}
    params = evaluations.asked(
        of_bucket("rag.jsonl", "Builtin.ContextRelevance", task="General", **judge),
        {"ragConfigs": [{"knowledgeBaseConfig": {"retrieveConfig": retrieve}}]},
        applicationType="RagEvaluation",
    )
    told = evaluations.ended(bedrock.create_evaluation_job(**params)["jobArn"])
    assert (told["status"], told.get("failureMessages")) == ("Completed", None)
    (found,) = evaluations.read(params["jobName"]).records["questions"]
    assert found.scores == {"Builtin.ContextRelevance": 1.0}  # the one passage that the words find

    generate = {"type": "KNOWLEDGE_BASE", "knowledgeBaseConfiguration": {"knowledgeBaseId": base, "modelArn": EXTRACTS}}
    params = evaluations.asked(
        of_bucket("rag.jsonl", "Builtin.CitationPrecision", "Builtin.CitationCoverage", task="General", **judge),
        {"ragConfigs": [{"knowledgeBaseConfig": {"retrieveAndGenerateConfig": generate}}]},
    )
    told = evaluations.ended(bedrock.create_evaluation_job(**params)["jobArn"])
    assert (told["status"], told.get("failureMessages")) == ("Completed", None)
    (found,) = evaluations.read(params["jobName"]).records["questions"]
    assert found.response == RULES["s3://rules/fee.txt"]
    assert found.scores == {"Builtin.CitationPrecision": 1.0, "Builtin.CitationCoverage": 1.0}
    (listed,) = bedrock.list_evaluation_jobs(nameContains=params["jobName"])["jobSummaries"]
    assert (listed["ragIdentifiers"], listed["applicationType"]) == ([base], "RagEvaluation")


@pytest.mark.usefixtures("worker")
def test_a_running_job_is_stopped_and_one_that_runs_is_not_deleted(evaluations: Evaluations) -> None:
    bedrock = evaluations.bedrock
    evaluations.engine.hangs_up_on = lambda _body: True
    try:
        params = evaluations.asked(of_bucket("capitals.jsonl", "Builtin.Accuracy"))
        job = bedrock.create_evaluation_job(**params)["jobArn"]
        (error,) = bedrock.batch_delete_evaluation_job(jobIdentifiers=[job])["errors"]
        assert (error["code"], "Stop it first" in error["message"]) == ("ConflictException", True)
        bedrock.stop_evaluation_job(jobIdentifier=job)
        assert evaluations.ended(job)["status"] == "Stopped"
    finally:
        evaluations.engine.hangs_up_on = lambda _body: False
    assert evaluations.read(params["jobName"]).records == {}


@pytest.mark.usefixtures("worker")
def test_bad_data_fails_a_job_with_a_message_for_each_line(evaluations: Evaluations) -> None:
    evaluations.put("bad.jsonl", {"prompt": 1}, {"prompt": "a", "referenceResponse": []})
    params = evaluations.asked(of_bucket("bad.jsonl", "Builtin.Accuracy"))
    told = evaluations.ended(evaluations.bedrock.create_evaluation_job(**params)["jobArn"])
    assert told["status"] == "Failed"
    assert [each.partition(".jsonl:")[2].partition(":")[0] for each in told["failureMessages"]] == ["1", "2"]


@pytest.mark.usefixtures("worker")
def test_jobs_of_several_users_run_beside_each_other_and_nobody_else_sees_them(evaluations: Evaluations) -> None:
    iam, account = evaluations.server.client("iam"), evaluations.server.platform.account
    allowed = (
        ("bedrock:CreateEvaluationJob", f"arn:aws:bedrock:us-east-1:{account}:evaluation-job/*"),
        ("bedrock:GetEvaluationJob", f"arn:aws:bedrock:us-east-1:{account}:evaluation-job/*"),
        ("iam:PassRole", evaluations.server.installation.service_role_arn),
    )

    def user(name: str, *permissions: tuple[str, str]) -> Any:
        iam.create_user(UserName=name)
        for number, (action, resource) in enumerate(permissions):
            document = policy("Allow", action, resource)
            iam.put_user_policy(UserName=name, PolicyName=f"p{number}", PolicyDocument=document)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        secret = key["SecretAccessKey"]
        return evaluations.server.client("bedrock", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=secret)

    def whole(name: str) -> tuple[str, list[dict[str, Any]]]:
        params = evaluations.asked(of_bucket("capitals.jsonl", "Builtin.Accuracy"))
        job = user(name, *allowed).create_evaluation_job(**params)["jobArn"]
        assert evaluations.ended(job)["status"] == "Completed"
        return job, [each.scores for each in evaluations.read(params["jobName"]).records["questions"]]

    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(whole, ["ann", "bob", "cid"]))
    assert [scores for _, scores in done] == [[{"Accuracy": 1.0}, {"Accuracy": 0.0}]] * 3

    stranger, (job, _) = user("stranger"), done[0]
    for action, params in (
        (stranger.get_evaluation_job, {"jobIdentifier": job}),
        (stranger.stop_evaluation_job, {"jobIdentifier": job}),
        (stranger.batch_delete_evaluation_job, {"jobIdentifiers": [job]}),
        (stranger.list_evaluation_jobs, {}),
        (stranger.create_evaluation_job, evaluations.asked(of_bucket("capitals.jsonl", "Builtin.Accuracy"))),
    ):
        assert refusal(action, **params)[0] == "AccessDeniedException"


def test_what_cannot_be_is_refused_in_the_services_words(evaluations: Evaluations) -> None:
    create = evaluations.bedrock.create_evaluation_job
    said = of_bucket("capitals.jsonl", "Builtin.Accuracy")
    human = {"human": {"datasetMetricConfigs": said["automated"]["datasetMetricConfigs"]}}
    code, message = refusal(create, **evaluations.asked(human))
    assert (code, "Outcrop has no work teams that would grade" in message) == ("ValidationException", True)
    key = "arn:aws:kms:us-east-1:123456789012:key/12345678-1234-1234-1234-123456789012"
    assert (
        "customerEncryptionKeyId: encryption"
        in refusal(create, **evaluations.asked(said, customerEncryptionKeyId=key))[1]
    )
    absent = of_bucket("absent.jsonl", "Builtin.Accuracy")
    assert "Could not validate GetObject permissions" in refusal(create, **evaluations.asked(absent))[1]
    unknown = models("nobody.knows-v1")
    assert refusal(create, **evaluations.asked(said, unknown))[1].startswith(
        "The provided model identifier is invalid."
    )
    nowhere = {"outputDataConfig": {"s3Uri": "s3://nobody-has-this/out"}}
    assert "Could not validate PutObject permissions" in refusal(create, **evaluations.asked(said, **nowhere))[1]
    account = evaluations.server.platform.account
    absent_role = f"arn:aws:iam::{account}:role/absent"
    assert "Could not assume provided IAM role" in refusal(create, **evaluations.asked(said, roleArn=absent_role))[1]
    deployment = f"arn:aws:bedrock:us-east-1:{account}:custom-model-deployment/absentabsent"
    assert refusal(create, **evaluations.asked(said, models(deployment)))[0] == "ResourceNotFoundException"
    code, message = refusal(create, **evaluations.asked(said, jobName="Not Lower"))
    assert (code, "'jobName' failed to satisfy constraint" in message) == ("ValidationException", True)


def test_a_worker_that_is_killed_leaves_a_job_that_goes_on(tmp_path: Path) -> None:
    script: list[Script] = []
    with (
        running_server(tmp_path / "home") as server,
        speaking_engine(server.platform, BASE, lambda body: script[0](body)) as engine,
    ):
        script.append(in_words(server.platform, says))
        evaluations = Evaluations(server=server, engine=engine)
        server.client("s3").create_bucket(Bucket=BUCKET)
        questions = [
            f"{number}: the capital of {'Japan' if number < 20 else 'France' + ' ' * 3}?" for number in range(40)
        ]
        evaluations.put("killed.jsonl", *({"prompt": each, "referenceResponse": "Tokyo"} for each in questions))
        held = threading.Event()
        engine.hangs_up_on = lambda _body: not held.is_set() and len(engine.requests) > 20
        params = evaluations.asked(of_bucket("killed.jsonl", "Builtin.Accuracy"))
        job = evaluations.bedrock.create_evaluation_job(**params)["jobArn"]
        home = str(server.settings.home)
        command = [sys.executable, "-m", "outcrop.worker.serve", "--home", home, "--class", "light"]
        journal = server.settings.runs / job.rsplit("/", 1)[-1] / "journal.jsonl"
        first = subprocess.Popen(command)
        eventually(lambda: journal.exists() and journal.read_bytes().count(b"\n") >= 15)
        first.send_signal(signal.SIGKILL)
        first.wait()
        kept = {int(line.split(b":")[4]) - 1 for line in journal.read_bytes().splitlines() if line.endswith(b"}")}
        held.set()
        engine.requests.clear()
        second = subprocess.Popen(command)
        try:
            assert evaluations.ended(job)["status"] == "Completed"
        finally:
            second.terminate()
            second.wait()
        assert asked_questions(server.platform, engine) == {*range(40)} - kept
        read = evaluations.read(params["jobName"]).records["questions"]
        assert [each.prompt for each in read] == questions
        assert [each.scores["Accuracy"] for each in read] == [1.0] * 20 + [0.0] * 20
