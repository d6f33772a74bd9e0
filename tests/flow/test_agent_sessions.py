"""Sessions of bedrock-agent-runtime by boto3, as a program that keeps its checkpoints in them calls them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from outcrop.access.names import Kind
from tests.support.policies import policy
from tests.support.servers import Running, running_server

AT = datetime(2026, 5, 4, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_server(tmp_path_factory.mktemp("sessions") / "home") as running:
        yield running


@pytest.fixture
def runtime(server: Running) -> Any:
    return server.client("bedrock-agent-runtime")


def refused(call: Any, **params: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(**params)
    return str(error.value.response["Error"]["Code"])


def test_a_conversation_is_kept_and_read_again(runtime: Any) -> None:
    made = runtime.create_session(sessionMetadata={"user": "ada"}, tags={"team": "x"})
    assert made["sessionStatus"] == "ACTIVE"
    session = {"sessionIdentifier": made["sessionId"]}
    assert runtime.get_session(**session)["sessionMetadata"] == {"user": "ada"}
    runtime.update_session(sessionIdentifier=made["sessionArn"], sessionMetadata={"user": "bob"})
    assert runtime.get_session(**session)["sessionMetadata"] == {"user": "bob"}
    invocation = runtime.create_invocation(**session, description="a question")["invocationId"]
    blocks = [
        {"text": "What is the fee?"},
        {"image": {"format": "png", "source": {"bytes": b"\x89PNG\x00\xff"}}},
        {"image": {"format": "png", "source": {"s3Location": {"uri": "s3://pictures/one.png"}}}},
    ]
    step = runtime.put_invocation_step(
        **session, invocationIdentifier=invocation, invocationStepTime=AT, payload={"contentBlocks": blocks}
    )["invocationStepId"]
    read = runtime.get_invocation_step(**session, invocationIdentifier=invocation, invocationStepId=step)
    assert read["invocationStep"]["payload"] == {"contentBlocks": blocks}
    assert read["invocationStep"]["invocationStepTime"] == AT
    (summary,) = runtime.list_invocation_steps(**session)["invocationStepSummaries"]
    assert (summary["invocationId"], summary["invocationStepId"]) == (invocation, step)
    assert runtime.list_tags_for_resource(resourceArn=made["sessionArn"])["tags"] == {"team": "x"}
    assert refused(runtime.delete_session, **session) == "ConflictException"
    assert runtime.end_session(**session)["sessionStatus"] == "ENDED"
    assert refused(runtime.create_invocation, **session) == "ConflictException"
    assert runtime.get_session(**session)["sessionStatus"] == "ENDED"
    runtime.delete_session(**session)
    assert refused(runtime.get_session, **session) == "ResourceNotFoundException"
    assert refused(runtime.list_tags_for_resource, resourceArn=made["sessionArn"]) == "ResourceNotFoundException"


def test_a_key_of_ones_own_is_refused_by_name(runtime: Any) -> None:
    with pytest.raises(ClientError, match="encryptionKeyArn: encryption by a key of one's own is not built"):
        runtime.create_session(encryptionKeyArn=f"arn:aws:kms:us-east-1:123456789012:key/{'a' * 36}")


def test_who_may_not_read_a_session_learns_nothing_of_it(server: Running, runtime: Any) -> None:
    access = server.platform.access
    mine, theirs = runtime.create_session(), runtime.create_session()
    access.identities.create_user("jane")
    document = policy("Allow", ["bedrock:*"], mine["sessionArn"])
    access.attachments.put_inline(Kind.USER, "jane", "own", document)
    key = access.credentials.create_key("jane")
    jane = server.client("bedrock-agent-runtime", aws_access_key_id=key.key_id, aws_secret_access_key=key.secret)
    assert jane.get_session(sessionIdentifier=mine["sessionId"])["sessionStatus"] == "ACTIVE"
    invocation = jane.create_invocation(sessionIdentifier=mine["sessionId"])["invocationId"]
    for name in (theirs["sessionId"], theirs["sessionArn"]):
        assert refused(jane.get_session, sessionIdentifier=name) == "AccessDeniedException"
        assert refused(jane.list_invocation_steps, sessionIdentifier=name) == "AccessDeniedException"
        assert refused(jane.create_invocation, sessionIdentifier=name) == "AccessDeniedException"
    # An id of another session's invocation leads nowhere in one's own, and none of one's own into another's.
    other = runtime.create_invocation(sessionIdentifier=theirs["sessionId"])["invocationId"]
    own = {"sessionIdentifier": mine["sessionId"]}
    assert refused(jane.list_invocation_steps, **own, invocationIdentifier=other) == "ResourceNotFoundException"
    assert jane.list_invocation_steps(**own, invocationIdentifier=invocation)["invocationStepSummaries"] == []
    assert refused(jane.list_sessions) == "AccessDeniedException"


def test_what_a_step_holds_is_limited_by_what_the_door_takes(runtime: Any) -> None:
    session = {"sessionIdentifier": runtime.create_session()["sessionId"]}
    invocation = runtime.create_invocation(**session)["invocationId"]
    text = "あ" * 300_000
    step = runtime.put_invocation_step(
        **session,
        invocationIdentifier=invocation,
        invocationStepTime=AT,
        payload={"contentBlocks": [{"text": text}]},
    )["invocationStepId"]
    read = runtime.get_invocation_step(**session, invocationIdentifier=invocation, invocationStepId=step)
    assert read["invocationStep"]["payload"]["contentBlocks"] == [{"text": text}]
