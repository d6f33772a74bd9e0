"""The cost of a row, found by running the training code on tensors that have shapes and no contents.

The network is made from its configuration alone, so a model of any size is traced in a second and in no memory. Every
operation of a forward and backward pass is seen with the memory that comes and goes: nothing here knows an
architecture or a method. Two depths are traced and the others lie on the line through them, since layers repeat.

What is not seen: memory that an operation takes and gives back within itself, and how an allocator rounds.
"""

import json
import math
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import AutoConfig

from outcrop.errors import Invalid
from outcrop.network import facts, gradient_checkpointing, load
from outcrop.network.adapters import adapter_files, linear
from outcrop.network.adapters.linear import Routing
from outcrop.network.adapters.method import Full, Method
from outcrop.network.fast.kernels.use import pretending
from outcrop.network.fast.kernels.work import work_of
from outcrop.network.fast.swap_in import swap_in
from outcrop.network.run_mode import RunMode
from outcrop.training.batches import PackedRow, row_of
from outcrop.training.examples import ADAPTER, Example
from outcrop.training.loss import nll_of
from outcrop.training.weights import TrainedWeights

_aten: Any = torch.ops.aten
_prim: Any = torch.ops.prim
_PRODUCTS = {_aten.mm, _aten.addmm, _aten.addmm_, _aten.bmm, _aten.baddbmm}


_PATIENCE_S = 40.0


class Untraceable(Invalid):
    """The network cannot be run without contents; it may train none the worse."""


class Op(NamedTuple):
    """Operations of one size: what they compute, and the bytes they read and write."""

    flops: float
    "Of products of matrices; 0 for everything else."
    size: int
    attends: bool = False
    in_c: bool = False
    "By one of the kernels."


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The operations and memory of one row, forward and backward."""

    weights: float
    "Bytes of the network, what it learns included where that is its own weights."
    trained: float
    "Numbers that learn."
    kept: float
    "Bytes that the forward pass leaves for the backward pass."
    peak: float
    "Most bytes that are there at once beyond weights, gradients and optimizer."
    forward: dict[Op, float]
    "How many of each there are."
    backward: dict[Op, float]
    scoring: dict[Op, float]
    "Of the forward pass alone, where nothing is learned."


class RowOptions(NamedTuple):
    """The options under which a row is traced: kernels, gradient checkpointing, and how the network is run."""

    in_c: bool = False
    "With the C kernels."
    gradient_checkpointing: bool = False
    network: RunMode = RunMode.PACKED
    until: float = math.inf
    "When it is given up: a network that goes through its tokens one by one has thousands of operations for each row."


PLAIN = RowOptions()


def cost_of_row(
    folder: Path, method: Method, lengths: Sequence[int], *, supervised: float = 1.0, way: RowOptions = PLAIN
) -> Cost:
    """The cost of a row in the network of `folder`, whose records have these lengths.

    They lie side by side, and a share of their tokens is learned.

    Raises Untraceable for a network whose code depends on what its tensors contain, as routing to experts may.
    """
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    text = json.dumps({**config.to_dict(), "_name_or_path": ""}, sort_keys=True, default=str)
    described = _Described(f"{type(config).__name__} {text}", config)
    return _cost_of_row(described, method, tuple(lengths), supervised, way)


@dataclass(frozen=True)
class _Described:
    """A configuration, equal to any of the same text."""

    text: str
    config: Any = field(compare=False, repr=False)


@lru_cache(maxsize=64)  # an estimate asks for one row several times, and again when a job is planned anew
def _cost_of_row(
    described: _Described, method: Method, lengths: tuple[int, ...], supervised: float, way: RowOptions
) -> Cost:
    config = described.config
    depth = facts.of_config(config).layers
    if way.network is not RunMode.PACKED:
        # Which layer is of which kind is told in many ways, and not in all of them by a list that can be cut.
        return _trace(config, None, method, lengths, supervised, way._replace(until=time.monotonic() + _PATIENCE_S))
    period = _period(config)
    # Where layers forget, the last does not, so that the first two are not alike.
    first = 2 if way.gradient_checkpointing else 1
    if depth <= (first + 1) * period:
        return _trace(config, depth, method, lengths, supervised, way)
    less, more = (_trace(config, n * period, method, lengths, supervised, way) for n in (first, first + 1))
    return _on_the_line(less, more, depth / period - first)


def _period(config: Any) -> int:
    """After how many layers their kinds repeat: windows in every other one, say."""
    kinds = list(getattr(config.get_text_config(), "layer_types", None) or ["same"])
    fits = (n for n in range(1, len(kinds) + 1) if all(a == b for a, b in zip(kinds, kinds[n:], strict=False)))
    return next(fits)


def _trace(
    config: Any, depth: int | None, method: Method, lengths: Sequence[int], supervised: float, way: RowOptions
) -> Cost:
    with _cut(config.get_text_config(), depth):
        return _of_cut(config, method, lengths, supervised, way)


@contextmanager
def _cut(text: Any, depth: int | None) -> Iterator[None]:
    """Within, the network has that many layers; None: all."""
    if depth is None:
        yield
        return
    before = text.num_hidden_layers, getattr(text, "layer_types", None)
    text.num_hidden_layers = depth
    if before[1]:
        text.layer_types = before[1][:depth]
    try:
        yield
    finally:
        text.num_hidden_layers = before[0]
        if before[1]:
            text.layer_types = before[1]


def _of_cut(config: Any, method: Method, lengths: Sequence[int], supervised: float, way: RowOptions) -> Cost:
    try:
        with FakeTensorMode(allow_non_fake_inputs=True), torch.device(load.device()):
            return _traced(*_trainable(config, method, way), lengths, supervised, in_c=way.in_c, until=way.until)
    except (RuntimeError, TypeError, ValueError, AttributeError, LookupError, AssertionError) as error:
        first = str(error).partition("\n")[0]
        raise Untraceable(
            f"{config.model_type}: memory and time cannot be estimated, since this kind of network does not run "
            f"without contents ({first}). Train it on few records, and look at peak_bytes in events.jsonl."
        ) from error


def _trainable(config: Any, method: Method, way: RowOptions) -> tuple[nn.Module, Routing, TrainedWeights]:
    """A network prepared for training as `loop.load_trained` does it, without contents."""
    full = isinstance(method, Full)
    dtype = torch.float32 if full else load.serving_dtype()
    network: Any = load.from_config(config, dtype=dtype, way=way.network)
    with Watch([]):
        routing = linear.hold_adapters(network)
    if isinstance(method, Full):
        network.requires_grad_(True)
        parameters = list(network.parameters())
    else:
        parameters = adapter_files.add_new(network, ADAPTER, method, torch.Generator())
    with Watch([]):
        swap_in(network, routing)
    if way.gradient_checkpointing:
        gradient_checkpointing.checkpoint_layers(network)
    return network, routing, TrainedWeights(parameters, weight_decay=0.0)


def _traced(
    network: nn.Module,
    routing: Routing,
    weights: TrainedWeights,
    lengths: Sequence[int],
    supervised: float,
    *,
    in_c: bool = False,
    until: float = math.inf,
) -> Cost:
    own = [*network.parameters(), *network.buffers(), weights.vector, weights.vector.grad]
    row = row_of([_example(length, supervised) for length in lengths])
    watch = Watch([tensor for tensor in own if tensor is not None], in_c=in_c, until=until)
    with Watch([], in_c=in_c, until=until):  # what is done once for as long as a network lives is done here
        nll_of(network, routing, row)
    kept, forward, backward = _pass(watch, network, routing, row)
    with Watch([], in_c=in_c, until=until) as scoring, torch.no_grad():
        nll_of(network, routing, row)
    return Cost(
        weights=_size_of(network),
        trained=weights.vector.numel(),
        kept=kept,
        peak=watch.peak,
        forward=forward,
        backward=backward,
        scoring=scoring.ops,
    )


def _pass(
    watch: "Watch", network: nn.Module, routing: Routing, row: PackedRow
) -> tuple[int, dict[Op, float], dict[Op, float]]:
    with watch:
        loss = nll_of(network, routing, row).sum()
        kept, forward = watch.now, dict(watch.ops)
        watch.ops.clear()
        torch.autograd.backward(loss)
    return kept, forward, dict(watch.ops)


def _example(length: int, supervised: float) -> Example:
    num = min(length - 1, max(1, round(length * supervised)))
    ids_T = torch.zeros(length, dtype=torch.int64)
    at_N = torch.arange(length - 1 - num, length - 1)
    return Example(ids_T=ids_T, at_N=at_N, target_N=ids_T[:num], num_bytes=0, line=0)


def _size_of(network: nn.Module) -> int:
    storages = {t.untyped_storage() for t in (*network.parameters(), *network.buffers())}
    return sum(storage.nbytes() for storage in storages)


class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees each operation, counts it, and counts the bytes of tensors as they come and go.

    With `in_c` what the C kernels would do is counted as done by them.
    """

    def __init__(self, known: Sequence[Tensor], *, in_c: bool = False, until: float = math.inf) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._until = until
        self._kernels = pretending(self._count_kernel) if in_c else nullcontext()
        self._known = {weakref.ref(tensor.untyped_storage()) for tensor in known}
        self._alive: dict[Any, int] = {}
        self.now = self.peak = 0
        self.ops: dict[Op, float] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is _prim.device.default:
            return func(*args)
        if time.monotonic() > self._until:
            raise RuntimeError(f"it takes its tokens one by one, and had not ended after {_PATIENCE_S:.0f} s")
        if func is _aten._local_scalar_dense.default:
            # A question about contents, which only checks ask: whether numbers are equal, or how far apart.
            return args[0].dtype == torch.bool
        out = func(*args, **(kwargs or {}))
        made = [x for x in tree_leaves(out) if isinstance(x, Tensor)]
        # What is only written to, `out=`, is no operand.
        read = [x for x in tree_leaves(args) if isinstance(x, Tensor)]
        if not func.is_view:
            self._count(_op(func, read, made))
        for tensor in made:
            self._add(tensor)
        return out

    def __enter__(self) -> Self:
        self._kernels.__enter__()
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        self._kernels.__exit__(*error)

    def _count(self, op: Op) -> None:
        self.ops[op] = self.ops.get(op, 0) + 1

    def _count_kernel(self, kernel: str, *arguments: Any) -> None:
        self._count(Op(*work_of(kernel, arguments), in_c=True))

    def _add(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        reference = weakref.ref(storage, self._gone)
        if reference in self._alive or reference in self._known:
            return
        self._alive[reference] = storage.nbytes()
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)

    def _gone(self, reference: Any) -> None:
        self.now -= self._alive.pop(reference, 0)


def _op(func: Any, read: Sequence[Tensor], made: Sequence[Tensor]) -> Op:
    size = sum(tensor.nbytes for tensor in (*read, *made))
    packet = func.overloadpacket
    if packet in _PRODUCTS:
        a, b = [tensor for tensor in read if tensor.ndim >= 2][-2:]
        return Op(2.0 * math.prod(a.shape) * b.shape[-1], size)
    if "scaled_dot_product" in packet.__name__ and len(read) >= 3:
        return Op(_attention_flops(packet.__name__, read), size, attends=True)
    return Op(0.0, size)


def _attention_flops(name: str, read: Sequence[Tensor]) -> float:
    """Causal: half of the pairs. Backward makes the scores again, and has four more products of that size."""
    backward = "backward" in name
    query, keys = (read[1], read[2]) if backward else (read[0], read[1])
    pairs = math.prod(query.shape[:-1]) * keys.shape[-2] / 2
    return (5.0 if backward else 2.0) * 2.0 * pairs * query.shape[-1]


def _on_the_line(once: Cost, twice: Cost, times: float) -> Cost:
    """Where `times` periods of layers are added to the first of two costs, which are a period apart."""

    def reach(a: float, b: float) -> float:
        return a + (b - a) * times

    def reach_all(a: dict[Op, float], b: dict[Op, float]) -> dict[Op, float]:
        return {op: reach(a.get(op, 0), b.get(op, 0)) for op in {*a, *b}}

    return Cost(
        weights=reach(once.weights, twice.weights),
        trained=reach(once.trained, twice.trained),
        kept=reach(once.kept, twice.kept),
        peak=reach(once.peak, twice.peak),
        forward=reach_all(once.forward, twice.forward),
        backward=reach_all(once.backward, twice.backward),
        scoring=reach_all(once.scoring, twice.scoring),
    )
