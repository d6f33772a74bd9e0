"""DeepSeek's text completion: a raw prompt, choices in a list."""

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

_DEFAULTS = SamplingOptions(max_tokens=512, temperature=0.5, top_p=0.9)
_BODY = Struct(
    required={"prompt": Text(least_length=1)},
    optional={
        "max_tokens": Number(least=1, most=32768, integer=True),
        "temperature": Number(least=0, most=1),
        "top_p": Number(least=0, most=1),
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
            stop_sequences=tuple(body.get("stop", ())),
        ),
    )


def _choice(text: str, stop_reason: str | None) -> Chunk:
    return {"choices": [{"text": text, "stop_reason": stop_reason}]}


def _answer(_started: Started, finished: Finished) -> Chunk:
    return _choice(finished.text, _reason(finished))


def _piece(_started: Started, piece: AnswerPiece) -> Chunk:
    return _choice(piece.text, None)


def _closing(_started: Started, finished: Finished) -> list[Chunk]:
    return [_choice("", _reason(finished))]


def _reason(finished: Finished) -> str:
    return "length" if finished.finish in (Finish.MAX_TOKENS, Finish.CONTEXT) else "stop"


DEEPSEEK = Dialect(name="deepseek", read=_read, answer=_answer, piece=_piece, closing=_closing, defaults=_DEFAULTS)
