"""The thread in which an engine lives: what fails in it is told, and it goes on."""

import asyncio
import logging

import pytest

from outcrop.inference.engine_thread import EngineThread


class Failing:
    """An engine that cannot let go of a request."""

    busy = False

    def submit(self, request: object) -> None:  # noqa: ARG002
        raise ValueError("not this one")

    def abort(self, request_id: str) -> None:
        raise KeyError(request_id)


class Asked:
    id = "r1"


def test_a_command_that_fails_leaves_the_thread_alive(caplog: pytest.LogCaptureFixture) -> None:
    async def visit() -> int:
        thread = EngineThread(lambda: Failing())  # type: ignore[arg-type, return-value]
        await thread.loaded
        with pytest.raises(ValueError, match="not this one"):
            async for _ in thread.generate(Asked()):  # type: ignore[arg-type]
                pass
        # The abort that follows has failed by the time this is answered: commands are obeyed in their order.
        answer = await asyncio.wait_for(thread.ask(lambda _engine: 7), 10)
        assert thread.stop(10)
        return answer

    with caplog.at_level(logging.ERROR, logger="outcrop"):
        assert asyncio.run(visit()) == 7
    assert "command failed" in caplog.text
