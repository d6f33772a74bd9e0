"""The door with a real server, real clients and a few toy operations behind it."""

import asyncio
import io
import json
import logging
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError, EventStreamError

from outcrop import logs
from outcrop.api.door.call import (
    Answer,
    Answered,
    Call,
    Derived,
    Handler,
    Streamed,
)
from outcrop.clock import SystemClock
from outcrop.errors import Conflict, Denied, Invalid, ModelFailed, NotReady, ServiceRefusal
from outcrop.house import House
from outcrop.protocol.http import FileBody
from outcrop.server.serve import main
from tests.support.patience import PATIENCE_S
from tests.support.servers import Running, running_server

BIG = 8 * 1024 * 1024


def get_caller_identity(_: House, call: Call) -> Answered:
    return {"UserId": call.caller.user_id, "Account": call.caller.account, "Arn": call.caller.arn}


def get_custom_model(_: House, call: Call) -> Answered:
    raise Conflict(f"{call.params['modelIdentifier']} is busy")  # an operation that declares no ConflictException


def delete_custom_model(_: House, call: Call) -> Answered:
    raise Conflict(f"{call.params['modelIdentifier']} is busy")


def list_custom_models(_: House, __: Call) -> Answered:
    raise RuntimeError("a secret of the house")


def invoke_model(_: House, call: Call) -> Answered:
    if call.params["body"] == b"not ready":
        raise NotReady("Model is not ready for inference. Wait and try your request again.")
    members = {"body": call.params["body"].upper(), "contentType": "application/json"}
    return Answer(members, headers={"x-amzn-bedrock-input-token-count": "3"})


class Polled:
    """A model that is asked for again and again."""

    def __init__(self) -> None:
        self.name, self.made = "one", 0

    def get(self, _: House, __: Call) -> Answered:
        return Derived(self.name, self._members)

    def _members(self) -> dict[str, Any]:
        self.made += 1
        return {
            "modelDetails": {
                "modelArn": "arn:aws:bedrock:us-east-1::foundation-model/some.model-v1",
                "modelId": self.name,
            }
        }


class Chunks:
    """Streams that say when they were closed."""

    def __init__(self) -> None:
        self.closed = threading.Event()

    async def stream(self, _: House, call: Call) -> Answered:
        return Streamed({"contentType": "application/json"}, events=self._events(call.params["body"]))

    async def _events(self, body: bytes) -> AsyncIterator[dict[str, Any]]:
        try:
            if body == b"at once":
                raise Invalid("Malformed input request")
            yield {"chunk": {"bytes": b"1"}}
            if body == b"later":
                raise ModelFailed("The engine broke.")
            while body == b"for ever":
                await asyncio.sleep(0.01)
                yield {"chunk": {"bytes": b"x" * 1000}}
            yield {"chunk": {"bytes": b"2"}}
        finally:
            self.closed.set()


class Objects:
    """One object in a file."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "object"
        self.largest_piece = 0

    async def put_object(self, _: House, call: Call) -> Answered:
        assert call.body is not None
        if call.params["Bucket"] == "absent":
            raise ServiceRefusal(
                "NoSuchBucket", "The specified bucket does not exist", http_status=404, BucketName="absent"
            )
        with self.path.open("wb") as file:
            async for piece in call.body:
                self.largest_piece = max(self.largest_piece, len(piece))
                file.write(piece)
        return {"ETag": '"etag"'}

    def get_object(self, _: House, __: Call) -> Answered:
        size = self.path.stat().st_size
        body = FileBody(path=self.path, offset=1, length=size - 1)
        return Answer({"Body": body, "Metadata": {"a": "b"}, "ContentLength": size - 1}, status=206)

    def head_object(self, _: House, call: Call) -> Answered:
        if call.params["Key"] == "absent":
            raise ServiceRefusal("NoSuchKey", "The specified key does not exist.", http_status=404)
        return {"ContentLength": self.path.stat().st_size, "ETag": '"etag"'}

    def delete_objects(self, _: House, call: Call) -> Answered:
        return {"Deleted": [{"Key": each["Key"]} for each in call.params["Delete"]["Objects"]]}


def denied(_: House, call: Call) -> Answered:
    raise Denied("User: x is not authorized to perform: bedrock:GetModelCustomizationJob")


@pytest.fixture(scope="module")
def chunks() -> Chunks:
    return Chunks()


@pytest.fixture(scope="module")
def polled() -> Polled:
    return Polled()


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Objects:
    return Objects(tmp_path_factory.mktemp("objects"))


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, chunks: Chunks, objects: Objects, polled: Polled
) -> Iterator[Running]:
    operations: dict[str, dict[str, Handler]] = {
        "sts": {"GetCallerIdentity": get_caller_identity},
        "bedrock": {
            "GetCustomModel": get_custom_model,
            "DeleteCustomModel": delete_custom_model,
            "ListCustomModels": list_custom_models,
            "GetModelCustomizationJob": denied,
            "GetFoundationModel": polled.get,
        },
        "bedrock-runtime": {"InvokeModel": invoke_model, "InvokeModelWithResponseStream": chunks.stream},
        "s3": {
            "PutObject": objects.put_object,
            "GetObject": objects.get_object,
            "HeadObject": objects.head_object,
            "DeleteObjects": objects.delete_objects,
        },
    }
    home = tmp_path_factory.mktemp("home")
    with running_server(home, operations) as running:
        yield running


def error(raised: pytest.ExceptionInfo[ClientError]) -> tuple[str, int, str]:
    response = raised.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Message"]


def test_what_follows_from_an_unchanged_source_is_made_once(server: Running, polled: Polled) -> None:
    client = server.client("bedrock")
    first, second = (client.get_foundation_model(modelIdentifier="some.model-v1") for _ in range(2))
    polled.name = "two"
    third = client.get_foundation_model(modelIdentifier="some.model-v1")

    assert [answer["modelDetails"]["modelId"] for answer in (first, second, third)] == ["one", "one", "two"]
    assert polled.made == 2
    assert len({answer["ResponseMetadata"]["RequestId"] for answer in (first, second, third)}) == 3


def test_a_caller_hears_who_it_is(server: Running) -> None:
    answer = server.client("sts").get_caller_identity()
    assert answer["Arn"] == f"arn:aws:iam::{server.platform.account}:user/admin"
    assert answer["ResponseMetadata"]["RequestId"]


def test_health_needs_no_signature(server: Running) -> None:
    assert httpx.get(f"{server.endpoint}/health").json() == {"status": "ok"}


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "text"),
    [
        ("POST", "/model/m/invoke", {}, 403, '{"message":"Missing Authentication Token"}'),
        ("GET", "/bucket/key", {}, 403, "<Code>AccessDenied</Code>"),
        ("POST", "/", {"x-amz-target": "SageMaker.ListModels"}, 403, '"__type":"MissingAuthenticationTokenException"'),
    ],
)
def test_an_unsigned_request_is_refused(
    server: Running, method: str, path: str, headers: dict[str, str], status: int, text: str
) -> None:
    response = httpx.request(method, server.endpoint + path, headers=headers)
    assert response.status_code == status
    assert text in response.text


def test_an_unsigned_form_is_refused_in_xml(server: Running) -> None:
    response = httpx.post(server.endpoint, data={"Action": "GetCallerIdentity", "Version": "2011-06-15"})
    assert response.status_code == 403
    assert "<Code>MissingAuthenticationToken</Code>" in response.text


def test_a_wrong_secret_is_refused(server: Running) -> None:
    with pytest.raises(ClientError) as raised:
        server.client("bedrock", aws_secret_access_key="wrong").list_custom_models()
    assert error(raised)[:2] == ("InvalidSignatureException", 403)


@pytest.mark.parametrize(
    ("service", "operation", "params", "code", "status"),
    [
        ("bedrock", "list_prompt_routers", {}, "ValidationException", 400),
        ("bedrock-agent", "list_agents", {}, "ValidationException", 400),
        ("sagemaker", "list_models", {}, "ValidationException", 400),
        ("sagemaker-runtime", "invoke_endpoint", {"EndpointName": "e", "Body": b""}, "ValidationError", 400),
        ("logs", "describe_queries", {}, "InvalidParameterException", 400),
        ("kms", "list_keys", {}, "ValidationException", 400),
        ("cloudwatch", "list_dashboards", {}, "InvalidParameterValue", 400),
        ("iam", "list_users", {}, "NotImplemented", 501),
        ("sts", "get_federation_token", {"Name": "jane"}, "NotImplemented", 501),
        ("s3", "get_bucket_website", {"Bucket": "abc"}, "NotImplemented", 501),
    ],
)
def test_an_operation_that_is_not_built_says_so_by_name(
    server: Running, service: str, operation: str, params: dict[str, Any], code: str, status: int
) -> None:
    client = server.client(service)
    with pytest.raises(ClientError) as raised:
        getattr(client, operation)(**params)
    name = client.meta.method_to_api_mapping[operation]
    sentence = f"{name} is not built in Outcrop yet. The documentation lists the operations that are."
    assert error(raised) == (code, status, sentence)


def test_a_refusal_takes_the_code_that_the_operation_declares(server: Running) -> None:
    bedrock = server.client("bedrock")
    with pytest.raises(bedrock.exceptions.ConflictException) as conflict:
        bedrock.delete_custom_model(modelIdentifier="m1")
    assert error(conflict) == ("ConflictException", 400, "m1 is busy")
    with pytest.raises(bedrock.exceptions.ValidationException):
        bedrock.get_custom_model(modelIdentifier="m1")


def test_all_violations_are_answered(server: Running) -> None:
    with pytest.raises(ClientError) as raised:
        server.client("bedrock").get_custom_model(modelIdentifier="with space")
    code, status, message = error(raised)
    assert (code, status) == ("ValidationException", 400)
    assert message.startswith("1 validation error detected: Value 'with space' at 'modelIdentifier' failed to satisfy")


def test_a_denied_call_does_not_reach_its_handler(server: Running) -> None:
    with pytest.raises(ClientError) as raised:
        server.client("bedrock").get_model_customization_job(jobIdentifier="j1")
    assert error(raised)[:2] == ("AccessDeniedException", 403)


def test_a_fault_of_ours_is_logged_and_tells_nothing(server: Running, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="outcrop"), pytest.raises(ClientError) as raised:
        server.client("bedrock").list_custom_models()
    code, status, message = error(raised)
    assert (code, status) == ("InternalServerException", 500)
    assert "secret of the house" not in message
    assert any("secret of the house" in str(record.exc_info) for record in caplog.records)


def test_each_request_is_one_line_of_the_log_without_its_body(
    server: Running, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="outcrop"):
        server.client("bedrock-runtime").invoke_model(modelId="m", body=b"very private")
        deadline = time.monotonic() + PATIENCE_S
        while not caplog.records and time.monotonic() < deadline:
            time.sleep(0.005)  # the line is written after the answer
    (line,) = [logs.line(record) for record in caplog.records]
    told = json.loads(line)
    assert (told["operation"], told["status"]) == ("InvokeModel", 200)
    assert ":user/admin" in line
    assert "private" not in line


def test_invoke_model_carries_raw_bytes_and_headers_of_its_own(server: Running) -> None:
    arn = "arn:aws:bedrock:us-east-1:123456789012:imported-model/abc123def456"
    answer = server.client("bedrock-runtime").invoke_model(modelId=arn, body=b"hi")
    assert answer["body"].read() == b"HI"
    assert answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-bedrock-input-token-count"] == "3"
    with pytest.raises(ClientError) as raised:
        server.client("bedrock-runtime").invoke_model(modelId="m", body=b"not ready")
    assert error(raised)[:2] == ("ModelNotReadyException", 429)


def test_a_body_beyond_the_limit_is_refused(server: Running) -> None:
    with pytest.raises(ClientError) as raised:
        server.client("bedrock-runtime").invoke_model(modelId="m", body=b"x" * 25_000_001)
    code, status, message = error(raised)
    assert (code, status) == ("RequestEntityTooLargeException", 413)
    assert "25,000,000 bytes" in message


def stream(server: Running, body: bytes) -> Any:
    return server.client("bedrock-runtime").invoke_model_with_response_stream(modelId="m", body=body)


def test_events_arrive_one_by_one(server: Running) -> None:
    answer = stream(server, b"two")
    assert answer["contentType"] == "application/json"
    with closing(answer["body"]) as body:
        assert [event["chunk"]["bytes"] for event in body] == [b"1", b"2"]


def test_an_error_before_the_first_event_is_an_http_error(server: Running) -> None:
    with pytest.raises(ClientError) as raised:
        stream(server, b"at once")
    assert error(raised) == ("ValidationException", 400, "Malformed input request")


def test_an_error_after_the_first_event_ends_the_stream_with_an_exception(server: Running) -> None:
    with closing(stream(server, b"later")["body"]) as body:
        events = iter(body)
        assert next(events) == {"chunk": {"bytes": b"1"}}
        with pytest.raises(EventStreamError) as raised:
            next(events)
    assert raised.value.response["Error"] == {"Code": "modelStreamErrorException", "Message": "The engine broke."}


def test_a_stream_whose_client_leaves_is_closed(server: Running, chunks: Chunks) -> None:
    chunks.closed.clear()
    answer = stream(server, b"for ever")
    next(iter(answer["body"]))
    assert not chunks.closed.is_set()
    answer["body"].close()
    assert chunks.closed.wait(PATIENCE_S)


def test_an_upload_flows_through_in_pieces_and_comes_back_from_a_file(server: Running, objects: Objects) -> None:
    s3 = server.client("s3")
    data = b"0123456789abcdef" * (BIG // 16)
    s3.put_object(Bucket="bucket", Key="a//b/../c d", Body=io.BytesIO(data))
    assert objects.largest_piece < BIG
    answer = s3.get_object(Bucket="bucket", Key="a//b/../c d")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert answer["Metadata"] == {"a": "b"}
    assert answer["Body"].read() == data[1:]
    assert s3.head_object(Bucket="bucket", Key="k")["ContentLength"] == BIG


def test_a_presigned_url_of_s3_works_without_a_client(server: Running) -> None:
    s3 = server.client("s3", config={"signature_version": "s3v4"})
    s3.put_object(Bucket="bucket", Key="k", Body=b"hello")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "k"})
    assert httpx.get(url).content == b"ello"
    assert httpx.get(url.replace("/k?", "/other?")).status_code == 403


def test_a_presigned_upload_is_taken_as_it_is(server: Running, objects: Objects) -> None:
    s3 = server.client("s3", config={"signature_version": "s3v4"})
    url = s3.generate_presigned_url("put_object", Params={"Bucket": "bucket", "Key": "k"})
    assert httpx.put(url, content=b"plain").status_code == 200
    assert objects.path.read_bytes() == b"plain"


def test_errors_of_s3_are_xml_and_those_of_head_have_no_body(server: Running) -> None:
    s3 = server.client("s3")
    with pytest.raises(s3.exceptions.NoSuchBucket) as raised:
        s3.put_object(Bucket="absent", Key="k", Body=b"x" * 100_000)
    assert raised.value.response["Error"]["BucketName"] == "absent"
    with pytest.raises(ClientError) as head:
        s3.head_object(Bucket="bucket", Key="absent")
    assert error(head) == ("404", 404, "Not Found")


def test_a_list_in_xml_is_read_and_written(server: Running) -> None:
    keys = ["a", "b&<c>", "日本"]
    answer = server.client("s3").delete_objects(Bucket="bucket", Delete={"Objects": [{"Key": key} for key in keys]})
    assert [each["Key"] for each in answer["Deleted"]] == keys


def test_a_clock_that_is_wrong_is_corrected_by_the_date_of_the_answer(tmp_path: Path) -> None:
    class Ahead(SystemClock):
        def now(self) -> Any:
            return super().now() + timedelta(hours=2)

    operations = {"sts": {"GetCallerIdentity": get_caller_identity}}
    with running_server(tmp_path, operations, clock=Ahead()) as running:
        with pytest.raises(ClientError) as raised:
            running.client("sts").get_caller_identity()
        assert error(raised)[2].startswith("Signature expired: ")


def test_a_port_that_is_taken_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "write_json_lines", lambda: None)  # else for all tests after it
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["--home", str(tmp_path), "--port", str(port)]) == 1
