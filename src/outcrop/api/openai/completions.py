"""Text completions: prompts as texts or token ids, each with one answer or several."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from outcrop.api.bedrock import guarding
from outcrop.api.door.call import Answer, Answered, Call, Streamed
from outcrop.api.openai import invoking, refusals
from outcrop.api.openai.chat import answer_with
from outcrop.api.openai.endpoint import BODY, Endpoint, Takes
from outcrop.api.openai.members import Settled, settle
from outcrop.api.openai.prompt_logprobs import EchoedPrompt, echoed_prompts
from outcrop.house import House
from outcrop.invocation import invoke
from outcrop.invocation.dialects.dialect import Chunk, Dialect
from outcrop.invocation.dialects.openai_members import finish_reason, sampling_of, usage_of
from outcrop.invocation.dialects.openai_text import MEMBERS, OPENAI_TEXT, answer_text, piece_text, text_chunk
from outcrop.invocation.exchange import (
    AnswerPiece,
    Count,
    Finished,
    InvocationRequest,
    RawPrompt,
    Started,
    TokensPrompt,
    uncounted,
)
from outcrop.invocation.invoke import PreparedInvocation
from outcrop.invocation.remote.openai_requests import no_ids
from outcrop.invocation.schema import Flag, Number, Struct, check
from outcrop.invocation.several import together
from outcrop.invocation.target import RemoteTarget, TextTarget, told_weights

MOST_PROMPTS = 2048
_MAX_TOKENS = 16
"What OpenAI takes where nothing is said."
_MOST_BEST_OF = 20
_UNSERVED = {"suffix": "models here do not write what stands between two texts. Leave it out."}
_BODY = Struct(
    optional={
        **{
            name: schema
            for name, schema in MEMBERS.items()
            if name not in ("model", "stream", "stream_options", "user")
        },
        "max_tokens": Number(least=0, integer=True),
        "echo": Flag(),
        "best_of": Number(least=1, most=_MOST_BEST_OF, integer=True),
    },
)
Prompt = RawPrompt | TokensPrompt


async def create_completion(house: House, call: Call) -> Answered:
    """The answers to all prompts, or the stream of their chunks."""
    name = call.params[BODY]["model"]
    settled = settle(call.params[BODY], unserved=_UNSERVED, only={})
    prompts = _prompts(settled.body.pop("prompt", None))
    check(_BODY, settled.body)
    _check_together(settled)
    target = await invoking.target_of(house, call, name)
    if len(prompts) > 1 or settled.body.get("echo"):
        guarding.check_unguarded(call, "it looks at one prompt, and no answer repeats it. Send one, without echo.")
    if _scores_prompts(settled):
        counts = [uncounted] * len(prompts) if settled.body.get("max_tokens") != 0 else _counts(call, len(prompts))
        echoed = await echoed_prompts(target, prompts, settled.body["logprobs"], counts)
        if settled.body.get("max_tokens") == 0:
            return _prompts_alone(house, call, target, echoed)
        prepared = [await _prepared(house, call, target, TokensPrompt(ids=each.ids), settled, each) for each in echoed]
    else:
        prepared = [await _prepared(house, call, target, prompt, settled) for prompt in prompts]
    num_choices = settled.body.get("n", 1)
    all_prepared = [
        replace(each, started=replace(each.started, id=prepared[0].started.id, index=number * num_choices))
        for number, each in enumerate(prepared)
    ]
    if len(all_prepared) == 1:
        return await answer_with(call, all_prepared[0], settled)
    return await _answer_all(call, all_prepared, settled)


async def _prepared(
    house: House,
    call: Call,
    target: TextTarget,
    prompt: Prompt,
    settled: Settled,
    echoed: EchoedPrompt | None = None,
) -> PreparedInvocation:
    dialect = _dialect(settled, target, prompt, echoed)
    asked = _asked(settled, prompt)
    return await guarding.prepared_asked(house, call, target, dialect, asked, config=settled.guardrail)


def _scores_prompts(settled: Settled) -> bool:
    """Whether log probabilities of the prompts are asked for."""
    return bool(settled.body.get("echo")) and "logprobs" in settled.body


def _prompts_alone(house: House, call: Call, target: TextTarget, echoed: Sequence[EchoedPrompt]) -> Answer:
    """The prompts with their log probabilities, and nothing made after them."""
    num_read = sum(len(each.ids) for each in echoed)
    choices = [
        {"index": index, "text": each.text, "logprobs": each.logprobs, "finish_reason": "length"}
        for index, each in enumerate(echoed)
    ]
    answer = {
        "id": f"cmpl-{call.request_id}",
        "object": "text_completion",
        "created": int(house.clock.now().timestamp()),
        "model": target.model_id,
        "choices": choices,
        "usage": {"prompt_tokens": num_read, "completion_tokens": 0, "total_tokens": num_read},
        "system_fingerprint": None,
    }
    return Answer(answer, headers=told_weights(target))


def _prompts(given: Any) -> list[Prompt]:
    """The prompts of a body: a text, token ids, or a list of either."""
    if given is None:
        raise refusals.missing("prompt")
    if isinstance(given, str):
        return [_prompt(given, "prompt")]
    if not isinstance(given, list) or not given:
        raise refusals.invalid("prompt", "expected a text, token ids, or a list of either.", code="invalid_type")
    if all(type(each) is int for each in given):
        return [_prompt(given, "prompt")]
    if len(given) > MOST_PROMPTS:
        raise refusals.invalid("prompt", f"{len(given)} prompts. Send at most {MOST_PROMPTS} at once.")
    return [_prompt(each, f"prompt[{number}]") for number, each in enumerate(given)]


def _prompt(given: Any, at: str) -> Prompt:
    if isinstance(given, str) and given:
        return RawPrompt(text=given)
    if isinstance(given, list) and given and all(type(each) is int for each in given):
        return TokensPrompt(ids=tuple(given))
    empty = given in ("", [])
    raise refusals.invalid(at, "it is empty." if empty else "expected a text or token ids.", code="invalid_type")


def _check_together(settled: Settled) -> None:
    body = settled.body
    best_of, num_choices = body.get("best_of", 1), body.get("n", 1)
    if "best_of" in body and best_of < num_choices:
        raise refusals.invalid("best_of", f"{best_of} is below n, which is {num_choices}.")
    if best_of > num_choices and settled.streams:
        raise refusals.unserved("best_of", "which answers are best is not known while they stream. Leave stream out.")
    if _scores_prompts(settled) and settled.streams:
        raise refusals.unserved("echo", "log probabilities of the prompt are told at once. Leave stream out.")
    if body.get("max_tokens") == 0 and not _scores_prompts(settled):
        raise refusals.invalid("max_tokens", "0 leaves nothing to tell, but with echo and logprobs. Ask for more.")


def _asked(settled: Settled, prompt: Prompt) -> InvocationRequest:
    body = settled.body
    num_choices = body.get("n", 1)
    best_of = max(num_choices, body.get("best_of", 1))
    chooses = best_of > num_choices
    sampling = replace(
        sampling_of(body),
        max_tokens=body.get("max_tokens", _MAX_TOKENS),
        logprobs=body.get("logprobs", 0 if chooses else None),
    )
    return InvocationRequest(
        prompt=prompt, sampling=sampling, num_answers=best_of, num_kept=num_choices if chooses else None
    )


def _dialect(settled: Settled, target: TextTarget, prompt: Prompt, scored: EchoedPrompt | None = None) -> Dialect:
    """OpenAI's form to the letter, with the prompt before each answer where it is echoed."""
    echoed = scored.text if scored else _text_of(target, prompt) if settled.body.get("echo") else ""
    tells_logprobs = "logprobs" in settled.body

    def answer(started: Started, finished: Finished) -> Chunk:
        told = answer_text(started, replace(finished, text=echoed + finished.text))
        if not tells_logprobs:
            told["choices"][0]["logprobs"] = None
        elif scored is not None:
            told["choices"][0]["logprobs"] = scored.before(told["choices"][0]["logprobs"])
        return {**told, "system_fingerprint": None}

    return replace(
        OPENAI_TEXT,
        answer=answer,
        opening=lambda started: [_told(text_chunk(started, echoed), settled)] if echoed else [],
        piece=_piece(settled),
        closing=lambda started, finished: [_told(text_chunk(started, "", finish_reason(finished)), settled)],
        ending=lambda started, finished: [_usage_chunk(started, finished)] if settled.tells_usage else [],
    )


def _piece(settled: Settled) -> Callable[[Started, AnswerPiece], Chunk]:
    return lambda started, piece: _told(piece_text(started, piece), settled)


def _text_of(target: TextTarget, prompt: Prompt) -> str:
    if isinstance(prompt, RawPrompt):
        return prompt.text
    if isinstance(target, RemoteTarget):
        raise no_ids()
    return target.tokenizer.decode(list(prompt.ids))


def _told(chunk: Chunk, settled: Settled) -> Chunk:
    more = {"usage": None} if settled.tells_usage else {}
    return {**chunk, "system_fingerprint": None, **more}


def _usage_chunk(started: Started, finished: Finished) -> Chunk:
    usage = usage_of(started, finished)
    return {**text_chunk(started, ""), "choices": [], "system_fingerprint": None, "usage": usage}


async def _answer_all(call: Call, prepared: Sequence[PreparedInvocation], settled: Settled) -> Answered:
    """The answers to several prompts, made side by side, as one response or stream."""
    counts, headers = _counts(call, len(prepared)), told_weights(prepared[0].target)
    if settled.streams:
        return Streamed({}, events=_stream_all(call, prepared, counts, settled), headers=headers)
    works = [invoke.invoke(each, began=call.started, count=count) for each, count in zip(prepared, counts, strict=True)]
    responses = [invoked.response for invoked in await together(works)]
    choices = [choice for response in responses for choice in response["choices"]]
    return Answer({**responses[0], "choices": choices, "usage": _summed(responses)}, headers=headers)


async def _stream_all(
    call: Call, prepared: Sequence[PreparedInvocation], counts: Sequence[Count], settled: Settled
) -> AsyncGenerator[dict[str, Any], None]:
    """The prompts' chunks one prompt after the other: none waits for more than its own answer."""
    usages: list[Chunk] = []
    for each, count in zip(prepared, counts, strict=True):
        async with aclosing(invoke.stream_chunks(each, began=call.started, count=count)) as chunks:
            async for chunk in chunks:
                if chunk["choices"]:
                    yield chunk
                else:
                    usages.append(chunk)
    if settled.tells_usage:
        yield {**usages[-1], "usage": _summed(usages)}


def _summed(told: Sequence[Chunk]) -> dict[str, int]:
    return {name: sum(each["usage"][name] for each in told) for name in told[0]["usage"]}


def _counts(call: Call, total: int) -> list[Count]:
    """A count for each of several prompts; the call is told what all of them have taken."""
    taken = [(0, 0)] * total

    def count_of(number: int) -> Count:
        def count(num_input: int, num_output: int) -> None:
            taken[number] = (num_input, num_output)
            call.usage.count(sum(each[0] for each in taken), sum(each[1] for each in taken))

        return count

    return [count_of(number) for number in range(total)]


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/completions",
        service="bedrock-runtime",
        operation="InvokeModel",
        meaning=invoking.mean_invocation,
        handler=create_completion,
        takes=Takes.JSON,
        prompt="prompt",
    ),
)
