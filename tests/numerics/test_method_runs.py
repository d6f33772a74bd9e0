"""Whole runs by every method: what is learned, served as it was trained, and trained further."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file
from torch import nn

from outcrop.deployments import parity
from outcrop.inference.engine import Engine
from outcrop.inference.request import EngineRequest
from outcrop.network import load, parity_file
from outcrop.network.adapters import adapter_files, linear
from outcrop.network.adapters.linear import AdapterSpan, Routing
from outcrop.network.adapters.method import OFT, Full, LoRA, Method
from outcrop.network.attention import Packed
from outcrop.tokens.prompt_format import encode_pair
from outcrop.tokens.tokenizer import Tokenizer
from outcrop.training import finetune, pretrain
from outcrop.training.metrics import Hooks, TrainingResult
from outcrop.training.task import TrainingHyper, TrainingTask
from tests.support.tiny import tiny_model
from tests.support.training_runs import HELD_OUT, RECORDS, task

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")

METHODS: dict[str, tuple[Method, float]] = {  # with a rate that suits it here
    "lora": (LoRA(rank=16, alpha=32), 1e-2),
    "dora": (LoRA(rank=16, alpha=32, decomposed=True), 1e-2),
    "oft": (OFT(block_size=32), 2e-2),
    "full": (Full(), 3e-3),
}
SHORT = TrainingHyper(epochs=1, batch_size=5, learning_rate=5e-3, threads=1)
TEXTS = [{"input": f"The {record['prompt'][12:-1]} is older than the house on the hill."} for record in RECORDS]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module", params=METHODS)
def learned(
    request: pytest.FixtureRequest, base: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[TrainingTask, TrainingResult]:
    """Ten records, learned by heart by one of the methods."""
    method, rate = METHODS[request.param]
    hyper = TrainingHyper(epochs=40, batch_size=5, learning_rate=rate, warmup_steps=5, threads=1, method=method)
    done = task(base, tmp_path_factory.mktemp(request.param), hyper=hyper)
    return done, finetune.train(done, Hooks())


def ids_of(tokenizer: Tokenizer) -> list[tuple[list[int], list[int]]]:
    pairs = [encode_pair(tokenizer, record["prompt"], record["completion"]) for record in RECORDS]
    return [(pair.prompt_ids, pair.completion_ids) for pair in pairs]


def answers(engine: Engine, adapter: str | None, prompts: list[list[int]]) -> list[list[int]]:
    made: list[list[int]] = [[] for _ in prompts]
    for number, ids in enumerate(prompts):
        engine.submit(
            EngineRequest(
                id=str(number), prompt_ids=tuple(ids), max_tokens=40, adapter=adapter, stop_token_ids=engine.end_ids
            )
        )
    while engine.busy:
        for produced in engine.step():
            made[int(produced.request_id)].append(produced.token)
    return made


def test_ten_records_are_learned_by_heart_and_served(learned: tuple[TrainingTask, TrainingResult], base: Path) -> None:
    done, result = learned
    assert result.training_loss < 0.2 < result.step_metrics[0].loss
    # Given an engine with what was trained, whether an adapter or a network of its own
    is_full = isinstance(done.hyper.method, Full)
    engine = Engine(done.output_dir if is_full else base, cache_bytes=2**24)
    if not is_full:
        engine.load_adapter("learned", done.output_dir)
    adapter = None if is_full else "learned"
    # then it gives the trainer's own log probabilities
    for sample in parity_file.read(done.output_dir).samples:
        assert engine.score(sample.ids, adapter) == pytest.approx(sample.logprobs, abs=1e-4)
    # and says every record to its end
    pairs = ids_of(Tokenizer.open(base))
    assert answers(engine, adapter, [prompt for prompt, _ in pairs]) == [completion for _, completion in pairs]


def test_merged_it_answers_as_beside_the_base_and_as_in_peft(
    learned: tuple[TrainingTask, TrainingResult], base: Path
) -> None:
    done, _ = learned
    ids = [*ids_of(Tokenizer.open(base))[3][0], 17, 40, 99]
    reference: Any = transformers.AutoModelForCausalLM
    if isinstance(done.hyper.method, Full):
        found = logits(load.load_base(done.output_dir), Routing(), ids)
        wanted = reference.from_pretrained(done.output_dir)(torch.tensor([ids])).logits[0]
        torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)
        return
    network = load.load_base(base)
    routing = linear.hold_adapters(network)
    adapter_files.load(network, "learned", done.output_dir)
    beside = logits(network, routing, ids, "learned")
    linear.merge(network, "learned")
    torch.testing.assert_close(logits(network, routing, ids), beside, atol=1e-4, rtol=1e-4)
    theirs = peft.PeftModel.from_pretrained(reference.from_pretrained(base), done.output_dir)
    torch.testing.assert_close(theirs(torch.tensor([ids])).logits[0], beside, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(theirs.merge_and_unload()(torch.tensor([ids])).logits[0], beside, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def logits(network: nn.Module, routing: Routing, ids: list[int], adapter: str | None = None) -> torch.Tensor:
    layout = Packed(lengths=[len(ids)])
    routing.spans = [AdapterSpan(0, len(ids), adapter)]
    return load.logits(network, torch.tensor([ids]), layout.positions(), layout, at_N=torch.arange(len(ids)))


def further(
    before: TrainingTask, folder: Path, method: Method, *, customization: Any = "FINE_TUNING", owner: str | None = None
) -> TrainingTask:
    """A task that goes on from what `before` left, as a job on a custom model does."""
    is_adapter = (before.output_dir / "adapter_config.json").is_file()
    below = next(before.output_dir.glob("base-*"), before.base_dir) if is_adapter else before.output_dir
    made = task(
        below,
        folder,
        hyper=replace(SHORT, method=method),
        records=TEXTS if customization == "CONTINUED_PRE_TRAINING" else RECORDS,
        held_out=TEXTS[:2] if customization == "CONTINUED_PRE_TRAINING" else HELD_OUT,
        parent=before.output_dir if is_adapter else None,
        customization=customization,
    )
    return replace(made, base_owner=owner)


def test_pre_training_five_times_and_then_fine_tuning_is_still_one_adapter(base: Path, tmp_path: Path) -> None:
    # Given a base that is trained further on texts, five times over
    method = LoRA(rank=4, alpha=8)
    hyper = replace(SHORT, method=method)
    last = task(
        base, tmp_path / "0", hyper=hyper, records=TEXTS, held_out=TEXTS[:2], customization="CONTINUED_PRE_TRAINING"
    )
    losses = [pretrain.train(last, Hooks()).validators[0].custom.loss]
    for number in range(1, 5):
        last = further(last, tmp_path / str(number), method, customization="CONTINUED_PRE_TRAINING")
        result = pretrain.train(last, Hooks())
        assert result.notes == ("lora of rank 4 and alpha 8, from the custom model that is trained further",)
        losses.append(result.validators[0].custom.loss)
    # when it is then fine-tuned
    last = further(last, tmp_path / "5", method)
    result = finetune.train(last, Hooks())
    # then there is one small adapter on the first base, which begins where the last one ended
    assert {path.name for path in last.output_dir.iterdir()} == {
        "adapter_config.json", "adapter_model.safetensors", "parity.json"
    }  # fmt: skip
    assert losses == sorted(losses, reverse=True)
    network = load.load_base(base)
    routing = linear.hold_adapters(network)
    adapter_files.load(network, "trained", last.parent_adapter or Path())
    assert result.validators[0].base.loss == pytest.approx(score_of(network, routing), abs=1e-6)


def score_of(network: nn.Module, routing: Routing) -> float:
    """The mean loss over HELD_OUT, computed plainly."""
    tokenizer = Tokenizer.open(Path(network.config._name_or_path))  # type: ignore[union-attr, arg-type]
    nll, count = 0.0, 0
    for record in HELD_OUT:
        pair = encode_pair(tokenizer, record["prompt"], record["completion"])
        ids = pair.prompt_ids + pair.completion_ids
        logprobs_TV = logits(network, routing, ids, "trained").log_softmax(-1)
        first = len(pair.prompt_ids)
        nll -= sum(float(logprobs_TV[at - 1, ids[at]]) for at in range(first, len(ids)))
        count += len(pair.completion_ids)
    return nll / count


CHAINS = [
    (LoRA(rank=4, alpha=8), LoRA(rank=4, alpha=8, decomposed=True)),
    (LoRA(rank=4, alpha=8), LoRA(rank=8, alpha=8)),
    (OFT(block_size=16), Full()),
    (Full(), LoRA(rank=4, alpha=8)),
]


@pytest.mark.parametrize(("first", "second"), CHAINS, ids=str)
def test_another_method_begins_on_the_network_that_the_custom_model_is(
    first: Method, second: Method, base: Path, tmp_path: Path
) -> None:
    # Given a custom model trained by one method
    before = task(base, tmp_path / "first", hyper=replace(SHORT, method=first), held_out=HELD_OUT)
    ended = finetune.train(before, Hooks()).validators[0].custom.loss
    # when it is trained further by another
    owner = "first" if isinstance(first, Full) else None
    after = further(before, tmp_path / "second", second, owner=owner)
    result = finetune.train(after, Hooks())
    # then it begins where the first ended, and what it leaves is whole without the first
    assert result.validators[0].base.loss == pytest.approx(ended, abs=1e-5)
    assert result.validators[0].custom.loss != result.validators[0].base.loss
    for path in before.output_dir.iterdir():
        path.unlink()
    own = {path.name for path in after.output_dir.iterdir() if path.name.startswith("base-")}
    assert own == (set() if isinstance(second, Full) else {f"base-{owner or 'out'}"})
    engine = Engine(after.output_dir / own.pop() if own else after.output_dir, cache_bytes=2**24)
    adapter = None
    if not isinstance(second, Full):
        adapter = "second"
        engine.load_adapter(adapter, after.output_dir)
    for sample in parity_file.read(after.output_dir).samples:
        assert engine.score(sample.ids, adapter) == pytest.approx(sample.logprobs, abs=1e-4)


def test_an_adapter_that_goes_on_keeps_the_network_of_its_own(base: Path, tmp_path: Path) -> None:
    whole = task(base, tmp_path / "whole", hyper=replace(SHORT, method=Full()))
    finetune.train(whole, Hooks())
    first = further(whole, tmp_path / "first", LoRA(rank=4, alpha=8), owner="whole")
    finetune.train(first, Hooks())
    second = further(first, tmp_path / "second", LoRA(rank=4, alpha=8), owner="whole")
    finetune.train(second, Hooks())
    shared = "base-whole/model.safetensors"
    assert (first.output_dir / shared).samefile(second.output_dir / shared)  # one file on the disk, however many models


def test_tied_weights_stay_tied_when_all_of_them_are_trained(tmp_path: Path) -> None:
    base = tiny_model(tmp_path / "base", "gemma2")
    done = task(base, tmp_path / "run", hyper=replace(SHORT, method=Full()))
    finetune.train(done, Hooks())
    network: Any = load.load_base(done.output_dir)
    assert network.lm_head.weight is network.model.embed_tokens.weight
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (base, done.output_dir)]
    assert abs(sizes[0] - sizes[1]) < 1000


def test_weights_served_in_16_bits_are_compared_in_16_bits(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU, where training in full is in 32 bits."""
    monkeypatch.setattr(load, "serving_dtype", lambda: torch.bfloat16)
    done = task(base, tmp_path, hyper=replace(SHORT, method=Full()))
    finetune.train(done, Hooks())
    engine = Engine(done.output_dir, cache_bytes=2**24)
    expected = parity_file.read(done.output_dir)
    assert (expected.dtype, engine.dtype) == ("bfloat16", "bfloat16")
    # Which of two sums is rounded down depends on the processor: 0.016 nats apart with AVX2, equal with AVX-512.
    allowed = parity.tolerance(expected, engine.dtype)
    assert 0.1 < allowed < 1
    for sample in expected.samples:
        assert engine.score(sample.ids) == pytest.approx(sample.logprobs, abs=allowed)
    weights = load_file(done.output_dir / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.bfloat16}


@pytest.mark.parametrize("method", [LoRA(rank=4, alpha=8, dropout=0.3, decomposed=True), Full()], ids=str)
def test_a_run_that_is_taken_up_again_ends_with_the_same_bits(method: Method, base: Path, tmp_path: Path) -> None:
    hyper = replace(SHORT, epochs=4, method=method, checkpoint_every_s=0, weight_decay=0.1)
    whole = task(base, tmp_path / "whole", hyper=hyper)
    losses = [step.loss for step in finetune.train(whole, Hooks()).step_metrics]
    halfway = task(base, tmp_path / "halfway", hyper=hyper)
    steps: list[int] = []
    stop = Hooks(on_step=lambda step: steps.append(step.step), should_stop=lambda: len(steps) >= 5)
    assert finetune.train(halfway, stop).status == "stopped"
    assert [step.loss for step in finetune.train(halfway, Hooks()).step_metrics] == losses
    name = "model.safetensors" if isinstance(method, Full) else "adapter_model.safetensors"
    assert (halfway.output_dir / name).read_bytes() == (whole.output_dir / name).read_bytes()
