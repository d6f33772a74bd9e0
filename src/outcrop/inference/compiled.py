"""The step in C: a token of each sequence, or parts of prompts, in one call for the whole network.

Of such a step a small model spends more time between torch's operations than in them. The step in C
(`network/fast/decoding`) is used only if it gives what the network gives (`step_proof.py`); otherwise the engine goes
on with torch. A row's numbers do not depend on its neighbours to the last bit, nor on how its prompt is
cut into parts.
"""

import ctypes
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from outcrop.inference.cache_pool import CachePool, CacheRow
from outcrop.network.adapters import linear
from outcrop.network.adapters.lora import LoRAUpdate
from outcrop.network.fast.decoding.library import MATRICES, WORKS, LowRankUpdate, Step
from outcrop.network.fast.decoding.packed import Crew, in_blocks
from outcrop.network.fast.decoding.plan import NO_ANGLES, DecodingPlan, angles

_NO_RANK = 1
_MOST_ROWS = 1024
"Rows of one call. Weights come from far away, and are read once a call."


class StepPart(NamedTuple):
    """A sequence and the tokens that it reads next."""

    tokens: Sequence[int]
    slot: CacheRow
    adapter: str | None
    scored: bool = True
    "Whether the logits after its last token are wanted."

    @property
    def num_tokens(self) -> int:
        return len(self.tokens)

    def cut(self, at: int) -> "tuple[StepPart, StepPart]":
        """The first `at` tokens, and the rest, which is read after them."""
        behind = CacheRow(shelf=self.slot.shelf, row=self.slot.row, length=self.slot.length + at)
        return self._replace(tokens=self.tokens[:at], scored=False), self._replace(tokens=self.tokens[at:], slot=behind)


class _Rows(NamedTuple):
    """The places of a step's rows: one token of a sequence each."""

    positions_M: Any
    turned: list[tuple[Tensor, Tensor]]
    "The cosines and sines of each kind of layers; MD."
    remembered_M: Any
    "The address of the sequence's table of keys and values by layer,"
    strides_M2: Any
    "how far its positions lie apart,"
    updates_M: Any
    "and the address of its adapter."

    def of(self, places_N: Any) -> "_Rows":
        """Some of them."""
        at_N = torch.from_numpy(places_N)
        turned = [(cos_MD[at_N], sin_MD[at_N]) for cos_MD, sin_MD in self.turned]
        others = (each[places_N] for each in (self.remembered_M, self.strides_M2, self.updates_M))
        return _Rows(self.positions_M[places_N], turned, *others)


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
        self._own = self._shared = self._few_shared = torch.empty(0)

    def forget(self, adapter: str) -> None:
        """An adapter is not needed any more."""
        self._adapters.pop(adapter, None)

    def logits(self, parts: Sequence[StepPart]) -> Tensor | None:
        """Logits after each part that is scored, in their order. None where an adapter is of another kind than LoRA."""
        adapters = {part.adapter: self._adapter(part.adapter) for part in parts if part.adapter is not None}
        if None in adapters.values():
            return None
        last = [self._step(some, adapters) for some in _in_steps(parts)]
        logits_NV: Tensor = self._plan.head(torch.cat(last) if len(last) > 1 else last[0])
        if self._plan.logit_scale != 1:
            logits_NV *= self._plan.logit_scale
        if self._plan.logit_softcap is not None:
            logits_NV = self._plan.logit_softcap * torch.tanh(logits_NV / self._plan.logit_softcap)
        return logits_NV

    def _step(self, parts: Sequence[StepPart], adapters: "Mapping[str, _Adapter | None]") -> Tensor:
        """The last hidden states of one call, of the tokens that are scored; NH."""
        nums = [part.num_tokens for part in parts]
        positions_M = np.concatenate([np.arange(p.slot.length, p.slot.length + p.num_tokens) for p in parts])
        position_1M = torch.from_numpy(positions_M).unsqueeze(0)
        tokens_1M = torch.tensor([[token for part in parts for token in part.tokens]])
        embedded_MH = self._plan.embed(tokens_1M)[0].contiguous()
        table, strides = self._remembered([part.slot for part in parts])
        starts = table.ctypes.data + table[0].nbytes * np.arange(len(parts), dtype=np.uint64)
        updates = [ctypes.addressof(adapters[p.adapter].updates) if p.adapter else 0 for p in parts]  # type: ignore[union-attr]
        rows = _Rows(
            positions_M=positions_M,
            turned=[self._angles(kind, position_1M) for kind in self._plan.angle_kinds],
            remembered_M=np.repeat(starts, nums),
            strides_M2=np.repeat(strides, nums, axis=0),
            updates_M=np.repeat(np.array(updates, dtype=np.uint64), nums),
        )
        ends = np.cumsum(nums)
        scored_N = np.array([end - 1 for part, end in zip(parts, ends, strict=True) if part.scored], dtype=np.int64)
        most_rank = max((each.most_rank for each in adapters.values() if each), default=_NO_RANK)
        own_size = self._make_room(len(positions_M), len(scored_N), int(positions_M.max()) + 1, most_rank)
        last_NH = torch.empty(len(scored_N), self._plan.network.width)
        step, tables = self._told(rows, self._shared, own_size, most_rank)
        few, few_rows = None, rows
        if len(scored_N) < len(positions_M):
            few_rows = rows.of(scored_N)
            few, few_tables = self._told(few_rows, self._few_shared, own_size, most_rank)
            step.few, step.scored = ctypes.addressof(few), scored_N.ctypes.data
            tables += few_tables
        step.embedded, step.last = embedded_MH.data_ptr(), last_NH.data_ptr()
        self._crew.library.decode(ctypes.byref(step), self._crew.address)
        del few, few_rows, tables  # until here the step points to them
        return last_NH

    def _told(self, rows: "_Rows", shared: Tensor, own_size: int, most_rank: int) -> tuple[Step, list[Any]]:
        """A step of these rows, and tables that it points to."""
        tables = [np.array([pair[i].data_ptr() for pair in rows.turned], dtype=np.uint64) for i in (0, 1)]
        taken = np.zeros(self._plan.network.num_layers * WORKS, dtype=np.int64)
        told = Step(
            net=ctypes.addressof(self._plan.network),
            num_rows=len(rows.positions_M),
            positions=rows.positions_M.ctypes.data,
            cos=tables[0].ctypes.data,
            sin=tables[1].ctypes.data,
            remembered=rows.remembered_M.ctypes.data,
            key_strides=rows.strides_M2.ctypes.data,
            updates=rows.updates_M.ctypes.data,
            taken=taken.ctypes.data,
            shared=shared.data_ptr(),
            own=self._own.data_ptr(),
            own_size=own_size,
            most_rank=most_rank,
        )
        return told, [*tables, taken]

    def _make_room(self, num_rows: int, num_few: int, longest: int, most_rank: int) -> int:
        """Memory to compute in; floats of it that each thread has for itself."""
        net = ctypes.byref(self._plan.network)
        own_size: int = self._crew.library.own_size(net, num_rows, longest)
        for name, size in (
            ("_own", own_size * self._crew.num_threads),
            ("_shared", self._crew.library.shared_size(net, num_rows, most_rank)),
            ("_few_shared", self._crew.library.shared_size(net, num_few, most_rank)),
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

    def _remembered(self, slots: Sequence[CacheRow]) -> tuple[Any, Any]:
        """The addresses of keys and values, by sequence and layer, and how far positions lie apart in each sequence."""
        table = np.empty((len(slots), self._plan.network.num_layers, 2), dtype=np.uint64)
        strides = np.empty((len(slots), 2), dtype=np.int64)
        bases = {id(pool): _bases(pool) for pool in {id(slot.shelf): slot.shelf for slot in slots}.values()}
        for number, slot in enumerate(slots):
            starts, row_bytes, position_floats = bases[id(slot.shelf)]
            table[number] = starts + row_bytes * np.uint64(slot.row)
            strides[number] = position_floats
        return table, strides

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
            b_BRO = in_blocks(update.b_OR, self._crew.library.block)
            kept += (a_IP, b_BRO)
            updates[place] = LowRankUpdate(
                a=a_IP.data_ptr(), b=b_BRO.data_ptr(), rank=rank, padded=padded, scale=update.scale
            )
            most_rank = max(most_rank, padded)
        return _Adapter(updates, most_rank, kept)


def _bases(pool: CachePool) -> tuple[Any, Any, tuple[int, int]]:
    """Where keys and values of row 0 begin, layer by layer; bytes between rows, and floats between positions."""
    starts = [[k.data_ptr(), v.data_ptr()] for k, v in zip(pool.k_RSKD, pool.v_RSKD, strict=True)]
    row_bytes = [[k.stride(0) * 4, v.stride(0) * 4] for k, v in zip(pool.k_RSKD, pool.v_RSKD, strict=True)]
    apart = pool.k_RSKD[0].stride(1), pool.v_RSKD[0].stride(1)
    return np.array(starts, dtype=np.uint64), np.array(row_bytes, dtype=np.uint64), apart


def _in_steps(parts: Sequence[StepPart]) -> Iterator[list[StepPart]]:
    """The parts in calls of at most so many rows; a longer one is cut, and its beginning read first."""
    some: list[StepPart] = []
    room, waiting = _MOST_ROWS, list(reversed(parts))
    while waiting:
        part = waiting.pop()
        if part.num_tokens > room:
            first, part = part.cut(room)
            waiting.append(part)
            part = first
        some.append(part)
        room -= part.num_tokens
        if not room or not waiting:
            yield some
            some, room = [], _MOST_ROWS
