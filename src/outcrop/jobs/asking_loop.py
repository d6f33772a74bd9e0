"""The event loop on which the jobs of a process ask models: connections belong to a loop."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

_Done = TypeVar("_Done")


class AskingLoop:
    """An event loop in a thread of its own; `close` it at the end."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="asking models", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, _Done]) -> _Done:
        """The result of the work, waited for in the thread that calls. Raises what the work raises."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def close(self) -> None:
        """End the thread, once nobody works there any more."""
        self.run(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
