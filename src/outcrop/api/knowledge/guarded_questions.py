"""Guardrails of questions to knowledge bases, and of what is answered to them."""

from typing import TYPE_CHECKING

from outcrop.api.bedrock.guarding import guard_named
from outcrop.api.door.call import Call
from outcrop.guardrails.applying import GuardedRequest
from outcrop.guardrails.guard import Content

if TYPE_CHECKING:
    from outcrop.house import House


async def opened_guard(house: "House", call: Call, named: tuple[str, str] | None) -> GuardedRequest | None:
    """The guard of a question that names a guardrail and its version."""
    return None if named is None else GuardedRequest(await guard_named(house, call, *named))


async def guarded_question(guard: GuardedRequest, question: str) -> str:
    """The question as it may be searched for; the guard's `instead` is set where it may not."""
    (guard.asked,) = await guard.take_input(Content(texts=(question,)))
    return guard.asked


def guardrail_action(guard: GuardedRequest | None) -> str | None:
    """The member guardrailAction of an answer; None where there is no guardrail."""
    return None if guard is None else "INTERVENED" if guard.intervened else "NONE"
