"""What is put into classes of transformers: only where they are what is expected, and not at all where it is off."""

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor
from transformers.models.llama import modeling_llama

from outcrop.errors import Invalid
from outcrop.network import load, swaps
from outcrop.network.adapters import linear
from outcrop.network.fast import lm_head, switch
from outcrop.network.fast.kernels.library import library
from outcrop.network.fast.swap_in import swap_in
from outcrop.network.swaps import ROTATION, TABLE, Changed, Expectation
from outcrop.probe import judge
from tests.support.tiny import tiny_model

NAMED = [(expected, name) for expected in TABLE for name in expected.named.split()]


@pytest.mark.parametrize(("expected", "name"), NAMED, ids=lambda value: value if isinstance(value, str) else "")
def test_the_installed_transformers_has_what_the_table_names(expected: Expectation, name: str) -> None:
    family, _, member = name.partition(".")
    module = importlib.import_module(f"transformers.models.{family}.modeling_{family}")
    assert expected.problem(getattr(module, member, None)) == ""


@pytest.fixture
def network(tmp_path: Path) -> Any:
    return load.load_base(tiny_model(tmp_path / "llama"), trainable=True)


def classes(network: Any) -> set[type]:
    return {type(module) for module in network.modules()}


def rotates_otherwise(q: Tensor, k: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
    return q * cos.unsqueeze(1), k * sin.unsqueeze(1)


class OtherMLP(modeling_llama.LlamaMLP):  # type: ignore[misc]
    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(self.act_fn(self.gate_proj(x)) + self.up_proj(x))  # type: ignore[no-any-return]


class LayerWithoutKeywords(modeling_llama.LlamaDecoderLayer):  # type: ignore[misc]
    def forward(self, hidden_states: Tensor) -> Tensor:
        return hidden_states


@pytest.mark.parametrize(
    ("name", "other", "problem"),
    [
        ("LlamaMLP", OtherMLP, "has another source (b59db096fa35)"),
        ("LlamaRMSNorm", torch.nn.RMSNorm, "has another source"),
        ("apply_rotary_pos_emb", rotates_otherwise, "has another source"),
        ("apply_rotary_pos_emb", None, "is gone"),
        ("LlamaDecoderLayer", LayerWithoutKeywords, "no longer has a forward(self, hidden_states, …, **kwargs)"),
    ],
)
def test_a_class_that_a_new_version_has_changed_is_named_with_the_way_out(
    name: str, other: Any, problem: str, network: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modeling_llama, name, other)
    before = classes(network)
    with pytest.raises(Changed) as raised:
        swap_in(network, linear.Routing())
    said = raised.value.message
    assert said.startswith(f"transformers {transformers.__version__}: llama.{name} {problem}")
    assert "Set OUTCROP_FAST=0, which leaves all to transformers and is slower" in said
    assert classes(network) == before


def test_the_fast_ways_can_be_turned_off_altogether(network: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTCROP_FAST", "0")
    monkeypatch.setattr(modeling_llama, "LlamaMLP", OtherMLP)  # of no interest then
    routing = linear.hold_adapters(network)
    before = classes(network)
    swap_in(network, routing)
    assert classes(network) == before
    assert lm_head.find(network) is None
    assert library() is None


def test_all_is_swapped_in_where_nothing_is_said(network: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OUTCROP_FAST", raising=False)
    swap_in(network, linear.hold_adapters(network))
    names = {type(module).__name__ for module in network.modules()}
    assert {
        "FastBlockLlamaMLP",
        "FastNormLlamaRMSNorm",
        "FastAttentionLlamaAttention",
        "TrimmedLlamaDecoderLayer",
    } <= names


def test_a_value_of_the_switch_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTCROP_FAST", "no")
    with pytest.raises(Invalid, match=r"OUTCROP_FAST: 'no' is neither 0 nor 1\. Give 0 to leave all to transformers"):
        switch.is_on()


class Commented:
    def double(self, x: int) -> int:
        """Twice as much."""
        return 2 * x  # not x + x


class Bare:
    def double(self, x):  # type: ignore[no-untyped-def]
        return 2 * x


class Tripling:
    def double(self, x: int) -> int:
        return 3 * x


def test_a_source_counts_without_comments_docstrings_and_annotations() -> None:
    commented, bare, tripling = (swaps.digest(each, ("double",)) for each in (Commented, Bare, Tripling))
    assert commented == bare != tripling


def test_what_is_not_named_may_be_as_it_likes() -> None:
    ROTATION.demand(rotates_otherwise, "computes other numbers")
    with pytest.raises(Changed, match=r"llama\.apply_rotary_pos_emb computes other numbers"):
        ROTATION.demand(modeling_llama.apply_rotary_pos_emb, "computes other numbers")


def test_the_probe_gives_no_verdict_on_a_changed_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tiny_model(tmp_path / "llama")
    monkeypatch.setattr(modeling_llama, "apply_rotary_pos_emb", rotates_otherwise)
    monkeypatch.setattr(sys, "argv", ["judge", str(folder)])
    monkeypatch.setattr(judge, "die_with_parent", lambda: None)
    assert judge.main() == 0
    assert '{"changed": "transformers ' in capsys.readouterr().out
