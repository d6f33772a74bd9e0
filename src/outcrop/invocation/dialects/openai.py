"""OpenAI's two forms, chat completions and text completions, as gpt-oss, Qwen and imported models speak them."""

from collections.abc import Sequence
from typing import Any

from outcrop.invocation.dialects.dialect import Chunk, Dialect
from outcrop.invocation.exchange import (
    AnswerPiece,
    ChatPrompt,
    Finish,
    Finished,
    InvocationRequest,
    RawPrompt,
    SamplingOptions,
    Started,
)
from outcrop.invocation.schema import (
    Anything,
    Body,
    Flag,
    Items,
    Number,
    Schema,
    Struct,
    Text,
    Values,
    check,
    malformed,
)
from outcrop.tokens.prompt_format import join_blocks

_DEFAULTS = SamplingOptions(max_tokens=None, temperature=1.0, top_p=1.0)
_ROLES = ("system", "developer", "user", "assistant")
_SHARED: dict[str, Schema] = {
    "model": Text(),
    "user": Text(),
    "max_tokens": Number(least=1, integer=True),
    "temperature": Number(least=0, most=2),
    "top_p": Number(least=0, most=1),
    "top_k": Number(least=-1, integer=True),
    "seed": Number(integer=True),
    "stop": Anything(),
    "stream": Flag(),
    "stream_options": Anything(),
    # One answer is what is made here; asking for more is refused rather than overlooked.
    "n": Number(least=1, most=1, integer=True),
    "presence_penalty": Number(least=-2, most=2),
    "frequency_penalty": Number(least=-2, most=2),
    "logit_bias": Values(of=Number(least=-100, most=100)),
    # Not OpenAI's, but vLLM's.
    "min_p": Number(least=0, most=1),
    "repetition_penalty": Number(least=0.01, most=10),
}
_CHAT = Struct(
    required={
        "messages": Items(of=Struct(required={"role": Text(one_of=_ROLES), "content": Anything()}), least=1),
    },
    optional={**_SHARED, "max_completion_tokens": Number(least=1, integer=True)},
)
_TEXT = Struct(required={"prompt": Text(least_length=1)}, optional=_SHARED)


def _read_chat(body: Body) -> InvocationRequest:
    check(_CHAT, body)
    turns = [
        {"role": message["role"], "content": _content(message["content"], at=f"#/messages/{number}/content")}
        for number, message in enumerate(body["messages"])
    ]
    instructions = [turn["content"] for turn in turns if turn["role"] in ("system", "developer")]
    said = [turn for turn in turns if turn["role"] in ("user", "assistant")]
    if not said or said[0]["role"] != "user":
        raise malformed(["#/messages: expected a user message first"])
    return InvocationRequest(
        prompt=ChatPrompt(messages=said, system="\n\n".join(instructions) or None), sampling=_sampling(body)
    )


def _read_text(body: Body) -> InvocationRequest:
    check(_TEXT, body)
    return InvocationRequest(prompt=RawPrompt(text=body["prompt"]), sampling=_sampling(body))


def _content(content: Any, *, at: str) -> str:
    if isinstance(content, str):
        return content
    block = Struct(required={"type": Text(one_of=("text",)), "text": Text()})
    problems = Items(of=block, least=1).violations(content, at)
    if problems:
        raise malformed(problems)
    return join_blocks([part["text"] for part in content])


def _sampling(body: Body) -> SamplingOptions:
    return SamplingOptions(
        max_tokens=body.get("max_completion_tokens", body.get("max_tokens")),
        temperature=body.get("temperature", _DEFAULTS.temperature),
        top_p=body.get("top_p", _DEFAULTS.top_p),
        top_k=max(0, body.get("top_k", _DEFAULTS.top_k)),
        min_p=body.get("min_p", _DEFAULTS.min_p),
        repetition_penalty=body.get("repetition_penalty", _DEFAULTS.repetition_penalty),
        presence_penalty=body.get("presence_penalty", _DEFAULTS.presence_penalty),
        frequency_penalty=body.get("frequency_penalty", _DEFAULTS.frequency_penalty),
        logit_bias=_bias(body.get("logit_bias", {})),
        seed=body.get("seed"),
        stop_sequences=_stops(body.get("stop")),
    )


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


def _reason(finished: Finished) -> str:
    return "length" if finished.finish in (Finish.MAX_TOKENS, Finish.CONTEXT) else "stop"


def _envelope(started: Started, kind: str, prefix: str, choice: Chunk) -> Chunk:
    return {
        "id": f"{prefix}-{started.id}",
        "object": kind,
        "created": int(started.created.timestamp()),
        "model": started.model_id,
        "choices": [{"index": 0, **choice}],
    }


def _usage(started: Started, finished: Finished) -> dict[str, int]:
    return {
        "prompt_tokens": started.num_input_tokens,
        "completion_tokens": finished.num_output_tokens,
        "total_tokens": started.num_input_tokens + finished.num_output_tokens,
    }


def _answer_chat(started: Started, finished: Finished) -> Chunk:
    choice = {"message": {"role": "assistant", "content": finished.text}, "finish_reason": _reason(finished)}
    return _envelope(started, "chat.completion", "chatcmpl", choice) | {"usage": _usage(started, finished)}


def _chat_chunk(started: Started, delta: Chunk, finish_reason: str | None) -> Chunk:
    return _envelope(started, "chat.completion.chunk", "chatcmpl", {"delta": delta, "finish_reason": finish_reason})


def _piece_chat(started: Started, piece: AnswerPiece) -> Chunk:
    role = {"role": "assistant"} if piece.first else {}
    return _chat_chunk(started, {**role, "content": piece.text}, None)


def _closing_chat(started: Started, finished: Finished) -> list[Chunk]:
    return [_chat_chunk(started, {}, _reason(finished)) | {"usage": _usage(started, finished)}]


def _text_chunk(started: Started, text: str, finish_reason: str | None) -> Chunk:
    return _envelope(
        started, "text_completion", "cmpl", {"text": text, "logprobs": None, "finish_reason": finish_reason}
    )


def _answer_text(started: Started, finished: Finished) -> Chunk:
    return _text_chunk(started, finished.text, _reason(finished)) | {"usage": _usage(started, finished)}


def _piece_text(started: Started, piece: AnswerPiece) -> Chunk:
    return _text_chunk(started, piece.text, None)


def _closing_text(started: Started, finished: Finished) -> list[Chunk]:
    return [_text_chunk(started, "", _reason(finished)) | {"usage": _usage(started, finished)}]


OPENAI_CHAT = Dialect(
    name="openai",
    read=_read_chat,
    answer=_answer_chat,
    piece=_piece_chat,
    closing=_closing_chat,
    defaults=_DEFAULTS,
)
OPENAI_TEXT = Dialect(
    name="openai",
    read=_read_text,
    answer=_answer_text,
    piece=_piece_text,
    closing=_closing_text,
    defaults=_DEFAULTS,
)
