"""Amazon Titan Text: inputText and textGenerationConfig."""

from outcrop.invocation.dialects.dialect import Chunk, Dialect
from outcrop.invocation.exchange import (
    AnswerPiece,
    Finish,
    Finished,
    InvocationRequest,
    RawPrompt,
    SamplingOptions,
    Started,
)
from outcrop.invocation.schema import Body, Items, Number, Struct, Text, check

_DEFAULTS = SamplingOptions(max_tokens=512, temperature=0.7, top_p=0.9)
_BODY = Struct(
    required={"inputText": Text(least_length=1)},
    optional={
        "textGenerationConfig": Struct(
            optional={
                "maxTokenCount": Number(least=1, most=8192, integer=True),
                "temperature": Number(least=0, most=1),
                "topP": Number(least=0, most=1),
                "stopSequences": Items(of=Text(least_length=1)),
            }
        )
    },
)
_REASONS = {
    Finish.END: "FINISH",
    Finish.MAX_TOKENS: "LENGTH",
    Finish.CONTEXT: "LENGTH",
    Finish.STOP_SEQUENCE: "STOP_CRITERIA_MET",
    Finish.TOOL_USE: "FINISH",
    Finish.GUARDRAIL: "CONTENT_FILTERED",
}


def _read(body: Body) -> InvocationRequest:
    check(_BODY, body)
    config = body.get("textGenerationConfig", {})
    return InvocationRequest(
        prompt=RawPrompt(text=body["inputText"]),
        sampling=SamplingOptions(
            max_tokens=config.get("maxTokenCount", _DEFAULTS.max_tokens),
            temperature=config.get("temperature", _DEFAULTS.temperature),
            top_p=config.get("topP", _DEFAULTS.top_p),
            stop_sequences=tuple(config.get("stopSequences", ())),
        ),
    )


def _answer(started: Started, finished: Finished) -> Chunk:
    return {
        "inputTextTokenCount": started.num_input_tokens,
        "results": [
            {
                "tokenCount": finished.num_output_tokens,
                "outputText": finished.text,
                "completionReason": _REASONS[finished.finish],
            }
        ],
    }


def _piece(started: Started, piece: AnswerPiece) -> Chunk:
    return {
        "outputText": piece.text,
        "index": 0,
        "totalOutputTextTokenCount": None,
        "completionReason": None,
        "inputTextTokenCount": started.num_input_tokens,
    }


def _closing(_started: Started, finished: Finished) -> list[Chunk]:
    return [
        {
            "outputText": "",
            "index": 0,
            "totalOutputTextTokenCount": finished.num_output_tokens,
            "completionReason": _REASONS[finished.finish],
            "inputTextTokenCount": None,
        }
    ]


TITAN = Dialect(name="titan", read=_read, answer=_answer, piece=_piece, closing=_closing, defaults=_DEFAULTS)
