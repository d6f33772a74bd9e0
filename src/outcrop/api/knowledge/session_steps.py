"""Invocations in sessions, and the steps of each with their text and pictures."""

import json
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from outcrop.api.door import page_tokens
from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.knowledge.sessions import session_of
from outcrop.knowledge.agent_sessions.records import SessionInvocation, SessionStep
from outcrop.protocol import service_model
from outcrop.protocol.shapes import Shape
from outcrop.protocol.values import json_values

if TYPE_CHECKING:
    from outcrop.house import House

_PAGE = 100
Kept = TypeVar("Kept", SessionInvocation, SessionStep)


def create_invocation(house: "House", call: Call) -> Answered:
    params = call.params
    row = session_of(house, call)
    made = house.agent_sessions.add_invocation(row, params.get("invocationId"), params.get("description", ""))
    return _invocation(made)


def list_invocations(house: "House", call: Call) -> Answered:
    """The invocations of a session, oldest first."""
    session = session_of(house, call).arn
    records = house.agent_sessions.records
    page, token = _page(call, lambda after, most: records.invocations(session, after=after, most=most))
    return {"invocationSummaries": [_invocation(each) for each in page], "nextToken": token}


def put_invocation_step(house: "House", call: Call) -> Answered:
    params = call.params
    row = session_of(house, call)
    payload = json.dumps(json_values.write(_payload_shape(), params["payload"]), ensure_ascii=False)
    step = house.agent_sessions.add_step(
        row,
        params["invocationIdentifier"],
        params.get("invocationStepId"),
        params["invocationStepTime"],
        payload,
    )
    return {"invocationStepId": step.id}


def get_invocation_step(house: "House", call: Call) -> Answered:
    params = call.params
    session = session_of(house, call).arn
    step = house.agent_sessions.records.step(session, params["invocationIdentifier"], params["invocationStepId"])
    payload = json_values.read(_payload_shape(), json.loads(step.payload))
    return {"invocationStep": {**_step(step), "payload": payload}}


def list_invocation_steps(house: "House", call: Call) -> Answered:
    """The steps of a session or of one invocation, oldest first."""
    session, invocation = session_of(house, call).arn, call.params.get("invocationIdentifier")
    records = house.agent_sessions.records
    page, token = _page(call, lambda after, most: records.steps(session, invocation, after=after, most=most))
    return {"invocationStepSummaries": [_step(each) for each in page], "nextToken": token}


def _page(call: Call, read: Callable[[str | None, int], Sequence[Kept]]) -> tuple[Sequence[Kept], str | None]:
    """A page, and the token of the next one."""
    size = call.params.get("maxResults", _PAGE)
    found = read(page_tokens.read(call), size + 1)
    page = found[:size]
    return page, page_tokens.write(call, page[-1].place) if len(found) > size else None


def _invocation(made: SessionInvocation) -> dict[str, Any]:
    return {"sessionId": _id(made.session), "invocationId": made.id, "createdAt": made.created}


def _step(step: SessionStep) -> dict[str, Any]:
    return {
        "sessionId": _id(step.session),
        "invocationId": step.invocation,
        "invocationStepId": step.id,
        "invocationStepTime": step.at,
    }


def _id(session_arn: str) -> str:
    return session_arn.rpartition("/")[2]


@cache
def _payload_shape() -> Shape:
    shape = service_model.operation("bedrock-agent-runtime", "PutInvocationStep").input_shape
    assert shape is not None, "a step is put with parameters"
    return shape.members["payload"]


OPERATIONS: dict[str, Handler] = {
    "CreateInvocation": create_invocation,
    "ListInvocations": list_invocations,
    "PutInvocationStep": put_invocation_step,
    "GetInvocationStep": get_invocation_step,
    "ListInvocationSteps": list_invocation_steps,
}
