"""Turns at the preflight report: who asks about the same data again gets the newer answer, everybody else their own."""

import sys
from contextlib import ExitStack

import pytest

from outcrop.api.own.preflight import _MOST_WAITING, _NewestTurns, _place, _places
from outcrop.errors import Conflict, MachineTrouble


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


def test_few_wait_for_a_report_at_once_and_the_next_is_told_to_come_again() -> None:
    with ExitStack() as waiting:
        for _ in range(_MOST_WAITING):
            waiting.enter_context(_places)
        with pytest.raises(MachineTrouble, match="Ask again in a minute"), _place():
            pass
    with _place():
        pass  # there is room again
