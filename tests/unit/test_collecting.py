"""Python's collector looks less often while anybody reads many objects, and as before once nobody does."""

import gc
from collections.abc import Iterator

import pytest

from outcrop.machine import collecting


@pytest.fixture(autouse=True)
def _usual() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def test_the_last_of_several_that_overlap_puts_it_back() -> None:
    gc.set_threshold(700, 10, 10)
    one, other = collecting.seldom(), collecting.seldom()
    one.__enter__()
    other.__enter__()
    one.__exit__(None, None, None)
    assert gc.get_threshold()[0] == 50_000
    other.__exit__(None, None, None)
    assert gc.get_threshold() == (700, 10, 10)


def test_one_that_is_switched_off_stays_so() -> None:
    gc.set_threshold(0, 10, 10)
    with collecting.seldom():
        assert gc.get_threshold()[0] == 0
    assert gc.get_threshold() == (0, 10, 10)


def test_a_failure_inside_puts_it_back() -> None:
    gc.set_threshold(700, 10, 10)
    with pytest.raises(KeyError), collecting.seldom():
        raise KeyError
    assert gc.get_threshold() == (700, 10, 10)
