"""Everything that a sandboxed program tries against others fails, and what fails is a real attempt."""

import json
from typing import Any

import pytest

from tests.isolation.attempts import ATTEMPTS, Attempt, program
from tests.isolation.conftest import Starter


@pytest.fixture(scope="module")
def held(starter: Starter, way: str) -> dict[str, str]:
    """What each attempt came to in one sandbox."""
    answer = starter.ask(way=way, program=program(ATTEMPTS), show=True)
    assert answer["harm"] == []
    return told(answer)


@pytest.fixture(scope="module")
def unheld(starter: Starter) -> dict[str, str]:
    """What each attempt came to with nothing around it, of those that this user can make."""
    chosen = [attempt for attempt in ATTEMPTS if starter.who in attempt.works_for]
    return told(starter.ask(way="none", program=program(chosen)))


def told(answer: dict[str, Any]) -> dict[str, str]:
    lines = [json.loads(line) for line in answer["output"].splitlines()]
    assert len({name for name, _ in lines}) == len(lines), answer
    return dict(lines)


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt.name)
def test_a_sandboxed_program_cannot(attempt: Attempt, held: dict[str, str]) -> None:
    assert held[attempt.name].startswith("HELD"), held[attempt.name]


@pytest.mark.parametrize("attempt", [each for each in ATTEMPTS if each.works_for], ids=lambda attempt: attempt.name)
def test_with_nothing_around_it_the_same_program_can(
    attempt: Attempt, starter: Starter, request: pytest.FixtureRequest
) -> None:
    if starter.who not in attempt.works_for:
        pytest.skip("an ordinary user cannot do that anyway")
    unheld: dict[str, str] = request.getfixturevalue("unheld")
    assert unheld[attempt.name] == "WORKED", unheld[attempt.name]


def test_there_are_enough_attempts_and_each_has_one_name() -> None:
    assert len({attempt.name for attempt in ATTEMPTS}) == len(ATTEMPTS) >= 25
