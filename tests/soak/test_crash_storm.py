"""Twenty kills in a storm of uploads, uploads in parts, deletions and records."""

import random
from pathlib import Path

import pytest

from tests.support.crash_storm import storm

KILLS = 20


@pytest.mark.soak
def test_twenty_kills_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    dice = random.Random(20)
    with storm(tmp_path) as blowing:
        for kill in range(KILLS):
            blowing.blow(kill, writes=dice.randrange(20, 60), then_s=dice.uniform(0, 0.5))
            blowing.server.start()
            objects = blowing.check()
        # for docs/reliability.md
        print(f"{KILLS} kills, {blowing.writes} writes acknowledged, {objects} objects at the end")
