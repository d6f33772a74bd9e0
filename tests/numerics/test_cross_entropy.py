"""The loss made slice by slice is the plain one, with its gradients, whatever an architecture does to its logits."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from outcrop.network import load
from outcrop.network.fast import lm_head
from outcrop.network.fast.lm_head import LMHead
from outcrop.training.cross_entropy import Spare, nll
from tests.support.tiny import ARCHITECTURES, tiny_model

pytestmark = pytest.mark.usefixtures("each_way")

HEADS = {
    "plain": LMHead(weight_VH=torch.empty(0)),
    "scaled": LMHead(weight_VH=torch.empty(0), scale=0.0625),
    "squashed": LMHead(weight_VH=torch.empty(0), softcap=3.0),
    "scaled and squashed": LMHead(weight_VH=torch.empty(0), scale=2.0, softcap=5.0),
}
WIDTH, VOCAB = 24, 700
ONE_SLICE, MANY_SLICES = 2**26, 0
_SIZES: dict[str, Any] = {"vocab_size": 384, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1}
_SIZES |= {"num_attention_heads": 4, "pad_token_id": 0, "initializer_range": 0.15}


def close(found: Tensor | None, wanted: Tensor | None, share: float) -> bool:
    assert found is not None
    assert wanted is not None
    return bool((found - wanted).abs().max() <= share * wanted.abs().max())


def problem(kind: str, num: int) -> tuple[LMHead, Tensor, Tensor, Tensor]:
    """A head, hidden states, targets and weights of their losses."""
    generator = torch.Generator().manual_seed(num)
    weight_VH = nn.Parameter(torch.randn(VOCAB, WIDTH, generator=generator))
    hidden_NH = torch.randn(num, WIDTH, generator=generator).requires_grad_()
    target_N = torch.randint(VOCAB, (num,), generator=generator)
    head = LMHead(weight_VH=weight_VH, scale=HEADS[kind].scale, softcap=HEADS[kind].softcap)
    return head, hidden_NH, target_N, torch.rand(num, generator=generator)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("slices", [ONE_SLICE, MANY_SLICES])
@pytest.mark.parametrize("num", [1, 128, 300])
@pytest.mark.parametrize("kind", sorted(HEADS))
def test_losses_and_gradients_are_those_of_whole_logits(kind: str, num: int, slices: int, weighted: bool) -> None:
    head, hidden_NH, target_N, weight_N = problem(kind, num)
    factor_N = weight_N if weighted else torch.full((num,), 1 / 7)
    plain_N = cross_entropy(head.logits(hidden_NH), target_N, reduction="none")
    wanted = torch.autograd.grad((plain_N * factor_N).sum(), [hidden_NH, head.weight_VH])
    found_N = nll(hidden_NH, head, target_N, slice_bytes=slices)
    found = torch.autograd.grad((found_N * factor_N).sum(), [hidden_NH, head.weight_VH])
    assert close(found_N, plain_N, 1e-6)
    assert close(found[0], wanted[0], 1e-5)
    assert close(found[1], wanted[1], 1e-5)


def test_a_frozen_head_gets_no_gradient_and_costs_none() -> None:
    head, hidden_NH, target_N, _ = problem("plain", 40)
    head.weight_VH.requires_grad_(False)
    torch.autograd.backward(nll(hidden_NH, head, target_N).sum())
    assert hidden_NH.grad is not None
    assert head.weight_VH.grad is None


def test_nothing_is_lost_where_the_target_is_all_but_impossible() -> None:
    head = LMHead(weight_VH=torch.tensor([[0.0], [400.0]]))
    nll_N = nll(torch.ones(2, 1), head, torch.tensor([0, 1]))
    assert nll_N.tolist() == [400.0, 0.0]


def test_memory_of_slices_is_lent_to_one_at_a_time_and_comes_back() -> None:
    spare, like = Spare(), torch.empty(0)
    first, second = spare.take(8, like), spare.take(8, like)
    assert first.data_ptr() != second.data_ptr()
    spare.give(first)
    assert spare.take(6, like.bfloat16()).dtype == torch.bfloat16
    assert spare.take(6, like) is first
    spare.give(first)
    assert spare.take(9, like).numel() == 9


def test_a_target_that_has_no_chance_has_a_loss_all_the_same() -> None:
    head = LMHead(weight_VH=torch.tensor([[0.0], [400.0], [-300.0], [399.0]]))
    nll_N = nll(torch.ones(3, 1), head, torch.tensor([0, 2, 3]))
    wanted_N = -torch.log_softmax(torch.tensor([0.0, 400.0, -300.0, 399.0]).double(), dim=0)[[0, 2, 3]]
    assert nll_N.tolist() == pytest.approx(wanted_N.tolist(), rel=1e-7)


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_the_head_of_every_architecture_is_known(architecture: str, tmp_path: Path) -> None:
    head = lm_head.find(load.load_base(tiny_model(tmp_path, architecture)))
    assert head is not None
    assert head.softcap == (30.0 if architecture == "gemma2" else None)


def saved(config: Any, folder: Path) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return load.load_base(folder)


def test_heads_that_scale_are_known(tmp_path: Path) -> None:
    cohere = lm_head.find(saved(transformers.CohereConfig(**_SIZES, logit_scale=0.25), tmp_path / "cohere"))
    granite = lm_head.find(saved(transformers.GraniteConfig(**_SIZES, logits_scaling=8.0), tmp_path / "granite"))
    assert cohere is not None
    assert granite is not None
    assert (cohere.scale, granite.scale) == (0.25, 0.125)


def test_a_head_that_does_something_else_is_left_to_the_network(tmp_path: Path) -> None:
    biased = saved(transformers.PhiConfig(**_SIZES), tmp_path / "phi")
    assert lm_head.find(biased) is None
    squashing = saved(transformers.LlamaConfig(**_SIZES), tmp_path / "llama")
    squashing.lm_head.register_forward_hook(lambda _layer, _given, logits: logits.tanh())
    assert lm_head.find(squashing) is None
