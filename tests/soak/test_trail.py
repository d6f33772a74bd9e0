"""Ten thousand changes under load, through ten `kill -9`: each acknowledged one is in the record exactly once."""

import time
from pathlib import Path

import pytest

from tests.support.trail_storm import run_storm


@pytest.mark.soak
def test_each_acknowledged_change_is_recorded_once_through_ten_kills(tmp_path: Path) -> None:
    began = time.monotonic()
    storm = run_storm(tmp_path / "home", calls=10_000, kills=10)
    assert storm.kills == 10
    assert len(storm.acknowledged) > 9_900
    assert storm.missing == []
    assert storm.doubled == []
    assert storm.broken is None
    # for docs/reliability.md
    print(f"{len(storm.acknowledged)} changes acknowledged, {storm.kills} kills, {time.monotonic() - began:.0f} s")
