"""Amazon Nova: Converse's messages in a body of its own."""

from typing import Any

from outcrop.errors import Invalid
from outcrop.invocation.conversation import read_conversation
from outcrop.invocation.dialects.dialect import Chunk, Dialect
from outcrop.invocation.exchange import AnswerPiece, Finish, Finished, InvocationRequest, SamplingOptions, Started
from outcrop.invocation.schema import Anything, Body, Items, Number, Struct, Text, check

_DEFAULTS = SamplingOptions(max_tokens=None, temperature=0.7, top_p=0.9)
_MAX_TOKENS = Number(least=1, integer=True)
_SHARE = Number(least=0, most=1)
_TOP_K = Number(least=0, integer=True)
_BLOCK = Struct(
    optional={
        "text": Text(),
        **dict.fromkeys(("image", "video", "audio", "document", "toolUse", "toolResult", "cachePoint"), Anything()),
        "reasoningContent": Anything(),
    }
)
_BODY = Struct(
    required={
        "messages": Items(
            of=Struct(required={"role": Text(one_of=("user", "assistant")), "content": Items(of=_BLOCK)}), least=1
        )
    },
    optional={
        "schemaVersion": Text(one_of=("messages-v1",)),
        "system": Items(of=_BLOCK),
        "inferenceConfig": Struct(
            optional={
                "maxTokens": _MAX_TOKENS,
                "max_new_tokens": _MAX_TOKENS,
                "temperature": _SHARE,
                "topP": _SHARE,
                "top_p": _SHARE,
                "topK": _TOP_K,
                "top_k": _TOP_K,
                "stopSequences": Items(of=Text(least_length=1)),
            }
        ),
        "toolConfig": Anything(),
    },
)
_REASONS = {
    Finish.END: "end_turn",
    Finish.MAX_TOKENS: "max_tokens",
    Finish.CONTEXT: "max_tokens",
    Finish.STOP_SEQUENCE: "stop_sequence",
}


def _read(body: Body) -> InvocationRequest:
    check(_BODY, body)
    if body.get("toolConfig", {}).get("tools"):
        raise Invalid("This model doesn't support tool use.")
    config = body.get("inferenceConfig", {})
    return InvocationRequest(
        prompt=read_conversation(body["messages"], body.get("system", [])),
        sampling=SamplingOptions(
            max_tokens=config.get("maxTokens", config.get("max_new_tokens")),
            temperature=config.get("temperature", _DEFAULTS.temperature),
            top_p=config.get("topP", config.get("top_p", _DEFAULTS.top_p)),
            top_k=config.get("topK", config.get("top_k", _DEFAULTS.top_k)),
            stop_sequences=tuple(config.get("stopSequences", ())),
        ),
    )


def _answer(started: Started, finished: Finished) -> Chunk:
    return {
        "output": {"message": {"role": "assistant", "content": [{"text": finished.text}]}},
        "stopReason": _REASONS[finished.finish],
        "usage": _usage(started, finished),
    }


def _opening(_started: Started) -> list[Chunk]:
    return [{"messageStart": {"role": "assistant"}}]


def _piece(_started: Started, piece: AnswerPiece) -> Chunk:
    return {"contentBlockDelta": {"delta": {"text": piece.text}, "contentBlockIndex": 0}}


def _closing(started: Started, finished: Finished) -> list[Chunk]:
    return [
        {"contentBlockStop": {"contentBlockIndex": 0}},
        {"messageStop": {"stopReason": _REASONS[finished.finish]}},
        {"metadata": {"usage": _usage(started, finished), "metrics": {}}},
    ]


def _usage(started: Started, finished: Finished) -> dict[str, Any]:
    return {
        "inputTokens": started.num_input_tokens,
        "outputTokens": finished.num_output_tokens,
        "totalTokens": started.num_input_tokens + finished.num_output_tokens,
    }


NOVA = Dialect(
    name="nova", read=_read, answer=_answer, opening=_opening, piece=_piece, closing=_closing, defaults=_DEFAULTS
)
