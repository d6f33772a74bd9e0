"""Everything that a sandboxed program tries against others fails, and what fails is a real attempt."""

import pytest

from tests.isolation.attempts import ATTEMPTS, Attempt
from tests.isolation.conftest import Starter


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt.name)
def test_a_sandboxed_program_cannot(attempt: Attempt, starter: Starter, way: str) -> None:
    answer = starter.ask(way=way, program=attempt.program, show=True)
    assert answer["output"].splitlines()[-1] == "HELD", answer
    assert answer["harm"] == []


@pytest.mark.parametrize("attempt", [each for each in ATTEMPTS if each.works_for], ids=lambda attempt: attempt.name)
def test_with_nothing_around_it_the_same_program_can(attempt: Attempt, starter: Starter) -> None:
    if starter.who not in attempt.works_for:
        pytest.skip("an ordinary user cannot do that anyway")
    answer = starter.ask(way="none", program=attempt.program)
    assert answer["output"].splitlines()[-1] == "WORKED", answer


def test_there_are_enough_attempts_and_each_has_one_name() -> None:
    assert len({attempt.name for attempt in ATTEMPTS}) == len(ATTEMPTS) >= 25
