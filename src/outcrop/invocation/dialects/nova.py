"""Amazon Nova: Converse's messages in a body of its own."""

from collections.abc import Sequence
from typing import Any

from outcrop.invocation.content_blocks import before_piece, block_stop, blocks_of, delta_of
from outcrop.invocation.conversation import read_conversation
from outcrop.invocation.dialects.dialect import Chunk, Dialect
from outcrop.invocation.exchange import AnswerPiece, Finish, Finished, InvocationRequest, SamplingOptions, Started
from outcrop.invocation.schema import Anything, Body, Flag, Items, Number, Struct, Text, Values, check
from outcrop.invocation.tool_config import read_tool_config

_DEFAULTS = SamplingOptions(max_tokens=None, temperature=0.7, top_p=0.9)
_MAX_TOKENS = Number(least=1, integer=True)
_SHARE = Number(least=0, most=1)
_TOP_K = Number(least=0, integer=True)
_NAME = Text(least_length=1)
_NO_TEXT = dict.fromkeys(("image", "video", "audio", "document", "cachePoint"), Anything())
_RESULT_BLOCK = Struct(optional={"text": Text(), "json": Anything(), **_NO_TEXT})
_BLOCK = Struct(
    optional={
        "text": Text(),
        "toolUse": Struct(required={"toolUseId": _NAME, "name": _NAME, "input": Values(of=Anything())}),
        "toolResult": Struct(
            required={"toolUseId": _NAME, "content": Items(of=_RESULT_BLOCK)},
            optional={"status": Text(one_of=("success", "error"))},
        ),
        "reasoningContent": Struct(
            optional={
                "reasoningText": Struct(required={"text": Text()}, optional={"signature": Text()}),
                "redactedContent": Anything(),
            }
        ),
        **_NO_TEXT,
    }
)
_TOOL = Struct(
    optional={
        "toolSpec": Struct(
            required={"name": _NAME, "inputSchema": Struct(required={"json": Values(of=Anything())})},
            optional={"description": Text(), "strict": Flag()},
        ),
        "systemTool": Anything(),
        "cachePoint": Anything(),
    }
)
_TOOL_CONFIG = Struct(
    optional={
        "tools": Items(of=_TOOL),
        "toolChoice": Struct(
            optional={"auto": Struct(), "any": Struct(), "tool": Struct(required={"name": _NAME})},
        ),
    }
)
_REASONING_CONFIG = Struct(
    required={"type": Text(one_of=("enabled", "disabled"))},
    optional={"maxReasoningEffort": Text(one_of=("low", "medium", "high"))},
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
        "toolConfig": _TOOL_CONFIG,
        "reasoningConfig": _REASONING_CONFIG,
    },
)
_REASONS = {
    Finish.END: "end_turn",
    Finish.MAX_TOKENS: "max_tokens",
    Finish.CONTEXT: "max_tokens",
    Finish.STOP_SEQUENCE: "stop_sequence",
    Finish.TOOL_USE: "tool_use",
    Finish.GUARDRAIL: "guardrail_intervened",
}


def _read(body: Body) -> InvocationRequest:
    check(_BODY, body)
    config = body.get("inferenceConfig", {})
    reasoning = body.get("reasoningConfig")
    return InvocationRequest(
        prompt=read_conversation(
            body["messages"],
            body.get("system", []),
            read_tool_config(body.get("toolConfig")),
            thinking=None if reasoning is None else reasoning["type"] == "enabled",
        ),
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
        "output": {"message": {"role": "assistant", "content": blocks_of(finished)}},
        "stopReason": _REASONS[finished.finish],
        "usage": _usage(started, finished),
    }


def _opening(_started: Started) -> list[Chunk]:
    return [{"messageStart": {"role": "assistant"}}]


def _before(_started: Started, piece: AnswerPiece) -> Sequence[Chunk]:
    return before_piece(piece)


def _piece(_started: Started, piece: AnswerPiece) -> Chunk:
    return delta_of(piece)


def _closing(started: Started, finished: Finished) -> list[Chunk]:
    return [
        block_stop(finished.num_blocks - 1),
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
    name="nova",
    read=_read,
    answer=_answer,
    opening=_opening,
    before=_before,
    piece=_piece,
    closing=_closing,
    defaults=_DEFAULTS,
)
