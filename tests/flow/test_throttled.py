"""boto3 against limits and sleeping models: what it is told, what it retries by itself, and the rules of model units."""

import json
from collections.abc import AsyncGenerator, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import botocore.endpoint
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from outcrop.deployments.states import THROUGHPUT
from outcrop.engines import clients
from outcrop.inference.client import Delta, EngineAway, GenerationRequest
from outcrop.invocation.quotas import Quota, Scope
from tests.support.servers import Running, running_server

BASE = "outcrop.starter-v1"
HI: dict[str, Any] = {"modelId": BASE, "messages": [{"role": "user", "content": [{"text": "hi"}]}]}


class DrowsyEngine:
    """An engine that is away for the next so many requests, and then answers with one token."""

    away = 0

    def __init__(self, _socket: Path) -> None:
        pass

    async def generate(self, _request: GenerationRequest) -> AsyncGenerator[Delta, None]:
        if DrowsyEngine.away:
            DrowsyEngine.away -= 1
            raise EngineAway("The engine is not there. It is started again; ask again in a moment.")
        yield Delta([5], "length")

    async def aclose(self) -> None:
        pass


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with (
        pytest.MonkeyPatch.context() as patch,
        running_server(tmp_path_factory.mktemp("throttled") / "home") as running,
    ):
        patch.setattr(clients, "EngineClient", DrowsyEngine)
        yield running


@pytest.fixture(autouse=True)
def awake(server: Running) -> None:
    """An engine that is there, nothing counted yet, and no patience with an engine that is away."""
    DrowsyEngine.away = 0
    house = server.platform
    house.settings = replace(house.settings, patience=timedelta(0))
    for room in ("targets", "admission"):
        house.__dict__.pop(room, None)  # opened anew by the next request


def refusal(work: Any, **params: Any) -> dict[str, Any]:
    with pytest.raises(ClientError) as refused:
        work(**params)
    found: dict[str, Any] = dict(refused.value.response)
    return found


def read(answer: dict[str, Any]) -> None:
    """Take an answer to its end, so that its connection is free."""
    body = answer.get("body", answer.get("stream"))
    if body is not None:
        b"".join(body) if hasattr(body, "read") else list(body)


def code_of(response: dict[str, Any]) -> tuple[str, int]:
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def retrying(server: Running, mode: str) -> Any:
    """A client of boto3 as people have it, which retries by itself."""
    return boto3.client(
        "bedrock-runtime",
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id=server.installation.access_key_id,
        aws_secret_access_key=server.installation.secret_access_key,
        config=Config(retries={"mode": mode}),
    )


@pytest.mark.parametrize("mode", ["legacy", "standard"])
def test_a_model_that_is_not_ready_is_asked_again_by_boto3_until_it_answers(
    server: Running, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(botocore.endpoint.time, "sleep", slept.append)
    DrowsyEngine.away = 1
    assert code_of(refusal(server.client("bedrock-runtime").converse, **HI)) == ("ModelNotReadyException", 429)
    DrowsyEngine.away = 2
    answer = retrying(server, mode).converse(**HI)
    assert answer["ResponseMetadata"]["RetryAttempts"] == 2
    assert len(slept) == 2


@pytest.mark.parametrize(
    "operation", ["converse", "converse_stream", "invoke_model", "invoke_model_with_response_stream"]
)
def test_a_user_beyond_their_quota_hears_it_in_aws_s_words_and_when_to_come_again(
    server: Running, operation: str
) -> None:
    server.platform.quotas.set(Quota(scope=Scope.USER, name="admin", requests_per_minute=1))
    runtime = server.client("bedrock-runtime")
    body = json.dumps({"inputText": "hi"})
    params = HI if "converse" in operation else {"modelId": BASE, "body": body}
    try:
        read(getattr(runtime, operation)(**params))
        response = refusal(getattr(runtime, operation), **params)
    finally:
        server.platform.quotas.remove(Scope.USER, "admin")
    assert code_of(response) == ("ThrottlingException", 429)
    assert response["Error"]["Message"].startswith(
        "Too many requests, please wait before trying again. The quota of the user admin is 1 request a minute."
    )
    assert 55 <= int(response["ResponseMetadata"]["HTTPHeaders"]["retry-after"]) <= 60
    read(getattr(runtime, operation)(**params))
    runtime.close()


def test_the_machine_has_so_many_model_units_and_no_more(server: Running) -> None:
    bedrock = server.client("bedrock")
    asked = {"provisionedModelName": "all", "modelId": BASE}
    assert code_of(refusal(bedrock.create_provisioned_model_throughput, modelUnits=5, **asked)) == (
        "ServiceQuotaExceededException",
        400,
    )
    made = bedrock.create_provisioned_model_throughput(modelUnits=4, **asked)["provisionedModelArn"]
    more = {"provisionedModelName": "more", "modelId": BASE, "modelUnits": 1}
    response = refusal(bedrock.create_provisioned_model_throughput, **more)
    assert response["Error"]["Message"].startswith("modelUnits: 1 were asked for, and 0 of this machine's 4 are free.")
    bedrock.delete_provisioned_model_throughput(provisionedModelId=made)
    made = bedrock.create_provisioned_model_throughput(**more)["provisionedModelArn"]
    bedrock.delete_provisioned_model_throughput(provisionedModelId=made)


def test_a_committed_throughput_stays_until_its_term_is_over(server: Running) -> None:
    bedrock = server.client("bedrock")
    made = bedrock.create_provisioned_model_throughput(
        provisionedModelName="month", modelId=BASE, modelUnits=1, commitmentDuration="OneMonth"
    )["provisionedModelArn"]
    told = bedrock.get_provisioned_model_throughput(provisionedModelId=made)
    assert told["commitmentDuration"] == "OneMonth"
    assert (told["commitmentExpirationTime"] - told["creationTime"]).days in (29, 30)
    response = refusal(bedrock.delete_provisioned_model_throughput, provisionedModelId="month")
    assert code_of(response) == ("ConflictException", 400)
    assert response["Error"]["Message"].startswith("month: it is committed until ")
    server.platform.store.resources.remove(made)


def test_a_throughput_of_a_base_model_keeps_it_and_one_that_is_updating_is_not_deleted(server: Running) -> None:
    bedrock, house = server.client("bedrock"), server.platform
    made = bedrock.create_provisioned_model_throughput(provisionedModelName="base", modelId=BASE, modelUnits=1)
    response = refusal(
        bedrock.update_provisioned_model_throughput, provisionedModelId="base", desiredModelId=f"{BASE}:0:2k"
    )
    assert code_of(response) == ("ValidationException", 400)
    assert "was made for a base model, and such a throughput cannot change its model" in response["Error"]["Message"]
    row = house.store.resources.get(made["provisionedModelArn"])
    assert row is not None
    house.deployments.serve(row)
    bedrock.update_provisioned_model_throughput(provisionedModelId="base", desiredProvisionedModelName="renamed")
    (row,) = house.store.resources.all(THROUGHPUT)
    assert (row.name, row.status) == ("renamed", "InService")
    house.deployments.point_to(row, row.document["modelArn"].replace("starter", "other"))
    response = refusal(bedrock.delete_provisioned_model_throughput, provisionedModelId="renamed")
    assert code_of(response) == ("ConflictException", 400)
    assert response["Error"]["Message"] == "renamed: it is Updating. Wait until it is InService, then delete it."
    assert bedrock.get_provisioned_model_throughput(provisionedModelId="renamed")["status"] == "Updating"
