"""An engine that is asked through its record: adapters come in at first use, and whoever waits hears for what.

An engine that is not there is wished for, so that one whose memory others needed is ordered again. Whoever waits for
one that was given up is told so at once.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path

from anyio import to_thread

from outcrop.engines.orders import Order
from outcrop.engines.protocol import ServingEngine
from outcrop.errors import ModelDamaged, ModelFailed
from outcrop.inference.client import Delta, EngineAway, GenerationRequest, GreedyAnswer, UnknownAdapter
from outcrop.inference.encoder_requests import EmbeddingRequest, RankingRequest, Vector
from outcrop.inference.request import TokenLogprob


class HoldingClient:
    """A ServingEngine around another that knows the folders of adapters.

    `folder_of` gives None for a name that is no adapter. `damaged` is told the name of an adapter whose files are of no
    use, and why. `wish` says that somebody waits for the engine, and tells how it stands; None: nobody ordered it.
    """

    def __init__(
        self,
        engine: ServingEngine,
        folder_of: Callable[[str], Path | None],
        *,
        damaged: Callable[[str, str], None],
        wish: Callable[[], Order | None],
        keys_of: Callable[[Path], str] = lambda _folder: "",
    ) -> None:
        """`keys_of` gives the keys of a sealed adapter's folder, or refuses; nothing for a plain one."""
        self._engine = engine
        self._folder_of = folder_of
        self._damaged = damaged
        self._wish = wish
        self._keys_of = keys_of
        self.sealed: set[str] = set()
        "The sealed adapters that were brought in, whether they are there still or not."

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Delta, None]:
        """Token ids as the engine makes them. Raises ModelFailed for an engine that was given up before it answered."""
        begun = False
        # aclosing: a reader that leaves in the middle must end the engine's work at once, not at garbage collection.
        try:
            async with aclosing(self._engine.generate(request)) as deltas:
                async for delta in deltas:
                    begun = True
                    yield delta
            return
        except EngineAway:
            if not begun:
                await self._wait_for_it()
            raise
        except UnknownAdapter:  # raised before the first delta only
            await self._bring(request.model)
        async with aclosing(self._engine.generate(request)) as deltas:
            async for delta in deltas:
                yield delta

    async def score(self, model: str, ids: list[int]) -> list[float]:
        """Log probabilities (nats) of ids[1:], from the engine. Raises ModelFailed for one that was given up."""
        return [one.logprob for one in await self.score_tokens(model, ids)]

    async def score_tokens(self, model: str, ids: list[int], *, likeliest: int = 0) -> list[TokenLogprob]:
        """Log probabilities of ids[1:] with the likeliest tokens in the place of each, from the engine."""
        try:
            return await self._engine.score_tokens(model, ids, likeliest=likeliest)
        except EngineAway:
            await self._wait_for_it()
            raise
        except UnknownAdapter:
            await self._bring(model)
        return await self._engine.score_tokens(model, ids, likeliest=likeliest)

    async def answer_greedily(
        self, model: str, prompts: list[list[int]], *, num_tokens: int, prompt_tokens_per_step: int | None = None
    ) -> list[GreedyAnswer]:
        """Greedy answers, from the engine. Raises ModelFailed for one that was given up."""

        async def ask() -> list[GreedyAnswer]:
            return await self._engine.answer_greedily(
                model, prompts, num_tokens=num_tokens, prompt_tokens_per_step=prompt_tokens_per_step
            )

        try:
            return await ask()
        except EngineAway:
            await self._wait_for_it()
            raise
        except UnknownAdapter:  # taken out meanwhile, for others needed the room
            await self._bring(model)
        return await ask()

    async def embed(self, request: EmbeddingRequest) -> list[Vector]:
        """Vectors, from the engine. Raises ModelFailed for one that was given up."""
        try:
            return await self._engine.embed(request)
        except EngineAway:
            await self._wait_for_it()
            raise
        except UnknownAdapter:
            await self._bring(request.model)
        return await self._engine.embed(request)

    async def rank(self, request: RankingRequest) -> list[float]:
        """Relevance, from the engine. Raises ModelFailed for one that was given up."""
        try:
            return await self._engine.rank(request)
        except EngineAway:
            await self._wait_for_it()
            raise

    async def load_adapter(self, name: str, path: Path, *, keys: str = "") -> None:
        """Bring an adapter in, by its own keys where it is sealed. Raises Invalid while these may not be used."""
        keys = keys or await to_thread.run_sync(self._keys_of, path)
        if not keys:
            await self._engine.load_adapter(name, path)
            return
        self.sealed.add(name)
        await self._engine.load_adapter(name, path, keys=keys)

    async def unload_adapter(self, name: str) -> None:
        await self._engine.unload_adapter(name)

    async def models(self) -> list[str]:
        return await self._engine.models()

    async def dtype(self) -> str | None:
        return await self._engine.dtype()

    async def health(self) -> bool:
        return await self._engine.health()

    async def aclose(self) -> None:
        await self._engine.aclose()

    async def _wait_for_it(self) -> None:
        order = await to_thread.run_sync(self._wish)
        if order is not None and order.failure is not None:
            raise ModelFailed(order.failure)
        if order is not None and order.waits is not None:
            raise EngineAway(order.waits)

    async def _bring(self, adapter: str) -> None:
        try:
            folder = self._folder_of(adapter)
            if folder is None:
                raise UnknownAdapter(f"{adapter}: no files of this adapter are on this machine.")
            await self.load_adapter(adapter, folder)
        except ModelDamaged as damage:
            await to_thread.run_sync(self._damaged, adapter, damage.message)
            raise
