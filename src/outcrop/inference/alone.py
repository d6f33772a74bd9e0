"""Decoding as `transformers` decodes: each request by itself, with the cache that its family makes.

For networks that keep more than keys and values, or attend in a way of their own, and so cannot share a row. Slower
than `forward.py` by as much as requests there share a step; the numbers are those of `transformers`.

A prompt is read at once: what a family remembers after two halves of a prompt need not be what it remembers after the
whole.
"""

import logging
from collections.abc import Iterator, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig

from outcrop.inference.cache_pool import CacheRow
from outcrop.inference.kv_cache import SHORTEST_ROW
from outcrop.inference.running_request import ScheduledTokens
from outcrop.network import rotary_lengths
from outcrop.network.adapters.linear import AdapterSpan, Routing
from outcrop.network.load import accepts, device

_CACHES = ("past_key_values", "cache_params", "state")
"Under which names families answer with what they remember, and want it back."
_TRIED = 12
"Tokens on which decoding with a cache is compared with reading all of them."
_CLOSE = {torch.float32: 1e-3, torch.bfloat16: 6e-2, torch.float16: 1e-2}
"Of the largest logit."
_log = logging.getLogger("outcrop.engine")


class RequestCache:
    """The tokens that one request has read, and the network's own cache of them."""

    def __init__(self) -> None:
        self.num_read = 0
        self.cache: dict[str, Any] = {}


class SingleRequestForward:
    """The forward pass of a network that answers one request after the other, in the place of `Forward`."""

    def __init__(self, network: Any, routing: Routing) -> None:
        self._network = network
        self._routing = routing
        self._last_only = {"logits_to_keep": 1} if accepts(network, "logits_to_keep") else {}
        # By weak reference: what a request remembers goes with its place, when it ends or gives way to others.
        self._remembered: WeakKeyDictionary[CacheRow, RequestCache] = WeakKeyDictionary()
        self._routing.spans = []
        # Keys that were remembered while the sequence was short have other angles than it needs once it is long.
        self.caches = not rotary_lengths.depends(network) and self._try_cache()
        if not self.caches:
            _log.warning("this kind of network is decoded without a cache, each token after reading all before it")

    def __call__(self, turns: Sequence[ScheduledTokens]) -> Tensor:
        """Logits after each turn that samples; when none does, some logits that mean nothing."""
        found = [self._after(turn) for turn in turns if turn.samples]
        return torch.stack(found) if found else torch.zeros(1, 1, device=device())

    def forget(self, adapter: str) -> None:
        """An adapter is not needed any more; nothing was prepared for it."""

    def position_bytes(self) -> int:
        """Most bytes that a request's cache takes for each token it reserves."""
        if not self.caches:
            return 0
        few, many = (sum(x.nbytes for x in _tensors(self._remember(num).cache)) for num in (_TRIED, 2 * _TRIED))
        growing = max(0, many - few) // _TRIED
        fixed = max(0, few - growing * _TRIED)
        return max(1, growing + -(-fixed // SHORTEST_ROW))

    def _after(self, turn: ScheduledTokens) -> Tensor:
        """Logits after all that is there of one request."""
        live = turn.live
        remembered = self._remembered.setdefault(live.slot, RequestCache())
        adapter = live.request.adapter
        ids = live.ids[: live.slot.length + turn.num_tokens]
        self._routing.spans = []
        num_new = len(ids) - (remembered.num_read if self.caches else 0)
        if adapter is not None:
            self._routing.spans = [AdapterSpan(0, num_new, adapter)]
        return self._read(remembered, ids) if self.caches else self._whole(ids)

    def _read(self, remembered: RequestCache, ids: Sequence[int]) -> Tensor:
        """Logits after the ids that were not read yet."""
        new_1T = torch.tensor([list(ids[remembered.num_read :])], device=device())
        out = self._network(input_ids=new_1T, use_cache=True, **remembered.cache, **self._last_only)
        remembered.cache = {name: kept for name in _CACHES if (kept := getattr(out, name, None)) is not None}
        remembered.num_read = len(ids)
        return out.logits[0, -1]  # type: ignore[no-any-return]

    def _whole(self, ids: Sequence[int]) -> Tensor:
        ids_1T = torch.tensor([list(ids)], device=device())
        return self._network(input_ids=ids_1T, use_cache=False, **self._last_only).logits[0, -1]  # type: ignore[no-any-return]

    @torch.inference_mode()
    def _remember(self, num_tokens: int) -> RequestCache:
        remembered = RequestCache()
        self._read(remembered, self._some(num_tokens))
        return remembered

    @torch.inference_mode()
    def _try_cache(self) -> bool:
        """Whether what is remembered leads to the same logits as reading everything again."""
        ids = self._some(_TRIED)
        try:
            remembered = RequestCache()
            pairs = [
                (self._read(remembered, ids[:end]), self._whole(ids[:end])) for end in range(_TRIED - 3, _TRIED + 1)
            ]
            if not remembered.cache:
                return False
        except Exception as error:  # whatever a family's own code raises, there is another way
            _log.info("decoding with a cache fails: %s: %s", type(error).__name__, error)
            return False
        close = _CLOSE[pairs[0][1].dtype]
        return all(float((a - b).abs().max()) <= close * float(b.abs().max()) for a, b in pairs)

    def _some(self, num_tokens: int) -> list[int]:
        most = self._network.get_input_embeddings().weight.shape[0]
        return [(7 + 31 * n) % most for n in range(num_tokens)]


def _tensors(thing: Any) -> Iterator[Tensor]:
    """All that a cache holds, however a family keeps it."""
    if isinstance(thing, Tensor):
        yield thing
    elif isinstance(thing, dict):
        for value in thing.values():
            yield from _tensors(value)
    elif isinstance(thing, list | tuple):
        for value in thing:
            yield from _tensors(value)
    elif hasattr(thing, "__dict__") and not isinstance(thing, nn.Module | type | PreTrainedConfig):
        yield from _tensors(vars(thing))
