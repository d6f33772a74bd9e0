"""The engine as a real process, to be asked through its socket, killed and started again."""

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from outcrop.inference.client import EngineClient
from outcrop.machine import openmp
from tests.support import forks
from tests.support.patience import PATIENCE_S


class EngineProcess:
    """One engine, its socket and its log. `arguments` go beside those that every engine of the tests has."""

    def __init__(self, model: Path, folder: Path, *, name: str, arguments: Sequence[str] = ()) -> None:
        self.socket = folder / "engine.sock"
        self.log = folder / "engine.log"
        self._arguments = ["--model", str(model), "--name", name, "--socket", str(self.socket), *arguments]

    def start(self) -> None:
        environment = {**os.environ, **openmp.for_serving()}
        with self.log.open("ab") as log:
            self.process = forks.start(
                "outcrop.inference.serve", "--threads", "1", *self._arguments, env=environment, stderr=log
            )

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def wait_until_ready(self) -> None:
        async def ready() -> None:
            async with EngineClient(self.socket) as client:
                await until(client.health)

        asyncio.run(ready())

    def log_lines(self, event: str) -> list[dict[str, object]]:
        lines = [line for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [entry for entry in map(json.loads, lines) if entry["event"] == event]


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    ends = time.monotonic() + PATIENCE_S
    while not await holds():
        assert time.monotonic() < ends, "it did not happen in time"
        await asyncio.sleep(0.02)
