"""A norm with a backward pass of its own gives the numbers and gradients of the network's."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from outcrop.network import load
from outcrop.network.fast import rms_norm
from tests.support.tiny import ARCHITECTURES, tiny_model

pytestmark = pytest.mark.usefixtures("each_way")

WITHOUT = {"gpt2", "gpt_neox"}
"Have another norm."


def norm_of(network: nn.Module) -> Any:
    return next(module for module in network.modules() if type(module).__name__.endswith("RMSNorm"))


def answer(norm: Any, x_BTH: Tensor) -> list[Tensor]:
    """The norm of x, and the gradients of x and weight for a gradient that differs from number to number."""
    x_BTH = x_BTH.clone().requires_grad_()
    y_BTH = norm(x_BTH)
    dy_BTH = torch.randn(y_BTH.shape, generator=torch.Generator().manual_seed(2))
    return [y_BTH.detach(), *torch.autograd.grad(y_BTH, [x_BTH, norm.weight], dy_BTH)]


@pytest.mark.parametrize("architecture", sorted(set(ARCHITECTURES) - WITHOUT))
def test_norm_and_gradients_are_the_network_s_own(architecture: str, tmp_path: Path) -> None:
    network = load.load_base(tiny_model(tmp_path, architecture), trainable=True)
    norm = norm_of(network.requires_grad_(True))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        norm.weight.add_(torch.randn(norm.weight.shape, generator=generator) * 0.3)
    x_BTH = torch.randn(1, 9, len(norm.weight), generator=generator) * 5
    wanted = answer(norm, x_BTH)
    assert rms_norm.swap_in(network) > 0
    assert type(norm).__name__.startswith("Lean")
    for one, other in zip(wanted, answer(norm, x_BTH), strict=True):
        assert (one - other).abs().max() <= 1e-6 * one.abs().max() + 1e-6


def test_a_norm_that_does_something_else_is_left_alone(tmp_path: Path) -> None:
    network = load.load_base(tiny_model(tmp_path, "llama"), trainable=True)
    norm = norm_of(network)

    class OddRMSNorm(type(norm)):  # type: ignore[misc]
        def forward(self, hidden_states: Tensor) -> Tensor:
            return super().forward(hidden_states).tanh()  # type: ignore[no-any-return]

    norm.__class__ = OddRMSNorm
    rms_norm.swap_in(network)
    assert type(norm) is OddRMSNorm
