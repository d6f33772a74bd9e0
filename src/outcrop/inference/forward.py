"""The forward pass of a step: by the network itself, or by its recording where the step is usual."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from outcrop.errors import Invalid
from outcrop.inference.compiled import StepPart
from outcrop.inference.kv_cache import CacheShape
from outcrop.inference.running_request import ScheduledTokens
from outcrop.inference.step_layout import SequencePiece, StepLayout
from outcrop.inference.step_proof import ProofNote, proven_step
from outcrop.inference.traced import AdapterStack, TracedDecoding, record, stack
from outcrop.inference.weight_layout import lay_out_for_decoding
from outcrop.network import rotary_lengths
from outcrop.network.adapters.linear import AdapterSpan, Routing
from outcrop.network.load import logits
from outcrop.network.weight_precision import WeightPrecision


class Forward:
    """The forward pass of one network with its adapters. `turns` come in the order of `in_row_order`."""

    def __init__(
        self,
        network: nn.Module,
        routing: Routing,
        measures: CacheShape,
        *,
        weights: WeightPrecision = WeightPrecision.FP32,
        note: ProofNote | None = None,
    ) -> None:
        """`note` tells what need not be proven again.

        Raises Invalid where the network cannot be run with these weights.
        """
        self._network = network
        self._routing = routing
        self._device = measures.like.device
        self._traced: TracedDecoding | None = None
        self._compiled = proven_step(network, measures, num_threads=torch.get_num_threads(), weights=weights, note=note)
        if self._compiled is None and weights is not WeightPrecision.FP32:
            raise Invalid(
                f"{type(network).__name__}: weights in {weights} are for networks of Llama's family on a CPU with a C "
                "compiler. Serve it with its own weights."
            )
        if self._compiled is None and self._device.type == "cpu":
            lay_out_for_decoding(network)
            self._traced = record(network, routing, measures.layers, measures.windows)
        self._stack: AdapterStack | None = None
        self._angles = rotary_lengths.rotary_rules_of(network)

    def __call__(self, turns: Sequence[ScheduledTokens]) -> Tensor:
        """Logits after each turn that samples; when none does, some logits that mean nothing."""
        logits_NV = self._by_compiled(turns)
        if logits_NV is not None:
            return logits_NV
        if self._traced is None or not _is_usual(turns) or not self._has_usual_angles(turns):
            return self._by_network(turns)
        chosen = [turn.live.request.adapter for turn in turns]
        stacked = self._stacked(chosen)
        if stacked is None and any(chosen):
            return self._by_network(turns)  # an adapter that is no plain LoRA cannot be stacked
        ids = [(turn.live.ids[-1], turn.live.slot.length) for turn in turns]
        return self._traced.logits(turns[0].live.slot.shelf, ids, stacked, chosen)

    def _by_compiled(self, turns: Sequence[ScheduledTokens]) -> Tensor | None:
        """Logits after each turn that samples; None where the step is not for the compiled one."""
        if self._compiled is None or not self._has_usual_angles(turns):
            return None
        return self._compiled.logits([_part(turn) for turn in turns])

    def forget(self, adapter: str) -> None:
        """An adapter is not needed any more."""
        if self._compiled is not None:
            self._compiled.forget(adapter)

    def _by_network(self, turns: Sequence[ScheduledTokens]) -> Tensor:
        pieces = [SequencePiece(turn.live.slot, turn.num_tokens, len(turn.live.ids)) for turn in turns]
        layout = StepLayout(pieces, self._device)
        ids: list[int] = []
        positions: list[int] = []
        last: list[int] = []
        for turn in turns:
            start = turn.live.slot.length
            ids += turn.live.ids[start : start + turn.num_tokens]
            positions += range(start, start + turn.num_tokens)
            if turn.samples:
                last.append(len(ids) - 1)
        row_2T = torch.tensor([ids, positions], device=self._device)
        self._routing.spans = _spans(turns)
        at_N = torch.tensor(last or [len(ids) - 1], device=self._device)
        return logits(self._network, row_2T[:1], row_2T[1:], layout, at_N=at_N)

    def _has_usual_angles(self, turns: Sequence[ScheduledTokens]) -> bool:
        """Whether all sequences are as short as those the recording was made with, where their angles depend on it."""
        return all(self._angles.usual(len(turn.live.ids)) for turn in turns)

    def _stacked(self, chosen: Sequence[str | None]) -> AdapterStack | None:
        """The adapters of this step, stacked; mostly they are those of the step before."""
        names = sorted({name for name in chosen if name is not None})
        if not names:
            return None
        if self._stack is None or self._stack.names != names:
            self._stack = stack(self._network, names)
        return self._stack


def in_row_order(turns: Sequence[ScheduledTokens]) -> list[ScheduledTokens]:
    """The turns in the order of the cache's rows when everybody decodes.

    Else an adapter's tokens stand together, decoding ones first.
    """

    def usual(turn: ScheduledTokens) -> tuple[int, int]:
        return (turn.live.slot.shelf.row_length, turn.live.slot.row)

    def mixed(turn: ScheduledTokens) -> tuple[str, bool, int, int]:
        return (turn.live.request.adapter or "", turn.num_tokens > 1, *usual(turn))

    ordered = sorted(turns, key=usual)
    return ordered if _is_usual(ordered) else sorted(turns, key=mixed)


def _part(turn: ScheduledTokens) -> StepPart:
    start = turn.live.slot.length
    tokens = turn.live.ids[start : start + turn.num_tokens]
    return StepPart(tokens, turn.live.slot, turn.live.request.adapter, scored=turn.samples)


def _is_usual(turns: Sequence[ScheduledTokens]) -> bool:
    """Whether everybody reads its last token, and they are the first rows of one shelf.

    One token alone may also be a part of a prompt, after which nothing is sampled yet.
    """
    shelf = turns[0].live.slot.shelf
    return all(
        turn.num_tokens == 1 and turn.samples and turn.live.slot.shelf is shelf and turn.live.slot.row == row
        for row, turn in enumerate(turns)
    )


def _spans(turns: Sequence[ScheduledTokens]) -> list[AdapterSpan]:
    """Neighbours of one adapter share a span."""
    spans: list[AdapterSpan] = []
    start = 0
    for adapter, group in itertools.groupby(turns, key=lambda turn: turn.live.request.adapter):
        end = start + sum(turn.num_tokens for turn in group)
        spans.append(AdapterSpan(start, end, adapter))
        start = end
    return spans
