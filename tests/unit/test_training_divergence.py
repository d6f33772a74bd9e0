"""A run that has gone wrong for good is told from one that met a hard batch."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outcrop.training.divergence import (
    WINDOW,
    DivergedError,
    demand_finite,
    demand_no_rise,
    good_steps,
    is_suspicious,
)
from outcrop.training.metrics import StepMetrics


def steps(losses: Sequence[float]) -> list[StepMetrics]:
    return [
        StepMetrics(
            step=number,
            epoch=0,
            loss=loss,
            learning_rate=0.01,
            grad_norm=2.5,
            tokens=8,
            supervised=4,
            flops=1.0,
            seconds=0.1,
        )
        for number, loss in enumerate(losses)
    ]


def test_a_loss_that_rises_for_good_ends_the_run_with_step_values_and_mend() -> None:
    risen = steps([3.0] * WINDOW + [9.0] * WINDOW)
    with pytest.raises(DivergedError) as error:
        demand_no_rise(risen)
    assert str(error.value) == (
        "step 31: training diverges. The loss of the last 16 steps is 9.00 nats a token in the mean, that of the first 16 "
        "was 3.00 (gradient norm 2.5, learning rate 0.01). Choose a smaller learningRate, a tenth to begin with, or more warmup steps."
    )


@pytest.mark.parametrize(
    "losses",
    [
        [3.0] * WINDOW + [25.0] + [3.0] * WINDOW,  # one hard batch
        [3.0] * WINDOW + [4.4] * 3 * WINDOW,  # risen, but not by much
        [0.0, 6.0] * 8 + [6.0] * WINDOW,  # risen, but so far apart lie the records
        [40.0] * 5 * WINDOW,  # it never was any better
        [3.0] * WINDOW + [9.0] * 5,  # too early to tell
        [],
    ],
)
def test_what_is_only_hard_does_not_end_the_run(losses: list[float]) -> None:
    demand_no_rise(steps(losses))


@given(st.lists(st.floats(0, 50), min_size=1, max_size=60), st.floats(0, 1))
def test_a_run_whose_loss_never_exceeds_its_beginning_never_diverges(start: list[float], share: float) -> None:
    level = sum(start[:WINDOW]) / len(start[:WINDOW])
    run = steps([*start[:WINDOW], *[level * share] * 40])
    for end in range(WINDOW + 1, len(run) + 1):
        demand_no_rise(run[:end])


@pytest.mark.parametrize(
    ("loss", "norm", "told"),
    [
        (
            math.nan,
            1.0,
            "step 5: the loss is no finite number any more (loss nan, gradient norm 1, learning rate 0.5). ",
        ),
        (
            2.0,
            math.inf,
            "step 5: the gradient is no finite number any more (loss 2, gradient norm inf, learning rate 0.5). ",
        ),
    ],
)
def test_what_is_not_finite_is_told_with_its_values(loss: float, norm: float, told: str) -> None:
    with pytest.raises(DivergedError) as error:
        demand_finite(loss, step=5, rate=0.5, grad_norm=norm)
    assert str(error.value) == f"{told}Choose a smaller learningRate or more warmup steps."


def test_the_last_good_weights_are_those_whose_next_loss_was_in_bounds() -> None:
    run = steps([3.0] * 20 + [7.0, 8.0, 9.0])
    # The loss of step 19 was measured on the weights after 19 steps.
    assert good_steps(run) == 19
    assert is_suspicious(run)
    assert not is_suspicious(run[:20])
