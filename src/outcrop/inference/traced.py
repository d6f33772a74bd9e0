"""The usual step, recorded once and replayed: every live sequence of a shelf decodes one token.

Of such a step a small model spends more time in Python between its operations than in them. A TorchScript trace replays
the operations alone. It is made when the engine starts, for any architecture, and used only if it gives what the
network itself gives, for other batch sizes and lengths than those it was recorded with; otherwise the engine goes
without. Adapters are inputs of the recording: those of all tokens are stacked into one pair of factors per layer, and
gates let each token through its own (as in LoRAX).

Shapes: M rows that decode, R ranks of all adapters together, I input width, O output width.
"""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from outcrop.inference.cache_pool import CachePool, LayerShape
from outcrop.inference.step_layout import SequencePiece, StepLayout, decode, decoding_mask
from outcrop.network import load, rotary_lengths
from outcrop.network.adapters import linear
from outcrop.network.adapters.linear import AdapterLinear, Routing
from outcrop.network.adapters.lora import LoRAUpdate
from outcrop.network.attention import Scoring, SequenceSpan

jit: Any = torch.jit  # untyped
_log = logging.getLogger("outcrop.engine")
CLOSE = 1e-3
"The most that two ways may be `apart`; two orders of the same additions are by 1e-5."


class AdapterStack(NamedTuple):
    """The weights of all adapters side by side: per layer x Aᵀ (R wide), and from there to its output."""

    names: list[str]
    ranks: list[int]
    scales: list[float]
    a: list[Tensor]
    "Of each layer, IR; zeros where an adapter leaves the layer alone."
    b: list[Tensor]
    "Of each layer, RO."

    def gates(self, chosen: Sequence[str | None]) -> Tensor:
        """The scale of its adapter in the columns of each row's own adapter, 0 in all others: MR."""
        rows = [
            [scale if name == choice else 0.0 for name, scale in zip(self.names, self.scales, strict=True)]
            for choice in chosen
        ]
        repeats = torch.tensor(self.ranks)
        return torch.tensor(rows).repeat_interleave(repeats, dim=1, output_size=sum(self.ranks))


def stack(network: nn.Module, names: Sequence[str]) -> AdapterStack | None:
    """The adapters `names` of every layer, stacked; None when one of them is no plain LoRA."""
    layers = [layer for _, layer in linear.layers(network)]
    if not all(isinstance(layer.updates.get(name), LoRAUpdate | None) for layer in layers for name in names):
        return None
    of_layers = [
        {n: u for n, u in layer.updates.items() if n in names and isinstance(u, LoRAUpdate)} for layer in layers
    ]
    found = [next(of_layer[name] for of_layer in of_layers if name in of_layer) for name in names]
    ranks = [update.a_RI.shape[0] for update in found]
    a, b = [], []
    for layer, of_layer in zip(layers, of_layers, strict=True):
        num_inputs, num_outputs = layer.widths
        updates = [of_layer.get(name) for name in names]
        like = layer.base.weight
        a_RI = [u.a_RI if u else like.new_zeros(r, num_inputs) for u, r in zip(updates, ranks, strict=True)]
        b_OR = [u.b_OR if u else like.new_zeros(num_outputs, r) for u, r in zip(updates, ranks, strict=True)]
        a.append(torch.cat(a_RI).t().contiguous())
        b.append(torch.cat(b_OR, dim=1).t().contiguous())
    return AdapterStack(list(names), ranks, [update.scale for update in found], a, b)


class _Inputs(NamedTuple):
    """The inputs that change from step to step. A trace takes tensors and lists of tensors, nothing else."""

    row_2M: Tensor
    "Token ids and their positions."
    places_M: Tensor
    masks: list[Tensor]
    "One per distinct window of the layers."
    keys: list[Tensor]
    values: list[Tensor]


class _RecordedLayout:
    """`StepLayout`'s usual case as plain tensor operations."""

    def __init__(self, inputs: _Inputs, windows: Sequence[int | None]) -> None:
        self._inputs = inputs
        self._windows = list(windows)

    def sequences(self) -> Sequence[SequenceSpan]:
        return []  # sequences long enough for other rotary positions are not replayed

    def attend(self, layer: int, q_HTD: Tensor, k_KTD: Tensor, v_KTD: Tensor, scoring: Scoring) -> Tensor:
        _, places, masks, keys, values = self._inputs
        keys[layer].flatten(0, 1).index_copy_(0, places, k_KTD.transpose(0, 1))
        values[layer].flatten(0, 1).index_copy_(0, places, v_KTD.transpose(0, 1))
        mask = masks[self._windows.index(scoring.window)]
        return decode(q_HTD, keys[layer], values[layer], mask.shape[-1], mask, scoring).transpose(0, 1)


class _Step(nn.Module):
    """The module that is recorded: from a row and the cache to logits."""

    def __init__(self, network: nn.Module, windows: Sequence[int | None]) -> None:
        super().__init__()
        self.network = network
        self._windows = windows

    def forward(self, row: Tensor, places: Tensor, masks: Any, keys: Any, values: Any, *stacked: Any) -> Tensor:
        layout = _RecordedLayout(_Inputs(row, places, masks, keys, values), self._windows)
        with _stacked_layers(self.network, *stacked):
            out = self.network(input_ids=row[:1], position_ids=row[1:], layout=layout, use_cache=False)
        return out.logits[0]  # type: ignore[no-any-return]


class TracedDecoding:
    """Replays the usual step. `None` in its place means that this network cannot be recorded."""

    def __init__(self, network: nn.Module, layers: Sequence[LayerShape], windows: Sequence[int | None]) -> None:
        self._windows = list(dict.fromkeys(windows))
        step = _Step(network, self._windows)
        some = example_pool(network, layers, num_rows=3)
        plain = self._inputs(some, [(5, 0)] * 3)
        no_adapter = [torch.zeros(3, 1), *_empty_stack(network)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the checks of shapes in attention.py hold for every row
            self._without = jit.trace(step, tuple(plain), check_trace=False)
            self._with = jit.trace(step, (*plain, *no_adapter), check_trace=False)

    def logits(
        self, shelf: CachePool, ids: Sequence[tuple[int, int]], stacked: AdapterStack | None, chosen: Sequence[Any]
    ) -> Tensor:
        """Logits of the shelf's first rows, of which `ids` gives the token and its position."""
        inputs = self._inputs(shelf, ids)
        # Without the optimizer, which would specialize on the shapes it sees and begin anew at each other one.
        with jit.optimized_execution(False):
            if stacked is None:
                return self._without(*inputs)  # type: ignore[no-any-return]
            return self._with(*inputs, stacked.gates(chosen), stacked.a, stacked.b)  # type: ignore[no-any-return]

    def _inputs(self, shelf: CachePool, ids: Sequence[tuple[int, int]]) -> _Inputs:
        row_2M = torch.tensor(ids).t().contiguous()
        positions_M = row_2M[1]
        places_M = torch.arange(len(ids)) * shelf.row_length + positions_M
        like = shelf.k_RSKD[0]
        masks = [decoding_mask(positions_M + 1, window, like) for window in self._windows]
        return _Inputs(row_2M, places_M, masks, shelf.k_RSKD, shelf.v_RSKD)


def record(
    network: nn.Module, routing: Routing, layers: Sequence[LayerShape], windows: Sequence[int | None]
) -> TracedDecoding | None:
    """The recording of this network, proven equal to it; None (and a line in the log) when that fails."""
    routing.spans = []
    try:
        traced = TracedDecoding(network, layers, windows)
        worst = max(_difference(network, traced, layers, num, first) for num in (1, 2, 5) for first in (7, 90))
    except Exception:
        _log.warning("decoding cannot be recorded; it goes on unrecorded, more slowly", exc_info=True)
        return None
    if not worst < CLOSE:
        _log.warning("the recording differs from the network by %g; it is not used", worst)
        return None
    return traced


def _difference(
    network: nn.Module, traced: TracedDecoding, layers: Sequence[LayerShape], num_rows: int, first: int
) -> float:
    """How far the recording is from the network itself on some step, whose ids begin with `first`."""
    ours, theirs = (example_pool(network, layers, num_rows) for _ in range(2))
    num_ids = network.get_input_embeddings().weight.shape[0]  # type: ignore[operator]
    # Far apart, so that a network with experts sends them to others than those it was recorded with.
    ids = [((first + 101 * row) % num_ids, slot.length) for row, slot in enumerate(ours.slots)]
    layout = StepLayout([SequencePiece(slot, 1, slot.length + 1) for slot in theirs.slots], torch.device("cpu"))
    row_2M = torch.tensor(ids).t().contiguous()
    expected = load.logits(network, row_2M[:1], row_2M[1:], layout, at_N=torch.arange(num_rows))
    found = traced.logits(ours, ids, None, [])
    return apart([found, *ours.k_RSKD, *ours.v_RSKD], [expected, *theirs.k_RSKD, *theirs.v_RSKD])


def apart(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """The largest difference, as a share of the largest number where that is above 1, as rounding errs."""
    return max(
        float((a - b).abs().max()) / max(1.0, float(b.abs().max())) for a, b in zip(found, expected, strict=True)
    )


def example_pool(network: nn.Module, layers: Sequence[LayerShape], num_rows: int) -> CachePool:
    """A small shelf full of sequences of several lengths, always the same; none with other than the usual angles."""
    generator = torch.Generator().manual_seed(num_rows)
    shelf = CachePool(40, layers, torch.empty(0))
    shelf.resize(num_rows)
    for stored in (shelf.k_RSKD, shelf.v_RSKD):
        for x_RSKD in stored:
            x_RSKD.copy_(torch.randn(x_RSKD.shape, generator=generator))
    angles = rotary_lengths.rotary_rules_of(network)
    for row in range(num_rows):
        length = 3 + 8 * row % 37
        shelf.take().length = length if angles.usual(length + 1) else row % 3
    return shelf


def _empty_stack(network: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    widths = [layer.widths for _, layer in linear.layers(network)]
    return [torch.zeros(i, 1) for i, _ in widths], [torch.zeros(1, o) for _, o in widths]


@contextmanager
def _stacked_layers(network: nn.Module, *stacked: Any) -> Iterator[None]:
    """Within, linear layers add the gated updates of the stack instead of routing spans."""
    if not stacked:
        yield
        return
    gates_MR, a, b = stacked
    layers = [layer for _, layer in linear.layers(network)]
    for layer, a_IR, b_RO in zip(layers, a, b, strict=True):
        layer.forward = _gated(layer, gates_MR, a_IR, b_RO)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _gated(layer: AdapterLinear, gates_MR: Tensor, a_IR: Tensor, b_RO: Tensor) -> Any:
    def forward(x_BTI: Tensor) -> Tensor:
        return layer.base(x_BTI) + (x_BTI @ a_IR * gates_MR) @ b_RO  # type: ignore[no-any-return]

    return forward
