"""Turns at the preflight report: who asks about the same data again gets the newer answer, everybody else their own."""

import sys

import pytest

from outcrop.api.door.preflight_report import _NewestTurns
from outcrop.errors import Conflict


def test_the_older_request_about_the_same_data_gives_way() -> None:
    turns = _NewestTurns()
    same, another = ("jane", "s3://b/a"), ("jane", "s3://b/other")
    with turns.newest(same) as older, turns.newest(another) as other, turns.newest(same) as newer:
        with pytest.raises(Conflict, match="asked about again meanwhile"):
            older.run([sys.executable, "-c", "print(1)"])
        assert newer.run([sys.executable, "-c", "print(2)"])[:2] == (0, b"2\n")
        assert other.run([sys.executable, "-c", "print(3)"])[:2] == (0, b"3\n")


def test_a_request_that_has_ended_is_in_nobodys_way() -> None:
    turns = _NewestTurns()
    with turns.newest(("jane", "s3://b/a")):
        pass
    with turns.newest(("jane", "s3://b/a")) as alone:
        alone.check()
