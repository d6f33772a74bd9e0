"""The last layer at the positions that are wanted answers, and learns, as the whole layer does."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from outcrop.network import load
from outcrop.network.adapters import adapter_files, linear
from outcrop.network.adapters.method import OFT, LoRA
from outcrop.network.fast import last_layer
from outcrop.training.batches import row_of
from outcrop.training.examples import ADAPTER
from outcrop.training.loss import nll_of
from tests.numerics.test_training_loss import example
from tests.support.tiny import ARCHITECTURES, tiny_model

TRIMMED = set(ARCHITECTURES) - {"gpt2"}  # which counts on a state for every token behind its layers
METHODS: dict[str, LoRA | OFT] = {
    "lora": LoRA(rank=4, alpha=8),
    "dora": LoRA(rank=4, alpha=8, decomposed=True),
    "oft": OFT(block_size=8),
}


def losses_and_gradients(base: Path, method: LoRA | OFT | None, *, trim: bool) -> list[torch.Tensor]:
    network: Any = load.load_base(base, trainable=method is None)
    routing = linear.hold_adapters(network)
    if method is None:
        parameters = list(network.requires_grad_(True).parameters())
    else:
        generator = torch.Generator().manual_seed(1)
        parameters = adapter_files.add_new(network, ADAPTER, method, generator)
        for parameter in parameters:
            parameter.data.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    if trim:
        assert last_layer.trim(network)
    lengths = random.Random(4)
    nll = nll_of(network, routing, row_of([example(lengths, length) for length in (12, 30, 3)]))
    torch.autograd.backward(nll.sum())
    return [nll.detach(), *[p.grad for p in parameters if p.grad is not None]]


@pytest.mark.parametrize("architecture", sorted(TRIMMED))
def test_every_architecture_learns_the_same_when_trimmed(architecture: str, tmp_path: Path) -> None:
    base = tiny_model(tmp_path, architecture)
    compare(base, METHODS["lora"])


@pytest.mark.parametrize("method", [METHODS["dora"], METHODS["oft"], None], ids=["dora", "oft", "full"])
def test_every_method_learns_the_same_when_trimmed(method: LoRA | OFT | None, tmp_path: Path) -> None:
    compare(tiny_model(tmp_path, "gemma2"), method)


def compare(base: Path, method: LoRA | OFT | None) -> None:
    wanted, found = (losses_and_gradients(base, method, trim=trim) for trim in (False, True))
    assert len(wanted) == len(found)
    for one, other in zip(wanted, found, strict=True):
        assert (one - other).abs().max() <= 2e-5 * one.abs().max()


def test_the_last_feed_forward_block_sees_the_wanted_positions_alone(tmp_path: Path) -> None:
    network: Any = load.load_base(tiny_model(tmp_path, "llama"))
    routing = linear.hold_adapters(network)
    assert last_layer.trim(network)
    seen = []
    for layer in network.model.layers:
        layer.mlp.register_forward_hook(lambda _, given, __: seen.append(given[0].shape[1]))
    row = row_of([example(random.Random(1), 20)])
    nll_of(network, routing, row)
    assert seen[-2:] == [20, len(row.at_N)]


class _Mixing(nn.Module):
    """Looks at other positions, as no feed-forward block does."""

    def forward(self, x_BTH: torch.Tensor) -> torch.Tensor:
        return x_BTH.roll(1, dims=1)


def test_a_layer_that_looks_elsewhere_after_its_attention_is_left_whole(tmp_path: Path) -> None:
    network: Any = load.load_base(tiny_model(tmp_path, "llama"))
    linear.hold_adapters(network)
    last = network.model.layers[-1]
    last.mlp = _Mixing()
    before = type(last), type(last.self_attn)
    assert not last_layer.trim(network)
    assert (type(last), type(last.self_attn)) == before
