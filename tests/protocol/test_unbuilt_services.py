"""A service that Outcrop does not have says so itself: in its own protocol, under its own name, to its own client."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from tests.support.servers import Running, running_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_server(tmp_path_factory.mktemp("unbuilt") / "home") as running:
        yield running


CALLS: list[tuple[str, str, dict[str, Any]]] = [
    ("lambda", "list_functions", {}),
    ("batch", "describe_jobs", {"jobs": ["a"]}),
    ("dynamodb", "list_tables", {}),
    ("ecr", "describe_repositories", {}),
    ("sqs", "send_message", {"QueueUrl": "http://127.0.0.1/q", "MessageBody": "m"}),
    ("stepfunctions", "list_state_machines", {}),
    ("secretsmanager", "list_secrets", {}),
    ("sns", "list_topics", {}),
    ("cloudformation", "list_stacks", {}),
    ("ec2", "describe_instances", {}),
    ("route53", "list_hosted_zones", {}),
    ("cloudfront", "list_distributions", {}),
    ("bedrock-agentcore", "list_memory_records", {"memoryId": "m-1234567890", "namespace": "n"}),
]


@pytest.mark.parametrize(("service", "operation", "params"), CALLS, ids=[call[0] for call in CALLS])
def test_a_client_of_a_service_that_is_not_here_hears_its_name(
    server: Running, service: str, operation: str, params: dict[str, Any]
) -> None:
    client = server.client(service)
    with pytest.raises(ClientError) as refused:
        getattr(client, operation)(**params)
    error = refused.value.response["Error"]
    assert error["Message"].startswith(
        f"{client.meta.service_model.signing_name} is not built in Outcrop (asked for "
    ), error
    assert error["Code"] in ("UnknownOperationException", "InvalidAction", "NotImplemented")


def test_s3_control_which_signs_as_s3_is_not_taken_for_it(server: Running) -> None:
    headers = {"x-amz-account-id": "123456789012", "authorization": authorization("s3")}
    answer = httpx.get(f"{server.endpoint}/v20180820/accesspoint", headers=headers)
    assert answer.status_code == 501
    assert "<Message>s3-control is not built in Outcrop (asked for GET /v20180820/accesspoint)" in answer.text


@pytest.mark.parametrize(
    ("method", "path", "key", "status", "code"),
    [
        ("POST", "/v1/chat/completions", "sk-1", 401, "invalid_api_key"),
        ("GET", "/v1/models", None, 401, "missing_api_key"),
        ("POST", "/openai/v1/chat/completions", "bedrock-api-key-x", 401, "invalid_api_key"),
        ("POST", "/v1/moderations", "sk-1", 404, "unknown_url"),
        ("POST", "/v1", None, 404, "unknown_url"),
    ],
)
def test_paths_of_openai_are_answered_in_its_form(
    server: Running, method: str, path: str, key: str | None, status: int, code: str
) -> None:
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    answer = httpx.request(method, f"{server.endpoint}{path}", headers=headers)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", None, code)


def test_an_unsigned_target_of_no_service_here_is_named(server: Running) -> None:
    headers = {
        "x-amz-target": "AWSCognitoIdentityProviderService.InitiateAuth",
        "content-type": "application/x-amz-json-1.1",
    }
    answer = httpx.post(server.endpoint, headers=headers, content=b"{}")
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("AWSCognitoIdentityProviderService is not built in Outcrop")


def test_a_scope_that_is_no_name_breaks_no_answer(server: Running) -> None:
    headers = {"authorization": authorization('<b>&"')}
    form = {"Action": "A<b>", "Version": "1"}
    answer = httpx.post(server.endpoint, headers=headers, data=form)
    assert answer.status_code == 400
    assert "<b>" not in answer.text


def test_a_bucket_may_be_called_as_it_likes(server: Running) -> None:
    s3 = server.client("s3")
    s3.create_bucket(Bucket="openai")
    s3.put_object(Bucket="openai", Key="v1/models", Body=b"here")
    assert s3.get_object(Bucket="openai", Key="v1/models")["Body"].read() == b"here"
    presigned = s3.generate_presigned_url("get_object", Params={"Bucket": "openai", "Key": "v1/models"})
    assert httpx.get(presigned).content == b"here"


def authorization(scope: str) -> str:
    credential = f"AK/20260101/us-east-1/{scope}/aws4_request"
    return f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0"
