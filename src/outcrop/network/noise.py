"""Random numbers of a thread's own: of the one generator that torch has for all, who draws first would be chance."""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn import functional


class _Source(threading.local):
    generator: torch.Generator | None = None


_SOURCE = _Source()


@contextmanager
def drawn_from(generator: torch.Generator) -> Iterator[None]:
    """What this thread drops within is drawn from `generator`, which lies where the network does."""
    before, _SOURCE.generator = _SOURCE.generator, generator
    try:
        yield
    finally:
        _SOURCE.generator = before


def seeded(words: str, place: torch.device) -> torch.Generator:
    """A generator whose numbers follow from the words."""
    return torch.Generator(place).manual_seed(random.Random(words).getrandbits(63))


def dropout(x: Tensor, share: float) -> Tensor:
    """Each number of x is zero with probability `share`; the others are so much larger that the expectation stays."""
    if _SOURCE.generator is None:
        return functional.dropout(x, share)
    kept = torch.empty_like(x).bernoulli_(1 - share, generator=_SOURCE.generator)
    return x * kept.div_(1 - share)
