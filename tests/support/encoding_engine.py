"""The engine of an embedding model in this process, at the address where the house looks for it."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from outcrop import private
from outcrop.house import House
from tests.support.encoder_server import encoder_server


@contextmanager
def encoding_engine(house: House, model_id: str) -> Iterator[None]:
    """The engine of a registered encoder, on an event loop of its own."""
    private.make_socket_folder(house.settings.home)
    base = house.catalog.usable(model_id)
    assert base.folder is not None, "a registered encoder has a folder"
    serving = encoder_server(base.folder, socket=house.engines.order(base).socket, name=base.engine)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(serving.__aenter__(), loop).result()
    try:
        yield
    finally:
        asyncio.run_coroutine_threadsafe(serving.__aexit__(None, None, None), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
