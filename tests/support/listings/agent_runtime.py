"""List operations of bedrock-agent-runtime: sessions, and what is in one."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.listings.listing import Listing, client_of
from tests.support.servers import Running

START = datetime(2026, 5, 4, tzinfo=UTC)
_FILLED: dict[str, str] = {}
"The session that invocations are listed of, by the house."


def client(house: Running) -> Any:
    return client_of(house, "bedrock-agent-runtime")


def add_session(house: Running, _number: int) -> str:
    return str(client(house).create_session()["sessionId"])


def remove_session(house: Running, name: str) -> None:
    client(house).end_session(sessionIdentifier=name)
    client(house).delete_session(sessionIdentifier=name)


def filled(house: Running) -> dict[str, Any]:
    return {"sessionIdentifier": _FILLED[house.endpoint]}


def make_session(house: Running) -> None:
    _FILLED[house.endpoint] = add_session(house, 0)


def add_invocation(house: Running, number: int) -> str:
    return str(client(house).create_invocation(**filled(house), invocationId=_id(number))["invocationId"])


def make_invocations(house: Running) -> None:
    make_session(house)
    for number in range(2):
        add_invocation(house, number)


def add_step(house: Running, number: int) -> str:
    step = client(house).put_invocation_step(
        **filled(house),
        invocationIdentifier=_id(number % 2),
        invocationStepId=_id(number),
        invocationStepTime=START + timedelta(minutes=number),
        payload={"contentBlocks": [{"text": str(number)}]},
    )
    return str(step["invocationStepId"])


def make_tagged(house: Running) -> None:
    make_session(house)
    tags = {f"row-{number}": "" for number in range(3)}
    client(house).tag_resource(resourceArn=tagged(house)["resourceArn"], tags=tags)


def tagged(house: Running) -> dict[str, Any]:
    return {"resourceArn": house.platform.agent_sessions.arn_of("us-east-1", _FILLED[house.endpoint])}


def _id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


def sessions(operation: str, **fields: Any) -> Listing:
    paged: dict[str, Any] = {"size": "maxResults", "tokens": {"nextToken": "nextToken"}}
    fields = fields if operation == "ListTagsForResource" else paged | fields
    return Listing(service="bedrock-agent-runtime", operation=operation, **fields)


LISTINGS = [
    sessions(
        "ListSessions",
        rows=lambda answer: answer["sessionSummaries"],
        name_of=lambda row: row["sessionId"],
        add=add_session,
        remove=remove_session,
    ),
    sessions(
        "ListInvocations",
        rows=lambda answer: answer["invocationSummaries"],
        name_of=lambda row: row["invocationId"],
        prepare=make_session,
        asked=filled,
        add=add_invocation,
    ),
    sessions(
        "ListInvocationSteps",
        rows=lambda answer: answer["invocationStepSummaries"],
        name_of=lambda row: row["invocationStepId"],
        prepare=make_invocations,
        asked=filled,
        add=add_step,
        filters={"invocationIdentifier": (_id(1), lambda row: row["invocationId"] == _id(1))},
    ),
    sessions(
        "ListTagsForResource",
        rows=lambda answer: list(answer["tags"]),
        name_of=lambda row: row,
        prepare=make_tagged,
        asked=tagged,
    ),
]
