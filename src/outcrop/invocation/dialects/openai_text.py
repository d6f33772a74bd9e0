"""OpenAI's text completions: a raw prompt that the model goes on from."""

from collections.abc import Sequence
from dataclasses import replace

from outcrop.invocation.dialects.dialect import Chunk, Dialect
from outcrop.invocation.dialects.openai_members import (
    DEFAULTS,
    SHARED,
    envelope,
    finish_reason,
    joined,
    sampling_of,
    usage_of,
)
from outcrop.invocation.exchange import AnswerPiece, Finished, InvocationRequest, RawPrompt, Started
from outcrop.invocation.schema import Body, Number, Schema, Struct, Text, check
from outcrop.invocation.text_logprobs import TextLogprob

MEMBERS: dict[str, Schema] = {**SHARED, "logprobs": Number(least=0, most=5, integer=True)}
"Members of a body beside its prompt."
_BODY = Struct(required={"prompt": Text(least_length=1)}, optional=MEMBERS)


def text_chunk(started: Started, text: str, reason: str | None = None, logprobs: Sequence[TextLogprob] = ()) -> Chunk:
    """A response or a chunk of a stream, which have one form."""
    choice = {
        "index": started.index,
        "text": text,
        "logprobs": _logprobs(started, logprobs),
        "finish_reason": reason,
    }
    return envelope(started, "text_completion", "cmpl", [choice])


def answer_text(started: Started, finished: Finished) -> Chunk:
    """The whole response, of one answer."""
    chunk = text_chunk(started, finished.text, finish_reason(finished), finished.logprobs)
    return chunk | {"usage": usage_of(started, finished)}


def piece_text(started: Started, piece: AnswerPiece) -> Chunk:
    return text_chunk(started, piece.text, None, piece.logprobs)


def _read(body: Body) -> InvocationRequest:
    check(_BODY, body)
    return InvocationRequest(
        prompt=RawPrompt(text=body["prompt"]),
        sampling=replace(sampling_of(body), logprobs=body.get("logprobs")),
        num_answers=body.get("n", 1),
    )


def _logprobs(started: Started, logprobs: Sequence[TextLogprob]) -> Chunk | None:
    """The member `logprobs` of a choice; null where it was not asked for."""
    if started.asked.sampling.logprobs is None:
        return None
    return {
        "tokens": [one.token.text for one in logprobs],
        "token_logprobs": [one.token.logprob for one in logprobs],
        "top_logprobs": [{each.text: each.logprob for each in one.likeliest} for one in logprobs],
        "text_offset": [one.offset for one in logprobs],
    }


def _closing(started: Started, finished: Finished) -> list[Chunk]:
    return [text_chunk(started, "", finish_reason(finished)) | {"usage": usage_of(started, finished)}]


OPENAI_TEXT = Dialect(
    name="openai",
    read=_read,
    answer=answer_text,
    piece=piece_text,
    closing=_closing,
    joined=joined,
    defaults=DEFAULTS,
)
