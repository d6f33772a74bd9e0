"""The engine's own thread, and the event loop's side of it.

Tensors are touched on this one thread only; between two steps it does what the loop asked for meanwhile. Tokens go back
to the loop as they are made. Torch is imported on the thread too, so that the process can say "not yet" from its first
moment.
"""

import asyncio
import logging
import queue
import threading
from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from outcrop.errors import ModelFailed, NotReady, OutcropError
from outcrop.inference.request import Request

if TYPE_CHECKING:
    from outcrop.inference.engine import Engine, Produced

T = TypeVar("T")
Command = Callable[["Engine"], None]

_log = logging.getLogger("outcrop.engine")


class Tokens(NamedTuple):
    """What was generated since the last look."""

    ids: list[int]
    finish_reason: str | None


class EngineThread:
    """Runs one engine. Its methods are for the event loop it was made on."""

    def __init__(self, load: Callable[[], "Engine"]) -> None:
        self._load = load
        self._loop = asyncio.get_running_loop()
        self._commands: queue.SimpleQueue[Command | None] = queue.SimpleQueue()
        self._streams: dict[str, asyncio.Queue[Produced | OutcropError]] = {}
        self.loaded: asyncio.Future[None] = self._loop.create_future()
        "Done when the base model is in memory; its exception says why it cannot be."
        self.broken: asyncio.Future[None] = self._loop.create_future()
        "Done when the thread ended by itself: nothing will be answered any more."
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    @property
    def ready(self) -> bool:
        return self.loaded.done() and self.loaded.exception() is None

    async def ask(self, work: Callable[["Engine"], T]) -> T:
        """Run `work` between two steps. Raises NotReady while the base model is loading."""
        if not self.ready:
            raise NotReady("The engine is loading its base model. Ask again in a moment.")
        answer: asyncio.Future[T] = self._loop.create_future()

        def command(engine: "Engine") -> None:
            try:
                found = work(engine)
            except Exception as problem:
                self._tell(_fail, answer, problem)
            else:
                self._tell(_succeed, answer, found)

        self._commands.put(command)
        return await answer

    async def generate(self, request: Request) -> AsyncGenerator[Tokens, None]:
        """Tokens as they are made; closing the generator aborts the request.

        The first item is empty: the engine has accepted the request, and does not raise its refusals any more.
        """
        stream = self._streams[request.id] = asyncio.Queue()
        try:
            await self.ask(lambda engine: engine.submit(request))
            yield Tokens([], None)
            finish_reason = None
            while finish_reason is None:
                arrived = [await stream.get()]
                while not stream.empty():
                    arrived.append(stream.get_nowait())
                ids = []
                for item in arrived:
                    if isinstance(item, OutcropError):
                        raise item
                    ids.append(item.token)
                    finish_reason = item.finish_reason
                yield Tokens(ids, finish_reason)
        finally:
            del self._streams[request.id]
            self._commands.put(lambda engine: engine.abort(request.id))

    def stop(self, timeout_s: float) -> bool:
        """Ends the thread after its current step; False when it did not end in time (it may be loading)."""
        self._commands.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            engine = self._load()
        except Exception as problem:
            self._tell(_fail, self.loaded, problem)
            return
        self._tell(_succeed, self.loaded, None)
        try:
            while self._obey(engine):
                if engine.busy:
                    self._step(engine)
        except BaseException:
            _log.exception("the engine's thread broke")
            self._tell(_succeed, self.broken, None)

    def _obey(self, engine: "Engine") -> bool:
        """Do what was asked, waiting for it when there is nothing to generate; False to end."""
        while not engine.busy or not self._commands.empty():
            command = self._commands.get()
            if command is None:
                return False
            try:
                command(engine)
            except Exception:
                # What was asked has told its own failure; an abort has nobody to tell, and others wait for this thread.
                _log.exception("command failed")
        return True

    def _step(self, engine: "Engine") -> None:
        try:
            produced = engine.step()
        except Exception:
            _log.exception("step failed")
            failed = ModelFailed("The engine failed while it computed this answer; its log says why. Ask again.")
            self._tell(self._break_off, engine.abort_all(), failed)
        else:
            self._tell(self._deliver, produced)

    def _deliver(self, produced: "list[Produced]") -> None:
        for item in produced:
            if item.request_id in self._streams:  # else its client left meanwhile
                self._streams[item.request_id].put_nowait(item)

    def _break_off(self, request_ids: list[str], problem: OutcropError) -> None:
        for request_id in request_ids:
            if request_id in self._streams:
                self._streams[request_id].put_nowait(problem)

    def _tell(self, callback: Callable[..., None], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *arguments)
        except RuntimeError:
            assert self._loop.is_closed(), "only an ending process has no loop to tell"


def _succeed(future: "asyncio.Future[T]", value: T) -> None:
    if not future.done():
        future.set_result(value)


def _fail(future: "asyncio.Future[T]", problem: Exception) -> None:
    if not future.done():
        future.set_exception(problem)
