"""Vectors of passages, made by the engine in batches. What passes is waited for: a job is in no hurry."""

from collections.abc import Sequence
from typing import Protocol

from outcrop.errors import ModelFailed, NotReady, Throttled
from outcrop.jobs.asking_loop import AskingLoop
from outcrop.jobs.running import RunningJob
from outcrop.knowledge.embedding import PassageEncoder, encoder_of
from outcrop.knowledge.rooms import EmbeddingRooms
from outcrop.store.resources import Resource

BATCH = 32
"Texts of one request to the engine."
_MOST_FAILURES = 3
_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 10.0


class VectorRooms(EmbeddingRooms, Protocol):
    """The rooms that making vectors in a job needs."""

    @property
    def asking_loop(self) -> AskingLoop: ...


class PassageVectors:
    """The vectors that one job makes for its knowledge base."""

    def __init__(self, house: VectorRooms, knowledge_base: Resource, job: RunningJob) -> None:
        """Finds the encoder, for which an engine may have to be started. Raises what `RunningJob.check` raises."""
        self._house = house
        self._knowledge_base = knowledge_base
        self._job = job
        self.encoder = self._found()

    def of(self, texts: Sequence[str]) -> list[list[float]]:
        """A vector for each text. Raises ModelFailed, and Invalid for a text that the model does not take."""
        found: list[list[float]] = []
        for start in range(0, len(texts), BATCH):
            found += self._batch(texts[start : start + BATCH])
        return found

    def _batch(self, texts: Sequence[str]) -> list[list[float]]:
        failures = 0
        while True:
            self._job.check()
            assert self.encoder is not None, "a knowledge base without an encoder has no vectors"
            try:
                return self._house.asking_loop.run(self.encoder.documents(texts))
            except ModelFailed:
                failures += 1
                if failures == _MOST_FAILURES:
                    raise
                self._job.pause(_PAUSE_S)
            except Throttled as throttled:
                self._job.pause(min(throttled.retry_after_s, _LONGEST_PAUSE_S))
            except NotReady:
                self._job.pause(_PAUSE_S)
            self.encoder = self._found()

    def _found(self) -> PassageEncoder | None:
        while True:
            self._job.check()
            try:
                return encoder_of(self._house, self._knowledge_base)
            except NotReady:
                self._job.pause(_PAUSE_S)
