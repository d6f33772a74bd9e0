"""What a run will do is known before its first step, and follows from its seed alone."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from outcrop.training.batches import batch_at, epoch_order, pack, steps_per_epoch
from outcrop.training.checkpoints.history import History
from outcrop.training.checkpoints.model_checkpoints import ROOM_BYTES, checkpoint_schedule
from outcrop.training.examples import Example
from outcrop.training.metrics import Score
from outcrop.training.plan import plan_training
from outcrop.training.schedule import Schedule, learning_rate
from outcrop.training.task import TrainingHyper

HYPER = TrainingHyper(epochs=2, batch_size=4, learning_rate=1e-3)


def examples(*lengths: int) -> list[Example]:
    return [
        Example(
            ids_T=torch.zeros(length, dtype=torch.long),
            at_N=torch.arange(length - 1),
            target_N=torch.zeros(length - 1, dtype=torch.long),
            num_bytes=length,
            line=line,
        )
        for line, length in enumerate(lengths, start=1)
    ]


@given(lengths=st.lists(st.integers(1, 60), min_size=1), token_budget=st.integers(1, 100))
def test_every_record_lies_in_one_row_and_only_a_single_one_exceeds_the_budget(
    lengths: list[int], token_budget: int
) -> None:
    rows = pack(lengths, token_budget)
    assert sorted(index for row in rows for index in row) == list(range(len(lengths)))
    assert all(len(row) == 1 or sum(lengths[index] for index in row) <= token_budget for row in rows)


@given(num_examples=st.integers(1, 40), batch_size=st.integers(1, 12), seed=st.integers(0, 5))
def test_an_epoch_meets_every_record_once(num_examples: int, batch_size: int, seed: int) -> None:
    steps = steps_per_epoch(num_examples, batch_size)
    for epoch in (0, 1):
        batches = [
            batch_at(epoch * steps + step, num_examples, batch_size=batch_size, seed=seed) for step in range(steps)
        ]
        assert sorted(index for batch in batches for index in batch) == list(range(num_examples))
        assert all(len(batch) == batch_size for batch in batches[:-1])


def test_the_order_follows_from_seed_and_epoch_and_never_changes_between_versions() -> None:
    assert epoch_order(8, seed=1, epoch=0) == epoch_order(8, seed=1, epoch=0) == [1, 5, 4, 2, 7, 0, 3, 6]
    assert epoch_order(8, seed=1, epoch=1) != epoch_order(8, seed=1, epoch=0) != epoch_order(8, seed=2, epoch=0)


def test_the_rate_rises_over_the_warmup_and_falls_evenly_to_nothing() -> None:
    rates = [learning_rate(step, steps=8, warmup_steps=3, peak=1.0) for step in range(8)]
    assert rates == pytest.approx([0.25, 0.5, 0.75, 1.0, 0.8, 0.6, 0.4, 0.2])


def test_a_plan_counts_steps_rows_and_tokens_and_reads_well() -> None:
    plan = plan_training(examples(*[10] * 9, 30), examples(10), replace(HYPER, warmup_steps=5, token_budget=35))
    assert (plan.steps, plan.steps_per_epoch, plan.num_tokens, plan.num_supervised) == (6, 3, 240, 220)
    assert plan.to_text() == (
        "records      10, the longest of 30 tokens\n"
        "steps        6 = 2 epochs x 3\n"
        "tokens       240, of which 220 are learned\n"
        "rate         0.001 after 3 steps of warmup, then falling evenly to 0\n"
        "evaluations  7, the first before training\n"
        "note         warmup shortened from 5 to 3 steps: the run has only 6"
    )


@pytest.mark.parametrize(
    ("wanted", "num_validation", "after"),
    [
        (None, 1, {10, 20, 30, 40, 50, 60, 70, 80}),  # four an epoch
        (None, 60, {20, 40, 60, 80}),  # validation as large as half the training data: two an epoch
        (None, 2000, {40, 80}),  # never less than at the end of each epoch
        (3, 1, {14, 27, 40, 54, 67, 80}),
        (1000, 1, set(range(1, 81))),
        (None, 0, set()),
    ],
)
def test_evaluations_are_even_and_no_dearer_than_training(
    wanted: int | None, num_validation: int, after: set[int]
) -> None:
    hyper = replace(HYPER, batch_size=1, evaluations_per_epoch=wanted)
    plan = plan_training(examples(*[2] * 40), examples(*[2] * num_validation), hyper)
    assert plan.evaluate_after == after


def test_patience_counts_evaluations_that_do_not_improve_by_the_threshold() -> None:
    history = History()
    history.begin([Score(nll=10.0, num_tokens=10, num_bytes=0)])
    failures = []
    for loss in (0.95, 0.85, 0.86, 0.80, 0.74):
        score = Score(nll=loss * 10, num_tokens=10, num_bytes=0)
        history.add_evaluation(score, epoch=0, threshold=0.1, weights=torch.tensor([loss]))
        failures.append(history.failures)
    # 0.95 is not below 1.0 - 0.1; 0.85 is; 0.80 is the best so far, yet not below 0.85 - 0.1; 0.74 is.
    assert failures == [1, 0, 1, 2, 0]
    assert history.best_weights == torch.tensor([0.74])
    assert history.best_score == Score(nll=7.4, num_tokens=10, num_bytes=0)
    assert [evaluation.best for evaluation in history.evaluations] == [False, True, True, False, True, True]
    assert (history.is_out_of_patience(None), history.is_out_of_patience(1)) == (False, False)


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        ("linear", [0.5, 1.0, 0.75, 0.5, 0.25]),
        ("cosine", [0.5, 1.0, 0.853553, 0.5, 0.146447]),
        ("constant", [0.5, 1.0, 1.0, 1.0, 1.0]),
    ],
)
def test_the_rate_rises_and_then_goes_by_the_schedule(schedule: Schedule, rates: list[float]) -> None:
    found = [learning_rate(step, steps=5, warmup_steps=1, peak=1.0, schedule=schedule) for step in range(5)]
    assert found == pytest.approx(rates, abs=1e-6)


@given(
    num_records=st.integers(1, 60),
    epochs=st.integers(1, 15),
    validated=st.booleans(),
    num_bytes=st.integers(1, 2 * ROOM_BYTES),
)
def test_model_checkpoints_are_few_fit_the_room_and_end_with_the_run(
    num_records: int, epochs: int, validated: bool, num_bytes: int
) -> None:
    hyper = replace(HYPER, epochs=epochs)
    plan = plan_training(examples(*[3] * num_records), examples(3) if validated else (), hyper)
    found = checkpoint_schedule(plan, num_bytes=num_bytes)
    kept = found.after
    ends = frozenset(range(plan.steps_per_epoch, plan.steps + 1, plan.steps_per_epoch))
    assert kept <= (plan.evaluate_after or ends)
    assert found.one_for_the_best == (validated and kept != plan.evaluate_after)
    assert plan.steps in kept or (found.one_for_the_best and not kept)
    assert 1 <= found.most <= 10
    assert found.most == 1 or found.most * num_bytes <= ROOM_BYTES
