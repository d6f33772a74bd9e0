"""The client of a vLLM engine. Its HTTP is the dialect of our own engine; here is what differs.

Adapters go in one by one while it runs. vLLM takes LoRA, plain or rank-stabilized; DoRA and OFT are refused by name
rather than merged: merged weights would be a network of their own, and share the base's memory with nobody.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

from outcrop.errors import Invalid
from outcrop.inference.client import Delta, EngineClient, GenerationRequest, GreedyAnswer
from outcrop.inference.encoder_requests import EmbeddingRequest, RankingRequest, Vector
from outcrop.inference.request import TokenLogprob
from outcrop.network.adapters.method import LoRA, read_adapter

_OUR_ENGINE = "Name a model of Outcrop's own engine."


class VllmClient:
    """A ServingEngine over vLLM's server behind `socket`, which computes in `dtype`."""

    def __init__(self, socket: Path, *, dtype: str) -> None:
        self._engine = EngineClient(socket)
        self._dtype = dtype

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Delta, None]:
        async with aclosing(self._engine.generate(request)) as deltas:
            async for delta in deltas:
                yield delta._replace(logprobs=tuple(_likeliest(one, request.logprobs or 0) for one in delta.logprobs))

    async def score(self, model: str, ids: list[int]) -> list[float]:
        return await self._engine.score(model, ids)

    async def score_tokens(self, model: str, ids: list[int], *, likeliest: int = 0) -> list[TokenLogprob]:
        return await self._engine.score_tokens(model, ids, likeliest=likeliest)

    async def answer_greedily(
        self, model: str, prompts: list[list[int]], *, num_tokens: int, prompt_tokens_per_step: int | None = None
    ) -> list[GreedyAnswer]:
        """Whole greedy answers. vLLM decides by itself into how many parts it cuts a prompt."""
        del prompt_tokens_per_step
        return await self._engine.answer_greedily(model, prompts, num_tokens=num_tokens)

    async def embed(self, request: EmbeddingRequest) -> list[Vector]:
        raise Invalid(f"{request.model}: vLLM is started to write text here, and makes no vectors. {_OUR_ENGINE}")

    async def rank(self, request: RankingRequest) -> list[float]:
        raise Invalid(f"{request.model}: vLLM is started to write text here, and ranks nothing. {_OUR_ENGINE}")

    async def load_adapter(self, name: str, path: Path, *, keys: str = "") -> None:
        """Raises Invalid for an adapter of a kind that vLLM cannot take, and for a sealed one."""
        if keys:
            raise Invalid(
                "vLLM reads no sealed adapters. Let their base model run on the embedded engine: `outcrop engines add "
                "vllm` with the other models only, or `outcrop engines remove vllm`."
            )
        method = read_adapter(path)
        if not isinstance(method, LoRA) or method.decomposed:
            raise Invalid(
                f"vLLM takes LoRA adapters, and this one is {method}. Let its base model run on the embedded engine: "
                "`outcrop engines add vllm` with the other models only, or `outcrop engines remove vllm`."
            )
        await self._engine.load_adapter(name, path)

    async def unload_adapter(self, name: str) -> None:
        await self._engine.unload_adapter(name)

    async def models(self) -> list[str]:
        return await self._engine.models()

    async def dtype(self) -> str | None:
        """The dtype that vLLM was told to compute in."""
        return self._dtype

    async def health(self) -> bool:
        return await self._engine.health()

    async def aclose(self) -> None:
        await self._engine.aclose()


def _likeliest(told: TokenLogprob, most: int) -> TokenLogprob:
    """Log probabilities with as many of the likeliest tokens as were asked for: vLLM tells the taken one, too."""
    return told._replace(likeliest=tuple(sorted(told.likeliest, key=lambda each: -each[1])[:most]))
