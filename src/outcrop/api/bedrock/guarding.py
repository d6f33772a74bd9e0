"""Guardrails in the way of invocations, and ApplyGuardrail, which is one without an invocation."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from anyio import to_thread

from outcrop.api.door.call import Answered, Call, Handler
from outcrop.errors import Invalid
from outcrop.guardrails.applying import GuardedRequest
from outcrop.guardrails.assessment import GuardOutcome
from outcrop.guardrails.guard import Content, Guard
from outcrop.guardrails.inputs import BODY_CONFIG, ConverseTexts, PromptTexts, read_body_config
from outcrop.guardrails.matching import Side
from outcrop.guardrails.records import no_guardrail
from outcrop.guardrails.states import KIND
from outcrop.invocation import converse, invoke
from outcrop.invocation.dialects.choice import choose
from outcrop.invocation.dialects.dialect import Dialect
from outcrop.invocation.exchange import InvocationRequest
from outcrop.invocation.invoke import PreparedInvocation
from outcrop.invocation.schema import read_json
from outcrop.invocation.target import TextTarget

if TYPE_CHECKING:
    from outcrop.house import House

_MOST_UNITS = 1000
"Text units of one ApplyGuardrail: a million characters."


async def guard_named(house: "House", call: Call, identifier: Any, version: Any, *, at: str = "") -> Guard:
    """The guard that a request names. Raises Invalid for half a name, NotFound."""
    if not identifier or not version:
        raise Invalid(f"{at}guardrailIdentifier and {at}guardrailVersion belong together. Give both, or neither.")
    return await to_thread.run_sync(_open, house, call, str(identifier), str(version))


def _open(house: "House", call: Call, identifier: str, version: str) -> Guard:
    thing, row = house.access.find_named(call.region, identifier, (KIND,))
    if row is None:
        raise no_guardrail(thing.shown or identifier)
    return house.guards.open(row.arn, version, region=call.region)


def is_guarded(call: Call) -> bool:
    """Whether an InvokeModel names a guardrail."""
    return bool(call.params.get("guardrailIdentifier") or call.params.get("guardrailVersion"))


def check_unguarded(call: Call, why: str) -> None:
    """Raises Invalid for a guardrail where none can be applied: overlooked, it would be worse than none."""
    for member in ("guardrailIdentifier", "guardrailVersion"):
        if call.params.get(member):
            raise Invalid(f"{member}: a guardrail cannot be applied here: {why}")


async def prepared_converse(house: "House", call: Call, target: TextTarget) -> converse.PreparedConverse:
    """A Converse request, prepared; its guardrail has looked at its texts by then."""
    config, params = call.params.get("guardrailConfig"), call.params
    if not config:
        return await converse.prepare(target, params, now=house.clock.now())
    guard = await guard_named(
        house, call, config.get("guardrailIdentifier"), config.get("guardrailVersion"), at="guardrailConfig."
    )
    asynchronous = config.get("streamProcessingMode") == "async"
    request = GuardedRequest(guard, trace=config.get("trace", "disabled"), asynchronous=asynchronous)
    texts = ConverseTexts(params)
    filled = texts.filled(await request.take_input(texts.content))
    prepared = await converse.prepare(target, filled, now=house.clock.now())
    return replace(prepared, prepared=replace(prepared.prepared, guard=request))


async def prepared_body(house: "House", call: Call, target: TextTarget) -> PreparedInvocation:
    """A body of InvokeModel, prepared; its guardrail has looked at its texts by then."""
    if not is_guarded(call):
        return await invoke.prepare(target, call.params.get("body", b""), now=house.clock.now())
    body = read_json(call.params.get("body", b""))
    config = body.pop(BODY_CONFIG, None)
    dialect = choose(target.dialect, body)
    return await prepared_asked(house, call, target, dialect, dialect.read(body), config=config)


async def prepared_asked(
    house: "House", call: Call, target: TextTarget, dialect: Dialect, asked: InvocationRequest, *, config: Any = None
) -> PreparedInvocation:
    """An invocation request, prepared; the guardrail that the call names has looked at its texts by then.

    `config`: the body's own words about the guardrail.
    """
    if not is_guarded(call):
        if config is not None:
            raise Invalid(f"{BODY_CONFIG}: the request names no guardrail. Name one, or leave it out.")
        return await invoke.prepare_asked(target, dialect, asked, now=house.clock.now())
    read = read_body_config(config)
    params = call.params
    guard = await guard_named(house, call, params.get("guardrailIdentifier"), params.get("guardrailVersion"))
    request = GuardedRequest(guard, trace=params.get("trace", "DISABLED"), asynchronous=read.asynchronous)
    texts = PromptTexts(asked, read.suffix)
    filled = texts.filled(await request.take_input(texts.content))
    prepared = await invoke.prepare_asked(target, dialect, filled, now=house.clock.now())
    return replace(prepared, guard=request)


async def apply_guardrail(house: "House", call: Call) -> Answered:
    params = call.params
    content, full, side = _content(params["content"]), params.get("outputScope") == "FULL", Side(params["source"])
    guard = await guard_named(house, call, params["guardrailIdentifier"], params["guardrailVersion"])
    assessed = await guard.assess(content, side)
    assessment, outcome = assessed.assessment, assessed.outcome
    return {
        "usage": assessment.usage.members(),
        "action": "NONE" if outcome is GuardOutcome.NONE else "GUARDRAIL_INTERVENED",
        "actionReason": outcome.reason,
        "outputs": [] if outcome is GuardOutcome.NONE else [{"text": text} for text in assessed.outputs],
        "assessments": [assessment.members(full=full)],
        "guardrailCoverage": assessment.coverage(),
    }


def _content(blocks: list[Mapping[str, Any]]) -> Content:
    """The texts of the request by what they are for. Raises Invalid for pictures, and for too much of it."""
    texts, sources, queries, left = list[str](), list[str](), list[str](), 0
    for number, block in enumerate(blocks):
        told = block.get("text")
        if told is None:
            raise Invalid(f"content.{number}: pictures are not looked at in Outcrop. Give text.")
        qualifiers, text = told.get("qualifiers", ()), told["text"]
        sources += [text] if "grounding_source" in qualifiers else []
        queries += [text] if "query" in qualifiers else []
        if not qualifiers or "guard_content" in qualifiers:
            texts.append(text)
        else:
            left += len(text)
    if sum(map(len, (*texts, *sources, *queries))) > _MOST_UNITS * 1000:
        raise Invalid(
            f"content: more than {_MOST_UNITS:,} text units of 1,000 characters. Apply the guardrail in parts."
        )
    return Content(texts=tuple(texts), sources=tuple(sources), query="\n".join(queries), unguarded=left)


OPERATIONS: dict[str, Handler] = {"ApplyGuardrail": apply_guardrail}
