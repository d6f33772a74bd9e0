"""The record through crashes: each change that was acknowledged is in it once. tests/soak has the long form."""

from pathlib import Path

from tests.support.trail_storm import run_storm


def test_each_acknowledged_change_is_recorded_once_through_kills(tmp_path: Path) -> None:
    storm = run_storm(tmp_path / "home", calls=150, kills=2)
    assert storm.kills == 2
    assert len(storm.acknowledged) > 120
    assert storm.missing == []
    assert storm.doubled == []
    assert storm.broken is None
