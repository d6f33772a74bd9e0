"""Records to token ids, with what of them is learned: the one path for the preflight report and for training."""

from collections.abc import Sequence
from dataclasses import dataclass

from outcrop.datasets.problems import Problem
from outcrop.datasets.records import Conversation, PromptCompletion, Record, TextRecord
from outcrop.errors import Invalid
from outcrop.tokens import prompt_format
from outcrop.tokens.prompt_format import PromptFormat
from outcrop.tokens.tokenizer import Tokenizer


@dataclass(frozen=True, kw_only=True)
class EncodedRecord:
    """A sequence of the model's tokens. Long texts become several, and so may the answers of a conversation."""

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


@dataclass(frozen=True, kw_only=True)
class _Encoder:
    """How records become ids for one base model."""

    tokenizer: Tokenizer
    context_length: int
    prompt_format: PromptFormat
    "Of prompts with completions; conversations are always chat, and texts are as they are."
    name: str
    "Of the records' file, for messages."

    def encode(self, record: Record) -> list[EncodedRecord] | Problem:
        if not isinstance(record, TextRecord):
            least = self.tokenizer.least_tokens(_num_bytes(record))
            if least > self.context_length:  # told without reading it: of many megabytes that takes minutes
                return self._too_long(record, f"of at least {least:,}")
        try:
            encoded = self._sequences(record)
        except Invalid as error:
            return self._problem(record, error.message)
        for one in encoded:
            beyond = self.tokenizer.beyond(one.ids)
            if beyond is not None:
                return self._beyond(record, beyond)
            if len(one.ids) > self.context_length:
                return self._too_long(record, str(len(one.ids)))
        return encoded

    def _sequences(self, record: Record) -> list[EncodedRecord]:
        form, tokenizer = self.prompt_format, self.tokenizer
        match record:
            case TextRecord():
                return _split(prompt_format.encode_text(tokenizer, record.text), self.context_length, record.line)
            case PromptCompletion():
                pair = prompt_format.encode_pair(tokenizer, record.prompt, record.completion, form)
                return [_sequence([(pair.prompt_ids, False), (pair.completion_ids, True)], record.line)]
            case Conversation():
                chats = prompt_format.encode_chat(
                    tokenizer, record.messages, record.system, today=form.today, tools=record.tools
                )
                return [_sequence([(span.ids, span.supervised) for span in spans], record.line) for spans in chats]

    def _beyond(self, record: Record, token_id: int) -> Problem:
        what = (
            f"token {self.tokenizer.token(token_id)!r} has id {token_id} beyond the model's "
            f"{self.tokenizer.num_embeddings:,}"
        )
        mend = "Take the token's spelling out of the record, or register the model with its embedding resized."
        return self._problem(record, what, mend)

    def _too_long(self, record: Record, num_tokens: str) -> Problem:
        # Bedrock's own words.
        what = f"Max sum of input and output token length {num_tokens} exceeds total limit of {self.context_length}"
        return self._problem(record, what, "Shorten the record, or choose a base model with a longer context.")

    def _problem(self, record: Record, what: str, mend: str = "") -> Problem:
        return Problem(name=self.name, line=record.line, field="", what=what, mend=mend)


def encode(
    record: Record,
    tokenizer: Tokenizer,
    *,
    context_length: int,
    name: str,
    prompt_format: PromptFormat = PromptFormat.TEXT,
) -> list[EncodedRecord] | Problem:
    """The record's sequences, or why the base model cannot learn it: nothing is ever cut off."""
    made = _Encoder(tokenizer=tokenizer, context_length=context_length, prompt_format=prompt_format, name=name)
    return made.encode(record)


def _sequence(spans: Sequence[tuple[list[int], bool]], line: int) -> EncodedRecord:
    supervised = [counts for part, counts in spans for _ in part]
    supervised[0] = False  # Nothing stands before the first id to predict it from.
    return EncodedRecord(ids=[i for part, _ in spans for i in part], supervised=supervised, line=line)


def _split(ids: list[int], context_length: int, line: int) -> list[EncodedRecord]:
    """Consecutive sequences that share one token, so that every token but the first is predicted exactly once."""
    starts = range(0, max(1, len(ids) - 1), context_length - 1)
    pieces = [ids[start : start + context_length] for start in starts]
    return [EncodedRecord(ids=p, supervised=[False] + [True] * (len(p) - 1), line=line) for p in pieces]


def _num_bytes(record: PromptCompletion | Conversation) -> int:
    """Bytes that are surely written into the prompt of an answer, or into the answer."""
    if isinstance(record, PromptCompletion):
        return len(record.prompt.strip().encode()) + len(record.completion.strip().encode())
    return max(len(turn["content"].strip().encode()) for turn in record.messages)
