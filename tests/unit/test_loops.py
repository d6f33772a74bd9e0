"""A loop survives any row and any one turn; one that cannot go on is known to have ended, and one that is stuck too."""

import asyncio
import logging

import pytest

from outcrop.errors import MachineTrouble, Unavailable
from outcrop.loops import MOST_FAILURES, Loop, LoopEnded, Loops, each

LOG = logging.getLogger("outcrop.test")


def test_a_row_that_raises_is_logged_and_marked_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    marked: list[int] = []

    def mark(row: int) -> None:
        marked.append(row)
        raise OSError("marking fails too")

    made = each([1, 0, 2], lambda row: 10 // row, log=LOG, name=lambda row: f"row {row}", broken=mark)
    assert (made, marked) == ([10, 5], [0])
    assert [(record.getMessage(), record.exc_info is not None) for record in caplog.records] == [
        ("row 0 broke", True),
        ("marking row 0 broke", True),
    ]


def test_a_row_that_waits_for_the_database_is_not_marked() -> None:
    marked: list[str] = []

    def work(row: str) -> str:
        if row == "waits":
            raise Unavailable("The database server does not answer.")
        raise ValueError(row)

    each(["waits", "broken"], work, log=LOG, name=str, broken=marked.append)
    assert marked == ["broken"]


def test_a_loop_ends_after_some_failures_in_a_row() -> None:
    loop = Loop("letters")
    for _ in range(MOST_FAILURES - 1):
        turn(loop, ValueError())
    turn(loop, None)  # a good one forgives those before it
    for _ in range(MOST_FAILURES - 1):
        turn(loop, ValueError())
    assert loop.trouble is None
    with pytest.raises(LoopEnded, match=rf"^The loop letters failed {MOST_FAILURES} times in a row"):
        turn(loop, ValueError())
    assert loop.trouble == "it has ended"


@pytest.mark.parametrize("trouble", [OSError(28, "full"), MachineTrouble("full")])
def test_what_a_person_must_mend_never_ends_a_loop(trouble: Exception) -> None:
    loop = Loop("letters")
    for _ in range(3 * MOST_FAILURES):
        turn(loop, trouble)
    assert loop.failures == 3 * MOST_FAILURES


def test_a_loop_that_does_not_come_round_is_told() -> None:
    now = 100.0
    loop = Loop("letters", stuck_s=10.0, now=lambda: now)
    now = 109.0
    assert loop.trouble is None
    now = 111.0
    assert loop.trouble == "it has not come round for 11 s"
    turn(loop, None)
    assert loop.trouble is None


def test_a_loop_that_fails_for_long_is_told_too() -> None:
    now = 0.0
    loop = Loop("letters", stuck_s=10.0, now=lambda: now)
    now = 20.0
    turn(loop, OSError("full"))
    assert loop.trouble == "it has not come round for 20 s"


def test_loops_tell_of_one_that_ended() -> None:
    loops = Loops()

    async def fail() -> None:
        raise KeyError("modelArn")

    with pytest.raises(LoopEnded):
        asyncio.run(loops.run("letters", fail, every_s=0))
    assert loops.troubles() == {"letters": "it has ended"}
    assert loops.told()["letters"] == {"ok": False, "failures": MOST_FAILURES, "trouble": "it has ended"}


def turn(loop: Loop, error: Exception | None) -> None:
    with loop.turn():
        if error is not None:
            raise error
