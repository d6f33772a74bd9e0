"""Meta Llama: a raw prompt and max_gen_len."""

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
from outcrop.invocation.schema import Body, Number, Struct, Text, check

_DEFAULTS = SamplingOptions(max_tokens=512, temperature=0.5, top_p=0.9)
_BODY = Struct(
    required={"prompt": Text(least_length=1)},
    optional={
        "max_gen_len": Number(least=1, most=2048, integer=True),
        "temperature": Number(least=0, most=1),
        "top_p": Number(least=0, most=1),
    },
)


def _read(body: Body) -> InvocationRequest:
    check(_BODY, body)
    return InvocationRequest(
        prompt=RawPrompt(text=body["prompt"]),
        sampling=SamplingOptions(
            max_tokens=body.get("max_gen_len", _DEFAULTS.max_tokens),
            temperature=body.get("temperature", _DEFAULTS.temperature),
            top_p=body.get("top_p", _DEFAULTS.top_p),
        ),
    )


def _answer(started: Started, finished: Finished) -> Chunk:
    return {
        "generation": finished.text,
        "prompt_token_count": started.num_input_tokens,
        "generation_token_count": finished.num_output_tokens,
        "stop_reason": _reason(finished),
    }


def _piece(started: Started, piece: AnswerPiece) -> Chunk:
    return {
        "generation": piece.text,
        "prompt_token_count": started.num_input_tokens if piece.first else None,
        "generation_token_count": piece.num_output_tokens,
        "stop_reason": None,
    }


def _closing(_started: Started, finished: Finished) -> list[Chunk]:
    return [
        {
            "generation": "",
            "prompt_token_count": None,
            "generation_token_count": finished.num_output_tokens,
            "stop_reason": _reason(finished),
        }
    ]


def _reason(finished: Finished) -> str:
    return "length" if finished.finish in (Finish.MAX_TOKENS, Finish.CONTEXT) else "stop"


LLAMA = Dialect(name="llama", read=_read, answer=_answer, piece=_piece, closing=_closing, defaults=_DEFAULTS)
