"""The thread in which an engine lives: what fails in it is told, and it goes on."""

import asyncio
import logging
import time
from array import array

import pytest

from outcrop.errors import ModelFailed
from outcrop.inference.encoder_requests import EncoderRequest, EncoderResult
from outcrop.inference.engine import StepResult
from outcrop.inference.engine_thread import EngineThread
from outcrop.inference.request import EngineRequest
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


class Counting:
    """An engine that gives each request a token a step, until its last; a request of none breaks off."""

    def __init__(self, num_tokens: int, *, breaks: bool = False) -> None:
        self._num_tokens = num_tokens
        self._breaks = breaks
        self._left: dict[str, int] = {}

    @property
    def busy(self) -> bool:
        return bool(self._left)

    def submit(self, request: EngineRequest) -> None:
        self._left[request.id] = self._num_tokens

    def abort(self, request_id: str) -> None:
        self._left.pop(request_id, None)

    def step(self) -> list[StepResult]:
        time.sleep(0.001)
        produced = []
        for request_id, left in list(self._left.items()):
            last = left == 1
            problem = ModelFailed("It broke.") if last and self._breaks else None
            produced.append(StepResult(request_id, left, "length" if last else None, problem=problem))
            self._left[request_id] -= 1
            if last:
                del self._left[request_id]
        return produced


def streamed(num_streams: int, engine: Counting) -> list[list[list[int]]]:
    """The ids of each piece of each stream; a stream that breaks off ends with an empty piece."""

    async def one(thread: EngineThread, number: int) -> list[list[int]]:
        pieces = []
        try:
            async for tokens in thread.generate(EngineRequest(id=str(number), prompt_ids=(1,), max_tokens=60)):
                pieces.append(tokens.ids)  # noqa: PERF401 (what came before a failure stays)
        except ModelFailed:
            pieces.append([])
        return pieces[1:]

    async def visit() -> list[list[list[int]]]:
        thread = EngineThread(lambda: engine)  # type: ignore[arg-type, return-value]
        await thread.loaded
        found = await asyncio.gather(*(one(thread, number) for number in range(num_streams)))
        assert thread.stop(10)
        return found

    return asyncio.run(visit())


def test_tokens_of_many_streams_leave_together_and_none_is_lost() -> None:
    for pieces in streamed(4, Counting(60)):
        assert [token for piece in pieces for token in piece] == list(range(60, 0, -1))
        assert len(pieces) < 30


def test_tokens_that_came_before_a_failure_are_told_before_it() -> None:
    for pieces in streamed(4, Counting(60, breaks=True)):
        assert [token for piece in pieces for token in piece] == list(range(60, 1, -1))
        assert pieces[-1] == []
