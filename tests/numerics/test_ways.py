"""Networks that cannot be packed are trained and served one record a row, and compute what `transformers` computes."""

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM

from outcrop.inference.engine import Engine
from outcrop.inference.request import EngineRequest
from outcrop.inference.scheduler import StepLimits
from outcrop.network import load
from outcrop.network.adapters import adapter_files, linear
from outcrop.network.adapters.method import Full, LoRA, Method
from outcrop.network.attention import Packed
from outcrop.network.run_mode import RunMode
from outcrop.training import finetune, loop
from outcrop.training.data_parallel.ranks import ALONE
from outcrop.training.data_parallel.row_schedule import plan
from outcrop.training.examples import ADAPTER, Example
from outcrop.training.metrics import Hooks
from outcrop.training.settled import settled
from outcrop.training.stepping import Trained, compute_gradient
from outcrop.training.task import TrainingHyper
from tests.numerics.test_training_loss import example
from tests.support.products import product
from tests.support.tiny import small_family
from tests.support.training_runs import HELD_OUT, task

LENGTHS = [30, 7, 23, 12, 23]
ONE = RunMode.ONE_RECORD_A_ROW
LORA = LoRA(rank=4, alpha=8)
CLOSE = 2e-4  # of sums of some dozens of nats in fp32


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made: dict[str, Path] = {}

    class Made(dict[str, Path]):
        def __missing__(self, family: str) -> Path:
            self[family] = small_family(tmp_path_factory.mktemp(family) / "model", family)
            return self[family]

    return Made(made)


def trained(base: Path, folder: Path, *, threads: int = 1, method: Method = LORA) -> Trained:
    """An adapter whose every weight is random."""
    hyper = TrainingHyper(epochs=1, batch_size=8, learning_rate=1e-2, method=method, threads=threads)
    asked = replace(task(base, folder, hyper=hyper), way=ONE, context_length=256)
    with settled(hyper, ALONE):
        made, _ = loop.load_trained(asked, ALONE)
    made.weights.put(torch.randn(made.weights.num_weights, generator=torch.Generator().manual_seed(0)) * 0.05)
    return made


def batch() -> list[Example]:
    generator = random.Random(5)
    return [example(generator, length) for length in LENGTHS]


def gradient_of(made: Trained, examples: Sequence[Example]) -> tuple[float, Tensor]:
    """Sums over the supervised tokens."""
    num = sum(one.num_supervised for one in examples)
    loss = compute_gradient(made, examples, token_budget=64)
    gradient = made.weights.vector.grad  # type: ignore[union-attr]
    assert gradient is not None
    return loss * num, gradient.clone() * num


@pytest.mark.parametrize(
    ("family", "threads"),
    product(["lfm2", "mamba2", "qwen3_next", "gpt_oss", "codegen"], [1, 2], daily=lambda _, threads: threads == 2),
)
def test_a_step_over_several_records_is_the_sum_of_each_alone(
    bases: dict[str, Path], tmp_path: Path, family: str, threads: int
) -> None:
    made = trained(bases[family], tmp_path, threads=threads)
    together, gradient = gradient_of(made, batch())
    alone = [gradient_of(made, [one]) for one in batch()]
    assert together == pytest.approx(sum(loss for loss, _ in alone), rel=CLOSE)
    expected = torch.stack([found for _, found in alone]).sum(0)
    torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize("family", ["lfm2", "gptj", "gpt_oss", "qwen3_next"])
def test_the_loss_is_that_of_transformers_with_the_adapter_merged(
    bases: dict[str, Path], tmp_path: Path, family: str
) -> None:
    made = trained(bases[family], tmp_path)
    found, _ = gradient_of(made, batch())
    adapter_files.save(tmp_path / "adapter", made.network, ADAPTER, LORA, base="tiny")
    theirs: Any = AutoModelForCausalLM.from_pretrained(bases[family], dtype=torch.float32).eval()
    linear.hold_adapters(theirs)
    adapter_files.load(theirs, "learnt", tmp_path / "adapter")
    linear.merge(theirs, "learnt")
    with torch.no_grad(), linear.bare(theirs):
        losses = [
            cross_entropy(theirs(input_ids=one.ids_T.unsqueeze(0)).logits[0, one.at_N], one.target_N, reduction="sum")
            for one in batch()
        ]
    assert found == pytest.approx(float(sum(losses)), rel=CLOSE)


@pytest.mark.parametrize("threads", [1, 3])
def test_every_row_of_a_plan_has_one_record(threads: int) -> None:
    schedule = plan(LENGTHS, 64, threads=threads, most_replicas=8, way=ONE)
    assert [len(row.records) for row in schedule.rows] == [1] * len(LENGTHS)
    assert sorted(row.records[0] for row in schedule.rows) == list(range(len(LENGTHS)))


def test_a_network_of_one_record_a_row_takes_no_more(bases: dict[str, Path]) -> None:
    network = load.load_base(bases["lfm2"], way=ONE)
    layout = Packed(lengths=[3, 4])
    with pytest.raises(AssertionError, match="one record a row"):
        load.logits(network, torch.zeros(1, 7, dtype=torch.long), layout.positions(), layout, at_N=torch.arange(7))


def greedy(network: Any, prompt: Sequence[int], num: int) -> list[int]:
    """By a full forward pass of transformers for each token."""
    ids = list(prompt)
    with torch.no_grad():
        for _ in range(num):
            ids.append(int(network(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[len(prompt) :]


@pytest.mark.parametrize("family", ["lfm2", "mamba", "falcon", "gpt_oss", "recurrent_gemma"])
def test_requests_beside_each_other_are_answered_as_transformers_answers_each(
    bases: dict[str, Path], family: str
) -> None:
    theirs: Any = AutoModelForCausalLM.from_pretrained(bases[family], dtype=torch.float32).eval()
    prompts = [[9, 50, 7, 200, 31], [300, 12, 44] * 9, [17] * 2]
    limits = StepLimits(prompt_tokens_alone=8, prompt_tokens_beside_decoding=3)
    engine = Engine(bases[family], cache_bytes=2**24, limits=limits, way=ONE, context=256)
    found: dict[str, list[int]] = {}
    for number, prompt in enumerate(prompts):
        engine.submit(EngineRequest(id=str(number), prompt_ids=tuple(prompt), max_tokens=10))
        for made in engine.step():
            found.setdefault(made.request_id, []).append(made.token)
    while engine.busy:
        for made in engine.step():
            found.setdefault(made.request_id, []).append(made.token)
    assert found == {str(number): greedy(theirs, prompt, 10) for number, prompt in enumerate(prompts)}


@pytest.mark.parametrize("method", [LORA, Full()], ids=["lora", "full"])
def test_what_a_run_leaves_is_served_as_it_was_trained(bases: dict[str, Path], tmp_path: Path, method: Method) -> None:
    hyper = TrainingHyper(epochs=2, batch_size=4, learning_rate=3e-3, method=method, threads=1)
    asked = replace(task(bases["lfm2"], tmp_path, hyper=hyper, held_out=HELD_OUT), way=ONE)
    result = finetune.train(asked, Hooks())
    assert result.evaluations[-1].loss < result.evaluations[0].loss
    own = isinstance(method, Full)
    engine = Engine(tmp_path / "out" if own else bases["lfm2"], cache_bytes=2**24, way=ONE)
    if not own:
        engine.load_adapter("learnt", tmp_path / "out")
    for sample in json.loads((tmp_path / "out" / "parity.json").read_text())["samples"]:
        assert engine.score(sample["ids"], None if own else "learnt") == pytest.approx(sample["logprobs"], abs=1e-4)


def test_the_cache_of_a_request_counts_and_goes_with_it(bases: dict[str, Path]) -> None:
    engine = Engine(bases["lfm2"], cache_bytes=2**24, way=ONE)
    forward: Any = engine._forward
    assert forward.caches
    assert forward.position_bytes() > 0
    engine.submit(EngineRequest(id="a", prompt_ids=(9, 8, 7), max_tokens=3))
    engine.step()
    assert len(forward._remembered) == 1
    while engine.busy:
        engine.step()
    assert len(forward._remembered) == 0


@pytest.mark.parametrize(("family", "held"), [("falcon", "query_key_value"), ("llama4_text", "q_proj")])
def test_a_familys_own_linear_layer_holds_adapters_and_a_router_does_not(
    bases: dict[str, Path], family: str, held: str
) -> None:
    network = load.load_base(bases[family], way=ONE)
    linear.hold_adapters(network)
    names = {name.rsplit(".", 1)[-1] for name, _ in linear.layers(network)}
    assert held in names
    assert "router" not in names
