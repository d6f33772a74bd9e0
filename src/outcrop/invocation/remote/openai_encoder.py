"""A remote embedding model behind an OpenAI-compatible URL. It makes vectors, and refuses all else by name."""

import asyncio
import json
from array import array
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from outcrop.errors import Invalid, ModelFailed
from outcrop.inference.client import Delta, GenerationRequest, GreedyAnswer
from outcrop.inference.encoder_requests import EmbeddingRequest, RankingRequest, Vector
from outcrop.inference.request import TokenLogprob
from outcrop.invocation.remote.failures import Sleep, tried
from outcrop.invocation.remote.openai_server import OpenAiServer

_PATH = "/embeddings"


class OpenAiEncoder:
    """A ServingEngine that embeds texts: its server has the tokenizer, and no adapter of ours."""

    def __init__(self, server: OpenAiServer, *, sleep: Sleep = asyncio.sleep) -> None:
        self._server = server
        self._sleep = sleep

    async def embed(self, request: EmbeddingRequest) -> list[Vector]:
        """A vector for each text, as wide as the model makes them."""
        body = {"model": self._server.remote.model, "input": list(request.texts), "encoding_format": "float"}
        answer = await tried(lambda: self._server.whole(_PATH, body), sleep=self._sleep)
        try:
            told = sorted(json.loads(answer)["data"], key=lambda each: each["index"])
            vectors = [array("f", each["embedding"]) for each in told]
        except (ValueError, KeyError, TypeError) as strange:
            raise self._server.strange() from strange
        if len(vectors) != len(request.texts):
            raise ModelFailed(f"{self._server.host} made {len(vectors)} vectors of {len(request.texts)} texts.")
        return vectors

    async def rank(self, request: RankingRequest) -> list[float]:
        raise self._cannot("tells no relevance of documents", request.model)

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Delta, None]:
        raise self._cannot("makes vectors, and writes no text", request.model)
        yield  # never reached: what makes this a generator

    async def score(self, model: str, ids: list[int]) -> list[float]:
        del ids
        raise self._cannot("tells no log probabilities", model)

    async def score_tokens(self, model: str, ids: list[int], *, likeliest: int = 0) -> list[TokenLogprob]:
        del ids, likeliest
        raise self._cannot("tells no log probabilities", model)

    async def answer_greedily(
        self, model: str, prompts: list[list[int]], *, num_tokens: int, prompt_tokens_per_step: int | None = None
    ) -> list[GreedyAnswer]:
        del prompts, num_tokens, prompt_tokens_per_step
        raise self._cannot("makes vectors, and writes no text", model)

    async def load_adapter(self, name: str, path: Path, *, keys: str = "") -> None:
        del path, keys
        raise self._cannot("takes no adapters", name)

    async def unload_adapter(self, name: str) -> None:
        raise self._cannot("takes no adapters", name)

    async def models(self) -> list[str]:
        return [self._server.remote.model]

    async def dtype(self) -> str | None:
        return None

    async def health(self) -> bool:
        """True: nothing is sent to see whether it is so."""
        return True

    async def aclose(self) -> None:
        await self._server.aclose()

    def _cannot(self, what: str, name: Any) -> Invalid:
        return Invalid(f"{name}: it is asked of a remote model at {self._server.host}, which {what}.")
