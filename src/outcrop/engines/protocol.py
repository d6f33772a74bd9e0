"""The engine interface that every caller sees: the few methods that each kind of engine has a client for."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Protocol

from outcrop.inference.client import Delta, GenerationRequest, GreedyAnswer
from outcrop.inference.encoder_requests import EmbeddingRequest, RankingRequest, Vector
from outcrop.inference.request import TokenLogprob


class ServingEngine(Protocol):
    """A base model with adapters, to generate and score with; or an encoder, to embed or rank with.

    Whatever keeps it from answering for now raises EngineAway, and a name that it does not hold UnknownAdapter.
    """

    def generate(self, request: GenerationRequest) -> AsyncGenerator[Delta, None]:
        """Token ids as they are made; the last delta says why it ended. Closing the generator ends the generation."""
        ...

    async def score(self, model: str, ids: list[int]) -> list[float]:
        """Log probabilities (nats) of ids[1:], each given all ids before it."""
        ...

    async def score_tokens(self, model: str, ids: list[int], *, likeliest: int = 0) -> list[TokenLogprob]:
        """Log probabilities of ids[1:], with so many of the likeliest tokens in the place of each."""
        ...

    async def answer_greedily(
        self, model: str, prompts: list[list[int]], *, num_tokens: int, prompt_tokens_per_step: int | None = None
    ) -> list[GreedyAnswer]:
        """The `num_tokens` likeliest tokens after each of the prompts, which begin in one step.

        No id ends an answer.
        """
        ...

    async def embed(self, request: EmbeddingRequest) -> list[Vector]:
        """A vector for each text, of the network's whole width and not normalized. Raises Invalid for an engine that
        makes none."""
        ...

    async def rank(self, request: RankingRequest) -> list[float]:
        """The relevance of each document to the query, between 0 and 1.

        Raises Invalid for an engine that tells none.
        """
        ...

    async def load_adapter(self, name: str, path: Path, *, keys: str = "") -> None:
        """Bring an adapter in; nothing happens when it is there already.

        `keys` open a sealed one. Raises Invalid for an engine that takes none.
        """
        ...

    async def unload_adapter(self, name: str) -> None:
        """Take an adapter out. Raises UnknownAdapter when it is not there."""
        ...

    async def models(self) -> list[str]:
        """The base model's name, and those of the adapters that are there."""
        ...

    async def dtype(self) -> str | None:
        """The dtype in which the engine computes, by torch's name; None where it does not say."""
        ...

    async def health(self) -> bool:
        """Whether it is there, with its base model in memory."""
        ...

    async def aclose(self) -> None: ...
