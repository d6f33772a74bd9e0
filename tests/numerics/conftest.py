"""Fixtures for tests of numbers."""

from collections.abc import Iterator

import pytest
import torch

from outcrop.network.fast.kernels import use

WAYS = ("c kernels", "torch")


@pytest.fixture(params=WAYS)
def each_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In one thread, which the C kernels compute in, and then without them."""
    if request.param == "torch":
        monkeypatch.setattr(use, "trusted", lambda: None)
    elif use.trusted() is None:
        pytest.skip("there is no C compiler for the kernels")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
