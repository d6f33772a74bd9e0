"""The operations a step is said to need are those that torch counts while it runs."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from outcrop.network.fast import last_layer
from outcrop.training import loop
from outcrop.training.data import read
from outcrop.training.data_parallel.ranks import ALONE
from outcrop.training.stepping import compute_gradient
from outcrop.training.task import TrainingHyper
from tests.support.tiny import tiny_model
from tests.support.training_runs import task


def product_added(_sum: list[int], left: list[int], right: list[int], **_rest: Any) -> int:
    """Operations of `addmm_`, by shapes: torch counts those of `addmm` only."""
    return 2 * left[0] * left[1] * right[1]


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_a_step_costs_what_torch_counts(architecture: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last_layer, "trim", lambda _network: False)  # what is said is of layers that answer everywhere
    run = task(
        tiny_model(tmp_path / "base", architecture),
        tmp_path,
        hyper=TrainingHyper(epochs=1, batch_size=10, learning_rate=1e-3),
    )
    examples = read(run).examples
    trained, _ = loop.load_trained(run, ALONE)
    trained.replicas.most = 1  # the counter sees its own thread only
    counter = FlopCounterMode(display=False, custom_mapping={torch.ops.aten.addmm_: product_added})
    with counter, torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        compute_gradient(trained, examples, token_budget=2048)
    supervised = sum(e.num_supervised for e in examples)
    said = trained.cost.of(map(len, examples), supervised)
    # torch counts attention over whole squares, and no gradient of what enters the first layer.
    assert said == pytest.approx(counter.get_total_flops(), rel=0.1)
