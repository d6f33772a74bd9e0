"""Model invocation logging through boto3: configured, written for every kind of invocation, and read by our own recipe."""

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from outcrop.buckets.listing import ListingRequest
from outcrop.clock import SystemClock
from outcrop.house import House
from outcrop.recipes.feedback import FeedbackFilter, feedback, parse_metadata_test
from outcrop.recipes.recipe import Dropped, Kept
from tests.support.batch_house import BASE, repeating
from tests.support.patience import eventually
from tests.support.policies import policy, trusting
from tests.support.servers import Running, running_server, server_process
from tests.support.speaking_engine import speaking_engine

BUCKET, GROUP = "logged", "/aws/bedrock/invocations"
MESSAGES = [{"role": "user", "content": [{"text": "one two three"}]}]
ON = dict.fromkeys(
    (
        "textDataDeliveryEnabled",
        "imageDataDeliveryEnabled",
        "embeddingDataDeliveryEnabled",
        "videoDataDeliveryEnabled",
        "audioDataDeliveryEnabled",
    ),
    True,
)


def ending(body: dict[str, Any]) -> list[int]:
    """An answer that ends by itself; one that was cut teaches nothing."""
    return [*repeating(body), body["stop_token_ids"][0]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_server(tmp_path_factory.mktemp("logging") / "home") as running:
        running.client("s3").create_bucket(Bucket=BUCKET)
        with speaking_engine(running.platform, BASE, ending):
            yield running


@pytest.fixture
def bedrock(server: Running) -> Iterator[Any]:
    client = server.client("bedrock")
    yield client
    client.delete_model_invocation_logging_configuration()


def configure(bedrock: Any, **members: Any) -> None:
    bedrock.put_model_invocation_logging_configuration(loggingConfig=members)


def refusal(action: Callable[..., Any], **params: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        action(**params)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def written(server: Running, number: int, prefix: str) -> list[dict[str, Any]]:
    """So many records below a prefix, once all of them are there: a stream ends before its record is noted."""
    eventually(lambda: server.platform.invocation_logs.waiting >= number)
    server.platform.invocation_logs.flush()
    s3, records = server.client("s3"), list[dict[str, Any]]()
    for each in s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", []):
        if each["Key"].endswith(".json.gz") and "/data/" not in each["Key"]:
            body = gzip.decompress(s3.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read())
            records += [json.loads(line) for line in body.splitlines()]
    assert len(records) == number
    return records


def with_header(runtime: Any, value: str) -> None:
    runtime.meta.events.register(
        "before-call", lambda params, **_: params["headers"].update({"X-Amzn-Bedrock-Request-Metadata": value})
    )


def test_a_configuration_is_put_told_and_deleted(server: Running, bedrock: Any) -> None:
    assert "loggingConfig" not in bedrock.get_model_invocation_logging_configuration()
    configure(bedrock, s3Config={"bucketName": BUCKET, "keyPrefix": "kept"}, imageDataDeliveryEnabled=False)
    told = bedrock.get_model_invocation_logging_configuration()["loggingConfig"]
    assert told == {**ON, "s3Config": {"bucketName": BUCKET, "keyPrefix": "kept"}, "imageDataDeliveryEnabled": False}
    elsewhere = server.client("bedrock", region_name="eu-west-1")
    assert "loggingConfig" not in elsewhere.get_model_invocation_logging_configuration()
    bedrock.delete_model_invocation_logging_configuration()
    assert "loggingConfig" not in bedrock.get_model_invocation_logging_configuration()


def test_who_may_change_the_buckets_policy_need_not_do_it(server: Running, bedrock: Any) -> None:
    s3, account = server.client("s3"), server.platform.account
    s3.create_bucket(Bucket="automatic")
    configure(bedrock, s3Config={"bucketName": "automatic", "keyPrefix": "p/"})
    (statement,) = json.loads(s3.get_bucket_policy(Bucket="automatic")["Policy"])["Statement"]
    top = f"p/AWSLogs/{account}/BedrockModelInvocationLogs"
    assert statement == {
        "Sid": "AmazonBedrockLogsWrite",
        "Effect": "Allow",
        "Principal": {"Service": "bedrock.amazonaws.com"},
        "Action": ["s3:PutObject"],
        "Resource": [f"arn:aws:s3:::automatic/{top}/*"],
        "Condition": {
            "StringEquals": {"aws:SourceAccount": account},
            "ArnLike": {"aws:SourceArn": f"arn:aws:bedrock:us-east-1:{account}:*"},
        },
    }
    (probe,) = s3.list_objects_v2(Bucket="automatic")["Contents"]
    assert (probe["Key"], probe["Size"]) == (f"{top}/amazon-bedrock-logs-permission-check", 0)


def test_places_that_cannot_be_written_are_refused(server: Running, bedrock: Any) -> None:
    put = bedrock.put_model_invocation_logging_configuration
    server.client("s3", region_name="eu-west-1").create_bucket(
        Bucket="far-away", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    role = server.client("iam").create_role(
        RoleName="no-logger", AssumeRolePolicyDocument=trusting({"Service": "bedrock.amazonaws.com"})
    )["Role"]["Arn"]
    group = {"logGroupName": GROUP, "roleArn": role}
    for config, sentence in (
        ({}, "loggingConfig: neither s3Config nor cloudWatchConfig is there."),
        (
            {"s3Config": {"bucketName": "nobodys-bucket"}},
            "Failed to validate permissions for S3 bucket: nobodys-bucket.",
        ),
        ({"s3Config": {"bucketName": "far-away"}}, "it is in eu-west-1"),
        (
            {"cloudWatchConfig": group},
            f"Failed to validate permissions for log group: {GROUP}, with role: {role}. Verify the IAM role permissions "
            "are correct.",
        ),
        ({"cloudWatchConfig": {**group, "logGroupName": "a b"}}, "logGroupName: 'a b' is no name of a log group."),
    ):
        code, message = refusal(put, loggingConfig=config)
        assert code == "ValidationException"
        assert sentence in message
    assert "loggingConfig" not in bedrock.get_model_invocation_logging_configuration()


def test_who_may_not_change_the_buckets_policy_has_to_have_it_done(server: Running) -> None:
    iam, s3 = server.client("iam"), server.client("s3")
    s3.create_bucket(Bucket="asked-first")
    iam.create_user(UserName="logger")
    iam.put_user_policy(UserName="logger", PolicyName="p", PolicyDocument=policy("Allow", "bedrock:*"))
    key = iam.create_access_key(UserName="logger")["AccessKey"]
    own = server.client("bedrock", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])
    config = {"s3Config": {"bucketName": "asked-first"}}
    code, message = refusal(own.put_model_invocation_logging_configuration, loggingConfig=config)
    assert (code, "does not let bedrock.amazonaws.com put objects there" in message) == ("ValidationException", True)
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "bedrock.amazonaws.com"},
        "Action": "s3:*",
        "Resource": "arn:aws:s3:::asked-first/*",
    }
    s3.put_bucket_policy(Bucket="asked-first", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    own.put_model_invocation_logging_configuration(loggingConfig=config)
    own.delete_model_invocation_logging_configuration()
    role = server.installation.service_role_arn
    code, message = refusal(
        own.put_model_invocation_logging_configuration,
        loggingConfig={"cloudWatchConfig": {"logGroupName": GROUP, "roleArn": role}},
    )
    assert (code, "iam:PassRole" in message) == ("AccessDeniedException", True)


def test_every_kind_of_invocation_is_logged_and_read_again_by_the_recipe(
    server: Running, bedrock: Any, tmp_path: Path
) -> None:
    configure(bedrock, s3Config={"bucketName": BUCKET, "keyPrefix": "all"})
    runtime = server.client("bedrock-runtime")
    body = json.dumps({"prompt": "one two", "max_gen_len": 9})
    once = runtime.invoke_model(modelId=BASE, body=body)
    told = json.loads(once["body"].read())
    chunks = [
        json.loads(event["chunk"]["bytes"])
        for event in runtime.invoke_model_with_response_stream(modelId=BASE, body=body)["body"]
    ]
    metadata = {"team": "a"}
    talk = runtime.converse(modelId=BASE, messages=MESSAGES, requestMetadata=metadata)
    events = list(runtime.converse_stream(modelId=BASE, messages=MESSAGES)["stream"])
    failed = refusal(runtime.invoke_model, modelId=BASE, body=b'{"nothing": 1}')
    tagged = server.client("bedrock-runtime")
    with_header(tagged, '{"team": "b"}')
    tagged.invoke_model(modelId=BASE, body=body)

    records = written(server, 6, "all/")
    assert [record["operation"] for record in records] == [
        "InvokeModel", "InvokeModelWithResponseStream", "Converse", "ConverseStream", "InvokeModel", "InvokeModel",
    ]  # fmt: skip
    first, streamed, conversed, events_told, refused, with_tags = records
    assert first["requestId"] == once["ResponseMetadata"]["RequestId"]
    assert first["identity"]["arn"].endswith(":user/admin")
    assert first["input"] == {
        "inputContentType": "application/json",
        "inputBodyJson": json.loads(body),
        "inputTokenCount": int(once["ResponseMetadata"]["HTTPHeaders"]["x-amzn-bedrock-input-token-count"]),
    }
    assert first["output"]["outputBodyJson"] == told
    assert streamed["output"]["outputBodyJson"] == chunks
    assert conversed["output"]["outputBodyJson"]["output"] == talk["output"]
    assert conversed["input"]["inputBodyJson"]["messages"] == MESSAGES
    assert events_told["output"]["outputBodyJson"] == events
    assert [record.get("requestMetadata") for record in (first, conversed, with_tags)] == [
        None,
        metadata,
        {"team": "b"},
    ]
    assert (refused["errorCode"], "output" in refused) == (failed[0], False)

    (tmp_path / "log.json").write_text("".join(json.dumps(record) + "\n" for record in records))
    items = list(feedback([tmp_path / "log.json"]))
    kept = [item.record for item in items if isinstance(item, Kept)]
    dropped = [item.reason for item in items if isinstance(item, Dropped)]
    assert [record["prompt"] for record in kept] == ["one two", "one two", "one two three", "one two three", "one two"]
    assert kept[0]["completion"] == kept[1]["completion"] == told["generation"]
    assert kept[2]["completion"] == talk["output"]["message"]["content"][0]["text"]
    assert dropped == ["the invocation failed (ValidationException)"]
    choice = FeedbackFilter(metadata=[parse_metadata_test("team=b")])
    chosen = [item for item in feedback([tmp_path / "log.json"], choice=choice) if isinstance(item, Kept)]
    assert [item.fields["requestId"] for item in chosen] == [with_tags["requestId"]]


def test_metadata_that_is_none_is_refused(server: Running) -> None:
    for value in (
        "{",
        "[]",
        "{}",
        '{"a": 1}',
        json.dumps({"a": "x" * 257}),
        json.dumps(dict.fromkeys(map(str, range(17)), "")),
    ):
        runtime = server.client("bedrock-runtime")
        with_header(runtime, value)
        code, message = refusal(runtime.invoke_model, modelId=BASE, body=b"{}")
        assert (code, message.startswith("x-amzn-bedrock-request-metadata: ")) == ("ValidationException", True)


def test_a_refused_bucket_is_no_trouble_of_the_invoker(server: Running, bedrock: Any) -> None:
    s3 = server.client("s3")
    s3.create_bucket(Bucket="closed-later")
    configure(bedrock, s3Config={"bucketName": "closed-later"})
    s3.delete_bucket_policy(Bucket="closed-later")
    runtime = server.client("bedrock-runtime")
    body = json.dumps({"prompt": "one", "max_gen_len": 9})
    assert runtime.invoke_model(modelId=BASE, body=body)["ResponseMetadata"]["HTTPStatusCode"] == 200
    eventually(lambda: server.platform.invocation_logs.waiting == 1)
    server.platform.invocation_logs.flush()
    assert runtime.invoke_model(modelId=BASE, body=body)["ResponseMetadata"]["HTTPStatusCode"] == 200
    server.platform.invocation_logs.close()


def test_without_a_configuration_nothing_is_kept(server: Running) -> None:
    runtime = server.client("bedrock-runtime")
    before = server.platform.invocation_logs.waiting
    runtime.invoke_model(modelId=BASE, body=json.dumps({"prompt": "one", "max_gen_len": 9}))
    assert server.platform.invocation_logs.waiting == before


def test_a_server_that_ends_in_order_loses_no_record(tmp_path: Path) -> None:
    with server_process(tmp_path / "home") as process, House.open(process.settings, SystemClock()) as house:
        process.client("s3").create_bucket(Bucket=BUCKET)
        configure(process.client("bedrock"), s3Config={"bucketName": BUCKET})
        with speaking_engine(house, BASE, ending):
            runtime = process.client("bedrock-runtime")
            asked = [runtime.converse(modelId=BASE, messages=MESSAGES) for _ in range(3)]
        assert process.stop() == 0
        keys = [one.key for one in house.buckets.list_objects(BUCKET, ListingRequest()).objects]
        lines = [
            line
            for key in keys
            if key.endswith(".json.gz")
            for line in gzip.decompress(house.buckets.read_bytes(BUCKET, key)).splitlines()
        ]
        ids = [each["ResponseMetadata"]["RequestId"] for each in asked]
        assert sorted(json.loads(line)["requestId"] for line in lines) == sorted(ids)
        process.start()
