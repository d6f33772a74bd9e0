"""Members that both of OpenAI's forms have, chat and text completions: sampling, usage, and the envelope of answers."""

from collections.abc import Sequence
from typing import Any

from outcrop.invocation.dialects.dialect import Chunk
from outcrop.invocation.exchange import Finish, Finished, SamplingOptions, Started
from outcrop.invocation.schema import Anything, Body, Flag, Items, Number, Schema, Text, Values, malformed

DEFAULTS = SamplingOptions(max_tokens=None, temperature=1.0, top_p=1.0)
MOST_ANSWERS = 128
"To one prompt, as OpenAI has it."
SAMPLING: dict[str, Schema] = {
    "max_tokens": Number(least=1, integer=True),
    "temperature": Number(least=0, most=2),
    "top_p": Number(least=0, most=1),
    "top_k": Number(least=-1, integer=True),
    "seed": Number(integer=True),
    "stop": Anything(),
    "n": Number(least=1, most=MOST_ANSWERS, integer=True),
    "presence_penalty": Number(least=-2, most=2),
    "frequency_penalty": Number(least=-2, most=2),
    "logit_bias": Values(of=Number(least=-100, most=100)),
    # Not OpenAI's, but vLLM's.
    "min_p": Number(least=0, most=1),
    "repetition_penalty": Number(least=0.01, most=10),
}
SHARED: dict[str, Schema] = {
    **SAMPLING,
    "model": Text(),
    "user": Text(),
    "stream": Flag(),
    "stream_options": Anything(),
}


def sampling_of(body: Body) -> SamplingOptions:
    """The sampling options of a body that was checked. Raises Malformed for what no schema can say."""
    return SamplingOptions(
        max_tokens=body.get("max_completion_tokens", body.get("max_tokens")),
        temperature=body.get("temperature", DEFAULTS.temperature),
        top_p=body.get("top_p", DEFAULTS.top_p),
        top_k=max(0, body.get("top_k", DEFAULTS.top_k)),
        min_p=body.get("min_p", DEFAULTS.min_p),
        repetition_penalty=body.get("repetition_penalty", DEFAULTS.repetition_penalty),
        presence_penalty=body.get("presence_penalty", DEFAULTS.presence_penalty),
        frequency_penalty=body.get("frequency_penalty", DEFAULTS.frequency_penalty),
        logit_bias=_bias(body.get("logit_bias", {})),
        seed=body.get("seed"),
        stop_sequences=_stops(body.get("stop")),
    )


def finish_reason(finished: Finished) -> str:
    if finished.finish is Finish.TOOL_USE:
        return "tool_calls"
    if finished.finish is Finish.GUARDRAIL:
        return "content_filter"
    return "length" if finished.finish in (Finish.MAX_TOKENS, Finish.CONTEXT) else "stop"


def envelope(started: Started, kind: str, prefix: str, choices: Sequence[Chunk]) -> Chunk:
    """A response or chunk of a stream; `kind` is its `object`, and `prefix` begins its id."""
    return {
        "id": f"{prefix}-{started.id}",
        "object": kind,
        "created": int(started.created.timestamp()),
        "model": started.model_id,
        "choices": list(choices),
    }


def usage_of(started: Started, finished: Finished) -> dict[str, Any]:
    """How many tokens there were, and how many of the prompt need not be read where there were such."""
    cached = {"prompt_tokens_details": {"cached_tokens": finished.num_cached}} if finished.num_cached else {}
    return {
        "prompt_tokens": started.num_input_tokens,
        "completion_tokens": finished.num_output_tokens,
        "total_tokens": started.num_input_tokens + finished.num_output_tokens,
        **cached,
    }


def joined(answers: Sequence[Chunk]) -> Chunk:
    """The response of several answers to the same prompt, whose tokens count once."""
    first, *others = answers
    if not others:
        return first
    num_output = sum(each["usage"]["completion_tokens"] for each in answers)
    num_input = first["usage"]["prompt_tokens"]
    counted = {"completion_tokens": num_output, "total_tokens": num_input + num_output}
    choices = [choice for each in answers for choice in each["choices"]]
    return {**first, "choices": choices, "usage": {**first["usage"], **counted}}


def _bias(given: dict[str, float]) -> dict[int, float]:
    problems = [f"#/logit_bias: extraneous key [{token}] is not permitted" for token in given if not _is_id(token)]
    if problems:
        raise malformed(problems)
    return {int(token): bias for token, bias in given.items()}


def _is_id(token: str) -> bool:
    return token.isascii() and token.isdecimal()


def _stops(stop: Any) -> tuple[str, ...]:
    if stop is None:
        return ()
    problems = (Text() if isinstance(stop, str) else Items(of=Text())).violations(stop, "#/stop")
    if problems:
        raise malformed(problems)
    listed: Sequence[str] = [stop] if isinstance(stop, str) else stop
    return tuple(listed)
