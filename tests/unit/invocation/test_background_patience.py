"""What a job that asks models waits for, and what comes back as the answer to one question."""

import asyncio

import pytest

from outcrop.errors import Invalid, Unavailable
from outcrop.invocation.background.patience import patiently


async def nothing() -> None:
    pass


@pytest.mark.parametrize("error", [Unavailable("The database server does not answer."), ValueError("a defect")])
def test_a_database_that_is_away_is_no_answer_to_a_question(error: Exception) -> None:
    async def ask() -> str:
        raise error

    with pytest.raises(type(error)) as raised:
        asyncio.run(patiently(ask, again=nothing))
    assert raised.value is error


def test_a_refusal_is_the_answer_to_its_question() -> None:
    refused = Invalid("messages: empty.")

    async def ask() -> str:
        raise refused

    assert asyncio.run(patiently(ask, again=nothing)) is refused
