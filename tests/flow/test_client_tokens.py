"""Client request tokens of every operation that takes one: sent again it is answered again, and makes nothing new."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from outcrop.api.operations import OPERATIONS
from outcrop.store.resources import Resource
from tests.support.checkpoints import checkpoint
from tests.support.listings.bedrock import FOUNDATIONS, START
from tests.support.listings.listing import client_of
from tests.support.servers import Running, running_server
from tests.support.shaped_values import operation_of_botocore

MODEL = "arn:aws:bedrock:us-east-1:123456789012:custom-model/outcrop.starter-v1:0:2k/tokentokento"
AT_ONCE = 4
ELSEWHERE = {
    "CreateKnowledgeBase", "CreateDataSource", "StartIngestionJob", "IngestKnowledgeBaseDocuments",
    "DeleteKnowledgeBaseDocuments", "CreateGuardrail", "CreateGuardrailVersion", "CreatePipeline", "DeletePipeline",
    "StartPipelineExecution", "StopPipelineExecution", "RetryPipelineExecution",
}  # fmt: skip
"""Tried in test_knowledge_tokens.py, whose operations answer without an ARN and have longer tokens, and in
test_guardrails.py; those of pipelines, whose tokens are longer too, in test_pipeline_tokens.py."""


@dataclass(frozen=True, kw_only=True)
class Creation:
    operation: str
    method: str
    asked: Callable[[Running, str], dict[str, Any]]
    "What makes a thing of this name."
    other: dict[str, Any]
    "A member that makes it another request."
    kind: str
    refusal: str
    "The code for a token that came with another request, as far as the operation declares one."


def job(house: Running, name: str) -> dict[str, Any]:
    return {
        "jobName": name,
        "customModelName": f"{name}-by-a-job",
        "roleArn": house.installation.service_role_arn,
        "baseModelIdentifier": "outcrop.starter-v1",
        "trainingDataConfig": {"s3Uri": "s3://data/train.jsonl"},
        "outputDataConfig": {"s3Uri": "s3://data/output"},
    }


def imported(house: Running, name: str) -> dict[str, Any]:
    return {
        "modelName": name,
        "modelSourceConfig": {"s3DataSource": {"s3Uri": "s3://data/checkpoint"}},
        "roleArn": house.installation.service_role_arn,
    }


def batch_job(house: Running, name: str) -> dict[str, Any]:
    return {
        "jobName": name,
        "roleArn": house.installation.service_role_arn,
        "modelId": "outcrop.starter-v1",
        "inputDataConfig": {"s3InputDataConfig": {"s3Uri": "s3://data/train.jsonl"}},
        "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": "s3://data/output"}},
    }


def evaluation_job(house: Running, name: str) -> dict[str, Any]:
    dataset = {"name": "d", "datasetLocation": {"s3Uri": "s3://data/train.jsonl"}}
    config = {"taskType": "QuestionAndAnswer", "dataset": dataset, "metricNames": ["Builtin.Accuracy"]}
    return {
        "jobName": name,
        "roleArn": house.installation.service_role_arn,
        "evaluationConfig": {"automated": {"datasetMetricConfigs": [config]}},
        "inferenceConfig": {"models": [{"bedrockModel": {"modelIdentifier": "outcrop.starter-v1"}}]},
        "outputDataConfig": {"s3Uri": "s3://data/output"},
    }


CREATIONS = [
    Creation(
        operation="CreateEvaluationJob",
        method="create_evaluation_job",
        asked=evaluation_job,
        other={"jobDescription": "another"},
        kind="evaluation-job",
        refusal="ConflictException",
    ),
    Creation(
        operation="CreateModelInvocationJob",
        method="create_model_invocation_job",
        asked=batch_job,
        other={"timeoutDurationInHours": 25},
        kind="model-invocation-job",
        refusal="ConflictException",
    ),
    Creation(
        operation="CreateModelCustomizationJob",
        method="create_model_customization_job",
        asked=job,
        other={"hyperParameters": {"epochCount": "2"}},
        kind="model-customization-job",
        refusal="ConflictException",
    ),
    Creation(
        operation="CreateCustomModel",
        method="create_custom_model",
        asked=imported,
        other={"modelTags": [{"key": "another", "value": "one"}]},
        kind="custom-model",
        refusal="ConflictException",
    ),
    Creation(
        operation="CreateCustomModelDeployment",
        method="create_custom_model_deployment",
        asked=lambda _, name: {"modelDeploymentName": name, "modelArn": MODEL},
        other={"description": "another"},
        kind="custom-model-deployment",
        refusal="ValidationException",
    ),
    Creation(
        operation="CreateProvisionedModelThroughput",
        method="create_provisioned_model_throughput",
        asked=lambda _, name: {"provisionedModelName": name, "modelId": "outcrop.starter-v1", "modelUnits": 1},
        other={"modelUnits": 2},
        kind="provisioned-model",
        refusal="ValidationException",
    ),
]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_server(tmp_path_factory.mktemp("tokens") / "home") as running:
        running.platform.settings = replace(running.platform.settings, model_units=100)
        running.client("s3").create_bucket(Bucket="data")
        running.client("s3").put_object(Bucket="data", Key="train.jsonl", Body=b'{"prompt": "a", "completion": "b"}\n')
        base = running.platform.catalog.usable("outcrop.starter-v1")
        assert base.folder is not None
        for name, data in checkpoint(base.folder, base.id, tmp_path_factory.mktemp("made")).items():
            running.client("s3").put_object(Bucket="data", Key=f"checkpoint/{name}", Body=data)
        running.platform.store.resources.add(
            Resource(
                arn=MODEL,
                kind="custom-model",
                region="us-east-1",
                name="owned",
                status="Active",
                created=START,
                updated=START,
                document={"baseId": "outcrop.starter-v1", "foundationModelArn": FOUNDATIONS[0]},
            )
        )
        yield running


@pytest.fixture(params=CREATIONS, ids=lambda creation: creation.operation)
def creation(request: pytest.FixtureRequest) -> Creation:
    made: Creation = request.param
    return made


def send(house: Running, creation: Creation, name: str, **members: Any) -> str:
    """The ARN that was answered."""
    answer = getattr(client_of(house, "bedrock"), creation.method)(**(creation.asked(house, name) | members))
    return next(str(value) for member, value in answer.items() if member.endswith("Arn"))


def named(house: Running, creation: Creation, name: str) -> list[str]:
    return [row.arn for row in house.platform.store.resources.all(creation.kind) if row.name == name]


def test_every_operation_with_a_client_token_is_tried_here() -> None:
    idempotent = {
        name
        for service, table in OPERATIONS.items()
        for name in table
        if (shape := operation_of_botocore(service, name).input_shape) is not None
        and any(member.metadata.get("idempotencyToken") for member in shape.members.values())
    }
    assert idempotent == {creation.operation for creation in CREATIONS} | ELSEWHERE


def test_the_same_request_is_answered_again(house: Running, creation: Creation) -> None:
    first = send(house, creation, "again", clientRequestToken="again-1")
    assert send(house, creation, "again", clientRequestToken="again-1") == first
    assert named(house, creation, "again") == [first]


def test_the_same_token_for_another_request_is_refused(house: Running, creation: Creation) -> None:
    first = send(house, creation, "other", clientRequestToken="other-1")
    with pytest.raises(ClientError, match="this token was used for a different request") as refused:
        send(house, creation, "other", clientRequestToken="other-1", **creation.other)
    assert refused.value.response["Error"]["Code"] == creation.refusal
    assert named(house, creation, "other") == [first]


def test_a_request_sent_several_times_at_once_makes_one_thing(house: Running, creation: Creation) -> None:
    with ThreadPoolExecutor(AT_ONCE) as clients:
        sent = [clients.submit(send, house, creation, "once", clientRequestToken="once-1") for _ in range(AT_ONCE)]
        answers = {each.result() for each in sent}
    assert [*answers] == named(house, creation, "once")


def test_a_token_of_a_refused_request_is_free(house: Running, creation: Creation) -> None:
    members = {"model-customization-job": "jobTags", "evaluation-job": "jobTags", "custom-model": "modelTags"}
    member = members.get(creation.kind, "tags")
    wrong = {member: [{"key": "aws:own", "value": ""}]}
    with pytest.raises(ClientError, match="begins with aws:"):
        send(house, creation, "refused", clientRequestToken="refused-1", **wrong)
    assert named(house, creation, "refused") == []
    assert [send(house, creation, "refused", clientRequestToken="refused-1")] == named(house, creation, "refused")


def test_a_token_is_remembered_when_what_it_named_has_gone(house: Running) -> None:
    """A retry of a create that came through must not fail because its model was deleted meanwhile."""
    deployment = next(each for each in CREATIONS if each.operation == "CreateCustomModelDeployment")
    gone = Resource(
        arn=MODEL.replace("tokentokento", "gonegonegone"),
        kind="custom-model",
        region="us-east-1",
        name="gone",
        created=START,
        updated=START,
        document={},
    )
    house.platform.store.resources.add(gone)
    given = {"modelArn": gone.arn, "clientRequestToken": "gone-1"}
    first = send(house, deployment, "of-a-gone-one", **given)
    house.platform.store.resources.remove(gone.arn)
    assert send(house, deployment, "of-a-gone-one", **given) == first


def test_a_token_counts_in_its_region_alone(house: Running) -> None:
    deployment = next(each for each in CREATIONS if each.operation == "CreateProvisionedModelThroughput")
    first = send(house, deployment, "everywhere", clientRequestToken="region-1")
    elsewhere = house.client("bedrock", region_name="eu-west-1")
    second = elsewhere.create_provisioned_model_throughput(
        **deployment.asked(house, "everywhere"), clientRequestToken="region-1"
    )
    assert second["provisionedModelArn"] != first
