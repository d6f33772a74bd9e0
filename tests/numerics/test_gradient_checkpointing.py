"""Layers that are computed again on the way back: the same bits, from much less memory."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from outcrop.network.adapters.method import OFT, Full, LoRA, Method
from outcrop.training import loop
from outcrop.training.data_parallel.ranks import ALONE
from outcrop.training.estimate.tracing import RowOptions, cost_of_row
from outcrop.training.settled import settled
from outcrop.training.stepping import compute_gradient
from outcrop.training.task import TrainingHyper
from tests.numerics.conftest import WAYS
from tests.numerics.test_training_loss import example
from tests.support.products import product
from tests.support.tiny import ARCHITECTURES, LENGTH_DEPENDENT, tiny_model
from tests.support.training_runs import task

LENGTHS = [40, 7, 23, 23, 2, 31, 12]
METHODS: dict[str, Method] = {
    "lora": LoRA(rank=4, alpha=8),
    "dropout": LoRA(rank=4, alpha=8, dropout=0.4),
    "dora": LoRA(rank=4, alpha=8, decomposed=True),
    "oft": OFT(block_size=16),
    "full": Full(),
}
OTHERS = sorted({*ARCHITECTURES, *LENGTH_DEPENDENT} - {"llama"})
GRID = [*(("llama", name) for name in METHODS), *((name, "lora") for name in OTHERS)]


def daily(way: str, case: tuple[str, str], threads: int) -> bool:
    """Every method on two threads in both ways, every architecture on one with the kernels."""
    return threads == 2 if case[0] == "llama" else (way, threads) == ("c kernels", 1)


def gradient_of(base: Path, where: Path, hyper: TrainingHyper) -> tuple[float, Tensor]:
    """The loss and gradient of a step whose adapter is some way from its beginning."""
    with settled(hyper, ALONE):
        trained, _ = loop.load_trained(task(base, where, hyper=hyper), ALONE)
        learned = trained.weights.vector.detach().clone()  # type: ignore[union-attr]
        learned += torch.randn(learned.shape, generator=torch.Generator().manual_seed(0)) * 0.05
        trained.weights.put(learned)
        source = random.Random(5)
        batch = [example(source, length) for length in LENGTHS]
        loss = compute_gradient(trained, batch, token_budget=64, draw="once")
    gradient = trained.weights.vector.grad  # type: ignore[union-attr]
    assert gradient is not None
    return loss, gradient.clone()


@pytest.mark.parametrize(
    ("each_way", "case", "threads"), product(WAYS, GRID, [1, 2], daily=daily), indirect=["each_way"]
)
def test_the_numbers_are_the_same_bit_for_bit(
    each_way: None, case: tuple[str, str], threads: int, tmp_path: Path
) -> None:
    architecture, name = case
    base = tiny_model(tmp_path / "base", architecture)
    hyper = TrainingHyper(epochs=1, batch_size=8, learning_rate=1e-2, method=METHODS[name], threads=threads)
    loss, gradient = gradient_of(base, tmp_path, hyper)
    again, same = gradient_of(base, tmp_path, replace(hyper, gradient_checkpointing=True))
    assert again == loss
    assert torch.equal(same, gradient)
    assert gradient.any()


@pytest.mark.usefixtures("each_way")
def test_a_row_keeps_little_more_than_a_tensor_a_layer(tmp_path: Path) -> None:
    config = ARCHITECTURES["llama"]()
    config.num_hidden_layers = 8
    config.save_pretrained(tmp_path)
    plain, forgetting = (
        cost_of_row(tmp_path, METHODS["lora"], [200], way=RowOptions(gradient_checkpointing=on)) for on in (False, True)
    )
    row = 200 * config.hidden_size * 4
    # The inputs of seven layers, the last whole, and what all of them are given: positions and angles.
    assert forgetting.kept < plain.kept / 8 + 14 * row
    assert forgetting.peak < plain.peak / 2
    assert sum(op.flops * num for op, num in forgetting.backward.items()) > sum(
        op.flops * num for op, num in plain.backward.items()
    )
