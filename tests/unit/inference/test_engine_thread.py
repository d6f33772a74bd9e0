"""The thread in which an engine lives: what fails in it is told, and it goes on."""

import asyncio
import logging
from array import array

import pytest

from outcrop.inference.encoder_requests import EncoderRequest, EncoderResult, Vector
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


class Encoding:
    """An engine that has a vector for every request."""

    def __init__(self) -> None:
        self._asked: list[str] = []

    @property
    def busy(self) -> bool:
        return bool(self._asked)

    def submit(self, request: Asked) -> None:
        self._asked.append(request.id)

    def abort(self, request_id: str) -> None:
        assert request_id == "r1"

    def step(self) -> list[EncoderResult]:
        return [EncoderResult(self._asked.pop(), [VECTOR])]


VECTOR: Vector = array("f", [1.0])


def test_the_vectors_of_a_step_reach_who_asked_for_them() -> None:
    async def asked() -> EncoderResult:
        thread = EngineThread(lambda: Encoding())  # type: ignore[arg-type, return-value]
        await thread.loaded
        request: EncoderRequest = Asked()  # type: ignore[assignment]
        result = await asyncio.wait_for(thread.result_of(request), 10)
        assert thread.stop(10)
        return result

    assert asyncio.run(asked()).values == [VECTOR]
