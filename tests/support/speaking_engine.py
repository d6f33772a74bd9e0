"""An engine double at the address where the house looks for the engine of a base model, on an event loop of its own."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from outcrop import private
from outcrop.house import House
from tests.support.engine_double import EngineDouble, Script


@contextmanager
def speaking_engine(house: House, base_id: str, say: Script) -> Iterator[EngineDouble]:
    """The engine of a base model in this house, as whoever asks for it there finds it."""
    private.make_socket_folder(house.settings.home)
    base = house.catalog.usable(base_id)
    socket = house.engines.order(base).socket
    assert socket is not None, "an engine of this machine has a socket"
    double = EngineDouble(socket=socket, say=say, adapters={base.engine})
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(double.start(), loop).result()
        yield double
    finally:
        asyncio.run_coroutine_threadsafe(_end(double), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _end(double: EngineDouble) -> None:
    await double.stop()
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
