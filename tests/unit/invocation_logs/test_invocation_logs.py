"""The invocation log in a house of its own: what is written where, what is left out, and what happens to what cannot be."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from outcrop.access.names import Kind
from outcrop.access.policies.key_policy import default_key_policy
from outcrop.buckets.settings_records import ENCRYPTION
from outcrop.clock import MovableClock
from outcrop.data.delivery import ServiceDelivery
from outcrop.errors import Denied, Invalid, NotFound
from outcrop.house import House
from outcrop.invocation_logs.sinks import STREAM
from outcrop.keys.specs import SPECS, KeyUsage
from outcrop.log_groups.events import LogEvent
from outcrop.settings import Settings
from tests.support.log_house import AT, BUCKET, REGION, LogHouse
from tests.support.policies import policy


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[LogHouse]:
    clock = MovableClock(AT)
    with House.open(Settings(home=tmp_path / "home"), clock) as house:
        yield LogHouse(house, clock)


def test_a_record_is_bedrocks_to_the_letter(logs: LogHouse) -> None:
    logs.let_in("own/")
    logs.configure(s3Config={"bucketName": BUCKET, "keyPrefix": "own/"})
    logs.note(metadata={"team": "a"})
    assert logs.house.invocation_logs.flush() == 1
    (key,) = logs.objects()
    assert key.startswith(f"own/{logs.top}/us-east-1/2026/01/01/13/20260101T130507250Z_")
    assert json.loads(logs.read(key)) == {
        "schemaType": "ModelInvocationLog",
        "schemaVersion": "1.0",
        "timestamp": "2026-01-01T13:05:07Z",
        "accountId": logs.house.account,
        "identity": {"arn": "arn:aws:iam::123456789012:user/ada"},
        "region": "us-east-1",
        "requestId": "r1",
        "operation": "InvokeModel",
        "modelId": "outcrop.starter-v1",
        "requestMetadata": {"team": "a"},
        "input": {"inputContentType": "application/json", "inputBodyJson": {"prompt": "hi"}, "inputTokenCount": 2},
        "output": {
            "outputContentType": "application/json",
            "outputBodyJson": {"generation": "ho"},
            "outputTokenCount": 3,
        },
    }
    assert logs.delivered("ModelInvocationLogsS3DeliverySuccess") == 1


def test_records_of_an_hour_share_an_object_and_keep_their_order(logs: LogHouse) -> None:
    logs.let_in()
    logs.configure(s3Config={"bucketName": BUCKET})
    for number in range(5):
        logs.note(f"r{number}", at=AT + timedelta(minutes=20 * number))
    logs.house.invocation_logs.flush()
    assert [record["requestId"] for record in logs.records()] == [f"r{number}" for number in range(5)]
    assert [key.split("/")[-2] for key in logs.objects()] == ["13", "14"]


def test_a_failed_invocation_has_its_code_and_no_output(logs: LogHouse) -> None:
    logs.let_in()
    logs.configure(s3Config={"bucketName": BUCKET})
    logs.note(error_code="ValidationException", output_body=None, input_body=b"{ no JSON \xff")
    logs.house.invocation_logs.flush()
    (record,) = logs.records()
    assert record["errorCode"] == "ValidationException"
    assert "output" not in record
    assert record["input"]["inputBodyJson"] == "{ no JSON �"


def test_a_stream_is_the_list_of_its_chunks(logs: LogHouse) -> None:
    logs.let_in()
    logs.configure(s3Config={"bucketName": BUCKET})
    logs.note(output_body=[b'{"generation": "h"}', b'{"generation": "o"}'])
    logs.note(output_body=[{"messageStop": {"stopReason": "end_turn"}}])
    logs.house.invocation_logs.flush()
    assert [record["output"]["outputBodyJson"] for record in logs.records()] == [
        [{"generation": "h"}, {"generation": "o"}],
        [{"messageStop": {"stopReason": "end_turn"}}],
    ]


@pytest.mark.parametrize(("size", "apart"), [(100 * 1024 - 40, False), (100 * 1024 + 1, True)])
def test_large_bodies_lie_beside_the_record(logs: LogHouse, size: int, apart: bool) -> None:
    logs.let_in()
    logs.configure(s3Config={"bucketName": BUCKET})
    logs.note(input_body=json.dumps({"prompt": "x" * size}).encode())
    logs.house.invocation_logs.flush()
    (record,) = logs.records()
    assert ("inputBodyS3Path" in record["input"], "inputBodyJson" in record["input"]) == (apart, not apart)
    if apart:
        place = f"{logs.top}/us-east-1/2026/01/01/13/data/r1_input.json.gz"
        assert record["input"]["inputBodyS3Path"] == f"s3://{BUCKET}/{place}"
        assert json.loads(logs.read(place)) == {"prompt": "x" * size}
        assert logs.delivered("ModelInvocationLargeDataS3DeliverySuccess") == 1


def test_bodies_of_kinds_that_are_switched_off_are_left_out(logs: LogHouse) -> None:
    logs.let_in()
    logs.configure(s3Config={"bucketName": BUCKET}, textDataDeliveryEnabled=False)
    logs.note("text")
    logs.note("vector", output_body=b'{"embedding": [0.5]}')
    logs.house.invocation_logs.flush()
    text, vector = logs.records()
    assert "inputBodyJson" not in text["input"]
    assert text["input"]["inputTokenCount"] == 2
    assert vector["output"]["outputBodyJson"] == {"embedding": [0.5]}
    logs.configure(s3Config={"bucketName": BUCKET}, embeddingDataDeliveryEnabled=False)
    logs.note("later", output_body=b'{"embeddings": [[0.5]], "id": "e"}', at=AT + timedelta(hours=1))
    logs.note("openai", output_body=b'{"data": [{"embedding": "AAA="}]}', at=AT + timedelta(hours=1))
    logs.house.invocation_logs.flush()
    assert ["outputBodyJson" in record["output"] for record in logs.records()] == [False, True, False, False]


def test_a_log_group_has_an_event_for_each_record(logs: LogHouse) -> None:
    logs.let_in()
    role = logs.role("logs:CreateLogStream", "logs:PutLogEvents")
    logs.house.log_groups.create("/aws/bedrock", region=REGION)
    logs.configure(cloudWatchConfig={"logGroupName": "/aws/bedrock", "roleArn": role})
    logs.note("small")
    logs.note("large", output_body=json.dumps({"generation": "x" * 110_000}).encode())
    assert logs.house.invocation_logs.flush() == 2
    events = list(logs.house.log_groups.events("/aws/bedrock", region=REGION))
    assert [(event.stream, event.at, json.loads(event.message)["requestId"]) for event in events] == [
        (STREAM, AT, "small"),
        (STREAM, AT, "large"),
    ]
    assert json.loads(events[1].message)["output"] == {"outputContentType": "application/json", "outputTokenCount": 3}
    assert logs.objects() == []


def test_large_bodies_of_a_log_group_go_to_a_bucket_where_one_is_named(logs: LogHouse) -> None:
    logs.let_in()
    role = logs.role("logs:*")
    logs.house.log_groups.create("g", region=REGION)
    large = {"bucketName": BUCKET}
    logs.configure(cloudWatchConfig={"logGroupName": "g", "roleArn": role, "largeDataDeliveryS3Config": large})
    logs.note("large", output_body=json.dumps({"generation": "x" * 110_000}).encode())
    logs.house.invocation_logs.flush()
    (event,) = logs.house.log_groups.events("g", region=REGION)
    place = f"{logs.top}/us-east-1/2026/01/01/13/data/large_output.json.gz"
    assert json.loads(event.message)["output"]["outputBodyS3Path"] == f"s3://{BUCKET}/{place}"
    assert logs.objects() == [place]


def test_what_a_bucket_refuses_waits_and_is_written_once_it_does_not(
    logs: LogHouse, caplog: pytest.LogCaptureFixture
) -> None:
    logs.configure(s3Config={"bucketName": BUCKET})
    logs.note("r1")
    logs.note("r2")
    assert logs.house.invocation_logs.flush() == 0
    assert "the bucket's policy does not let bedrock.amazonaws.com put objects there" in str(
        [record.__dict__ for record in caplog.records]
    )
    assert logs.house.invocation_logs.waiting == 2
    assert logs.delivered("ModelInvocationLogsS3DeliveryFailure") == 2
    logs.let_in()
    logs.note("r3")
    assert logs.house.invocation_logs.flush() == 0  # it was tried a moment ago
    logs.clock.move(timedelta(seconds=31))
    assert logs.house.invocation_logs.flush() == 3
    assert [record["requestId"] for record in logs.records()] == ["r1", "r2", "r3"]
    assert logs.house.invocation_logs.waiting == 0


def test_a_bucket_that_seals_needs_its_key_to_let_bedrock_in(logs: LogHouse, caplog: pytest.LogCaptureFixture) -> None:
    rules = json.loads(default_key_policy(logs.house.account))
    key = logs.house.keys.create(
        region=REGION, spec=SPECS["SYMMETRIC_DEFAULT"], usage=KeyUsage.ENCRYPT_DECRYPT, description="",
        policy=json.dumps(rules), tags={},
    )  # fmt: skip
    logs.let_in()
    default = {"method": "aws:kms", "key": key.arn, "bucketKey": True}
    logs.house.buckets.set_setting(BUCKET, ENCRYPTION, default)
    logs.configure(s3Config={"bucketName": BUCKET})
    logs.note("r1")
    assert logs.house.invocation_logs.flush() == 0
    assert "does not let bedrock.amazonaws.com use it" in str([record.__dict__ for record in caplog.records])
    rules["Statement"].append({
        "Effect": "Allow", "Principal": {"Service": "bedrock.amazonaws.com"}, "Action": "kms:GenerateDataKey",
        "Resource": "*", "Condition": {"StringEquals": {"kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{BUCKET}"}},
    })  # fmt: skip
    logs.house.keys.set_policy(key.arn, json.dumps(rules))
    logs.clock.move(timedelta(seconds=31))
    assert logs.house.invocation_logs.flush() == 1
    assert [record["requestId"] for record in logs.records()] == ["r1"]
    assert all(each.details.encryption for each in logs.house.buckets.under(BUCKET, ""))


def test_one_destination_that_fails_keeps_the_other_from_nothing(logs: LogHouse) -> None:
    logs.let_in()
    role = logs.role("s3:*")
    logs.house.log_groups.create("g", region=REGION)
    logs.configure(s3Config={"bucketName": BUCKET}, cloudWatchConfig={"logGroupName": "g", "roleArn": role})
    logs.note("r1")
    assert logs.house.invocation_logs.flush() == 1
    logs.house.access.attachments.put_inline(Kind.ROLE, "logger", "write", policy("Allow", "logs:*"))
    logs.clock.move(timedelta(seconds=31))
    assert logs.house.invocation_logs.flush() == 1
    assert [record["requestId"] for record in logs.records()] == ["r1"]
    assert len(list(logs.house.log_groups.events("g", region=REGION))) == 1


def test_more_than_there_is_room_for_is_left_out_and_counted(logs: LogHouse) -> None:
    logs.configure(s3Config={"bucketName": BUCKET})
    for _ in range(4):
        logs.note(input_body=b"x" * (20 << 20))
    assert (logs.house.invocation_logs.waiting, logs.house.invocation_logs.left_out) == (3, 1)
    logs.house.invocation_logs.close()
    assert logs.house.invocation_logs.left_out == 4  # the bucket lets nobody in


def test_what_was_noted_before_the_configuration_went_is_written_all_the_same(logs: LogHouse) -> None:
    logs.let_in()
    assert not logs.house.invocation_logs.is_on(REGION)
    logs.configure(s3Config={"bucketName": BUCKET})
    assert logs.house.invocation_logs.is_on(REGION)
    logs.note("r1")
    logs.house.invocation_logs.remove(REGION)
    assert not logs.house.invocation_logs.is_on(REGION)
    assert [record["requestId"] for record in logs.records()] == ["r1"]


def test_a_service_may_write_where_a_bucket_policy_lets_it_for_its_own_purpose(logs: LogHouse) -> None:
    logs.let_in()
    account = logs.house.account

    def delivery(source: str, service: str = "bedrock.amazonaws.com") -> ServiceDelivery:
        return ServiceDelivery(
            access=logs.house.access, buckets=logs.house.buckets, account=account, source_arn=source, service=service
        )

    own = f"arn:aws:bedrock:us-east-1:{account}:anything"
    assert delivery(own).may_put(BUCKET, f"{logs.top}/x")
    assert not delivery(own).may_put(BUCKET, "elsewhere/x")
    assert not delivery(f"arn:aws:bedrock:eu-west-1:{account}:anything").may_put(BUCKET, f"{logs.top}/x")
    assert not delivery(own, "sagemaker.amazonaws.com").may_put(BUCKET, f"{logs.top}/x")
    with pytest.raises(Denied, match=r"does not let bedrock\.amazonaws\.com put objects there"):
        delivery(own).put(BUCKET, "elsewhere/x", b"", content_type="text/plain")


def test_events_of_a_stream_are_found_by_time_in_their_order(logs: LogHouse) -> None:
    groups = logs.house.log_groups
    with pytest.raises(NotFound, match="The specified log group does not exist"):
        groups.put("g", "s", [], region=REGION)
    groups.create("g", region=REGION)
    groups.create("g", region=REGION)
    groups.put(
        "g", "s", [LogEvent(at=AT + timedelta(minutes=n % 7), message=str(n)) for n in range(2500)], region=REGION
    )
    groups.put("g", "t", [LogEvent(at=AT, message="other")], region=REGION)
    assert (groups.names(region=REGION), groups.streams("g", region=REGION)) == (["g"], ["s", "t"])
    assert groups.names(region="eu-west-1") == []
    told = [int(event.message) for event in groups.events("g", region=REGION, stream="s")]
    assert told == sorted(range(2500), key=lambda n: (n % 7, n))
    some = groups.events(
        "g", region=REGION, stream="s", since=AT + timedelta(minutes=2), until=AT + timedelta(minutes=3)
    )
    assert [int(event.message) for event in some] == [n for n in range(2500) if n % 7 == 2]
    with pytest.raises(Invalid, match="Log event too large"):
        groups.put("g", "s", [LogEvent(at=AT, message="x" * (1 << 20) + "x")], region=REGION)
    groups.delete("g", region=REGION)
    with pytest.raises(NotFound):
        next(groups.events("g", region=REGION))
