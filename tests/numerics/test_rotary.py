"""Positions rotated in one operation give the numbers and gradients of the network's own."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from outcrop.network import load
from outcrop.network.attention import Packed
from outcrop.network.fast import rotary
from tests.support.tiny import ARCHITECTURES, tiny_model

pytestmark = pytest.mark.usefixtures("each_way")

WITHOUT = {"gpt2"}
"Learns its positions."
LAYOUT = Packed(lengths=(7, 4))


def answer(network: Any) -> list[Tensor]:
    """The hidden states of two records, and the gradient of every weight."""
    network.zero_grad()
    ids_1T = (torch.arange(11) * 7 % 60).unsqueeze(0)
    hidden_BTH = network.get_decoder()(input_ids=ids_1T, position_ids=LAYOUT.positions(), layout=LAYOUT)[0]
    hidden_BTH.mul(torch.randn(hidden_BTH.shape, generator=torch.Generator().manual_seed(2))).sum().backward()
    return [hidden_BTH.detach(), *[p.grad.clone() for p in network.parameters() if p.grad is not None]]


@pytest.mark.parametrize("architecture", sorted(set(ARCHITECTURES) - WITHOUT))
def test_answers_and_gradients_are_the_network_s_own(architecture: str, tmp_path: Path) -> None:
    network: Any = load.load_base(tiny_model(tmp_path, architecture), trainable=True).requires_grad_(True)
    wanted = answer(network)
    assert rotary.swap_in(network) == network.config.num_hidden_layers
    for one, other in zip(wanted, answer(network), strict=True):
        assert (one - other).abs().max() <= 1e-5 * one.abs().max() + 1e-7


def test_the_angles_of_both_halves_may_differ() -> None:
    generator = torch.Generator().manual_seed(0)
    q, k, cos, sin, dq = (
        torch.randn(1, *size, generator=generator, dtype=torch.float64)
        for size in ((3, 5, 8), (2, 5, 8), (5, 8), (5, 8), (3, 5, 8))
    )
    assert torch.autograd.gradcheck(rotary.rotated, (q.requires_grad_(), k.requires_grad_(), cos, sin))
    first, second = q.chunk(2, dim=-1)
    plain = q * cos.unsqueeze(1) + torch.cat([-second, first], dim=-1) * sin.unsqueeze(1)
    found, _ = rotary.rotated(q, k, cos, sin)
    for rotation in (plain, found):
        assert (rotation - plain).abs().max() <= 1e-12
    grads = [torch.autograd.grad(rotation, q, dq)[0] for rotation in (plain, found)]
    assert (grads[0] - grads[1]).abs().max() <= 1e-12


def test_positions_of_another_kind_are_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    network: Any = load.load_base(tiny_model(tmp_path, "llama"), trainable=True)
    attention = network.get_decoder().layers[0].self_attn
    own = type(attention)

    def odd(q: Tensor, k: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
        return q * cos.unsqueeze(1) - sin.unsqueeze(1), k * cos.unsqueeze(1)

    monkeypatch.setitem(own.forward.__globals__, "apply_rotary_pos_emb", odd)
    assert rotary.swap_in(network) == 0
    assert type(attention) is own
