"""The compiled step of a network, proven equal to the network itself before it is used.

A proof takes half a second, of a small network most of its engine's start. So an engine that comes back notes what it
has proven beside its socket, where the note lives as long as the installation runs; other files, weights or threads are
another network, and proven anew.
"""

import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from outcrop.inference.cache_pool import CachePool, LayerShape
from outcrop.inference.compiled import CompiledDecoding, StepPart
from outcrop.inference.kv_cache import CacheShape
from outcrop.inference.step_layout import SequencePiece, StepLayout
from outcrop.inference.traced import CLOSE, apart, example_pool
from outcrop.network import load, rotary_lengths
from outcrop.network.fast.decoding.library import library
from outcrop.network.fast.decoding.packed import Crew, unpack
from outcrop.network.fast.decoding.plan import OtherNetwork, plan_of
from outcrop.network.weight_precision import WeightPrecision

_log = logging.getLogger("outcrop.engine")
_TRIED = (1, 4, 1, 12, 1, 2)
"Tokens of the sequences that the step is tried with."


class _Trial:
    """A step, and what the network itself makes of it: logits, and what is remembered then."""

    def __init__(self, network: Any, layers: Sequence[LayerShape], *, num_parts: int, first: int) -> None:
        self._pool, theirs = (example_pool(network, layers, num_parts) for _ in range(2))
        num_ids = network.get_input_embeddings().num_embeddings
        angles = rotary_lengths.rotary_rules_of(network)
        self._parts = []
        for number, slot in enumerate(self._pool.slots):
            most = self._pool.row_length - slot.length
            num = min(_TRIED[number % len(_TRIED)], most)
            num = num if angles.usual(slot.length + num) else 1
            # Far apart, so that a network with experts sends them to different ones.
            tokens = [(first + 101 * (number + 7 * place)) % num_ids for place in range(num)]
            self._parts.append(StepPart(tokens, slot, None))
        self._expected = [_by_network(network, self._parts, theirs), *theirs.k_RSKD, *theirs.v_RSKD]

    def difference(self, network: Any, step: CompiledDecoding) -> float:
        """How far the compiled step, and the network with packed weights, are from the network as it was."""
        lengths = [slot.length for slot in self._pool.slots]
        found = step.logits(self._parts)
        assert found is not None, "without adapters"
        worst = apart([found, *self._pool.k_RSKD, *self._pool.v_RSKD], self._expected)
        assert lengths == [slot.length for slot in self._pool.slots], "what is written beyond a length is not there yet"
        again = _by_network(network, self._parts, self._pool)
        return max(worst, apart([again, *self._pool.k_RSKD, *self._pool.v_RSKD], self._expected))


def _by_network(network: Any, parts: Sequence[StepPart], pool: CachePool) -> Tensor:
    pairs = list(zip(parts, pool.slots, strict=True))
    pieces = [SequencePiece(slot, part.num_tokens, slot.length + part.num_tokens) for part, slot in pairs]
    tokens = [token for part in parts for token in part.tokens]
    positions = [slot.length + place for part, slot in pairs for place in range(part.num_tokens)]
    ends = np.cumsum([part.num_tokens for part in parts])
    row_2M = torch.tensor([tokens, positions])
    layout = StepLayout(pieces, torch.device("cpu"))
    return load.logits(network, row_2M[:1], row_2M[1:], layout, at_N=torch.from_numpy(ends - 1))


def _trials(network: Any, shape: CacheShape) -> list[_Trial]:
    return [_Trial(network, shape.layers, num_parts=num, first=first) for num in (1, 2, 5, 9) for first in (7, 90)]


class ProofNote:
    """A file that says of which network the step was proven last: of these files, weights and threads."""

    def __init__(self, file: Path, folder: Path) -> None:
        """`folder` holds the network's files."""
        self._file = file
        self._folder = folder

    def tells(self, *circumstances: str | int) -> bool:
        """Whether the step was proven in these circumstances, of these very files."""
        try:
            return self._file.read_text("utf-8") == self._text(circumstances)
        except (OSError, UnicodeDecodeError):
            return False

    def write(self, *circumstances: str | int) -> None:
        """Note that it was; without room for the note it is proven again the next time."""
        with suppress(OSError):
            self._file.write_text(self._text(circumstances), "utf-8")

    def _text(self, circumstances: Sequence[str | int]) -> str:
        states = [(file.name, file.stat()) for file in sorted(self._folder.iterdir())]
        files = [[name, state.st_ino, state.st_size, state.st_mtime_ns] for name, state in states]
        return json.dumps({"folder": str(self._folder), "files": files, "circumstances": circumstances})


def proven_step(
    network: Any,
    shape: CacheShape,
    *,
    num_threads: int,
    weights: WeightPrecision = WeightPrecision.FP32,
    note: ProofNote | None = None,
) -> CompiledDecoding | None:
    """The step of a network in C, proven equal to it, which packs its weights. None where there is none.

    With other weights than its own it is held against the network with these weights. What `note` tells is not proven
    again.
    """
    found = library()
    if found is None or shape.like.dtype != torch.float32 or shape.like.device.type != "cpu":
        return None
    embedding, crew = network.get_input_embeddings(), None
    is_proven = note is not None and note.tells(weights, num_threads)
    try:
        crew = Crew(found, num_threads)
        trials = [] if is_proven or weights is not WeightPrecision.FP32 else _trials(network, shape)
        step = CompiledDecoding(network, plan_of(network, shape.scorings, crew, weights), crew)
        if is_proven:
            return step
        trials = trials or _trials(network, shape)
        worst = max(trial.difference(network, step) for trial in trials)
        if worst < CLOSE:
            if note is not None:
                note.write(weights, num_threads)
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
