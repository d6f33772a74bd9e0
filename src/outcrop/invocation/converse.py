"""Converse and ConverseStream: one form for every model, whatever dialect it speaks otherwise."""

import secrets
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from outcrop.errors import Invalid
from outcrop.invocation.answer_form import form_of_output_config, form_of_structured_outputs
from outcrop.invocation.content_blocks import before_piece, block_stop, blocks_of, delta_of
from outcrop.invocation.conversation import read_conversation
from outcrop.invocation.dialects.choice import defaults_of, native
from outcrop.invocation.exchange import (
    AnswerForm,
    Count,
    Finish,
    Finished,
    InvocationRequest,
    SamplingOptions,
    Started,
    uncounted,
)
from outcrop.invocation.generate import plan_aside
from outcrop.invocation.invoke import PreparedInvocation, answered, answering, milliseconds_since
from outcrop.invocation.schema import Anything, Flag, Number, Struct, Text, check
from outcrop.invocation.target import TextTarget
from outcrop.invocation.tool_config import read_tool_config

Params = Mapping[str, Any]

_REASONS = {
    Finish.END: "end_turn",
    Finish.MAX_TOKENS: "max_tokens",
    Finish.STOP_SEQUENCE: "stop_sequence",
    Finish.CONTEXT: "model_context_window_exceeded",
    Finish.TOOL_USE: "tool_use",
    Finish.GUARDRAIL: "guardrail_intervened",
}
_TOP_K = Number(least=0, integer=True)
_THINKING = Struct(
    required={"type": Text(one_of=("enabled", "disabled"))},
    optional={
        "budget_tokens": Number(least=1, integer=True),
        "maxReasoningEffort": Text(one_of=("low", "medium", "high")),
    },
)
_MORE_FIELDS = Struct(
    optional={
        "top_k": _TOP_K,
        "topK": _TOP_K,
        "k": _TOP_K,
        "seed": Number(least=0, integer=True),
        "min_p": Number(least=0, most=1),
        "repetition_penalty": Number(least=0.01, most=10),
        "presence_penalty": Number(least=-2, most=2),
        "frequency_penalty": Number(least=-2, most=2),
        "inferenceConfig": Struct(optional={"topK": _TOP_K, "top_k": _TOP_K}),
        "enable_thinking": Flag(),
        "thinking": _THINKING,
        "reasoning_config": _THINKING,
        "reasoningConfig": _THINKING,
        "structured_outputs": Anything(),
    }
)
_THINKING_FIELDS = ("thinking", "reasoning_config", "reasoningConfig")
_NUMBERS_MORE = ("min_p", "repetition_penalty", "presence_penalty", "frequency_penalty")
"Additional fields that are understood whatever the model's provider."
_SERVED = {"performanceConfig": {"latency": "standard"}, "serviceTier": {"type": "default"}}
"""There is one latency and one tier; Amazon falls back to the same, and says so."""
_NOT_BUILT = {
    "promptVariables": "Managed prompts are not built in Outcrop yet. Send messages without promptVariables.",
}


@dataclass(frozen=True, kw_only=True)
class PreparedConverse:
    prepared: PreparedInvocation
    response_fields: tuple[tuple[str, ...], ...]
    "Paths into the native response, whose values the caller wants as additionalModelResponseFields."
    served: Mapping[str, Any]
    "What a wish for speed or price got: members of the answer."


def read_converse(target: TextTarget, params: Params) -> InvocationRequest:
    """The invocation that a Converse request asks for. Raises Invalid in Converse's words."""
    for member, sentence in _NOT_BUILT.items():
        if params.get(member):
            raise Invalid(sentence)
    more = params.get("additionalModelRequestFields") or {}
    check(_MORE_FIELDS, more)
    prompt = read_conversation(
        params.get("messages", []),
        params.get("system", []),
        read_tool_config(params.get("toolConfig")),
        thinking=_thinking(more),
    )
    return InvocationRequest(
        prompt=prompt,
        sampling=_sampling(defaults_of(target), params.get("inferenceConfig", {}), more),
        form=_form(params.get("outputConfig") or {}, more),
    )


async def prepare(target: TextTarget, params: Params, *, now: datetime) -> PreparedConverse:
    """Checks a request against the model and its context."""
    paths = tuple(_pointer(path) for path in params.get("additionalModelResponseFieldPaths", []))
    asked = read_converse(target, params)
    generation = await plan_aside(target, asked)
    started = Started(
        id=secrets.token_hex(12),
        model_id=target.model_id,
        created=now,
        asked=asked,
        num_input_tokens=generation.num_input_tokens,
    )
    prepared = PreparedInvocation(target=target, dialect=native(target.dialect), started=started, generation=generation)
    served = {member: got for member, got in _SERVED.items() if params.get(member)}
    return PreparedConverse(prepared=prepared, response_fields=paths, served=served)


async def converse(
    request: PreparedConverse, *, began: float | None = None, count: Count = uncounted
) -> dict[str, Any]:
    """The members of Converse's output. Latency counts from `began`, of `time.monotonic()`, else from now."""
    begin = time.monotonic() if began is None else began
    prepared = request.prepared
    finished = await answered(prepared, count=count)
    return {
        "output": {"message": {"role": "assistant", "content": blocks_of(finished)}},
        "usage": _usage(prepared.started.ended(finished), finished),
        "metrics": {"latencyMs": milliseconds_since(begin)},
        **request.served,
        **_stop(request, finished),
        **_trace(request),
    }


async def converse_stream(
    request: PreparedConverse, *, began: float | None = None, count: Count = uncounted
) -> AsyncGenerator[dict[str, Any], None]:
    """The events of ConverseStream; the first comes with the first text, `metadata` is the last."""
    prepared = request.prepared
    begin = time.monotonic() if began is None else began
    opened = False
    async with aclosing(answering(prepared, count=count)) as items:
        async for item in items:
            if not opened:
                opened = True
                yield {"messageStart": {"role": "assistant"}}
            if not isinstance(item, Finished):
                for event in before_piece(item):
                    yield event
                yield delta_of(item)
                continue
            yield block_stop(item.num_blocks - 1)
            yield {"messageStop": _stop(request, item)}
            usage = _usage(prepared.started.ended(item), item)
            metrics = {"latencyMs": milliseconds_since(begin)}
            yield {"metadata": {"usage": usage, "metrics": metrics, **request.served, **_trace(request)}}


def _form(config: Params, more: Params) -> AnswerForm | None:
    """The form of the answer, by Converse's own field or by vLLM's among the additional ones."""
    form, other = form_of_output_config(config), form_of_structured_outputs(more.get("structured_outputs"))
    if form is not None and other is not None:
        raise Invalid("outputConfig and structured_outputs both give the answer a form. Leave one of them out.")
    return form or other


def _thinking(more: Params) -> bool | None:
    """Whether the model shall think first, by whichever provider's field says so."""
    asked = [more["enable_thinking"]] if "enable_thinking" in more else []
    asked += [more[name]["type"] == "enabled" for name in _THINKING_FIELDS if name in more]
    if len(set(asked)) > 1:
        raise Invalid("additionalModelRequestFields: thinking is turned on and off. Say it once.")
    return asked[0] if asked else None


def _sampling(defaults: SamplingOptions, config: Params, more: Params) -> SamplingOptions:
    top_ks = {**more.get("inferenceConfig", {}), **{key: more[key] for key in ("top_k", "topK", "k") if key in more}}
    return replace(
        defaults,
        max_tokens=config.get("maxTokens", defaults.max_tokens),
        temperature=config.get("temperature", defaults.temperature),
        top_p=config.get("topP", defaults.top_p),
        top_k=next(iter(top_ks.values()), defaults.top_k),
        seed=more.get("seed"),
        **{name: more[name] for name in _NUMBERS_MORE if name in more},
        stop_sequences=tuple(config.get("stopSequences", ())),
    )


def _usage(started: Started, finished: Finished) -> dict[str, int]:
    return {
        "inputTokens": started.num_input_tokens,
        "outputTokens": finished.num_output_tokens,
        "totalTokens": started.num_input_tokens + finished.num_output_tokens,
    }


def _stop(request: PreparedConverse, finished: Finished) -> dict[str, Any]:
    guard = request.prepared.guard
    finish = Finish.GUARDRAIL if guard is not None and guard.intervened else finished.finish
    stop: dict[str, Any] = {"stopReason": _REASONS[finish]}
    if request.response_fields:
        response = request.prepared.dialect.answer(request.prepared.started.ended(finished), finished)
        stop["additionalModelResponseFields"] = _pick(response, request.response_fields)
    return stop


def _trace(request: PreparedConverse) -> dict[str, Any]:
    """The trace of the guardrail, where the request asked for one."""
    trace = None if request.prepared.guard is None else request.prepared.guard.trace()
    return {} if trace is None else {"trace": {"guardrail": trace}}


def _pointer(path: str) -> tuple[str, ...]:
    """The steps of a JSON pointer (RFC 6901)."""
    if not path.startswith("/"):
        raise Invalid(
            f"additionalModelResponseFieldPaths: {path!r} is not a JSON pointer. Begin it with a slash, as in "
            "/stop_sequence."
        )
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in path[1:].split("/"))


def _pick(response: Any, paths: tuple[tuple[str, ...], ...]) -> dict[str, Any]:
    """The values at these paths, each at its own place; a path that leads nowhere is left out."""
    picked: dict[str, Any] = {}
    for path in paths:
        value = response
        for step in path:
            value = _step(value, step)
        if value is _NOWHERE:
            continue
        place = picked
        for step in path[:-1]:
            place = place.setdefault(step, {})
        place[path[-1]] = value
    return picked


_NOWHERE = object()


def _step(value: Any, step: str) -> Any:
    if isinstance(value, dict):
        return value.get(step, _NOWHERE)
    if isinstance(value, list) and step.isdecimal() and int(step) < len(value):
        return value[int(step)]
    return _NOWHERE
