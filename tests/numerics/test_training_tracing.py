"""What a row is said to cost, before anything is loaded, is what it costs when real tensors are computed with."""

import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch.autograd.graph import saved_tensors_hooks

from outcrop.network import gradient_checkpointing
from outcrop.network.adapters.method import OFT, Full, LoRA, Method
from outcrop.network.fast.kernels.use import usable
from outcrop.network.fast.swap_in import swap_in
from outcrop.training import cross_entropy, network_setup
from outcrop.training.batches import row_of
from outcrop.training.cross_entropy import Spare
from outcrop.training.estimate import tracing
from outcrop.training.estimate.tracing import RowOptions, Untraceable, cost_of_row
from outcrop.training.loss import nll_of
from outcrop.training.task import TrainingHyper
from outcrop.training.weights import TrainedWeights
from tests.numerics.conftest import WAYS
from tests.support.products import product
from tests.support.tiny import ARCHITECTURES, tiny_model
from tests.support.training_runs import task

LENGTHS = [40, 23]
CASES: list[tuple[str, Method]] = [
    ("llama", LoRA(rank=8, alpha=1)),
    ("gemma2", LoRA(rank=8, alpha=1, decomposed=True)),
    ("mistral", LoRA(rank=8, alpha=1, dropout=0.1)),
    ("qwen3", OFT(block_size=16)),
    ("gpt2", Full()),
]
NAMES = [architecture for architecture, _ in CASES]


def daily(way: str, architecture: str, forgets: bool) -> bool:
    """Every case with the kernels, and a few in the other ways."""
    if way == "c kernels":
        return not forgets or architecture in ("gemma2", "gpt2")
    return architecture == ("llama" if forgets else "mistral")


class FreshMemory(Spare):
    """Keeps nothing: what a row takes is seen only where it takes it anew."""

    def give(self, memory: torch.Tensor) -> None:
        pass


@pytest.mark.parametrize(
    ("each_way", "architecture", "forgets"), product(WAYS, NAMES, [False, True], daily=daily), indirect=["each_way"]
)
def test_a_traced_row_is_a_real_row(
    each_way: None, architecture: str, forgets: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = dict(CASES)[architecture]
    monkeypatch.setattr(cross_entropy, "SPARE", FreshMemory())
    base = tiny_model(tmp_path / "base", architecture)
    hyper = TrainingHyper(epochs=1, batch_size=2, learning_rate=1e-3, method=method)
    real = network_setup.prepare(task(base, tmp_path, hyper=hyper))
    swap_in(real.network, real.routing)
    if forgets:
        gradient_checkpointing.checkpoint_layers(real.network)
    weights = TrainedWeights(real.parameters, weight_decay=0.0)
    said = cost_of_row(
        base, method, LENGTHS, supervised=0.5, way=RowOptions(usable(torch.zeros(1)) is not None, forgets)
    )

    measured = tracing._traced(real.network, real.routing, weights, LENGTHS, 0.5)
    assert (said.weights, said.trained) == (measured.weights, weights.vector.numel())
    assert (said.kept, said.peak) == (measured.kept, measured.peak)
    if forgets:
        return  # what a forgotten layer keeps is out of autograd's sight

    # Autograd's own word for what it keeps; beside it there are the loss, the row's own ids, and the gradients of the
    # hidden states and of a head that learns, which the loss has at once and keeps out of autograd's sight.
    row = row_of([tracing._example(length, 0.5) for length in LENGTHS])
    head: torch.Tensor = real.network.get_output_embeddings().weight  # type: ignore[operator]
    gradients = len(row.target_N) * head.shape[1] + (head.numel() if head.requires_grad else 0)
    assert said.kept == pytest.approx(_saved(real, weights) + 4 * gradients, rel=0.01)


def _saved(real: network_setup.TrainableNetwork, weights: TrainedWeights) -> int:
    own = (*real.network.parameters(), *real.network.buffers(), weights.vector)
    known = {tensor.untyped_storage().data_ptr() for tensor in own}
    # Weak, since what was computed and not used, as by a trimmed layer's own norm, is given back with its graph.
    found: dict[int, weakref.ref[torch.UntypedStorage]] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            found[storage.data_ptr()] = weakref.ref(storage)
        return tensor.detach()  # one that remembers where it came from would hold the node that holds it

    row = row_of([tracing._example(length, 0.5) for length in LENGTHS])
    with saved_tensors_hooks(pack, lambda tensor: tensor):
        nll = nll_of(real.network, real.routing, row).sum()
    assert nll.requires_grad
    return sum(storage.nbytes() for reference in found.values() if (storage := reference()) is not None)


def test_deeper_networks_lie_on_the_line_through_two_depths(tmp_path: Path) -> None:
    """The network is Gemma 2, whose layers are of two kinds in turn."""
    config = ARCHITECTURES["gemma2"]()
    config.num_hidden_layers = 6
    config.layer_types = config.layer_types * 3
    config.save_pretrained(tmp_path)
    said = cost_of_row(tmp_path, LoRA(rank=8, alpha=1), LENGTHS)
    whole = tracing._trace(
        transformers.AutoConfig.from_pretrained(tmp_path), 6, LoRA(rank=8, alpha=1), LENGTHS, 1.0, RowOptions()
    )
    assert (said.weights, said.trained, said.kept, said.peak) == (whole.weights, whole.trained, whole.kept, whole.peak)
    assert said.forward == whole.forward
    assert said.backward == whole.backward
    assert said.scoring == whole.scoring


def test_products_of_matrices_are_counted_in_full(tmp_path: Path) -> None:
    """Forward of a network trained in full: two operations a weight of the linear layers and a token.

    What follows the attention of the last layer does so for the 63 tokens with a target. The loss makes the gradients of
    its two operands at once, two more products with the head, but where it is only a score.
    """
    base = tiny_model(tmp_path, "llama")
    cost = cost_of_row(base, Full(), [64])
    attention, feed_forward = 2 * 64 * 64 + 2 * 64 * 32, 3 * 64 * 128
    said = sum(op.flops * count for op, count in cost.forward.items() if not op.attends and op.flops)
    head = 2 * 63 * 64 * 384
    assert said == 2 * 64 * (2 * attention + feed_forward) + 2 * 63 * feed_forward + 3 * head
    scored = sum(op.flops * count for op, count in cost.scoring.items() if not op.attends)
    assert scored == said - 2 * head


def test_a_longer_record_costs_more_attention_than_two_of_half_its_length(tmp_path: Path) -> None:
    base = tiny_model(tmp_path, "llama")
    one, two = (cost_of_row(base, LoRA(rank=8, alpha=1), lengths) for lengths in ([64], [32, 32]))

    def attention(cost: tracing.Cost) -> float:
        return sum(op.flops * count for op, count in cost.forward.items() if op.attends)

    assert attention(one) == 2 * attention(two) > 0


def test_a_network_that_routes_by_contents_is_said_to_be_untraceable(tmp_path: Path) -> None:
    sizes: dict[str, Any] = {
        "hidden_size": 64,
        "intermediate_size": 64,
        "num_attention_heads": 4,
        "num_hidden_layers": 1,
    }
    transformers.MixtralConfig(vocab_size=384, num_local_experts=2, **sizes).save_pretrained(tmp_path)
    with pytest.raises(Untraceable, match=r"^mixtral: memory and time cannot be estimated"):
        cost_of_row(tmp_path, Full(), LENGTHS)
