"""An encoder that serves many requests at once: rows that wait together are read together.

A batch is filled with rows of like length, of whatever requests they are, so that little of it is padding. It begins
with a row of the request that was served longest ago: one of many texts holds up nobody who has one. What a row gives
does not depend on its neighbours, beyond rounding; for a network of which that is not true, each row is a batch.

As `engine.py`: not thread-safe, and knows no clock, no queue and no HTTP.
"""

from collections import deque
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import NamedTuple

from outcrop.errors import Invalid, ModelFailed
from outcrop.inference.encoder_requests import EncoderRequest, EncoderResult, Vector
from outcrop.network import load
from outcrop.network.encoder import Encoder
from outcrop.network.model_task import ModelTask
from outcrop.network.run_mode import RunMode
from outcrop.tokens.encoder_tokenizer import TokenRow

_TOKENS_PER_BATCH = {"cpu": 4_096, "cuda": 65_536}
"Padding included. More makes no processor busier, and a request that comes meanwhile wait longer."


@dataclass(eq=False)
class _RequestInProgress:
    """A request in progress."""

    request: EncoderRequest
    left: list[int]
    "Numbers of the rows that were not read yet, the shortest first."
    values: dict[int, Vector] = field(default_factory=dict)


class _Place(NamedTuple):
    waiting: _RequestInProgress
    number: int

    @property
    def row(self) -> TokenRow:
        return self.waiting.request.rows[self.number]


def _result(whole: _RequestInProgress) -> EncoderResult:
    """The answer to a request whose rows were all read."""
    values = [whole.values[number] for number in range(len(whole.values))]
    if all(isfinite(value) for vector in values for value in vector):
        return EncoderResult(whole.request.id, values)
    return EncoderResult(whole.request.id, [], ModelFailed("This model gives values that are no numbers."))


class EncoderEngine:
    """The rows of many requests, a batch a step."""

    def __init__(self, folder: Path, *, way: RunMode = RunMode.PADDED, tokens_per_batch: int | None = None) -> None:
        self._encoder = Encoder(folder)
        self._together = way is RunMode.PADDED
        self._tokens_per_batch = tokens_per_batch or _TOKENS_PER_BATCH[load.device().type]
        self._waiting: deque[_RequestInProgress] = deque()

    @property
    def task(self) -> ModelTask:
        return self._encoder.facts.task

    @property
    def context_length(self) -> int:
        return self._encoder.facts.max_length

    @property
    def dtype(self) -> str:
        """The dtype in which the network computes, by torch's name."""
        return self._encoder.dtype

    @property
    def busy(self) -> bool:
        """Whether a step would do anything."""
        return bool(self._waiting)

    def submit(self, request: EncoderRequest) -> None:
        """Queue a request; its values come out of a step. Raises Invalid for ids that the network cannot read."""
        assert request.rows, "a request has rows"
        for row in request.rows:
            self._check(row)
        by_length = sorted(range(len(request.rows)), key=lambda number: len(request.rows[number].ids))
        self._waiting.append(_RequestInProgress(request, by_length))

    def abort(self, request_id: str) -> None:
        """End a request now; nothing happens when it has already ended."""
        self._waiting = deque(one for one in self._waiting if one.request.id != request_id)

    def abort_all(self) -> list[str]:
        """End everything, after a step that failed; the ids of what ended."""
        ids = [one.request.id for one in self._waiting]
        self._waiting.clear()
        return ids

    def step(self) -> list[EncoderResult]:
        """Read one batch. Returns the requests that are whole with it."""
        batch = self._next_batch()
        for place, values in zip(batch, self._encoder.run([place.row for place in batch]), strict=True):
            place.waiting.values[place.number] = values
            place.waiting.left.remove(place.number)
        whole = [one for one in self._waiting if not one.left]
        self._waiting = deque(one for one in self._waiting if one.left)
        return [_result(one) for one in whole]

    def _next_batch(self) -> list[_Place]:
        """The rows of one step: the longest of the request whose turn it is, and those nearest in length."""
        first = self._waiting[0]
        self._waiting.rotate(-1)
        seed = _Place(first, first.left[-1])
        if not self._together:
            return [seed]
        others = [_Place(one, n) for one in self._waiting for n in one.left if (one, n) != (first, seed.number)]
        length = len(seed.row.ids)
        batch, longest = [seed], length
        for place in sorted(others, key=lambda place: abs(len(place.row.ids) - length)):
            longest_then = max(longest, len(place.row.ids))
            if longest_then * (len(batch) + 1) > self._tokens_per_batch:
                break
            batch.append(place)
            longest = longest_then
        return batch

    def _check(self, row: TokenRow) -> None:
        # An id beyond the embedding would break the step, and with it everybody else's answer.
        most = self._encoder.vocab_size
        if not 0 <= min(row.ids) <= max(row.ids) < most:
            raise Invalid(f"input: a token id is not in 0 to {most - 1}. Use this model's tokenizer.")
        if len(row.ids) > self.context_length:
            raise Invalid(f"input: {len(row.ids)} tokens exceed the {self.context_length} that this model reads.")
