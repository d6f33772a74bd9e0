"""A gated block that remembers less gives the same answer and the same gradients as the block of transformers."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers.models.llama.modeling_llama import LlamaMLP

from outcrop.network import load
from outcrop.network.adapters import adapter_files, linear
from outcrop.network.adapters.linear import AdapterSpan
from outcrop.network.adapters.method import LoRA
from outcrop.network.fast import gated_mlp
from tests.support.tiny import tiny_model

pytestmark = pytest.mark.usefixtures("each_way")

NAME = "trained"


def network_with(base: Path, method: LoRA | None, *, lean: bool) -> Any:
    """With random weights in every adapter, or, for None, all of its own weights learning."""
    network = load.load_base(base, trainable=method is None)
    routing = linear.hold_adapters(network)
    generator = torch.Generator().manual_seed(1)
    if method is None:
        network.requires_grad_(True)
    else:
        for parameter in adapter_files.add_new(network, NAME, method, generator):
            parameter.data.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
        routing.spans = [AdapterSpan(0, 700, NAME)]
    if lean:
        assert gated_mlp.swap_in(network) == 2
    return network


def blocks(network: Any) -> list[nn.Module]:
    return [layer.mlp for layer in network.model.layers]


def learned(network: nn.Module) -> list[torch.Tensor]:
    updates = [
        p for _, layer in linear.layers(network) for u in layer.updates.values() for p in u.parameters().values()
    ]
    return [parameter for parameter in [*network.parameters(), *updates] if parameter.requires_grad]


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "gemma2", "olmo2"])
@pytest.mark.parametrize(
    "method",
    [
        LoRA(rank=4, alpha=8),
        LoRA(rank=4, alpha=8, targets=("up_proj", "q_proj")),  # nothing is learned in the last product
        LoRA(rank=4, alpha=8, decomposed=True),
        None,
    ],
    ids=["lora", "elsewhere", "dora", "full"],
)
def test_a_lean_block_answers_and_learns_as_its_own_does(
    architecture: str, method: LoRA | None, tmp_path: Path
) -> None:
    base = tiny_model(tmp_path, architecture)
    plain, lean = (network_with(base, method, lean=is_lean) for is_lean in (False, True))
    x = torch.randn(1, 700, plain.config.hidden_size, generator=torch.Generator().manual_seed(2))  # two parts
    found = []
    for network in (plain, lean):
        mine = x.clone().requires_grad_()
        y = mine
        for block in blocks(network):
            y = block(y)
        torch.autograd.backward(y.square().sum())
        found.append([y.detach(), mine.grad, *[p.grad for p in learned(network) if p.grad is not None]])
    assert len(found[0]) == len(found[1]) > 2
    for wanted, got in zip(*found, strict=True):
        assert (got - wanted).abs().max() <= 1e-5 * wanted.abs().max()


def test_a_lean_block_remembers_gate_and_up_alone(tmp_path: Path) -> None:
    base = tiny_model(tmp_path, "llama")
    kept = []
    for lean in (False, True):
        network = network_with(base, LoRA(rank=4, alpha=8), lean=lean)
        x = torch.randn(1, 700, network.config.hidden_size, requires_grad=True)
        width = network.config.intermediate_size
        seen: dict[int, int] = {}

        def remember(tensor: torch.Tensor, seen: dict[int, int] = seen, width: int = width) -> torch.Tensor:
            if tensor.shape[-1] == width and 700 in tensor.shape:
                seen[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(remember, lambda tensor: tensor):
            y = blocks(network)[0](x)
        kept.append(len(seen))
        del y
    assert kept == [4, 2]


def test_a_block_that_does_something_else_is_left_alone(tmp_path: Path) -> None:
    class Doubling(LlamaMLP):  # type: ignore[misc]
        def forward(self, x: torch.Tensor) -> Any:
            return 2 * super().forward(x)

    network = load.load_base(tiny_model(tmp_path, "llama"))
    linear.hold_adapters(network)
    for block in blocks(network):
        block.__class__ = Doubling
    assert gated_mlp.swap_in(network) == 0
