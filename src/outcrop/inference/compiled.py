"""The usual step in C: every live sequence reads one token, in one call for the whole network.

Of such a step a small model spends more time between torch's operations than in them. The step in C
(`network/fast/decoding`) is used only if it gives what the network gives, tried out when the engine starts; otherwise
the engine goes on with torch. A row's numbers do not depend on its neighbours to the last bit.
"""

import ctypes
import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from outcrop.inference.cache_pool import CachePool, CacheRow, LayerShape
from outcrop.inference.kv_cache import CacheShape
from outcrop.inference.step_layout import SequencePiece, StepLayout
from outcrop.inference.traced import CLOSE, example_pool
from outcrop.network import load
from outcrop.network.adapters import linear
from outcrop.network.adapters.lora import LoRAUpdate
from outcrop.network.fast.decoding.library import MATRICES, LowRankUpdate, Step, library
from outcrop.network.fast.decoding.packed import Crew, WeightPrecision, unpack
from outcrop.network.fast.decoding.plan import NO_ANGLES, DecodingPlan, OtherNetwork, angles, plan_of

_log = logging.getLogger("outcrop.engine")
_NO_RANK = 1


class StepRow(NamedTuple):
    """A sequence that reads one token."""

    token: int
    slot: CacheRow
    adapter: str | None


class _Adapter(NamedTuple):
    """An adapter as the C source reads it: what it adds to each matrix of each layer."""

    updates: Any
    "[layers · MATRICES]"
    most_rank: int
    kept: list[Tensor]


class CompiledDecoding:
    """The compiled step of one network."""

    def __init__(self, network: nn.Module, plan: DecodingPlan, crew: Crew) -> None:
        self._network = network
        self._plan = plan
        self._crew = crew
        self._adapters: dict[str, _Adapter | None] = {}
        self._own = self._shared = torch.empty(0)

    def forget(self, adapter: str) -> None:
        """An adapter is not needed any more."""
        self._adapters.pop(adapter, None)

    def logits(self, rows: Sequence[StepRow]) -> Tensor | None:
        """Logits after the token of each row. None where an adapter is of another kind than LoRA."""
        adapters = {row.adapter: self._adapter(row.adapter) for row in rows if row.adapter is not None}
        if None in adapters.values():
            return None
        positions_M = np.array([row.slot.length for row in rows], dtype=np.int64)
        position_1M = torch.from_numpy(positions_M).unsqueeze(0)
        embedded_MH = self._plan.embed(torch.tensor([[row.token for row in rows]]))[0].contiguous()
        turned = [self._angles(kind, position_1M) for kind in self._plan.angle_kinds]
        remembered, strides = self._remembered(rows)
        none = 0
        updates = [ctypes.addressof(adapters[row.adapter].updates) if row.adapter else none for row in rows]  # type: ignore[union-attr]
        longest = int(positions_M.max()) + 1
        most_rank = max((each.most_rank for each in adapters.values() if each), default=_NO_RANK)
        own_size = self._make_room(len(rows), longest, most_rank)
        logits_MV = torch.empty(len(rows), self._plan.network.head.outputs)
        pointers = [np.array(column, dtype=np.uint64) for column in (remembered[1], updates)]
        tables = [np.array([pair[i].data_ptr() for pair in turned], dtype=np.uint64) for i in (0, 1)]
        step = Step(
            net=ctypes.addressof(self._plan.network),
            num_rows=len(rows),
            embedded=embedded_MH.data_ptr(),
            positions=positions_M.ctypes.data,
            cos=tables[0].ctypes.data,
            sin=tables[1].ctypes.data,
            remembered=pointers[0].ctypes.data,
            key_strides=strides.ctypes.data,
            updates=pointers[1].ctypes.data,
            logits=logits_MV.data_ptr(),
            shared=self._shared.data_ptr(),
            own=self._own.data_ptr(),
            own_size=own_size,
            longest=longest,
        )
        self._crew.library.decode(ctypes.byref(step), self._crew.address)
        return logits_MV

    def _make_room(self, num_rows: int, longest: int, most_rank: int) -> int:
        """Memory to compute in; floats of it that each thread has for itself."""
        net = ctypes.byref(self._plan.network)
        own_size: int = self._crew.library.own_size(net, num_rows, longest, most_rank)
        for name, size in (
            ("_own", own_size * self._crew.num_threads),
            ("_shared", self._crew.library.shared_size(net, num_rows)),
        ):
            if getattr(self, name).numel() < size:
                setattr(self, name, torch.empty(size + size // 4))
        return own_size

    def _angles(self, kind: str, positions_1M: Tensor) -> tuple[Tensor, Tensor]:
        if kind == NO_ANGLES:
            shape = positions_1M.shape[1], self._plan.network.rotary_width
            return torch.ones(shape), torch.zeros(shape)
        cos, sin = angles(self._plan.rotary, kind, positions_1M)
        return cos[0].contiguous(), sin[0].contiguous()

    def _remembered(self, rows: Sequence[StepRow]) -> tuple[tuple[Any, list[int]], Any]:
        """The addresses of keys and values, by row and layer, and how far positions lie apart in each row."""
        num_layers = self._plan.network.num_layers
        table = np.empty((len(rows), num_layers, 2), dtype=np.uint64)
        strides = np.empty((len(rows), 2), dtype=np.int64)
        bases = {id(pool): _bases(pool) for pool in {id(r.slot.shelf): r.slot.shelf for r in rows}.values()}
        for number, row in enumerate(rows):
            starts, row_bytes, position_floats = bases[id(row.slot.shelf)]
            table[number] = starts + row_bytes * np.uint64(row.slot.row)
            strides[number] = position_floats
        first, size = table.ctypes.data, table[0].nbytes
        return (table, [first + number * size for number in range(len(rows))]), strides

    def _adapter(self, name: str) -> _Adapter | None:
        if name not in self._adapters:
            self._adapters[name] = self._read_adapter(name)
        return self._adapters[name]

    def _read_adapter(self, name: str) -> _Adapter | None:
        known = {module for layer in self._plan.linears for module in layer}
        acting = {module for _, module in linear.layers(self._network) if name in module.updates}
        if acting - known:
            return None
        updates = (LowRankUpdate * (len(self._plan.linears) * len(MATRICES)))()
        kept: list[Tensor] = []
        most_rank = _NO_RANK
        for place, module in enumerate(module for layer in self._plan.linears for module in layer):
            update = module.updates.get(name)
            if update is None:
                continue
            if not isinstance(update, LoRAUpdate):
                return None
            rank = update.a_RI.shape[0]
            padded = -(-rank // self._crew.library.vector) * self._crew.library.vector
            a_IP = nn.functional.pad(update.a_RI.t(), (0, padded - rank)).contiguous()
            b_RO = update.b_OR.t().contiguous()
            kept += (a_IP, b_RO)
            updates[place] = LowRankUpdate(
                a=a_IP.data_ptr(), b=b_RO.data_ptr(), rank=rank, padded=padded, scale=update.scale
            )
            most_rank = max(most_rank, padded)
        return _Adapter(updates, most_rank, kept)


def _bases(pool: CachePool) -> tuple[Any, Any, tuple[int, int]]:
    """Where keys and values of row 0 begin, layer by layer; bytes between rows, and floats between positions."""
    starts = [[k.data_ptr(), v.data_ptr()] for k, v in zip(pool.k_RSKD, pool.v_RSKD, strict=True)]
    row_bytes = [[k.stride(0) * 4, v.stride(0) * 4] for k, v in zip(pool.k_RSKD, pool.v_RSKD, strict=True)]
    apart = pool.k_RSKD[0].stride(1), pool.v_RSKD[0].stride(1)
    return np.array(starts, dtype=np.uint64), np.array(row_bytes, dtype=np.uint64), apart


class _Trial:
    """A step, and what the network itself makes of it: logits, and what is remembered then."""

    def __init__(self, network: Any, layers: Sequence[LayerShape], *, num_rows: int, first: int) -> None:
        self._pool, theirs = (example_pool(network, layers, num_rows) for _ in range(2))
        num_ids = network.get_input_embeddings().num_embeddings
        # Far apart, so that a network with experts sends them to different ones.
        self._rows = [StepRow((first + 101 * row) % num_ids, slot, None) for row, slot in enumerate(self._pool.slots)]
        self._expected = [_by_network(network, [row.token for row in self._rows], theirs), *theirs.k_RSKD]
        self._expected += theirs.v_RSKD

    def difference(self, network: Any, step: CompiledDecoding) -> float:
        """How far the compiled step, and the network with packed weights, are from the network as it was."""
        lengths = [slot.length for slot in self._pool.slots]
        found = step.logits(self._rows)
        assert found is not None, "without adapters"
        worst = _apart([found, *self._pool.k_RSKD, *self._pool.v_RSKD], self._expected)
        assert lengths == [slot.length for slot in self._pool.slots], "what is written beyond a length is not there yet"
        again = _by_network(network, [row.token for row in self._rows], self._pool)
        return max(worst, _apart([again, *self._pool.k_RSKD, *self._pool.v_RSKD], self._expected))


def _by_network(network: Any, tokens: Sequence[int], pool: CachePool) -> Tensor:
    layout = StepLayout([SequencePiece(slot, 1, slot.length + 1) for slot in pool.slots], torch.device("cpu"))
    row_2M = torch.tensor([tokens, [slot.length for slot in pool.slots]])
    return load.logits(network, row_2M[:1], row_2M[1:], layout, at_N=torch.arange(len(tokens)))


def _apart(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    return max(float((a - b).abs().max()) for a, b in zip(found, expected, strict=True))


def _trials(network: Any, shape: CacheShape) -> list[_Trial]:
    return [_Trial(network, shape.layers, num_rows=num, first=first) for num in (1, 2, 5, 9) for first in (7, 90)]


def compiled_step(
    network: Any, shape: CacheShape, *, num_threads: int, weights: WeightPrecision = WeightPrecision.FP32
) -> CompiledDecoding | None:
    """The step of a network in C, proven equal to it, which packs its weights. None where there is none.

    With other weights than its own it is held against the network with these weights.
    """
    found = library()
    if found is None or shape.like.dtype != torch.float32 or shape.like.device.type != "cpu":
        return None
    embedding, crew = network.get_input_embeddings(), None
    try:
        crew = Crew(found, num_threads)
        trials = _trials(network, shape) if weights is WeightPrecision.FP32 else []
        step = CompiledDecoding(network, plan_of(network, shape.scorings, crew, weights), crew)
        trials = trials or _trials(network, shape)
        worst = max(trial.difference(network, step) for trial in trials)
        if worst < CLOSE:
            return step
        _log.warning("the compiled step differs from the network by %g; it is not used", worst)
    except OtherNetwork as other:
        _log.info("decoding is not compiled: %s", other)
    except Exception:
        _log.warning("decoding cannot be compiled; it goes on without, more slowly", exc_info=True)
    unpack(network, embedding)
    if crew is not None:
        crew.close()
    return None
