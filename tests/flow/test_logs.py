"""CloudWatch Logs as boto3, the AWS CLI and a training script see it: groups, streams, events, tokens, searches."""

import itertools
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from outcrop.access.policies.key_policy import default_key_policy
from outcrop.clock import MovableClock
from outcrop.log_groups.events import LogEvent
from tests.iam.test_named_resources import say
from tests.support.patience import PATIENCE_S, eventually
from tests.support.plaintext_scan import PlaintextScan
from tests.support.policies import policy
from tests.support.servers import Running, running_server, server_process

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_server(tmp_path_factory.mktemp("logs") / "home") as running:
        yield running


@pytest.fixture(scope="module")
def logs(server: Running) -> Any:
    return server.client("logs")


@pytest.fixture
def group(logs: Any, request: pytest.FixtureRequest) -> Iterator[str]:
    """A group with one stream, `s`."""
    name = f"/test/{re.sub(r'[^a-z_]', '', request.node.name)[:60]}"
    logs.create_log_group(logGroupName=name)
    logs.create_log_stream(logGroupName=name, logStreamName="s")
    yield name
    logs.delete_log_group(logGroupName=name)


def now_ms(offset: timedelta = timedelta()) -> int:
    return round((datetime.now(UTC) + offset).timestamp() * 1000)


def put(logs: Any, group: str, *messages: str, stream: str = "s", at: int | None = None) -> dict[str, Any]:
    began = now_ms() if at is None else at
    events = [{"timestamp": began + place, "message": message} for place, message in enumerate(messages)]
    answer: dict[str, Any] = logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)
    return answer


def refusal(call: Callable[..., Any], **params: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        call(**params)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def messages(answer: dict[str, Any]) -> list[str]:
    return [event["message"] for event in answer["events"]]


def test_what_exists_already_or_not_at_all_is_said_in_aws_s_words(logs: Any, group: str) -> None:
    here, there = {"logGroupName": group}, {"logGroupName": "/test/nowhere"}
    assert refusal(logs.create_log_group, **here) == (
        "ResourceAlreadyExistsException",
        "The specified log group already exists",
    )
    assert refusal(logs.create_log_stream, **here, logStreamName="s") == (
        "ResourceAlreadyExistsException",
        "The specified log stream already exists",
    )
    no_group = ("ResourceNotFoundException", "The specified log group does not exist.")
    no_stream = ("ResourceNotFoundException", "The specified log stream does not exist.")
    event = [{"timestamp": now_ms(), "message": "x"}]
    for call, params in (
        (logs.delete_log_group, {}),
        (logs.describe_log_streams, {}),
        (logs.filter_log_events, {}),
        (logs.put_retention_policy, {"retentionInDays": 1}),
        (logs.delete_retention_policy, {}),
        (logs.list_tags_log_group, {}),
        (logs.create_log_stream, {"logStreamName": "s"}),
        (logs.get_log_events, {"logStreamName": "s"}),
        (logs.put_log_events, {"logStreamName": "s", "logEvents": event}),
    ):
        assert refusal(call, **there, **params) == no_group
    assert refusal(logs.put_log_events, **here, logStreamName="t", logEvents=event) == no_stream
    assert refusal(logs.get_log_events, **here, logStreamName="t") == no_stream
    assert refusal(logs.delete_log_stream, **here, logStreamName="t") == no_stream
    assert refusal(logs.filter_log_events, **here, logStreamNames=["t"]) == no_stream


def test_a_stream_tells_its_times_and_a_group_its_bytes(logs: Any, group: str, server: Running) -> None:
    at = now_ms(-timedelta(minutes=1))
    answer = put(logs, group, "hello", "world", at=at)
    assert len(answer["nextSequenceToken"]) == 56
    (stream,) = logs.describe_log_streams(logGroupName=group)["logStreams"]
    account = server.platform.account
    assert stream["arn"] == f"arn:aws:logs:us-east-1:{account}:log-group:{group}:log-stream:s"
    assert (stream["firstEventTimestamp"], stream["lastEventTimestamp"]) == (at, at + 1)
    assert stream["lastIngestionTime"] >= stream["creationTime"]
    assert stream["uploadSequenceToken"] == answer["nextSequenceToken"]
    assert stream["storedBytes"] == 0
    (found,) = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    assert found["storedBytes"] == 2 * (5 + 26)
    assert found["arn"] == f"arn:aws:logs:us-east-1:{account}:log-group:{group}:*"
    assert found["logGroupArn"] == f"arn:aws:logs:us-east-1:{account}:log-group:{group}"


def test_an_empty_stream_tells_no_times(logs: Any, group: str) -> None:
    (stream,) = logs.describe_log_streams(logGroupName=group)["logStreams"]
    assert stream.keys() == {"logStreamName", "creationTime", "arn", "storedBytes"}


def test_streams_are_ordered_by_their_last_event_when_asked_for(logs: Any, group: str) -> None:
    began = now_ms(-timedelta(hours=1))
    for place, name in enumerate("cab"):
        logs.create_log_stream(logGroupName=group, logStreamName=name)
        put(logs, group, "x", stream=name, at=began + place)
    newest = {"logGroupName": group, "orderBy": "LastEventTime", "descending": True}
    first = logs.describe_log_streams(**newest, limit=2)
    second = logs.describe_log_streams(**newest, nextToken=first["nextToken"])
    names = [stream["logStreamName"] for page in (first, second) for stream in page["logStreams"]]
    assert names == ["b", "a", "c", "s"]
    assert refusal(logs.describe_log_streams, **newest, logStreamNamePrefix="a")[0] == "InvalidParameterException"


def test_pages_of_a_stream_from_its_head_end_with_a_token_that_stays(logs: Any, group: str) -> None:
    put(logs, group, *"abcde")
    asked = {"logGroupName": group, "logStreamName": "s", "startFromHead": True}
    page = logs.get_log_events(**asked, limit=3)
    assert messages(page) == ["a", "b", "c"]
    page = logs.get_log_events(**asked, nextToken=page["nextForwardToken"])
    assert messages(page) == ["d", "e"]
    end = page["nextForwardToken"]
    page = logs.get_log_events(**asked, nextToken=end)
    assert (messages(page), page["nextForwardToken"]) == ([], end)
    put(logs, group, "f", at=now_ms(timedelta(seconds=1)))
    page = logs.get_log_events(**asked, nextToken=end)
    assert messages(page) == ["f"]
    assert page["nextForwardToken"].startswith("f/")
    assert len(page["nextForwardToken"]) == len("f/") + 56 + len("/s")


def test_a_stream_is_read_from_its_end_backwards_unless_asked_otherwise(logs: Any, group: str) -> None:
    put(logs, group, *"abcde")
    asked = {"logGroupName": group, "logStreamName": "s"}
    page = logs.get_log_events(**asked, limit=2)
    assert messages(page) == ["d", "e"]
    page = logs.get_log_events(**asked, limit=2, nextToken=page["nextBackwardToken"])
    assert messages(page) == ["b", "c"]
    page = logs.get_log_events(**asked, limit=2, nextToken=page["nextBackwardToken"])
    assert messages(page) == ["a"]
    begin = page["nextBackwardToken"]
    page = logs.get_log_events(**asked, limit=2, nextToken=begin)
    assert (messages(page), page["nextBackwardToken"]) == ([], begin)
    assert messages(logs.get_log_events(**asked, nextToken=page["nextForwardToken"])) == list("abcde")


def test_tokens_turn_around_at_either_end(logs: Any, group: str) -> None:
    asked = {"logGroupName": group, "logStreamName": "s"}
    empty = logs.get_log_events(**asked)
    put(logs, group, *"abc")
    assert messages(logs.get_log_events(**asked, nextToken=empty["nextForwardToken"])) == list("abc")
    assert messages(logs.get_log_events(**asked, nextToken=empty["nextBackwardToken"])) == list("abc")
    end = logs.get_log_events(**asked, nextToken=logs.get_log_events(**asked)["nextForwardToken"])
    assert messages(end) == []
    assert messages(logs.get_log_events(**asked, nextToken=end["nextBackwardToken"])) == list("abc")


@pytest.mark.parametrize("token", ["x", "f/1/s", "g/" + "0" * 56 + "/s", "f/" + "0" * 57 + "/s"])
def test_a_token_that_was_never_given_is_refused(logs: Any, group: str, token: str) -> None:
    assert refusal(logs.get_log_events, logGroupName=group, logStreamName="s", nextToken=token) == (
        "InvalidParameterException",
        "The specified nextToken is invalid.",
    )


def test_the_end_of_a_span_is_left_out_by_one_operation_and_taken_by_the_other(logs: Any, group: str) -> None:
    at = now_ms(-timedelta(minutes=1))
    put(logs, group, *"abc", at=at)
    span = {"logGroupName": group, "startTime": at + 1, "endTime": at + 2}
    assert messages(logs.get_log_events(**span, logStreamName="s")) == ["b"]
    assert messages(logs.filter_log_events(**span)) == ["b", "c"]


def test_batches_that_come_late_are_read_at_their_time(logs: Any, group: str) -> None:
    at = now_ms(-timedelta(hours=1))
    put(logs, group, "2", "3", at=at + 100)
    put(logs, group, "0", "1", at=at)
    put(logs, group, "4", at=at + 200)
    asked = {"logGroupName": group, "logStreamName": "s"}
    assert messages(logs.get_log_events(**asked, startFromHead=True)) == list("01234")
    assert messages(logs.get_log_events(**asked, limit=3)) == list("234")


def test_a_batch_that_breaks_a_rule_is_refused_and_nothing_of_it_is_kept(logs: Any, group: str) -> None:
    now = now_ms()

    def told(*events: tuple[int, str]) -> tuple[str, str]:
        batch = [{"timestamp": at, "message": message} for at, message in events]
        return refusal(logs.put_log_events, logGroupName=group, logStreamName="s", logEvents=batch)

    code = "InvalidParameterException"
    assert told((now, "b"), (now - 1, "a")) == (
        code,
        "Log events in a single PutLogEvents request must be in chronological order.",
    )
    assert told((now - 86_400_001, "a"), (now, "b")) == (
        code,
        "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.",
    )
    half = "x" * (1 << 19)
    assert told((now, half), (now, half)) == (code, "Upload too large: 1048628 bytes exceeds limit of 1048576")
    assert told((now, "x" * ((1 << 20) + 1))) == (code, "Log event too large: 1048577 bytes exceed 1048576.")
    assert messages(logs.filter_log_events(logGroupName=group)) == []


def test_the_largest_event_and_the_largest_batch_are_taken(logs: Any, group: str) -> None:
    put(logs, group, "x" * ((1 << 20) - 26))
    at = now_ms(timedelta(minutes=1))
    events = [{"timestamp": at, "message": "line"}] * 10_000
    logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=events)
    first = logs.filter_log_events(logGroupName=group)
    second = logs.filter_log_events(logGroupName=group, nextToken=first["nextToken"])
    assert (len(first["events"]), len(second["events"]), "nextToken" in second) == (1, 10_000, False)


def test_events_too_old_and_too_new_are_left_out_and_told(logs: Any, group: str) -> None:
    hour = timedelta(hours=1)
    times = [
        now_ms(-15 * DAY),
        now_ms(-14 * DAY - hour),
        now_ms(),
        now_ms(2 * hour - timedelta(minutes=1)),
        now_ms(3 * hour),
    ]
    batch = [{"timestamp": at, "message": str(place)} for place, at in enumerate(times)]
    answer = logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=batch)
    assert answer["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 2, "tooNewLogEventStartIndex": 4}
    assert messages(logs.filter_log_events(logGroupName=group)) == ["2", "3"]
    logs.put_retention_policy(logGroupName=group, retentionInDays=1)
    batch = [{"timestamp": now_ms(-2 * DAY), "message": "old"}, {"timestamp": now_ms(), "message": "new"}]
    answer = logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=batch)
    assert answer["rejectedLogEventsInfo"] == {"expiredLogEventEndIndex": 1}


def test_an_entity_is_told_to_be_left_out(logs: Any, group: str) -> None:
    events = [{"timestamp": now_ms(), "message": "x"}]
    entity = {"keyAttributes": {"Type": "Service", "Name": "n"}}
    answer = logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=events, entity=entity)
    assert answer["rejectedEntityInfo"] == {"errorType": "UnsupportedLogGroupType"}


def test_a_search_goes_over_streams_in_the_order_of_time(logs: Any, group: str) -> None:
    logs.create_log_stream(logGroupName=group, logStreamName="t")
    at = now_ms(-timedelta(minutes=1))
    for place in range(6):
        put(logs, group, f"ERROR {place}", stream="st"[place % 2], at=at + place)
    put(logs, group, "fine", at=at + 10)
    asked = {"logGroupName": group, "filterPattern": "ERROR"}
    pages = [logs.filter_log_events(**asked, limit=4)]
    pages.append(logs.filter_log_events(**asked, limit=4, nextToken=pages[0]["nextToken"]))
    assert [message for page in pages for message in messages(page)] == [f"ERROR {place}" for place in range(6)]
    assert "nextToken" not in pages[1]
    assert len({event["eventId"] for page in pages for event in page["events"]}) == 6
    assert messages(logs.filter_log_events(**asked, logStreamNamePrefix="t")) == ["ERROR 1", "ERROR 3", "ERROR 5"]
    arn = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"][0]["logGroupArn"]
    assert len(logs.filter_log_events(logGroupIdentifier=arn)["events"]) == 7


def test_a_search_that_finds_little_gives_up_in_time_and_goes_on_from_its_token(
    logs: Any, group: str, server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outcrop.api.monitoring.log_events.MOST_SEARCHED", 10)
    at = now_ms(-timedelta(minutes=1))
    put(logs, group, *(["other"] * 25), "needle", *(["other"] * 5), at=at)
    answers = [logs.filter_log_events(logGroupName=group, filterPattern="needle")]
    while token := answers[-1].get("nextToken"):
        answers.append(logs.filter_log_events(logGroupName=group, filterPattern="needle", nextToken=token))
    assert [messages(answer) for answer in answers] == [[], [], ["needle"]]


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("%ERR.*%", "filterPattern: regular expressions (%…%) are not built in Outcrop yet."),
        ("[ip, user]", "filterPattern: patterns of fields between spaces ([…]) are not built in Outcrop yet."),
        ("{ $.a[*] = 1 }", "filterPattern: wildcards in selectors ($.a[*]) are not built in Outcrop yet."),
        ("error:", "Invalid filter pattern: invalid character(s) in term 'error:'."),
    ],
)
def test_a_pattern_that_is_not_built_is_refused_by_name(logs: Any, group: str, pattern: str, told: str) -> None:
    code, message = refusal(logs.filter_log_events, logGroupName=group, filterPattern=pattern)
    assert code == "InvalidParameterException"
    assert message.startswith(told)


@pytest.mark.parametrize(
    "more",
    [
        {"logGroupClass": "INFREQUENT_ACCESS"},
        {"deletionProtectionEnabled": True},
    ],
)
def test_what_a_group_cannot_have_is_refused_by_name(logs: Any, more: dict[str, Any]) -> None:
    code, message = refusal(logs.create_log_group, logGroupName="refused", **more)
    assert (code, message.partition(":")[0]) == ("InvalidParameterException", next(iter(more)))


def test_tags_are_read_by_both_families_and_gone_with_the_group(logs: Any) -> None:
    logs.create_log_group(logGroupName="tagged", tags={"a": "1"})
    arn = logs.describe_log_groups(logGroupNamePrefix="tagged")["logGroups"][0]["logGroupArn"]
    logs.tag_resource(resourceArn=arn, tags={"b": "2"})
    logs.tag_log_group(logGroupName="tagged", tags={"c": "3"})
    logs.untag_resource(resourceArn=arn, tagKeys=["a"])
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"b": "2", "c": "3"}
    logs.untag_log_group(logGroupName="tagged", tags=["b"])
    assert logs.list_tags_log_group(logGroupName="tagged")["tags"] == {"c": "3"}
    logs.delete_log_group(logGroupName="tagged")
    logs.create_log_group(logGroupName="tagged")
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {}
    assert refusal(logs.tag_resource, resourceArn=f"{arn}:*", tags={"a": ""})[0] == "InvalidParameterException"


def test_groups_of_another_region_are_other_groups(server: Running, logs: Any, group: str) -> None:
    elsewhere = server.client("logs", region_name="eu-west-1")
    assert elsewhere.describe_log_groups(logGroupNamePrefix=group)["logGroups"] == []


def test_retention_hides_old_events_at_once_and_removes_their_files(tmp_path: Path) -> None:
    clock = MovableClock(datetime.now(UTC) - 40 * DAY)
    with running_server(tmp_path / "home", clock=clock) as server:
        groups, region = server.platform.log_groups, "us-east-1"
        groups.create("g", region=region)
        for _ in range(3):
            groups.put("g", "s", [LogEvent(at=clock.now(), message=f"{clock.now():%d}")], region=region)
            clock.move(10 * DAY)
        clock.move(10 * DAY)
        logs = server.client("logs")
        logs.put_retention_policy(logGroupName="g", retentionInDays=30)
        assert logs.describe_log_groups()["logGroups"][0]["retentionInDays"] == 30
        assert len(messages(logs.filter_log_events(logGroupName="g"))) == 2
        assert groups.sweep() == 1
        logs.delete_retention_policy(logGroupName="g")
        assert len(messages(logs.filter_log_events(logGroupName="g"))) == 2
        logs.put_retention_policy(logGroupName="g", retentionInDays=5)
        assert groups.sweep() == 2
        assert [path.stat().st_size for path in (tmp_path / "home" / "log-events").rglob("*.log")] == [0]
        assert refusal(logs.put_retention_policy, logGroupName="g", retentionInDays=2)[0] == "InvalidParameterException"


def test_who_may_read_a_group_is_decided_however_it_is_named(server: Running, logs: Any, group: str) -> None:
    iam = server.client("iam")
    iam.create_user(UserName="reader")
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    reader = server.client("logs", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])
    arn = f"arn:aws:logs:us-east-1:{server.platform.account}:log-group:{group}"
    put(logs, group, "x")
    spelled: list[dict[str, str]] = [
        {"logGroupName": group},
        {"logGroupIdentifier": group},
        {"logGroupIdentifier": arn},
    ]
    say(iam, "reader", policy("Allow", "*"), policy("Deny", "logs:FilterLogEvents", f"{arn}:*"))
    for naming in spelled:
        assert refusal(reader.filter_log_events, **naming)[0] == "AccessDeniedException"
        assert messages(reader.get_log_events(**naming, logStreamName="s")) == ["x"]
    say(iam, "reader", policy("Allow", "logs:GetLogEvents", f"{arn}:log-stream:s"))
    for naming in spelled:
        assert messages(reader.get_log_events(**naming, logStreamName="s")) == ["x"]
        assert refusal(reader.get_log_events, **naming, logStreamName="t")[0] == "AccessDeniedException"


def test_tags_of_a_group_let_in_who_may_see_it(server: Running, logs: Any, group: str) -> None:
    iam = server.client("iam")
    iam.create_user(UserName="tagged")
    key = iam.create_access_key(UserName="tagged")["AccessKey"]
    keys = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    reader = server.client("logs", **keys)
    condition = {"StringEquals": {"aws:ResourceTag/team": "a"}}
    statement = {"Effect": "Allow", "Action": "logs:*", "Resource": "*", "Condition": condition}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="tagged", PolicyName="only", PolicyDocument=document)
    asked = {"logGroupName": group, "logStreamName": "s"}
    assert refusal(reader.get_log_events, **asked)[0] == "AccessDeniedException"
    logs.tag_log_group(logGroupName=group, tags={"team": "a"})
    assert messages(reader.get_log_events(**asked)) == []
    assert messages(reader.filter_log_events(logGroupName=group)) == []


def test_a_log_is_followed_as_the_cli_tails_it(logs: Any, group: str) -> None:
    """`aws logs tail --follow`, of version 2 of the AWS CLI: pages of FilterLogEvents from the latest time on."""
    paginator, told, since = logs.get_paginator("filter_log_events"), set[str](), 0

    def follow() -> list[str]:
        nonlocal since
        found = []
        for page in paginator.paginate(logGroupName=group, interleaved=True, startTime=since):
            for event in page["events"]:
                if event["eventId"] not in told:
                    found.append(event["message"])
                told.add(event["eventId"])
                since = max(since, event["timestamp"])
        return found

    at = now_ms()
    put(logs, group, "before", at=at)
    assert follow() == ["before"]
    assert follow() == []
    put(logs, group, "in the same millisecond", "and the next", at=at)
    assert follow() == ["in the same millisecond", "and the next"]
    assert follow() == []


def test_what_was_acknowledged_survives_the_server(tmp_path: Path) -> None:
    with server_process(tmp_path / "home") as server:
        logs = server.client("logs")
        logs.create_log_group(logGroupName="g")
        logs.create_log_stream(logGroupName="g", logStreamName="s")
        put(logs, "g", "a", "b")
        server.kill()
        server.start()
        put(logs, "g", "c", at=now_ms(timedelta(seconds=1)))
        assert messages(logs.filter_log_events(logGroupName="g")) == ["a", "b", "c"]


def test_batches_are_whole_after_a_kill_in_the_middle_of_writing(tmp_path: Path) -> None:
    with server_process(tmp_path / "home") as server:
        logs, told = server.client("logs"), list[int]()
        logs.create_log_group(logGroupName="g")
        logs.create_log_stream(logGroupName="g", logStreamName="s")
        began = now_ms()

        def write() -> None:
            with suppress(ClientError, BotoCoreError):
                for number in itertools.count():
                    put(logs, "g", *[f"{number} {place}" for place in range(500)], at=began + 1000 * number)
                    told.append(number)

        writer = threading.Thread(target=write)
        writer.start()
        eventually(lambda: len(told) >= 5)
        server.kill()
        writer.join(PATIENCE_S)
        server.start()
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName="g")
        found = [message for page in pages for message in messages(page)]
        whole = len(found) // 500
        assert found == [f"{number} {place}" for number in range(whole) for place in range(500)]
        assert whole > told[-1]


def test_records_of_invocations_are_read_as_json(server: Running, logs: Any) -> None:
    groups = server.platform.log_groups
    groups.create("/aws/bedrock", region="us-east-1")
    at = datetime.now(UTC)
    lines = [
        json.dumps({"operation": name, "output": {"outputTokenCount": count}})
        for name, count in (("Converse", 5), ("InvokeModel", 50))
    ]
    groups.put(
        "/aws/bedrock",
        "aws/bedrock/modelinvocations",
        [LogEvent(at=at, message=line) for line in lines],
        region="us-east-1",
    )
    found = logs.filter_log_events(logGroupName="/aws/bedrock", filterPattern="{ $.output.outputTokenCount > 10 }")
    assert messages(found) == [lines[1]]


# Sealed by a key of KMS


@pytest.fixture
def key(server: Running) -> str:
    """A key that lets CloudWatch Logs use it."""
    kms, account = server.client("kms"), server.platform.account
    rules = json.loads(default_key_policy(account))
    rules["Statement"].append({
        "Effect": "Allow", "Principal": {"Service": "logs.us-east-1.amazonaws.com"}, "Resource": "*",
        "Action": ["kms:GenerateDataKey*", "kms:Decrypt*", "kms:Describe*"],
        "Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:us-east-1:{account}:*"}},
    })  # fmt: skip
    made: str = kms.create_key(Policy=json.dumps(rules))["KeyMetadata"]["Arn"]
    return made


def test_events_of_a_group_with_a_key_are_sealed_and_read_as_ever(
    server: Running, logs: Any, group: str, key: str
) -> None:
    told = {"logGroupName": group, "logStreamName": "s", "startFromHead": True}
    put(logs, group, "in clear, before there was a key")
    logs.associate_kms_key(logGroupName=group, kmsKeyId=key)
    (shown,) = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    assert shown["kmsKeyId"] == key
    secret = [f"what nobody may read {number} 主 {hash(group)}" for number in range(50)]
    put(logs, group, *secret)
    put(logs, group, "and more of what nobody may read")
    everything = ["in clear, before there was a key", *secret, "and more of what nobody may read"]
    assert sorted(messages(logs.get_log_events(**told))) == sorted(everything)
    found = logs.filter_log_events(logGroupName=group, filterPattern='"nobody may read 7 "')
    assert messages(found) == [secret[7]]
    scan = PlaintextScan({"events": "\n".join([*secret, everything[-1]]).encode()})
    assert scan.files(server.settings.home) == []
    kms = server.client("kms")
    kms.disable_key(KeyId=key)
    assert refusal(logs.get_log_events, **told)[0] == "AccessDeniedException"
    with pytest.raises(ClientError, match="is disabled"):
        put(logs, group, "not now")
    kms.enable_key(KeyId=key)
    assert len(messages(logs.get_log_events(**told))) == len(everything)
    logs.disassociate_kms_key(resourceIdentifier=shown["logGroupArn"])
    put(logs, group, "in clear again")
    assert "kmsKeyId" not in logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"][0]
    assert messages(logs.filter_log_events(logGroupName=group, filterPattern="again")) == ["in clear again"]
    assert len(messages(logs.get_log_events(**told))) == len(everything) + 1


def test_a_key_that_cannot_seal_a_group_is_refused(server: Running, logs: Any, group: str, key: str) -> None:
    kms = server.client("kms")
    closed = kms.create_key()["KeyMetadata"]["Arn"]
    signing = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    for wrong in (closed, signing, key[:-4] + "0000", "alias/none"):
        assert refusal(logs.associate_kms_key, logGroupName=group, kmsKeyId=wrong)[0] == "InvalidParameterException"
        assert (
            refusal(logs.create_log_group, logGroupName=f"{group}-2", kmsKeyId=wrong)[0] == "InvalidParameterException"
        )
    kms.disable_key(KeyId=key)
    assert refusal(logs.associate_kms_key, logGroupName=group, kmsKeyId=key)[0] == "InvalidParameterException"
    kms.enable_key(KeyId=key)
    assert refusal(logs.associate_kms_key, kmsKeyId=key)[0] == "InvalidParameterException"
    nowhere = {"logGroupName": "/test/nowhere"}
    assert refusal(logs.associate_kms_key, **nowhere, kmsKeyId=key)[0] == "ResourceNotFoundException"
    logs.create_log_group(logGroupName=f"{group}-2", kmsKeyId=key)
    (shown,) = logs.describe_log_groups(logGroupNamePrefix=f"{group}-2")["logGroups"]
    assert shown["kmsKeyId"] == key
    logs.delete_log_group(logGroupName=f"{group}-2")
