"""Dropout from a generator of the thread's own: of torch's only one, who draws first would be chance."""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import torch
from torch import Tensor
from torch.nn import functional


class _Source(threading.local):
    """The random generator of this thread; None is torch's own."""

    generator: torch.Generator | None = None


_SOURCE = _Source()


@contextmanager
def drawn_from(generator: torch.Generator) -> Iterator[None]:
    """Have this thread draw its dropout from `generator` within the block.

    The generator lies where the network does.
    """
    before, _SOURCE.generator = _SOURCE.generator, generator
    try:
        yield
    finally:
        _SOURCE.generator = before


def again() -> Callable[[], AbstractContextManager[None]]:
    """Within what this gives, what this thread draws from now on is drawn again, in whichever thread."""
    generator = _SOURCE.generator
    if generator is None:
        state = torch.get_rng_state()
        return lambda: _global_at(state)
    place, drawn = generator.device, generator.get_state()
    return lambda: drawn_from(torch.Generator(place).set_state(drawn))


@contextmanager
def _global_at(state: Tensor) -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(state)
        yield


def seeded(words: str, place: torch.device) -> torch.Generator:
    """A generator whose numbers follow from the words."""
    return torch.Generator(place).manual_seed(random.Random(words).getrandbits(63))


def dropout(x: Tensor, share: float) -> Tensor:
    """Dropout on x: a number becomes zero with probability `share`.

    The others are so much larger that the expectation stays.
    """
    if _SOURCE.generator is None:
        return functional.dropout(x, share)
    kept = torch.empty_like(x).bernoulli_(1 - share, generator=_SOURCE.generator)
    return x * kept.div_(1 - share)
