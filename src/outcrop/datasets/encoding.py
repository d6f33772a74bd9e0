"""Records to token ids, with what of them is learned: the one path for the preflight report and for training."""

from dataclasses import dataclass

from outcrop.datasets.problems import Problem
from outcrop.datasets.records import Conversation, PromptCompletion, Record, Text
from outcrop.errors import Invalid
from outcrop.tokens import prompt_format
from outcrop.tokens.tokenizer import Tokenizer


@dataclass(frozen=True, kw_only=True)
class EncodedRecord:
    """A sequence of the model's tokens; a text longer than the context becomes several."""

    ids: list[int]
    supervised: list[bool]
    "Which ids are learned: predicted from those before them, and counted in the loss."
    line: int

    @property
    def num_supervised(self) -> int:
        return sum(self.supervised)

    def num_bytes(self, tokenizer: Tokenizer) -> int:
        """Bytes of UTF-8 that the supervised ids stand for."""
        return sum(len(tokenizer.bytes_of(i)) for i, counts in zip(self.ids, self.supervised, strict=True) if counts)


def encode(record: Record, tokenizer: Tokenizer, *, context_length: int, name: str) -> list[EncodedRecord] | Problem:
    """The record's sequences, or why the base model cannot learn it: nothing is ever cut off."""
    match record:
        case Text():
            return _split(prompt_format.encode_text(tokenizer, record.text), context_length, record.line)
        case PromptCompletion():
            pair = prompt_format.encode_pair(tokenizer, record.prompt, record.completion)
            spans = [(pair.prompt_ids, False), (pair.completion_ids, True)]
        case Conversation():
            try:
                chat = prompt_format.encode_chat(tokenizer, record.messages, record.system)
            except Invalid as error:
                return Problem(name=name, line=record.line, field="", what=error.message, mend="")
            spans = [(span.ids, span.supervised) for span in chat]
    ids = [i for part, _ in spans for i in part]
    if len(ids) > context_length:
        return _too_long(record, len(ids), context_length, name)
    supervised = [counts for part, counts in spans for _ in part]
    supervised[0] = False  # Nothing stands before the first id to predict it from.
    return [EncodedRecord(ids=ids, supervised=supervised, line=record.line)]


def _split(ids: list[int], context_length: int, line: int) -> list[EncodedRecord]:
    """Consecutive sequences that share one token, so that every token but the first is predicted exactly once."""
    starts = range(0, max(1, len(ids) - 1), context_length - 1)
    pieces = [ids[start : start + context_length] for start in starts]
    return [EncodedRecord(ids=p, supervised=[False] + [True] * (len(p) - 1), line=line) for p in pieces]


def _too_long(record: Record, num_tokens: int, context_length: int, name: str) -> Problem:
    return Problem(
        name=name,
        line=record.line,
        field="",
        # Bedrock's own words.
        what=f"Max sum of input and output token length {num_tokens} exceeds total limit of {context_length}",
        mend="Shorten the record, or choose a base model with a longer context.",
    )
