"""A base model, its adapters, and everything that generates with them right now.

Not thread-safe, and knows no clock, no queue and no HTTP: `engine_thread.py` calls `step` in a loop. Adapters come
and go between steps; a generation keeps the weights it began with until it ends.
"""

import json
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from outcrop.errors import Invalid, ModelDamaged, ModelFailed, NotFound, OutcropError
from outcrop.inference import hidden_states, scoring
from outcrop.inference.alone import SingleRequestForward
from outcrop.inference.encoder_requests import Vector
from outcrop.inference.forward import Forward, in_row_order
from outcrop.inference.grammars import Grammars, GrammarState
from outcrop.inference.kv_cache import KVCache, measure
from outcrop.inference.request import STOP, EngineRequest, TokenLogprob
from outcrop.inference.running_request import RunningRequest
from outcrop.inference.sampling import SamplingRow, logprob_of, sample
from outcrop.inference.scheduler import CacheFigures, Scheduler, StepLimits
from outcrop.inference.step_proof import ProofNote
from outcrop.inference.weight_layout import lay_out_for_decoding
from outcrop.network.adapters import adapter_files, linear
from outcrop.network.adapters.linear import AdapterSpan
from outcrop.network.adapters.method import WEIGHTS_FILE
from outcrop.network.load import context_length, load_base
from outcrop.network.rotary_lengths import rotary_rules_of
from outcrop.network.run_mode import RunMode
from outcrop.network.weight_files import OpenFile
from outcrop.network.weight_precision import WeightPrecision

_log = logging.getLogger("outcrop.engine")


class StepResult(NamedTuple):
    """The tokens that a step gave one request."""

    request_id: str
    token: int
    finish_reason: str | None
    "None while it goes on, then 'stop' or 'length'."
    logprob: TokenLogprob | None = None
    "Where the request asked for it."
    num_cached: int = 0
    "Tokens of the prompt that others had read before."
    problem: OutcropError | None = None
    "What broke this request off, in the place of a token."


class Engine:
    """Generates for many requests at once, one token of each per step."""

    def __init__(
        self,
        folder: Path,
        *,
        cache_bytes: int,
        limits: StepLimits | None = None,
        way: RunMode = RunMode.PACKED,
        context: int | None = None,
        weights: WeightPrecision = WeightPrecision.FP32,
        proof: Path | None = None,
        open_file: OpenFile | None = None,
    ) -> None:
        """`context` is its length; None: what the network's configuration says.

        `open_file` opens its weights where they are sealed.

        `proof` is a file that keeps what was proven of this network's step until its files change.

        Raises Invalid where the network cannot be served with such `weights`.
        """
        self.weights = weights
        self._network = load_base(folder, way=way, open_file=open_file)
        self.context_length = context or context_length(folder)
        self.end_ids = _end_ids(folder)
        self._routing = linear.hold_adapters(self._network)
        self._layers = [layer for _, layer in linear.layers(self._network)]
        self._vocab_size = int(self._network.get_input_embeddings().num_embeddings)  # type: ignore[operator]
        limits = limits or _usual_limits(self._network)  # counts weights before they are packed
        self._forward: Forward | SingleRequestForward
        note = ProofNote(proof, folder) if proof is not None else None
        packed = way is RunMode.PACKED
        self._forward, self._cache = self._together(cache_bytes, note) if packed else self._apart(cache_bytes)
        self.grammars = Grammars(folder, self._vocab_size)
        "Compile a request's grammar with these before it is submitted, or a step waits for that."
        self._states: dict[str, GrammarState] = {}  # by request, and not in its place in the cache, which it may lose
        self._ended: list[str] = []
        "Requests whose last tokens the step before has given."
        self._scheduler = Scheduler(self._cache, limits, rotary_rules_of(self._network))
        self._versions: dict[str, str] = {}  # adapter name -> the key under which its layers hold it now
        self._held: set[str] = set()
        self._users: Counter[str] = Counter()  # requests that have not ended, by the version they use
        self._num_loaded = 0

    def _together(self, cache_bytes: int, note: ProofNote | None) -> tuple[Forward, KVCache]:
        measures = measure(self._network)
        forward = Forward(self._network, self._routing, measures, weights=self.weights, note=note)
        cache = KVCache(measures.layers, like=measures.like, context_length=self.context_length, max_bytes=cache_bytes)
        return forward, cache

    def _apart(self, cache_bytes: int) -> tuple[SingleRequestForward, KVCache]:
        """The shelves hold nothing then: they count what the requests' own caches may take."""
        if self.weights is not WeightPrecision.FP32:
            raise Invalid(f"Weights in {self.weights} are for networks that share a row. Serve this with its own.")
        lay_out_for_decoding(self._network)
        forward = SingleRequestForward(self._network, self._routing)
        cache = KVCache(
            [],
            like=torch.empty(0),
            context_length=self.context_length,
            max_bytes=cache_bytes,
            position_bytes=forward.position_bytes(),
        )
        return forward, cache

    @property
    def adapters(self) -> list[str]:
        return sorted(self._versions)

    @property
    def dtype(self) -> str:
        """The dtype in which the network computes, by torch's name; int8 where its weights are rounded to it."""
        if self.weights is WeightPrecision.INT8:
            return self.weights.value
        dtypes = (weight.dtype for weight in self._network.parameters() if weight.is_floating_point())
        return str(next(dtypes)).removeprefix("torch.")

    @property
    def busy(self) -> bool:
        """Whether a step would do anything."""
        return self._scheduler.busy

    @property
    def cache_figures(self) -> CacheFigures:
        return self._scheduler.figures()

    def submit(self, request: EngineRequest) -> None:
        """Queue a generation; its tokens come out of the steps.

        What would go beyond the context ends there, as 'length'. Raises NotFound for an unknown adapter, Invalid when
        the prompt leaves no room for an answer.
        """
        self._check_ids(request.prompt_ids)
        self._check_bias(request)
        room = self.context_length - len(request.prompt_ids)
        if room < 1:
            raise Invalid(
                f"prompt: {len(request.prompt_ids)} tokens leave no room for an answer in this model's context of "
                f"{self.context_length} tokens. Shorten the prompt."
            )
        fitted = replace(
            request, adapter=self._version(request.adapter), max_tokens=max(1, min(request.max_tokens, room))
        )
        if not self._cache.could_hold(fitted.num_reserved):
            raise Invalid(
                f"max_tokens: {len(request.prompt_ids)} prompt tokens and {fitted.max_tokens} more exceed this "
                "engine's cache. Lower max_tokens, or give the engine a larger cache."
            )
        if request.grammar is not None:
            self._states[request.id] = self.grammars.begin(request.grammar)
        self._scheduler.submit(fitted)
        if fitted.adapter is not None:
            self._users[fitted.adapter] += 1

    @torch.inference_mode()  # as `step`: what the cache holds may be changed only there
    def abort(self, request_id: str) -> None:
        """End a request now; nothing happens when it has already ended."""
        ended = self._scheduler.end(request_id)
        if ended is not None and ended.adapter is not None:
            self._users[ended.adapter] -= 1
            self._forget_unused_adapters()
        self._states.pop(request_id, None)

    @torch.inference_mode()
    def step(self) -> list[StepResult]:
        """Run one forward pass over the next tokens of all requests.

        Returns what it produced, in no particular order.
        """
        self._leave_ended()
        if not (planned := self._scheduler.plan()):
            return []
        turns = in_row_order(planned)
        sampling = [turn.live for turn in turns if turn.samples]
        logits_NV = self._forward(turns)
        for turn in turns:
            turn.live.slot.length += turn.num_tokens
        if not sampling:
            return []
        produced = self._sampled(logits_NV, sampling)
        self._ended = [p.request_id for p in produced if p.finish_reason is not None or p.problem is not None]
        return produced

    def _leave_ended(self) -> None:
        """Put away what ended with the step before, whose last tokens have gone out by now.

        The last row first: none has to move to another one's place.
        """
        ended, self._ended = self._ended, []
        for request_id in reversed(ended):
            self.abort(request_id)

    def _sampled(self, logits_NV: Tensor, sampling: Sequence[RunningRequest]) -> list[StepResult]:
        """The next token of each request, or what keeps it from having one."""
        rows: list[SamplingRow] = []
        broken: dict[str, ModelFailed] = {}
        for live in sampling:
            try:
                rows.append(self._row(live))
            except ModelFailed as problem:
                broken[live.request.id] = problem
                rows.append(live.sampling_row)
        return [
            StepResult(live.request.id, token, None, problem=broken[live.request.id])
            if live.request.id in broken
            else self._taken(live, token, logprob_of(token, logits_V, live.request.logprobs))
            for live, token, logits_V in zip(sampling, sample(logits_NV, rows), logits_NV, strict=True)
        ]

    def _row(self, live: RunningRequest) -> SamplingRow:
        state = self._states.get(live.request.id)
        if state is None:
            return live.sampling_row
        allowed = state.allowed(live.request.stop_token_ids)
        if not allowed.any():
            raise ModelFailed("No token of this model's vocabulary can go on in the form that the answer must have.")
        return live.sampling_row._replace(allowed=allowed)

    def _taken(self, live: RunningRequest, token: int, logprob: TokenLogprob | None) -> StepResult:
        """The result of a token, which the request goes on with; an answer whose form is complete ends."""
        reason = live.append(token)
        state = self._states.get(live.request.id)
        if state is not None and reason != STOP:
            try:
                reason = STOP if state.take(token) else reason
            except ModelFailed as problem:
                return StepResult(live.request.id, token, None, problem=problem)
        return StepResult(live.request.id, token, reason, logprob, num_cached=live.num_cached or 0)

    def score(self, ids: Sequence[int], adapter: str | None = None) -> list[float]:
        """Log probability of ids[1:], each given all before it, as the trainer computes it."""
        return [one.logprob for one in self.score_tokens(ids, adapter)]

    def score_tokens(self, ids: Sequence[int], adapter: str | None = None, *, likeliest: int = 0) -> list[TokenLogprob]:
        """Log probability of ids[1:] with so many of the likeliest tokens in the place of each. Raises Invalid."""
        self._check_ids(ids)
        if len(ids) > self.context_length:
            raise Invalid(f"prompt: {len(ids)} tokens exceed this model's context of {self.context_length} tokens.")
        self._routing.spans = [AdapterSpan(0, len(ids), self._version(adapter))]
        return scoring.score_tokens(self._network, ids, likeliest=min(likeliest, self._vocab_size))

    def embedding_passes(self, rows: Sequence[Sequence[int]], most_tokens: int) -> list[Sequence[Sequence[int]]]:
        """Rows whose hidden states are asked for, cut into what one pass reads. Raises Invalid."""
        for ids in rows:
            self._check_ids(ids)
            if len(ids) > self.context_length:
                raise Invalid(f"input: {len(ids)} tokens exceed this model's context of {self.context_length} tokens.")
        return list(hidden_states.passes(self._network, rows, most_tokens))

    def mean_hidden_states(self, rows: Sequence[Sequence[int]], adapter: str | None = None) -> list[Vector]:
        """The mean hidden state of each of the rows of one pass."""
        return hidden_states.mean(self._network, self._routing, rows, self._version(adapter))

    def load_adapter(self, name: str, folder: Path, *, open_file: OpenFile | None = None) -> None:
        """Take an adapter from disk. One of the same name is replaced; what runs with the old one ends with it.

        `open_file` opens its weights where they are sealed.
        Raises ModelDamaged for one that cannot be taken.
        """
        self._num_loaded += 1
        version = f"{name}#{self._num_loaded}"
        try:
            adapter_files.load(self._network, version, folder, open_file=open_file)
        except Exception as problem:
            linear.unload(self._network, version)
            raise ModelDamaged(f"The adapter cannot be served by this base model: {_said(problem)}") from problem
        for layer in self._layers:
            if (update := layer.updates.get(version)) is not None:
                layer.updates[version] = update.served(layer.base)
        self._versions[name] = version
        self._held.add(version)
        self._forget_unused_adapters()

    def unload_adapter(self, name: str) -> None:
        """No new request finds it; its weights go when the last one that uses it ends. NotFound when there is none."""
        self._version(name)
        del self._versions[name]
        self._forget_unused_adapters()

    def abort_all(self) -> list[str]:
        """End everything, after a step that failed; the ids of what ended."""
        ids = [request.id for request in self._scheduler.requests]
        for request_id in ids:
            self.abort(request_id)
        return ids

    def _check_ids(self, ids: Sequence[int]) -> None:
        # An id beyond the embedding would break the step, and with it everybody else's answer.
        if not ids:
            raise Invalid("prompt: is empty. Give it at least one token id.")
        if not 0 <= min(ids) <= max(ids) < self._vocab_size:
            raise Invalid(f"prompt: a token id is not in 0 to {self._vocab_size - 1}. Use this model's tokenizer.")

    def _check_bias(self, request: EngineRequest) -> None:
        for token in request.sampling.logit_bias:
            if not 0 <= token < self._vocab_size:
                raise Invalid(f"logit_bias: token id {token} is not in 0 to {self._vocab_size - 1}.")

    def _version(self, adapter: str | None) -> str | None:
        if adapter is None:
            return None
        if adapter not in self._versions:
            raise NotFound(f"The adapter {adapter!r} is not loaded.")
        return self._versions[adapter]

    def _forget_unused_adapters(self) -> None:
        self._users = +self._users  # without those that nobody uses any more
        used = set(self._versions.values()) | self._users.keys()
        for version in self._held - used:
            linear.unload(self._network, version)
            self._cache.forget(version)
            self._forward.forget(version)
        self._held &= used


def _usual_limits(network: nn.Module) -> StepLimits:
    weights = list(network.parameters())
    return StepLimits.of_size(sum(x.numel() for x in weights), on_cpu=weights[0].device.type == "cpu")


def _said(problem: Exception) -> str:
    """The reason why an adapter cannot be loaded, for a customer, who need not know where the files lie."""
    if isinstance(problem, OutcropError):
        return problem.message
    if isinstance(problem, OSError):
        return f"{WEIGHTS_FILE} cannot be read ({problem.strerror})."
    if isinstance(problem, SafetensorError):
        return f"{WEIGHTS_FILE} is damaged ({problem})."
    _log.error("an adapter cannot be loaded", exc_info=problem)
    return "it cannot be loaded, and the engine's log has the details."


def _end_ids(folder: Path) -> frozenset[int]:
    """The ids that end a text by themselves, from generation_config.json, else config.json."""
    for name in ("generation_config.json", "config.json"):
        path = folder / name
        found = json.loads(path.read_text("utf-8")).get("eos_token_id") if path.is_file() else None
        if found is not None:
            return frozenset(found if isinstance(found, list) else [found])
    return frozenset()
