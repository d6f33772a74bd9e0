"""Remote models through the door, by boto3: an OpenAI-compatible server, and another Outcrop in the place of AWS."""

import json
import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EventStreamError

from outcrop.catalog.remote_model import RemoteApi, RemoteModel
from outcrop.cli.remote import RemoteOptions, register_remote, unregister_remote
from outcrop.errors import Invalid
from outcrop.invocation.remote.credentials import AwsKeys
from tests.support.openai_double import USAGE, Answer, OpenAiDouble, openai_double
from tests.support.servers import Running, running_server

KEY = "sk-nobody-may-see-this"
FAR, AWS = "example.big-v1", "anthropic.claude-3-haiku-20240307-v1:0"
HI = [{"role": "user", "content": [{"text": "hi"}]}]
TITAN = json.dumps({"inputText": "hi", "textGenerationConfig": {"temperature": 0}})


def options(double: OpenAiDouble, **more: Any) -> RemoteOptions:
    given = dict.fromkeys(("api_key_from", "aws_region", "aws_profile", "name", "provider"))
    return RemoteOptions(**{**given, "url": double.url, "model": "big", "completes": False, "embeds": False, **more})


@contextmanager
def remote(home: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Iterator[tuple[Running, OpenAiDouble]]:
    """A server with one remote model, which says what the double is told."""
    monkeypatch.setenv("FAR_KEY", KEY)
    with openai_double(**changes) as double, running_server(home) as server:
        register_remote(server.settings, FAR, options(double, api_key_from="FAR_KEY", provider="Example"))
        yield server, double


def events_of(stream: Any) -> list[Any]:
    """The events, read to the end or to what breaks it off; the connection is closed then."""
    with closing(stream):
        return list(stream)


def refused(call: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as found:
        call()
    error = found.value.response["Error"]
    return error["Code"], error["Message"]


def test_it_is_listed_invoked_and_conversed_with_and_told_to_have_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with remote(tmp_path / "home", monkeypatch, said="four and more") as (server, double):
        bedrock, runtime = server.client("bedrock"), server.client("bedrock-runtime")
        listed = [each for each in bedrock.list_foundation_models()["modelSummaries"] if each["modelId"] == FAR]
        assert [(each["providerName"], each["inferenceTypesSupported"]) for each in listed] == [
            ("Example", ["ON_DEMAND"])
        ]
        assert bedrock.list_foundation_models(byProvider="example")["modelSummaries"] == listed
        details = bedrock.get_foundation_model(modelIdentifier=FAR)["modelDetails"]
        assert details["customizationsSupported"] == []

        answer = runtime.converse(
            modelId=FAR,
            messages=HI,
            system=[{"text": "Be short."}],
            inferenceConfig={"maxTokens": 9, "stopSequences": [" and"]},
        )
        assert answer["output"]["message"]["content"] == [{"text": "four"}]
        assert (answer["stopReason"], answer["usage"]) == (
            "stop_sequence",
            {"inputTokens": 7, "outputTokens": 5, "totalTokens": 12},
        )
        assert double.bodies[0]["messages"][0] == {"role": "system", "content": "Be short."}
        assert double.bodies[0].keys() == {"model", "messages", "max_tokens", "stop"}  # its own temperature holds

        invoked = runtime.invoke_model(modelId=FAR, body=TITAN)
        assert json.loads(invoked["body"].read()) == {
            "inputTextTokenCount": 7,
            "results": [{"tokenCount": 5, "outputText": "four and more", "completionReason": "FINISH"}],
        }
        assert invoked["ResponseMetadata"]["HTTPHeaders"]["x-amzn-bedrock-input-token-count"] == "7"

        events = events_of(runtime.converse_stream(modelId=FAR, messages=HI)["stream"])
        told = [event["contentBlockDelta"]["delta"]["text"] for event in events if "contentBlockDelta" in event]
        assert (len(told), "".join(told)) == (7, "four and more")
        assert events[-1]["metadata"]["usage"]["inputTokens"] == 7
        chunks = [
            json.loads(e["chunk"]["bytes"])
            for e in runtime.invoke_model_with_response_stream(modelId=FAR, body=TITAN)["body"]
        ]
        assert chunks[-1]["amazon-bedrock-invocationMetrics"]["inputTokenCount"] == 7

        server.write()
        entries = [each.entry for each in server.platform.audit.entries() if each.entry.service == "bedrock-runtime"]
        assert {entry.sent_to for entry in entries} == {double.url.split("/")[2]}
        assert server.platform.audit.verify().broken is None
        host = double.url.split("/")[2]
        assert _counted(server) == 4
        assert all(request.headers["authorization"] == f"Bearer {KEY}" for request in double.requests)
        logged = "\n".join(record.getMessage() + str(record.__dict__) for record in caplog.records)
        assert KEY not in logged
        assert host in logged
    assert all(KEY.encode() not in file.read_bytes() for file in (tmp_path / "home").rglob("*") if file.is_file())


def _counted(server: Running) -> int:
    """Invocations that left, as the points over time have them."""
    now, decade_s = datetime.now(UTC), 10 * 365 * 86400
    (found,) = server.platform.points.statistics(
        ["Sum"],
        namespace="AWS/Bedrock",
        metric="RemoteInvocations",
        dimensions={"ModelId": FAR},
        since=now - timedelta(days=1),
        until=now + timedelta(days=1),
        period_s=decade_s,
    )
    return round(found.values["Sum"])


def test_whatever_needs_weights_refuses_it_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with remote(tmp_path / "home", monkeypatch) as (server, double):
        bedrock, runtime = server.client("bedrock"), server.client("bedrock-runtime")
        s3 = "s3://bucket/x.jsonl"
        job = {
            "jobName": "j",
            "customModelName": "m",
            "roleArn": server.installation.service_role_arn,
            "baseModelIdentifier": FAR,
            "trainingDataConfig": {"s3Uri": s3},
            "outputDataConfig": {"s3Uri": "s3://bucket/out/"},
            "hyperParameters": {},
        }
        code, words = refused(lambda: bedrock.create_model_customization_job(**job))
        assert (code, "is a remote model" in words) == ("ValidationException", True)
        unit = {"provisionedModelName": "p", "modelId": FAR, "modelUnits": 1}
        assert "is a remote model" in refused(lambda: bedrock.create_provisioned_model_throughput(**unit))[1]
        source = {"converse": {"messages": HI}}
        code, words = refused(lambda: runtime.count_tokens(modelId=FAR, input=source))
        assert code == "ValidationException"
        assert words.startswith(f"The tokens of {FAR} cannot be counted: it is a remote model")
        body = json.dumps({"messages": [{"role": "user", "content": "x"}], "logprobs": True})
        code, words = refused(lambda: runtime.invoke_model(modelId=FAR, body=body))
        assert (code, "tells no log probabilities" in words) == ("ModelErrorException", True)
        assert len(double.requests) == 1  # the last one: whether a server tells them is seen in its answer


REFUSALS = [
    (Answer(429, b"{}", {"retry-after": "90"}), "ThrottlingException"),
    (Answer(401, b"{}"), "ModelErrorException"),
    (Answer(500, b"{}"), "ModelErrorException"),
    (Answer(504, b"{}"), "ModelTimeoutException"),
    (Answer(400, b"{}"), "ValidationException"),
]


def test_a_refusal_of_the_remote_has_bedrocks_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with remote(tmp_path / "home", monkeypatch) as (server, double):
        runtime = server.client("bedrock-runtime")
        for answer, code in REFUSALS:
            double.answers = [answer, answer]
            assert refused(lambda: runtime.converse(modelId=FAR, messages=HI))[0] == code
            assert refused(lambda: runtime.converse_stream(modelId=FAR, messages=HI))[0] == code
        double.hang_up_after = 1
        with pytest.raises(EventStreamError) as broken:
            events_of(runtime.converse_stream(modelId=FAR, messages=HI)["stream"])
        assert broken.value.response["Error"]["Code"] == "modelStreamErrorException"


def test_a_policy_can_forbid_that_anything_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with remote(tmp_path / "home", monkeypatch) as (server, double):
        iam = server.client("iam")
        iam.create_user(UserName="ada")
        statements = [
            {"Effect": "Allow", "Action": "bedrock:*", "Resource": "*"},
            {
                "Effect": "Deny",
                "Action": "bedrock:*",
                "Resource": "*",
                "Condition": {"Bool": {"outcrop:Remote": "true"}},
            },
        ]
        document = {"Version": "2012-10-17", "Statement": statements}
        iam.put_user_policy(UserName="ada", PolicyName="stays", PolicyDocument=json.dumps(document))
        made = iam.create_access_key(UserName="ada")["AccessKey"]
        keys = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}
        runtime = server.client("bedrock-runtime", **keys)
        code, words = refused(lambda: runtime.converse(modelId=FAR, messages=HI))
        assert (code, "explicit deny" in words) == ("AccessDeniedException", True)
        assert refused(lambda: runtime.converse(modelId="amazon.titan-text-lite-v1", messages=HI))[0] == (
            "ValidationException"  # which has no weights here, and is none of the policy's business
        )
        assert double.requests == []
        server.write()
        assert {each.entry.sent_to for each in server.platform.audit.entries()} == {""}


def test_a_model_that_is_withdrawn_is_gone_with_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with remote(tmp_path / "home", monkeypatch) as (server, double):
        runtime = server.client("bedrock-runtime")
        runtime.converse(modelId=FAR, messages=HI)
        unregister_remote(server.settings, FAR)
        assert refused(lambda: runtime.converse(modelId=FAR, messages=HI))[0] == "ValidationException"
        assert not server.platform.remote_credentials.has(FAR)
        assert len(double.requests) == 1


def test_a_key_of_this_installation_is_not_taken_for_one_of_aws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with remote(tmp_path / "home", monkeypatch) as (server, double):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.installation.access_key_id)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.installation.secret_access_key)
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        with pytest.raises(Invalid, match="is an access key of this installation, which AWS does not know"):
            register_remote(server.settings, AWS, options(double, url=None, aws_region="us-east-1"))
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        entry = register_remote(server.settings, AWS, options(double, url=None, aws_region="us-east-1", model="m"))
        assert entry.remote == RemoteModel(
            api=RemoteApi.BEDROCK, url="https://bedrock-runtime.us-east-1.amazonaws.com", model="m", region="us-east-1"
        )


@contextmanager
def behind(home: Path, aws: Running, *, secret: str | None = None) -> Iterator[Running]:
    """A server with a model of real Bedrock, for which `aws` stands in."""
    with running_server(home) as server:
        place = RemoteModel(api=RemoteApi.BEDROCK, url=aws.endpoint, model=FAR, region="us-east-1")
        entry = server.platform.catalog.register_remote(AWS, place)
        key = AwsKeys(
            access_key_id=aws.installation.access_key_id,
            secret_access_key=secret or aws.installation.secret_access_key,
        )
        server.platform.remote_credentials.keep(entry.id, place, key)
        yield server


def test_a_model_of_real_bedrock_answers_as_it_does_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        remote(tmp_path / "aws", monkeypatch, said="over there") as (aws, double),
        behind(tmp_path / "home", aws) as server,
    ):
        there, here = aws.client("bedrock-runtime"), server.client("bedrock-runtime")
        asked = {"messages": HI, "system": [{"text": "S"}], "inferenceConfig": {"maxTokens": 5, "temperature": 0.5}}
        told = [_plain(client.converse(modelId=model, **asked)) for client, model in ((there, FAR), (here, AWS))]
        assert told[0] == told[1]
        assert double.bodies[0] == double.bodies[1]

        # A body in a form that Claude's own dialect would refuse here: it passes untouched, both ways.
        bodies = [c.invoke_model(modelId=m, body=TITAN)["body"].read() for c, m in ((there, FAR), (here, AWS))]
        assert bodies[0] == bodies[1]
        headers = here.invoke_model(modelId=AWS, body=TITAN)["ResponseMetadata"]["HTTPHeaders"]
        assert headers["x-amzn-bedrock-output-token-count"] == str(USAGE["completion_tokens"])

        streams = [
            _plain(events_of(c.converse_stream(modelId=m, **asked)["stream"])) for c, m in ((there, FAR), (here, AWS))
        ]
        assert streams[0] == streams[1]
        chunks = [
            [_chunk(event) for event in c.invoke_model_with_response_stream(modelId=m, body=TITAN)["body"]]
            for c, m in ((there, FAR), (here, AWS))
        ]
        assert chunks[0] == chunks[1]
        server.write()
        entries = [each.entry for each in server.platform.audit.entries() if each.entry.service == "bedrock-runtime"]
        assert {entry.sent_to for entry in entries} == {aws.endpoint.partition("//")[2]}

        source = {"converse": {"messages": HI}}
        errors = [
            refused(lambda c=c, m=m: c.count_tokens(modelId=m, input=source)) for c, m in ((there, FAR), (here, AWS))
        ]
        assert errors[0] == errors[1]
        errors = [
            refused(lambda c=c, m=m: c.invoke_model(modelId=m, body="{}")) for c, m in ((there, FAR), (here, AWS))
        ]
        assert errors[0] == errors[1]
        double.answers = [Answer(429, b"{}", {"retry-after": "90"})] * 2
        errors = [refused(lambda c=c, m=m: c.converse(modelId=m, messages=HI)) for c, m in ((there, FAR), (here, AWS))]
        assert errors[0] == errors[1]
        assert errors[0][0] == "ThrottlingException"
        double.hang_up_after = 1
        for client, model in ((there, FAR), (here, AWS)):
            with pytest.raises(EventStreamError) as broken:
                events_of(client.converse_stream(modelId=model, messages=HI)["stream"])
            assert broken.value.response["Error"]["Code"] == "modelStreamErrorException"


def test_wrong_credentials_of_aws_are_the_models_fault_and_not_the_callers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        remote(tmp_path / "aws", monkeypatch) as (aws, double),
        behind(tmp_path / "home", aws, secret="wrong" * 8) as server,
    ):
        code, words = refused(lambda: server.client("bedrock-runtime").converse(modelId=AWS, messages=HI))
        assert code == "ModelErrorException"
        assert "does not accept the credentials of this model (InvalidSignatureException)" in words
        assert double.requests == []


def _plain(told: Any) -> Any:
    """Without what differs from one request to the next."""
    if isinstance(told, list):
        return [_plain(each) for each in told]
    if not isinstance(told, dict):
        return told
    return {name: _plain(value) for name, value in told.items() if name not in ("ResponseMetadata", "metrics")}


def _chunk(event: dict[str, Any]) -> Any:
    chunk = json.loads(event["chunk"]["bytes"])
    metrics = chunk.pop("amazon-bedrock-invocationMetrics", {})
    return chunk, metrics.get("inputTokenCount"), metrics.get("outputTokenCount")
