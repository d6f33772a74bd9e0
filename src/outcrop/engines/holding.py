"""A client of an engine that brings adapters in when the engine does not hold them: at first use, after a restart.

It says too that it waits for an engine that is not there: one whose memory others needed is ordered again that way.
Whoever waits for one that was given up is told so at once, and others what the engine itself waits for.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path

from anyio import to_thread

from outcrop.engines.orders import Order
from outcrop.errors import ModelDamaged, ModelFailed
from outcrop.inference.client import Delta, EngineAway, EngineClient, GenerationRequest, UnknownAdapter


class HoldingClient(EngineClient):
    """An EngineClient that knows the folders of adapters.

    `folder_of` gives None for a name that is no adapter. `damaged` is told the name of an adapter whose files are of no
    use, and why. `wish` says that somebody waits for the engine, and tells how it stands; None: nobody ordered it.
    """

    def __init__(
        self,
        socket: Path,
        folder_of: Callable[[str], Path | None],
        *,
        damaged: Callable[[str, str], None],
        wish: Callable[[], Order | None],
    ) -> None:
        super().__init__(socket)
        self._folder_of = folder_of
        self._damaged = damaged
        self._wish = wish

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Delta, None]:
        """As of any engine. Raises ModelFailed for one that was given up before it answered."""
        begun = False
        # aclosing: a reader that leaves in the middle must end the engine's work at once, not at garbage collection.
        try:
            async with aclosing(super().generate(request)) as deltas:
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
        async with aclosing(super().generate(request)) as deltas:
            async for delta in deltas:
                yield delta

    async def score(self, model: str, ids: list[int]) -> list[float]:
        """As of any engine. Raises ModelFailed for one that was given up."""
        try:
            return await super().score(model, ids)
        except EngineAway:
            await self._wait_for_it()
            raise
        except UnknownAdapter:
            await self._bring(model)
        return await super().score(model, ids)

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
