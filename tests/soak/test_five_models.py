"""Five base models where two have room, invoked fifty times."""

from pathlib import Path

import pytest

from tests.support.five_models import NAMES, five_models, in_turn

pytestmark = pytest.mark.soak


def test_fifty_invocations_in_turn(tmp_path: Path) -> None:
    with five_models(tmp_path / "home") as house:
        in_turn(house, [NAMES[turn % len(NAMES)] for turn in range(50)])
