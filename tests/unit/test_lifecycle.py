"""One table of states for a kind of resource, whoever keeps it."""

from enum import StrEnum

import pytest

from outcrop.errors import Conflict
from outcrop.lifecycle import Lifecycle


class Light(StrEnum):
    RED = "Red"
    GREEN = "Green"
    BROKEN = "Broken"


LIGHTS = Lifecycle(
    {Light.RED: {Light.GREEN, Light.BROKEN}, Light.GREEN: {Light.RED, Light.BROKEN}, Light.BROKEN: set()}
)


def test_a_state_that_nothing_follows_is_an_end() -> None:
    assert set(LIGHTS.ended) == {Light.BROKEN}
    assert set(LIGHTS.running) == {Light.RED, Light.GREEN}


@pytest.mark.parametrize("now", Light)
@pytest.mark.parametrize("then", Light)
def test_only_what_the_table_says_may_follow(now: Light, then: Light) -> None:
    if then in LIGHTS.following(now):
        LIGHTS.check("light/1", now, then)
    else:
        with pytest.raises(Conflict, match=rf"^light/1: it is {now} and cannot become {then}\.$"):
            LIGHTS.check("light/1", now, then)


def test_a_table_without_one_of_its_states_is_a_mistake_of_ours() -> None:
    with pytest.raises(AssertionError, match="every state has a line"):
        Lifecycle({Light.RED: {Light.GREEN}, Light.GREEN: {Light.RED}})
