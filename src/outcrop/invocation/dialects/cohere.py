"""Cohere Command and Command Light: a raw prompt, generations in a list."""

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
from outcrop.invocation.schema import Body, Flag, Items, Number, Struct, Text, check

_DEFAULTS = SamplingOptions(max_tokens=20, temperature=0.9, top_p=0.75)
_BODY = Struct(
    required={"prompt": Text(least_length=1)},
    optional={
        "max_tokens": Number(least=1, most=4096, integer=True),
        "temperature": Number(least=0, most=5),
        "p": Number(least=0, most=1),
        "k": Number(least=0, most=500, integer=True),
        "stop_sequences": Items(of=Text(least_length=1), most=4),
        # One generation without likelihoods is what is made here; asking for more is refused rather than overlooked.
        "num_generations": Number(least=1, most=1, integer=True),
        "return_likelihoods": Text(one_of=("NONE",)),
        "truncate": Text(one_of=("NONE",)),
        "stream": Flag(),
    },
)
_REASONS = {
    Finish.END: "COMPLETE",
    Finish.STOP_SEQUENCE: "COMPLETE",
    Finish.TOOL_USE: "COMPLETE",
    Finish.GUARDRAIL: "ERROR_TOXIC",
    Finish.MAX_TOKENS: "MAX_TOKENS",
    Finish.CONTEXT: "MAX_TOKENS",
}


def _read(body: Body) -> InvocationRequest:
    check(_BODY, body)
    return InvocationRequest(
        prompt=RawPrompt(text=body["prompt"]),
        sampling=SamplingOptions(
            max_tokens=body.get("max_tokens", _DEFAULTS.max_tokens),
            temperature=body.get("temperature", _DEFAULTS.temperature),
            top_p=body.get("p", _DEFAULTS.top_p),
            top_k=body.get("k", _DEFAULTS.top_k),
            stop_sequences=tuple(body.get("stop_sequences", ())),
        ),
    )


def _answer(started: Started, finished: Finished) -> Chunk:
    prompt = started.asked.prompt
    assert isinstance(prompt, RawPrompt), "Cohere's bodies hold a raw prompt"
    generation = {"finish_reason": _REASONS[finished.finish], "id": f"{started.id}-0", "text": finished.text}
    return {"generations": [generation], "id": started.id, "prompt": prompt.text}


def _piece(_started: Started, piece: AnswerPiece) -> Chunk:
    return {"is_finished": False, "text": piece.text}


def _closing(_started: Started, finished: Finished) -> list[Chunk]:
    return [{"is_finished": True, "finish_reason": _REASONS[finished.finish]}]


COHERE = Dialect(name="cohere", read=_read, answer=_answer, piece=_piece, closing=_closing, defaults=_DEFAULTS)
