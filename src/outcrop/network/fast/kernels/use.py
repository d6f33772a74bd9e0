"""The choice between C kernels and torch: kernels on a CPU, in fp32, for a thread that works alone.

A kernel computes in the thread that calls it. Where several threads share each operation, torch's own are used.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from outcrop.network.fast.kernels import check
from outcrop.network.fast.kernels.library import Library, library

_log = logging.getLogger("outcrop.network.fast.kernels")


class Pretended(Library):
    """A stand-in for the kernels where tensors have no contents: calls are told, nothing is computed."""

    def __init__(self, told: Callable[..., None]) -> None:
        self._told = told

    def __getattr__(self, name: str) -> Callable[..., int]:
        def pretend(*arguments: Any) -> int:
            self._told(name, *arguments)
            return 0

        return pretend


_pretended: ContextVar[Pretended | None] = ContextVar("pretended", default=None)


@contextmanager
def pretending(told: Callable[..., None]) -> Iterator[None]:
    """Within, this thread's kernels are no more than told of, by name and arguments."""
    before = _pretended.set(Pretended(told))
    try:
        yield
    finally:
        _pretended.reset(before)


_lock = threading.Lock()


@cache
def _once() -> Library | None:
    found = library()
    if found is not None and not check.answers_alike(found):
        _log.warning("the C kernels compute wrongly here and are not used: please report your compiler and processor")
        return None
    return found


def trusted() -> Library | None:
    """The kernels, compiled and tried out the first time this process asks, whichever thread does."""
    with _lock:
        return _once()


def usable(*tensors: Tensor) -> Library | None:
    """The kernels, or None where torch is to do it."""
    if any(x.dtype != torch.float32 or x.device.type != "cpu" or x.is_neg() for x in tensors):
        return None
    if (pretended := _pretended.get()) is not None:
        return pretended
    if torch.get_num_threads() != 1 or not all(map(_has_contents, tensors)):
        return None
    return trusted()


def address(x: Tensor) -> int:
    """Where its numbers are; 0 if it has none."""
    return x.data_ptr() if _has_contents(x) else 0


def _has_contents(x: Tensor) -> bool:
    return type(x) in (Tensor, nn.Parameter)
