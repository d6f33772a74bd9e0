"""Texts that are none, numbers that are none, documents without a bottom: 400 by every protocol, and never a 500."""

import json
from typing import Any

import pytest
from botocore.credentials import Credentials

from tests.support import wire
from tests.support.servers import Running
from tests.support.vault import BUCKET, KEY

MODEL = "outcrop.starter-v1"
BODIES = {
    "half of a pair": b'{"inputText": "a\\ud800b", "prompt": "\\udfff", "jobName": "\\ud800"}',
    "half as bytes": b'{"inputText": "\xed\xa0\x80", "jobName": "\xed\xa0\x80"}',
    "half as a key": b'{"\\ud800": "\\udfff"}',
    "lists": b"[" * 200_000,
    "objects": b'{"a":' * 200_000,
    "closed": b'{"a":' * 2_000 + b"1" + b"}" * 2_000,
    "not finite": b'{"inputText": "a", "textGenerationConfig": {"temperature": NaN}}',
    "too large": b'{"inputText": "a", "textGenerationConfig": {"temperature": 1e999}}',
    "digits": b'{"inputText": "a", "textGenerationConfig": {"maxTokenCount": ' + b"9" * 10_000 + b"}}",
}
PATHS = {
    "InvokeModel": ("POST", f"/model/{MODEL}/invoke"),
    "InvokeModelWithResponseStream": ("POST", f"/model/{MODEL}/invoke-with-response-stream"),
    "Converse": ("POST", f"/model/{MODEL}/converse"),
    "ConverseStream": ("POST", f"/model/{MODEL}/converse-stream"),
    "CountTokens": ("POST", f"/model/{MODEL}/count-tokens"),
    "CreateModelCustomizationJob": ("POST", "/model-customization-jobs"),
    "CreateCustomModel": ("POST", "/custom-models/create-custom-model"),
    "TagResource": ("POST", "/tagResource"),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize(("method", "path"), PATHS.values(), ids=PATHS)
def test_a_body_that_holds_no_texts_is_refused(
    house: Running, keys: Credentials, method: str, path: str, body: bytes
) -> None:
    request = wire.signed(house.endpoint, keys, method, path, service="bedrock", body=body)
    reply = wire.send(house.endpoint, request)
    assert reply.status == 400, reply.body
    assert json.loads(reply.body.decode())["message"]


@pytest.mark.parametrize(
    "members",
    [
        {"messages": [{"role": "user", "content": [{"text": "a\ud800"}]}]},
        {"messages": [{"role": "user", "content": [{"text": "a"}]}], "system": [{"text": "\udfff"}]},
        {"messages": [{"role": "user", "content": [{"text": "a"}]}], "additionalModelRequestFields": {"a": "\ud800"}},
        {"messages": [{"role": "user", "content": [{"text": "a"}]}], "inferenceConfig": {"stopSequences": ["\ud800"]}},
        {"messages": [{"role": "user", "content": [{"text": "a"}]}], "requestMetadata": {"\ud800": "a"}},
    ],
)
def test_a_conversation_with_half_of_a_pair_is_refused(
    house: Running, keys: Credentials, members: dict[str, Any]
) -> None:
    for path, body in (
        ("converse", members),
        (
            "count-tokens",
            {"input": {"converse": {key: members[key] for key in members.keys() & {"messages", "system"}}}},
        ),
    ):
        written = json.dumps(body).encode()
        if b"\\ud" not in written:
            continue
        request = wire.signed(house.endpoint, keys, "POST", f"/model/{MODEL}/{path}", service="bedrock", body=written)
        reply = wire.send(house.endpoint, request)
        assert (reply.status, b"surrogate" in reply.body) == (400, True), reply.body


@pytest.mark.parametrize("body", [b"\x81" * 200_000, b"\xa1\x61a" * 200_000, b"\xc2\x5a\x00\x01\x00\x00" + b"\xff" * 65536, b"\xfb\x7f\xf0" + b"\0" * 6])  # fmt: skip
def test_cbor_without_a_bottom_is_refused(house: Running, keys: Credentials, body: bytes) -> None:
    path = "/service/GraniteServiceVersion20100801/operation/PutMetricData"
    headers = {"smithy-protocol": "rpc-v2-cbor", "content-type": "application/cbor"}
    request = wire.signed(house.endpoint, keys, "POST", path, service="monitoring", headers=headers, body=body)
    assert wire.send(house.endpoint, request).status == 400


@pytest.mark.parametrize(
    "form",
    [
        b"Action=CreateRole&Version=2010-05-08&RoleName=%ED%A0%80&AssumeRolePolicyDocument=%7B%7D",
        b"Action=CreateRole&Version=2010-05-08&RoleName=a&AssumeRolePolicyDocument=" + b"%5B" * 200_000,
        b"Action=CreateRole&Version=2010-05-08&RoleName=a&AssumeRolePolicyDocument=%7B%22Version%22%3A%22%5Cud800%22%7D",
        b"Action=CreateRole&Version=2010-05-08&RoleName=a&AssumeRolePolicyDocument=%7B%22a%22%3A1e999%7D",
        b"Action=CreateRole&Version=2010-05-08&RoleName=a&Description=\xff\xfe&AssumeRolePolicyDocument=x",
        b"Action=CreateRole&Version=2010-05-08&RoleName=a&Tags" + b".1" * 100_000 + b"=x",
    ],
)
def test_a_form_without_texts_is_refused(house: Running, keys: Credentials, form: bytes) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    request = wire.signed(house.endpoint, keys, "POST", "/", service="iam", headers=headers, body=form)
    reply = wire.send(house.endpoint, request)
    assert reply.status == 400, reply.body
    reply.body.decode()


@pytest.mark.parametrize("query", ["tagging", "cors", "delete"])
@pytest.mark.parametrize(
    "body",
    [b"<a>" * 800_000 + b"</a>" * 100, b"<Tagging>" * 200_000, b"<Tagging>&#xD800;</Tagging>", b"<Tagging>\xed\xa0\x80</Tagging>"],
)  # fmt: skip
def test_xml_without_texts_or_a_bottom_is_refused(house: Running, keys: Credentials, query: str, body: bytes) -> None:
    method, path = (
        ("POST", f"/{BUCKET}")
        if query == "delete"
        else ("PUT", f"/{BUCKET}/{KEY}" if query == "tagging" else f"/{BUCKET}")
    )
    request = wire.signed(house.endpoint, keys, method, f"{path}?{query}", body=body)
    assert wire.send(house.endpoint, request).status == 400


@pytest.mark.parametrize("name", ["cache-control", "content-disposition", "if-none-match", "content-language"])
def test_a_header_that_is_no_utf8_is_refused(house: Running, keys: Credentials, name: str) -> None:
    request = wire.signed(house.endpoint, keys, "PUT", f"/{BUCKET}/odd", body=b"x")
    head, body = request.raw().split(b"\r\n\r\n", 1)
    raw = head + f"\r\n{name}: b".encode() + b"\xff\xfe\xed\xa0\x80\r\n\r\n" + body
    reply = wire.send(house.endpoint, raw)
    assert (reply.status, reply.says("InvalidArgument")) == (400, True), reply.body
    assert b"is not UTF-8" in reply.body


@pytest.mark.parametrize("key", ["%ED%A0%80", "%ff%fe", "a%ED%BF%BFb", "%00"])
@pytest.mark.parametrize("method", ["PUT", "GET", "HEAD", "DELETE"])
def test_a_key_that_is_no_utf8_is_no_servers_error(house: Running, keys: Credentials, method: str, key: str) -> None:
    request = wire.signed(house.endpoint, keys, method, f"/{BUCKET}/{key}", body=b"x" if method == "PUT" else b"")
    reply = wire.send(house.endpoint, request)
    assert reply.status < 500, reply.body
    reply.body.decode()
