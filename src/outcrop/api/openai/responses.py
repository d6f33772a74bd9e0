"""Responses: items in, items out, at once or as named events.

Each is kept for whoever goes on from it, unless `store` is false.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from anyio import to_thread

from outcrop.api.bedrock import guarding
from outcrop.api.door.call import Answer, Answered, Call, Streamed
from outcrop.api.openai import invoking, pages, refusals, response_members, stored_files, stored_responses
from outcrop.api.openai.endpoint import BODY, LABEL, QUERY, Endpoint, EndpointRequest, MeantOperation, Takes
from outcrop.api.openai.rates import rate_headers
from outcrop.api.openai.response_items import items_of, messages_of, output_items
from outcrop.api.openai.response_members import Understood, understand
from outcrop.api.openai.response_stream import ResponseEvents
from outcrop.api.openai.stored_responses import StoredResponse
from outcrop.house import House
from outcrop.invocation import invoke
from outcrop.invocation.admission import Ticket
from outcrop.invocation.dialects.openai import OPENAI_CHAT, read_chat
from outcrop.invocation.exchange import Finished
from outcrop.invocation.invoke import PreparedInvocation
from outcrop.invocation.target import told_weights


@dataclass(frozen=True, kw_only=True)
class _Making:
    """A response that is being made."""

    house: House
    call: Call
    prepared: PreparedInvocation
    understood: Understood
    begun: dict[str, Any]
    "The response before its first item."
    input_items: list[dict[str, Any]]
    earlier_items: list[dict[str, Any]]


async def create_response(house: House, call: Call) -> Answered:
    """The response, or the stream of its events."""
    body = call.params[BODY]
    understood = understand(body)
    input_items = items_of(body.get("input"))
    if understood.stores:
        await house.ask(stored_responses.check_keepable, house, call)
    earlier = await _earlier(house, call, body.get("previous_response_id"))
    messages = messages_of([*earlier, *input_items])
    instructions = understood.instructions
    system = [{"role": "system", "content": instructions}] if instructions else []
    asked = read_chat({**understood.chat, "messages": [*system, *messages]})
    target = await invoking.target_of(house, call, body["model"])
    config = understood.guardrail
    prepared = await guarding.prepared_asked(house, call, target, OPENAI_CHAT, asked, config=config)
    making = _Making(
        house=house,
        call=call,
        prepared=prepared,
        understood=understood,
        begun=response_members.begun(understood, prepared.started),
        input_items=input_items,
        earlier_items=earlier,
    )
    return await _answer(making)


def get_response(house: House, call: Call) -> Answered:
    if call.params[QUERY].get("stream") == "true":
        raise refusals.unserved("stream", "a kept response is not streamed again. Leave it out.")
    return _found(house, call).response


def delete_response(house: House, call: Call) -> Answered:
    found = _found(house, call)
    stored_responses.remove(house, call.region, found.response["id"])
    return {"id": found.response["id"], "object": "response", "deleted": True}


def list_input_items(house: House, call: Call) -> Answered:
    found, query = _found(house, call), call.params[QUERY]
    items = [{"id": f"item_{number}", **item} for number, item in enumerate([*found.earlier_items, *found.input_items])]
    ordered = reversed(items) if pages.is_descending(query) else iter(items)
    return pages.page(ordered, query, usual=20, most=100)


def cancel_response(_house: House, _call: Call) -> Answered:
    raise refusals.unserved("background", "responses are not made in the background, so none can be cancelled.")


async def _answer(making: _Making) -> Answered:
    headers = told_weights(making.prepared.target)

    def admitted(ticket: Ticket) -> None:
        headers.update(rate_headers(ticket.rates))

    count = making.call.usage.count
    if making.understood.streams:
        return Streamed({}, events=_events(making, admitted), headers=headers)
    finished = await invoke.answered(making.prepared, count=count, admitted=admitted)
    output = output_items(finished, tells_logprobs=making.understood.tells_logprobs)
    return Answer(await _finished(making, finished, output), headers=headers)


async def _events(making: _Making, admitted: invoke.Admitted) -> AsyncGenerator[dict[str, Any], None]:
    events = ResponseEvents(tells_logprobs=making.understood.tells_logprobs)
    begun = False
    items = invoke.answering(making.prepared, count=making.call.usage.count, admitted=admitted)
    async with aclosing(items):
        async for item in items:
            if not begun:
                begun = True
                for event in events.begin(making.begun):
                    yield event
            if not isinstance(item, Finished):
                for event in events.add(item):
                    yield event
                continue
            for event in events.end(item):
                yield event
            response = await _finished(making, item, events.output)
            yield events.finish(f"response.{response['status']}", response)


async def _finished(making: _Making, finished: Finished, output: list[dict[str, Any]]) -> dict[str, Any]:
    """The whole response, kept where it is to be."""
    started = making.prepared.started.ended(finished)
    response = response_members.finished(making.begun, started, finished, output)
    if making.understood.stores:
        await to_thread.run_sync(_keep, making, response)
    return response


def _keep(making: _Making, response: dict[str, Any]) -> None:
    call = making.call
    stored_responses.keep(
        making.house,
        call.region,
        call.caller.principal,
        response,
        input_items=making.input_items,
        earlier_items=making.earlier_items,
    )


async def _earlier(house: House, call: Call, response_id: Any) -> list[dict[str, Any]]:
    """The conversation that a response goes on from: one of the caller's own."""
    if response_id is None:
        return []
    found = None
    if isinstance(response_id, str):
        owner = call.caller.principal
        found = await to_thread.run_sync(lambda: stored_responses.find(house, call, response_id, owner=owner))
    if found is None:
        shown = str(response_id)[:100]
        text = f"Previous response with id '{shown}' not found. It is kept where store is not false, for thirty days."
        raise refusals.refused("previous_response_not_found", text, param="previous_response_id")
    return found.conversation


def _found(house: House, call: Call) -> StoredResponse:
    response_id = call.params[LABEL]
    found = stored_responses.find(house, call, response_id)
    if found is None:
        raise refusals.no_such("response", response_id, param="response_id")
    return found


def _mean(operation: str) -> Any:
    def mean(house: House, asked: EndpointRequest) -> MeantOperation:
        key = stored_responses.key_of(asked.label)
        return MeantOperation(operation, {"Bucket": stored_files.bucket_name(house), "Key": key})

    return mean


def _kept(method: str, path: str, operation: str, handler: Any) -> Endpoint:
    return Endpoint(
        method=method,
        path=f"/responses/{{response}}{path}",
        service="s3",
        operation=operation,
        meaning=_mean(operation),
        handler=handler,
    )


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/responses",
        service="bedrock-runtime",
        operation="InvokeModel",
        meaning=invoking.mean_invocation,
        handler=create_response,
        takes=Takes.JSON,
        has_named_events=True,
        prompt="input",
    ),
    _kept("GET", "", "GetObject", get_response),
    _kept("DELETE", "", "DeleteObject", delete_response),
    _kept("GET", "/input_items", "GetObject", list_input_items),
    _kept("POST", "/cancel", "GetObject", cancel_response),
)
