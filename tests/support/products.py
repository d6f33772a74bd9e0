"""Products of cases: a few combinations every day, all of them in `make soak`."""

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import pytest


def product(*axes: Iterable[Any], daily: Callable[..., bool]) -> list[Any]:
    """Every combination as a parameter; those that `daily` does not choose are left to `make soak`."""
    return [pytest.param(*case, marks=() if daily(*case) else pytest.mark.soak) for case in itertools.product(*axes)]
