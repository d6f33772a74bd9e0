"""The operations and bytes of a kernel call, from its arguments: what an estimate counts."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

_FLOAT_BYTES = 4


class KernelWork(NamedTuple):
    """The operations and bytes of one kernel call."""

    flops: float
    "Of products; 0 for everything else."
    size: int
    "Bytes."
    attends: bool = False


def work_of(kernel: str, arguments: Sequence[Any]) -> KernelWork:
    """Arguments as library.py passes them to the function of that name."""
    return _WORK[kernel](*arguments)


def _attend(products: float) -> Callable[..., KernelWork]:
    """Causal: half of the pairs, in so many products of that size."""

    def work(num: int, lengths: Sequence[int], heads: int, key_heads: int, width: int, *_: Any) -> KernelWork:
        tokens, pairs = sum(lengths[:num]), sum(length * length / 2 for length in lengths[:num])
        size = int(products) * tokens * (heads + key_heads) * width * _FLOAT_BYTES
        return KernelWork(products * 2.0 * heads * pairs * width, size, attends=True)

    return work


def _rows(tensors: int) -> Callable[..., KernelWork]:
    """A function for the work of a kernel that reads or writes each of so many tensors of rows once."""
    return lambda rows, width, *_: KernelWork(0.0, tensors * rows * width * _FLOAT_BYTES)


_WORK: dict[str, Callable[..., KernelWork]] = {
    "attend": _attend(2),
    "attend_back": _attend(5),
    "norm": _rows(2),
    "norm_back": _rows(3),
    "rotate": lambda heads, tokens, width, *_: KernelWork(0.0, 2 * heads * tokens * width * _FLOAT_BYTES),
    "gate": lambda _kind, num, *_: KernelWork(0.0, 3 * num * _FLOAT_BYTES),
    "gate_back": lambda _kind, num, *_: KernelWork(0.0, 6 * num * _FLOAT_BYTES),
    "cross_entropy": _rows(2),
}
