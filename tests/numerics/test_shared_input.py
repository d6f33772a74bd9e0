"""Layers that share their input and are computed together answer and learn as each by itself does."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from outcrop.network import load
from outcrop.network.adapters import adapter_files, linear
from outcrop.network.adapters.linear import AdapterLinear, AdapterSpan
from outcrop.network.adapters.lora import LoRAUpdate
from outcrop.network.adapters.method import LoRA
from outcrop.network.attention import Packed
from outcrop.network.fast import shared_input
from tests.support.tiny import tiny_model

NAME = "trained"
LAYOUT = Packed(lengths=(7, 4))
METHODS = {
    "lora": LoRA(rank=4, alpha=8),
    "dropout": LoRA(rank=4, alpha=8, dropout=0.5),
    "dora": LoRA(rank=4, alpha=8, decomposed=True),
    "some layers": LoRA(rank=4, alpha=8, targets=("q_proj", "v_proj", "gate_proj", "up_proj")),
}


def network_with(base: Path, method: LoRA) -> tuple[Any, list[nn.Parameter]]:
    network = load.load_base(base)
    routing = linear.hold_adapters(network)
    generator = torch.Generator().manual_seed(1)
    parameters = adapter_files.add_new(network, NAME, method, generator)
    for parameter in parameters:
        parameter.data.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    routing.spans = [AdapterSpan(0, 11, NAME)]
    return network, parameters


def learned(network: Any, parameters: list[nn.Parameter]) -> list[Tensor]:
    """The hidden states of two records, and the gradient of every weight that learns."""
    torch.manual_seed(3)  # of what is dropped
    ids_1T = (torch.arange(11) * 7 % 60).unsqueeze(0)
    hidden_BTH = network.get_decoder()(input_ids=ids_1T, position_ids=LAYOUT.positions(), layout=LAYOUT)[0]
    dy_BTH = torch.randn(hidden_BTH.shape, generator=torch.Generator().manual_seed(2))
    return [hidden_BTH.detach(), *torch.autograd.grad(hidden_BTH, parameters, dy_BTH)]


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("architecture", ["llama", "qwen2", "qwen3", "gemma3", "olmo2"])
def test_answers_and_gradients_are_the_same(architecture: str, name: str, tmp_path: Path) -> None:
    network, parameters = network_with(tiny_model(tmp_path, architecture), METHODS[name])
    wanted = learned(network, parameters)
    assert shared_input.swap_in(network) == 2 * network.config.num_hidden_layers
    for one, other in zip(wanted, learned(network, parameters), strict=True):
        assert (one - other).abs().max() <= 1e-5 * one.abs().max() + 1e-7


def test_ranks_and_scales_may_differ_and_an_input_need_no_gradient(tmp_path: Path) -> None:
    network, _ = network_with(tiny_model(tmp_path, "qwen2"), METHODS["lora"])
    attention = network.model.layers[0].self_attn
    layers: list[AdapterLinear] = [attention.q_proj, attention.k_proj, attention.v_proj]
    generator = torch.Generator().manual_seed(4)
    parameters = list[nn.Parameter]()
    for rank, layer in enumerate(layers, start=1):
        num_inputs, num_outputs = layer.widths
        a, b = (
            nn.Parameter(torch.randn(*size, generator=generator)) for size in ((rank, num_inputs), (num_outputs, rank))
        )
        layer.updates[NAME] = LoRAUpdate(a_RI=a, b_OR=b, scale=1 / rank)
        parameters += [a, b]
    x = torch.randn(1, 11, layers[0].widths[0], generator=generator)
    for wanted_of in (parameters, [*parameters, x]):
        x.requires_grad_(wanted_of is not parameters)
        found = list[list[Tensor]]()
        for _ in range(2):
            answers = [layer(x) for layer in layers]
            gradients = torch.autograd.grad(sum(y.square().sum() for y in answers), wanted_of)
            found.append([*(y.detach() for y in answers), *gradients])
            shared_input.swap_in(network)
        for one, other in zip(*found, strict=True):
            assert (one - other).abs().max() <= 1e-5 * one.abs().max()


def test_a_sibling_that_is_given_something_else_answers_to_that(tmp_path: Path) -> None:
    network, _ = network_with(tiny_model(tmp_path, "llama"), METHODS["lora"])
    attention = network.model.layers[0].self_attn
    x, other = (torch.randn(1, 11, attention.q_proj.widths[0]) for _ in range(2))
    wanted = [attention.q_proj(x), attention.k_proj(other), attention.v_proj(x), attention.k_proj(x)]
    shared_input.swap_in(network)
    found = [attention.q_proj(x), attention.k_proj(other), attention.v_proj(x), attention.k_proj(x)]
    for one, two in zip(wanted, found, strict=True):
        assert (one - two).abs().max() <= 1e-5 * one.abs().max()
    attention.q_proj(x)
    x.zero_()
    assert not attention.k_proj(x).any(), "what was found before is of no use for what is there now"


def test_an_answer_that_was_never_fetched_is_not_copied(tmp_path: Path) -> None:
    network, _ = network_with(tiny_model(tmp_path, "llama"), METHODS["lora"])
    attention = network.model.layers[0].self_attn
    shared_input.swap_in(network)
    x = torch.randn(1, 11, attention.q_proj.widths[0])
    attention.q_proj(x)
    assert attention.k_proj.found is not None
    assert copy.deepcopy(attention).k_proj.found is None
