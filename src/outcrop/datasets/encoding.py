"""Records to token ids, with what of them is learned: the one path for the preflight report and for training."""

import struct
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from outcrop.datasets.problems import Problem
from outcrop.datasets.reading import Line
from outcrop.datasets.records import Conversation, PromptCompletion, Record, TextRecord
from outcrop.errors import Invalid
from outcrop.tokens import batches, prompt_format
from outcrop.tokens.batches import Steps
from outcrop.tokens.prompt_format import PromptFormat
from outcrop.tokens.tokenizer import Tokenizer

_BATCH_RECORDS, _BATCH_LETTERS = 512, 1_000_000
"A batch is over with whichever of them it reaches first, so that no records fill the memory."
_NUMBER = "i"


class LearnedRun(NamedTuple):
    """A run of neighbouring ids: from `start` up to, but not with, `stop`."""

    start: int
    stop: int


@dataclass(frozen=True, kw_only=True)
class EncodedRecord:
    """A sequence of the model's tokens. Long texts become several, and so may the answers of a conversation."""

    ids: list[int]
    learned: tuple[LearnedRun, ...]
    "The ids that are learned: predicted from those before them, and counted in the loss."
    line: int
    file: int = 0
    "Index of the record's file, where a dataset has several."

    @property
    def supervised(self) -> list[bool]:
        """The flag of each id: whether it is learned."""
        flags = [False] * len(self.ids)
        for start, stop in self.learned:
            flags[start:stop] = [True] * (stop - start)
        return flags

    @property
    def num_supervised(self) -> int:
        return sum(stop - start for start, stop in self.learned)

    @cached_property
    def packed_ids(self) -> bytes:
        """The ids, four bytes each in the machine's order."""
        return struct.pack(f"{len(self.ids)}{_NUMBER}", *self.ids)

    def __reduce__(self) -> tuple[Any, ...]:
        """The record as it goes to another process: bytes are pickled ten times as fast as numbers."""
        return _unpacked, (self.packed_ids, tuple(map(tuple, self.learned)), self.line, self.file)

    def num_bytes(self, tokenizer: Tokenizer) -> int:
        """Bytes of UTF-8 that the supervised ids stand for."""
        ids = np.frombuffer(self.packed_ids, np.int32)
        return sum(int(tokenizer.sizes_of(ids[start:stop]).sum()) for start, stop in self.learned)


def _unpacked(ids: bytes, learned: Sequence[tuple[int, int]], line: int, file: int) -> EncodedRecord:
    numbers = array(_NUMBER, ids).tolist()
    return EncodedRecord(ids=numbers, learned=tuple(LearnedRun(*run) for run in learned), line=line, file=file)


@dataclass(frozen=True, kw_only=True)
class _Encoder:
    """How records become ids for one base model."""

    tokenizer: Tokenizer
    context_length: int
    prompt_format: PromptFormat
    "Of prompts with completions; conversations are always chat, and texts are as they are."
    name: str
    "Of the records' file, for messages."

    def encode(self, records: Sequence[Record]) -> list[list[EncodedRecord] | Problem]:
        """The sequences of each record, or why the base model cannot learn it."""
        results = batches.together(self.tokenizer, [self._steps(record) for record in records])
        return [
            self._problem(record, result.message) if isinstance(result, Invalid) else result
            for record, result in zip(records, results, strict=True)
        ]

    def _steps(self, record: Record) -> Steps[list[EncodedRecord] | Problem]:
        if not isinstance(record, TextRecord):
            least = self.tokenizer.least_tokens(_num_bytes(record))
            if least > self.context_length:  # told without reading it: of many megabytes that takes minutes
                return self._too_long(record, f"of at least {least:,}")
        encoded = yield from self._sequences(record)
        if record.file:
            encoded = [replace(one, file=record.file) for one in encoded]
        for one in encoded:
            beyond = self.tokenizer.beyond(one.ids)
            if beyond is not None:
                return self._beyond(record, beyond)
            if len(one.ids) > self.context_length:
                return self._too_long(record, str(len(one.ids)))
        return encoded

    def _sequences(self, record: Record) -> Steps[list[EncodedRecord]]:
        form, tokenizer = self.prompt_format, self.tokenizer
        match record:
            case TextRecord():
                ids = yield from prompt_format.text_steps(tokenizer, record.text)
                return _split(ids, self.context_length, record.line)
            case PromptCompletion():
                pair = yield from prompt_format.pair_steps(tokenizer, record.prompt, record.completion, form)
                return [_sequence([(pair.prompt_ids, False), (pair.completion_ids, True)], record.line)]
            case Conversation():
                chats = yield from prompt_format.chat_steps(
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
    (encoded,) = made.encode([record])
    return encoded


class EncodedLine(NamedTuple):
    """A line, and what its record is encoded to. None: the line is no record."""

    line: Line
    encoded: list[EncodedRecord] | Problem | None


def encode_lines(
    lines: Iterable[Line],
    tokenizer: Tokenizer,
    *,
    context_length: int,
    name: str,
    prompt_format: PromptFormat = PromptFormat.TEXT,
) -> Iterator[EncodedLine]:
    """Every line in its order, its record encoded as `encode` does, but many of them together and on all cores."""
    made = _Encoder(tokenizer=tokenizer, context_length=context_length, prompt_format=prompt_format, name=name)
    for batch in _in_batches(lines):
        encoded = iter(made.encode([line.record for line in batch if line.record is not None]))
        for line in batch:
            yield EncodedLine(line, None if line.record is None else next(encoded))


def _in_batches(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """Lines that are worth encoding together and fit into memory, however long they are."""
    batch: list[Line] = []
    num_letters = 0
    for line in lines:
        batch.append(line)
        num_letters += 0 if line.record is None else _num_letters(line.record)
        if len(batch) >= _BATCH_RECORDS or num_letters >= _BATCH_LETTERS:
            yield batch
            batch, num_letters = [], 0
    if batch:
        yield batch


def _sequence(spans: Sequence[tuple[list[int], bool]], line: int) -> EncodedRecord:
    ids: list[int] = []
    learned: list[LearnedRun] = []
    for part, counts in spans:
        start = len(ids) or 1  # Nothing stands before the first id to predict it from.
        ids += part
        if counts and start < len(ids):
            learned.append(LearnedRun(start, len(ids)))
    return EncodedRecord(ids=ids, learned=tuple(learned), line=line)


def _split(ids: list[int], context_length: int, line: int) -> list[EncodedRecord]:
    """Consecutive sequences that share one token, so that every token but the first is predicted exactly once."""
    starts = range(0, max(1, len(ids) - 1), context_length - 1)
    pieces = [ids[start : start + context_length] for start in starts]
    return [EncodedRecord(ids=p, learned=(LearnedRun(1, len(p)),) if len(p) > 1 else (), line=line) for p in pieces]


def _num_letters(record: Record) -> int:
    match record:
        case TextRecord():
            return len(record.text)
        case PromptCompletion():
            return len(record.prompt) + len(record.completion)
        case Conversation():
            return sum(len(turn["content"]) for turn in record.messages)


def _num_bytes(record: PromptCompletion | Conversation) -> int:
    """Bytes that are surely written into the prompt of an answer, or into the answer."""
    if isinstance(record, PromptCompletion):
        return len(record.prompt.strip().encode()) + len(record.completion.strip().encode())
    return max(len(turn["content"].strip().encode()) for turn in record.messages)
