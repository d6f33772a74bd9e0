"""The thread in which an engine lives: what fails in it is told, and it goes on."""

import asyncio
import logging
from array import array

import pytest

from outcrop.errors import ModelFailed
from outcrop.inference.encoder_requests import EncoderRequest, EncoderResult
from outcrop.inference.engine_thread import EngineThread
from outcrop.tokens.encoder_tokenizer import TokenRow


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


class Reading:
    """An encoder that gives what it was made with to whoever asks, in one step."""

    def __init__(self, values: "list[array[float]]", problem: ModelFailed | None) -> None:
        self._result = EncoderResult("", values, problem)
        self._ids: list[str] = []

    @property
    def busy(self) -> bool:
        return bool(self._ids)

    def submit(self, request: EncoderRequest) -> None:
        self._ids.append(request.id)

    def abort(self, request_id: str) -> None:
        pass

    def step(self) -> list[EncoderResult]:
        ids, self._ids = self._ids, []
        return [self._result._replace(request_id=one) for one in ids]


def read_by(encoder: Reading) -> EncoderResult:
    async def visit() -> EncoderResult:
        thread = EngineThread(lambda: encoder)  # type: ignore[arg-type, return-value]
        await thread.loaded
        asked = EncoderRequest(id="r1", rows=(TokenRow([2, 3], [0, 0]),))
        result = await asyncio.wait_for(thread.result_of(asked), 10)
        assert thread.stop(10)
        return result

    return asyncio.run(visit())


def test_an_encoders_result_is_delivered_to_whoever_asked() -> None:
    values = [array("f", [1, 2])]
    assert read_by(Reading(values, None)) == EncoderResult("r1", values)


def test_an_encoders_problem_is_raised_where_its_result_is_awaited() -> None:
    with pytest.raises(ModelFailed, match="no numbers"):
        read_by(Reading([], ModelFailed("This model gives values that are no numbers.")))
