"""Rotary positions that depend on a sequence's length: each is as if alone, whatever shares its row or its step."""

import copy
import random
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from outcrop.errors import Invalid
from outcrop.inference.engine import Engine
from outcrop.inference.forward import Forward
from outcrop.inference.request import EngineRequest
from outcrop.inference.scheduler import StepLimits
from outcrop.network import facts, load, rotary_lengths
from outcrop.network.attention import Packed
from outcrop.network.rotary_lengths import RotaryRule
from outcrop.network.run_mode import RunMode
from outcrop.training.stepping import compute_gradient
from tests.numerics.test_engine import generate, prompts
from tests.numerics.test_lanes import on
from tests.numerics.test_training_loss import example, padded_loss
from tests.support.tiny import (
    CONTEXT_LENGTH,
    DYNAMIC_ROPE,
    LENGTH_DEPENDENT,
    LONGROPE,
    SHORT_CONTEXT,
    SIZES,
    tiny_model,
)

pytestmark = pytest.mark.usefixtures("one_thread")

LENGTHS = [10, SHORT_CONTEXT, 60, SHORT_CONTEXT + 1, 7, 140]
SHORT = {"max_position_embeddings": SHORT_CONTEXT}
LAYERS = {"sliding_attention": {"rope_type": "default", "rope_theta": 10000.0}, "full_attention": LONGROPE}
DYNAMIC_LAYERS = {"sliding_attention": DYNAMIC_ROPE, "full_attention": LONGROPE}
KINDS = {"num_hidden_layers": 4, "head_dim": 16, "sliding_window": 16, "layer_types": [*LAYERS] * 2}
OLD = {"type": "longrope", "short_factor": LONGROPE["short_factor"], "long_factor": LONGROPE["long_factor"]}
PARTIAL = {
    **LONGROPE, "partial_rotary_factor": 0.5, "short_factor": [1.0, 1.1, 1.2, 1.3], "long_factor": [2.0, 3.0, 5.0, 9.0],
}  # fmt: skip
EXPERTS = {"num_local_experts": 4, "num_experts_per_tok": 2}
LATENT = {
    "num_key_value_heads": 4, "q_lora_rank": 32, "kv_lora_rank": 16, "qk_nope_head_dim": 16, "qk_rope_head_dim": 16,
    "v_head_dim": 16,
}  # fmt: skip
NETWORKS: dict[str, Callable[[], Any]] = {
    "phi3": LENGTH_DEPENDENT["phi3_longrope"],
    "phi3, as files say it": lambda: transformers.Phi3Config(
        **SIZES, rope_scaling=dict(OLD), original_max_position_embeddings=SHORT_CONTEXT
    ),
    "phi3, partial": lambda: transformers.Phi3Config(
        **SIZES, rope_parameters=dict(PARTIAL), original_max_position_embeddings=SHORT_CONTEXT
    ),
    "phimoe": lambda: transformers.PhimoeConfig(
        **SIZES, **EXPERTS, rope_parameters={**LONGROPE, "long_mscale": 1.3, "short_mscale": 1.1}
    ),
    "minicpm3": lambda: transformers.MiniCPM3Config(**SIZES | LATENT, rope_parameters=dict(LONGROPE)),
    "qwen3, attention factor": lambda: transformers.Qwen3Config(
        **SIZES, head_dim=16, rope_parameters={**LONGROPE, "attention_factor": 1.2}
    ),
    "gemma3": lambda: transformers.Gemma3TextConfig(**SIZES | KINDS, rope_parameters=dict(LAYERS)),
    "gemma3, two kinds": lambda: transformers.Gemma3TextConfig(
        **SIZES | KINDS | SHORT, rope_parameters=dict(DYNAMIC_LAYERS)
    ),
    "llama, dynamic": LENGTH_DEPENDENT["llama_dynamic"],
    "mistral, dynamic": lambda: transformers.MistralConfig(
        **SIZES | SHORT, sliding_window=16, rope_parameters=dict(DYNAMIC_ROPE)
    ),
}


@pytest.fixture
def one_thread() -> None:
    torch.set_num_threads(1)


def written(name: str, folder: Path) -> Path:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        transformers.AutoModelForCausalLM.from_config(NETWORKS[name]()).save_pretrained(folder)
    return folder


@cache
def loaded(folder: Path) -> Any:
    return transformers.AutoModelForCausalLM.from_pretrained(folder)


def alone(folder: Path, ids: Sequence[int]) -> torch.Tensor:
    """Logits by `transformers`, whose modules remember earlier lengths: anew for each sequence."""
    network = copy.deepcopy(loaded(folder))
    with torch.no_grad():
        return network(torch.tensor([list(ids)])).logits[0]  # type: ignore[no-any-return]


def plainly(folder: Path, ids: Sequence[int], num: int) -> list[int]:
    """Greedy tokens by a full forward for each."""
    made = list(ids)
    for _ in range(num):
        made.append(int(alone(folder, made)[-1].argmax()))
    return made[len(ids) :]


def assert_as_alone(found: torch.Tensor, expected: torch.Tensor) -> None:
    """Within the rounding of sums as large as the largest logit, whichever way a processor adds them."""
    torch.testing.assert_close(found, expected, atol=max(1e-5, 1e-6 * float(expected.abs().max())), rtol=0)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_record_in_a_row_is_as_if_alone(name: str, tmp_path: Path) -> None:
    folder = written(name, tmp_path)
    network = load.load_base(folder)
    assert {rule.border for rule in rotary_lengths.rotary_rules_of(network).rules} == {SHORT_CONTEXT}
    records = prompts(LENGTHS)
    layout = Packed(lengths=LENGTHS)
    ids_1T = torch.tensor([[token for record in records for token in record]])
    with torch.no_grad():
        logits_TV = load.logits(network, ids_1T, layout.positions(), layout, at_N=torch.arange(sum(LENGTHS)))
    for record, found in zip(records, torch.split(logits_TV, LENGTHS), strict=True):
        assert_as_alone(found, alone(folder, record))


@pytest.mark.parametrize("name", ["phi3", "gemma3, two kinds", "llama, dynamic"])
def test_a_network_of_one_record_a_row_remembers_no_earlier_row(name: str, tmp_path: Path) -> None:
    folder = written(name, tmp_path)
    network = load.load_base(folder, way=RunMode.ONE_RECORD_A_ROW)
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    for record in prompts([140, 30, 10, 60]):
        layout = Packed(lengths=[len(record)])
        with torch.no_grad():
            row = torch.tensor([record]), layout.positions(), layout
            found = load.logits(network, *row, at_N=torch.arange(len(record)))
        assert_as_alone(found, alone(folder, record))
    # nor is anything changed that other replicas share
    assert all(torch.equal(buffer, before[name]) for name, buffer in network.named_buffers())


@pytest.mark.parametrize("name", ["phi3", "phimoe", "gemma3, two kinds", "llama, dynamic"])
def test_answers_that_cross_the_border_are_those_of_a_plain_forward(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an engine that reads prompts in chunks
    folder = written(name, tmp_path)
    limits = StepLimits(max_live=4, prompt_tokens_alone=20, prompt_tokens_beside_decoding=9)
    monkeypatch.setattr("outcrop.inference.engine.context_length", lambda _: 256)
    engine = Engine(folder, cache_bytes=2**24, limits=limits)
    # when sequences that stay short, cross the border at once, on the way, and are long from the start, share its steps
    lengths = [5, SHORT_CONTEXT, SHORT_CONTEXT - 4, 43, SHORT_CONTEXT - 1]
    requests = [
        EngineRequest(id=str(number), prompt_ids=ids, max_tokens=6)
        for number, ids in enumerate(prompts(lengths, seed=3))
    ]
    expected = [plainly(folder, request.prompt_ids, request.max_tokens) for request in requests]
    # then each answers as if alone, however they meet
    assert generate(engine, requests, apart=2) == expected
    assert [generate(engine, [request])[0] for request in requests] == expected


def test_a_step_of_a_sequence_beyond_the_border_is_never_a_replayed_one(tmp_path: Path) -> None:
    engine = Engine(written("phi3", tmp_path), cache_bytes=2**24)
    replayed: list[int] = []
    assert isinstance(engine._forward, Forward)
    traced = engine._forward._traced
    assert traced is not None, "short sequences are worth it"
    logits = traced.logits
    traced.logits = lambda *told: (replayed.append(told[1][0][1] + 1), logits(*told))[1]  # type: ignore[method-assign, func-returns-value]
    generate(engine, [EngineRequest(id="a", prompt_ids=prompts([SHORT_CONTEXT - 5])[0], max_tokens=12)])
    assert replayed == list(range(SHORT_CONTEXT - 4, SHORT_CONTEXT + 1))


@pytest.mark.parametrize("name", ["phi3", "llama, dynamic"])
def test_a_text_scores_as_in_transformers(name: str, tmp_path: Path) -> None:
    folder = written(name, tmp_path)
    engine = Engine(folder, cache_bytes=2**24)
    for ids in prompts([SHORT_CONTEXT, 100, SHORT_CONTEXT + 1]):
        logprobs_TV = alone(folder, ids).log_softmax(-1)[:-1]
        wanted = logprobs_TV.gather(1, torch.tensor(ids[1:]).unsqueeze(1)).squeeze(1)
        torch.testing.assert_close(torch.tensor(engine.score(ids)), wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("architecture", ["phi3_longrope", "llama_dynamic"])
@pytest.mark.parametrize("threads", [1, 3])
def test_a_step_learns_from_each_record_as_if_alone(architecture: str, threads: int, tmp_path: Path) -> None:
    base = tiny_model(tmp_path / "base", architecture)
    batch = [example(random.Random(length), length) for length in (40, 7, SHORT_CONTEXT, 23, 31, SHORT_CONTEXT + 1)]
    trained = on(threads, base, tmp_path)
    losses = [compute_gradient(trained, batch, token_budget=budget) for budget in (1, 64, 1000)]
    assert losses == pytest.approx([losses[0]] * 3, abs=1e-6)
    # and, without its adapter, as in transformers
    trained.weights.put(torch.zeros_like(trained.weights.vector))  # type: ignore[union-attr]
    found = compute_gradient(trained, batch, token_budget=1000)
    with torch.no_grad():
        sums = [float(padded_loss(copy.deepcopy(loaded(base)), [one])) * one.num_supervised for one in batch]
    assert found == pytest.approx(sum(sums) / sum(one.num_supervised for one in batch), abs=1e-6)


def test_dynamic_scaling_makes_room_for_longer_texts(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path, "llama_dynamic")
    assert load.context_length(folder) == facts.read(folder).context == 8 * SHORT_CONTEXT
    assert load.context_length(tiny_model(tmp_path / "other", "phi3_longrope")) == CONTEXT_LENGTH


def test_other_networks_are_left_as_they_are(tmp_path: Path) -> None:
    network = load.load_base(tiny_model(tmp_path, "llama3"))
    assert rotary_lengths.rotary_rules_of(network).rules == ()
    assert type(network.model.rotary_emb).__name__ == "LlamaRotaryEmbedding"  # type: ignore[union-attr]


def test_a_border_stands_for_all_that_is_shorter() -> None:
    longrope, dynamic = RotaryRule(border=24, grows=False), RotaryRule(border=24, grows=True)
    assert [longrope.alike(length) for length in (1, 24, 25, 90)] == [24, 24, 25, 25]
    assert [dynamic.alike(length) for length in (1, 24, 25, 90)] == [24, 24, 25, 90]


def test_a_dependence_that_is_not_known_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A family's own rotary embedding, or a newer transformers', might depend on the length like this."""
    theirs = transformers.models.llama.modeling_llama.LlamaRotaryEmbedding.forward

    def forward(self: Any, x: torch.Tensor, position_ids: torch.Tensor) -> Any:
        cos, sin = theirs(self, x, position_ids)
        return cos * position_ids.max().clamp(min=100).log(), sin

    monkeypatch.setattr(transformers.models.llama.modeling_llama.LlamaRotaryEmbedding, "forward", forward)
    with pytest.raises(Invalid, match="depend on the length of the sequence in a way that is not known here"):
        load.load_base(tiny_model(tmp_path, "llama"))
