"""Loss and gradients of packed rows equal those of a plain padded batch in transformers and PEFT."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from outcrop.network import load
from outcrop.network.adapters import adapter_files, linear
from outcrop.network.adapters.linear import Routing
from outcrop.network.adapters.method import Full, LoRA, Method
from outcrop.training.batches import row_of
from outcrop.training.data_parallel.worker_threads import Replicas
from outcrop.training.estimate.flops import step_cost
from outcrop.training.examples import ADAPTER, Example
from outcrop.training.loss import log_probabilities, nll_of
from outcrop.training.stepping import Trained, compute_gradient
from outcrop.training.weights import TrainedWeights
from tests.support.tiny import VOCAB_SIZE, tiny_model

# PEFT asks transformers for properties that its newest version has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")

SHAPE = LoRA(rank=4, alpha=8)


def example(generator: random.Random, length: int, *, ids: Sequence[int] | None = None) -> Example:
    ids_T = torch.tensor(ids or [generator.randrange(6, VOCAB_SIZE) for _ in range(length)])
    learned = sorted(generator.sample(range(1, length), generator.randint(1, length - 1)))
    at_N = torch.tensor(learned) - 1
    return Example(ids_T=ids_T, at_N=at_N, target_N=ids_T[at_N + 1], num_bytes=0, line=1)


def trained(base: Path, seed: int, *, threads: int = 1) -> Trained:
    """A network with an adapter whose every weight is random, so that every gradient is alive."""
    network = load.load_base(base)
    routing = linear.hold_adapters(network)
    generator = torch.Generator().manual_seed(seed)
    parameters = adapter_files.add_new(network, ADAPTER, SHAPE, generator)
    with torch.no_grad():
        for parameter in parameters:
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return to_be_trained(network, routing, parameters, SHAPE, threads=threads)


def to_be_trained(
    network: nn.Module, routing: Routing, parameters: Sequence[nn.Parameter], method: Method, *, threads: int
) -> Trained:
    weights = TrainedWeights(parameters, weight_decay=0.0)
    replicas = Replicas(network, routing, weights, threads=threads)
    return Trained(network, routing, weights, method, step_cost(network, num_trained=weights.num_weights), replicas)


def reference(base: Path, adapter: Path) -> Any:
    network = transformers.AutoModelForCausalLM.from_pretrained(base, attn_implementation="eager")
    return peft.PeftModel.from_pretrained(network, adapter, is_trainable=True).eval()


def padded_loss(network: Any, batch: Sequence[Example]) -> Tensor:
    """Right-padded ids, labels of -100 where nothing is learned, one mean over all learned tokens."""
    longest = max(map(len, batch))
    ids_BT = torch.zeros(len(batch), longest, dtype=torch.long)
    mask_BT = torch.zeros(len(batch), longest, dtype=torch.long)
    labels_BT = torch.full((len(batch), longest), -100)
    for row, one in enumerate(batch):
        ids_BT[row, : len(one)] = one.ids_T
        mask_BT[row, : len(one)] = 1
        labels_BT[row, one.at_N + 1] = one.target_N
    logits_BTV = network(input_ids=ids_BT, attention_mask=mask_BT).logits
    return cross_entropy(logits_BTV[:, :-1].flatten(0, 1), labels_BT[:, 1:].flatten())


def save(ours: Trained, folder: Path) -> Path:
    adapter_files.save(folder, ours.network, ADAPTER, SHAPE, base="tiny")
    return folder


def gradients(network: torch.nn.Module) -> dict[str, Tensor]:
    found = {
        f"{name}.{part}": parameter.grad
        for name, layer in linear.layers(network)
        for part, parameter in layer.updates[ADAPTER].parameters().items()
    }
    return {name: gradient for name, gradient in found.items() if gradient is not None}


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("architecture", ["llama", "mistral", "qwen2", "gemma2", "gpt_neox", "gpt2"])
def test_loss_and_gradients_equal_those_of_a_padded_batch_in_peft(
    architecture: str, threads: int, tmp_path: Path
) -> None:
    base = tiny_model(tmp_path / "base", architecture)
    ours = trained(base, seed=1, threads=threads)
    theirs = reference(base, save(ours, tmp_path / "adapter"))
    for seed, token_budget in [(0, 2048), (1, 40), (2, 90)]:
        generator = random.Random(seed)
        batch = [example(generator, generator.randint(2, 50)) for _ in range(generator.randint(2, 7))]

        loss = compute_gradient(ours, batch, token_budget=token_budget)
        expected = padded_loss(theirs, batch)
        theirs.zero_grad()
        expected.backward()  # type: ignore[no-untyped-call]

        assert loss == pytest.approx(expected.item(), abs=1e-6 * max(1.0, loss))
        reference_gradients = {n: p.grad for n, p in theirs.named_parameters() if p.requires_grad}
        mine = gradients(ours.network)
        assert len(mine) == len(reference_gradients)
        for name, gradient in mine.items():
            wanted = reference_gradients[f"base_model.model.{name}".replace(".weight", ".default.weight")]
            assert (gradient - wanted).abs().max() <= 1e-4 * wanted.abs().max(), name


@pytest.mark.parametrize(
    ("architecture", "threads"), [("llama", 1), ("gemma2", 2), ("gpt2", 2)]
)  # the last two tie head
def test_gradients_of_all_weights_equal_those_of_a_padded_batch(
    architecture: str, threads: int, tmp_path: Path
) -> None:
    base = tiny_model(tmp_path, architecture)
    network = load.load_base(base, trainable=True)
    own = dict(network.named_parameters())
    routing = linear.hold_adapters(network)
    network.requires_grad_(True)
    ours = to_be_trained(network, routing, list(network.parameters()), Full(), threads=threads)
    theirs: Any = transformers.AutoModelForCausalLM.from_pretrained(base, attn_implementation="eager").eval()
    generator = random.Random(7)
    batch = [example(generator, length) for length in (40, 7, 23, 23, 2)]

    loss = compute_gradient(ours, batch, token_budget=50)
    expected = padded_loss(theirs, batch)
    expected.backward()  # type: ignore[no-untyped-call]

    assert loss == pytest.approx(expected.item(), abs=1e-6 * max(1.0, loss))
    for name, parameter in theirs.named_parameters():
        gradient = own[name].grad
        assert gradient is not None
        assert (gradient - parameter.grad).abs().max() <= 1e-4 * parameter.grad.abs().max(), name


def test_how_records_lie_in_rows_changes_neither_loss_nor_gradient(tmp_path: Path) -> None:
    ours = trained(tiny_model(tmp_path / "base", "gemma2"), seed=2)
    generator = random.Random(3)
    batch = [example(generator, generator.choice([5, 9, 9, 17, 40])) for _ in range(9)]
    found = []
    for token_budget in (1, 30, 64, 4096):
        loss = compute_gradient(ours, batch, token_budget=token_budget)
        found.append((loss, {name: gradient.clone() for name, gradient in gradients(ours.network).items()}))
    for loss, gradient in found[1:]:
        assert loss == pytest.approx(found[0][0], abs=1e-6)
        for name, wanted in found[0][1].items():
            assert (gradient[name] - wanted).abs().max() <= 1e-4 * wanted.abs().max(), name


@pytest.mark.parametrize("architecture", ["llama", "gemma2"])
def test_no_token_of_a_record_influences_another_record(architecture: str, tmp_path: Path) -> None:
    ours = trained(tiny_model(tmp_path / "base", architecture), seed=3)
    generator = random.Random(4)
    lengths = [7, 12, 12, 30]
    batch = [example(generator, length) for length in lengths]

    def losses(records: Sequence[Example]) -> list[Tensor]:
        with torch.no_grad():
            nll_N = nll_of(ours.network, ours.routing, row_of(records))
        return list(torch.split(nll_N, [record.num_supervised for record in records]))

    before = losses(batch)
    for changed, record in enumerate(batch):
        other_ids = ((record.ids_T + 11) % VOCAB_SIZE).tolist()
        other = Example(ids_T=torch.tensor(other_ids), at_N=record.at_N, target_N=record.target_N, num_bytes=0, line=1)
        after = losses([*batch[:changed], other, *batch[changed + 1 :]])
        for place in range(len(batch)):
            assert torch.equal(before[place], after[place]) == (place != changed)


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_peft_loads_our_adapter_and_we_load_peft_s(architecture: str, tmp_path: Path) -> None:
    base = tiny_model(tmp_path / "base", architecture)
    ours = trained(base, seed=5)
    theirs = reference(base, save(ours, tmp_path / "ours"))
    ids = [0, *range(20, 60)]
    with torch.no_grad():
        logits_TV = theirs(input_ids=torch.tensor([ids])).logits[0]
    expected = logits_TV.log_softmax(-1)[:-1].gather(1, torch.tensor(ids[1:])[:, None])[:, 0]
    assert log_probabilities(ours.network, ours.routing, ids) == pytest.approx(expected.tolist(), abs=1e-5)

    theirs.save_pretrained(tmp_path / "theirs", save_embedding_layers=False)
    again = trained(base, seed=6)
    adapter_files.load(again.network, ADAPTER, tmp_path / "theirs")
    assert log_probabilities(again.network, again.routing, ids) == pytest.approx(expected.tolist(), abs=1e-5)
