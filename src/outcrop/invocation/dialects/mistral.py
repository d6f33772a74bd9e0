"""Mistral's text completion: a raw prompt and max_tokens, outputs in a list."""

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

_DEFAULTS = SamplingOptions(max_tokens=512, temperature=0.5, top_p=0.9, top_k=50)
_BODY = Struct(
    required={"prompt": Text(least_length=1)},
    optional={
        "max_tokens": Number(least=1, most=8192, integer=True),
        "temperature": Number(least=0, most=1),
        "top_p": Number(least=0, most=1),
        "top_k": Number(least=0, most=200, integer=True),
        "stop": Items(of=Text(least_length=1), most=10),
    },
)


def _read(body: Body) -> InvocationRequest:
    check(_BODY, body)
    return InvocationRequest(
        prompt=RawPrompt(text=body["prompt"]),
        sampling=SamplingOptions(
            max_tokens=body.get("max_tokens", _DEFAULTS.max_tokens),
            temperature=body.get("temperature", _DEFAULTS.temperature),
            top_p=body.get("top_p", _DEFAULTS.top_p),
            top_k=body.get("top_k", _DEFAULTS.top_k),
            stop_sequences=tuple(body.get("stop", ())),
        ),
    )


def _answer(_started: Started, finished: Finished) -> Chunk:
    return {"outputs": [{"text": finished.text, "stop_reason": _reason(finished)}]}


def _piece(_started: Started, piece: AnswerPiece) -> Chunk:
    return {"outputs": [{"text": piece.text, "stop_reason": None}]}


def _closing(_started: Started, finished: Finished) -> list[Chunk]:
    return [{"outputs": [{"text": "", "stop_reason": _reason(finished)}]}]


def _reason(finished: Finished) -> str:
    return "length" if finished.finish in (Finish.MAX_TOKENS, Finish.CONTEXT) else "stop"


MISTRAL = Dialect(name="mistral", read=_read, answer=_answer, piece=_piece, closing=_closing, defaults=_DEFAULTS)
