"""What a run is said to need: every part of it, how it changes, and what is proposed where it is too much."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from outcrop.errors import Invalid
from outcrop.network.adapters.method import Full, LoRA
from outcrop.training.data import read
from outcrop.training.data_parallel.row_schedule import RowSchedule, ScheduledRow
from outcrop.training.estimate import duration, memory, requirements
from outcrop.training.estimate.duration import (
    ATTENTION,
    BYTES,
    C_ATTENTION,
    C_BYTES,
    PRODUCT,
    RowTime,
    Speed,
    pass_time,
)
from outcrop.training.estimate.fitting import check
from outcrop.training.estimate.memory import Holding
from outcrop.training.estimate.requirements import Estimate, Lengths, lengths_of
from outcrop.training.estimate.tracing import Cost, Op
from outcrop.training.plan import plan_training
from outcrop.training.task import TrainingHyper
from tests.support.tiny import tiny_model
from tests.support.training_runs import HELD_OUT, task

SPEED = Speed(flops=1e9, bytes=1e9, op_s=1e-6)
HYPER = TrainingHyper(
    epochs=2, batch_size=4, learning_rate=1e-3, method=LoRA(rank=8, alpha=1), token_budget=256, threads=1
)
LENGTHS = Lengths(training=[60] * 8, supervised=400, validation=[60] * 2)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def found(base: Path) -> Estimate:
    return requirements.estimate(base, LENGTHS, HYPER, speed=SPEED)


def cost(*, trained: int = 1000) -> Cost:
    forward = {Op(2e6, 1000): 3.0, Op(0.0, 4000): 2.0}
    backward = {Op(1e6, 8, attends=True): 1.0}
    return Cost(weights=4e6, trained=trained, kept=1e6, peak=2e6, forward=forward, backward=backward, scoring=forward)


def test_an_adapter_comes_on_top_of_the_weights() -> None:
    need = memory.memory_of(cost(), [2e6], Holding(replicas=1, own_weights=False, validated=True))
    assert (need.weights, need.optimizer, need.copies, need.rows) == (4_004_000, 12_000, 16_000, 2_000_000)
    assert need.total == need.process + 4_004_000 + 12_000 + 16_000 + 2_000_000


def test_without_validation_no_best_weights_are_kept() -> None:
    need = memory.memory_of(cost(trained=1_000_000), [], Holding(replicas=1, own_weights=True, validated=False))
    assert (need.weights, need.optimizer, need.copies) == (4_000_000, 12_000_000, 12_000_000)


def test_a_further_lane_holds_a_row_and_a_gradient_and_no_weights() -> None:
    alone, beside = (
        memory.memory_of(cost(), [2e6] * replicas, Holding(replicas=replicas, own_weights=False, validated=True))
        for replicas in (1, 2)
    )
    assert (beside.weights, beside.copies, beside.process) == (alone.weights, alone.copies, alone.process)
    assert (beside.optimizer - alone.optimizer, beside.rows - alone.rows) == (4_000, 2_000_000)


def test_an_operation_takes_the_longer_of_its_two_times() -> None:
    taken = pass_time(cost(), [10, 10], Speed(flops=1e9, bytes=1e6, op_s=0.0))
    products, others = 3 * 2e6 / (PRODUCT * 1e9), 2 * 4000 / (BYTES * 1e6)
    assert taken.scoring.of([10, 10]) == pytest.approx(products + others)
    assert taken.learning.per_pair * 200 == pytest.approx(1e6 / (ATTENTION * 1e9))


def test_what_the_c_kernels_do_has_speeds_of_its_own() -> None:
    ops = {Op(1e6, 8, attends=True, in_c=True): 1.0, Op(0.0, 4000, in_c=True): 2.0}
    found = duration.seconds_of(ops, Speed(flops=1e9, bytes=1e6, op_s=0.0))
    assert found == pytest.approx(1e6 / (C_ATTENTION * 1e9) + 2 * 4000 / (C_BYTES * 1e6))


def test_what_a_row_grows_with_is_added_up() -> None:
    assert RowTime(1.0, 0.1, 0.01).of([10, 20]) == pytest.approx(1 + 3 + 5)


def test_the_last_lane_counts_and_threads_within_it_share() -> None:
    rows = [ScheduledRow(0, [0]), ScheduledRow(1, [1]), ScheduledRow(0, [2])]
    taken, schedule = RowTime(0.0, 1.0, 0.0), RowSchedule(lengths=[5, 7, 5], rows=rows, replicas=2, room=12)
    assert taken.of_schedule(schedule, 2) == 10
    assert taken.of_schedule(schedule, 4) == pytest.approx(10 / 2**0.6)
    assert taken.of_schedule(replace(schedule, room=9), 2) == 17  # one after the other


def test_a_machine_is_measured_on_as_many_threads_as_it_will_use() -> None:
    before = torch.get_num_threads()
    alone, beside = duration.measure_speed(1, for_s=0.01), duration.measure_speed(2, for_s=0.01)
    assert torch.get_num_threads() == before
    assert all(number > 0 for number in (*alone, *beside))


def test_most_tokens_at_once_are_those_of_the_fullest_row(found: Estimate) -> None:
    assert found.at_once == ((60, 60, 60, 60),)
    assert found.tokens_at_once == 240


def test_two_threads_halve_the_rows_and_the_time(found: Estimate, base: Path) -> None:
    twice = requirements.estimate(base, LENGTHS, replace(HYPER, threads=2), speed=SPEED)
    assert twice.at_once == ((60, 60), (60, 60))
    assert twice.step_s == pytest.approx(found.step_s / 2, rel=0.05)
    assert twice.memory.optimizer == found.memory.optimizer * 4 // 3


def test_steps_and_evaluations_are_those_of_the_plan(base: Path, tmp_path: Path) -> None:
    run = task(base, tmp_path, hyper=HYPER, held_out=HELD_OUT)
    data = read(run)
    plan = plan_training(data.examples, data.evaluated, HYPER)
    said = requirements.estimate(base, lengths_of(data), HYPER, speed=SPEED)
    assert (said.steps, said.evaluations) == (plan.steps, plan.num_evaluations)


def test_a_machine_of_half_the_speed_takes_twice_as_long(found: Estimate, base: Path) -> None:
    slow = Speed(flops=SPEED.flops / 2, bytes=SPEED.bytes / 2, op_s=2 * SPEED.op_s)
    slower = requirements.estimate(base, LENGTHS, HYPER, speed=slow)
    assert slower.step_s == pytest.approx(2 * found.step_s)
    assert slower.evaluation_s == pytest.approx(2 * found.evaluation_s)


def test_the_parts_make_the_whole(found: Estimate) -> None:
    """The base, and two epochs of four evaluations, cut to the two steps each has; a model checkpoint after each."""
    assert (found.steps, found.evaluations, found.saves) == (4, 1 + 4, 2 + 4)
    assert found.seconds == pytest.approx(4 * found.step_s + 5 * found.evaluation_s + 6 * found.save_s)


def test_what_does_not_fit_is_refused_with_a_budget_that_does(found: Estimate, base: Path) -> None:
    check("local.tiny-v1", found, base, LENGTHS, HYPER, free=found.memory.total)
    short = found.memory.total - found.memory.rows // 3
    with pytest.raises(Invalid, match=r"^local\.tiny-v1: .* Set outcrop\.tokensPerRow to 120: it then fits") as refused:
        check("local.tiny-v1", found, base, LENGTHS, HYPER, free=short)
    assert "GiB rows at once" in refused.value.message
    narrower = requirements.estimate(base, LENGTHS, replace(HYPER, token_budget=120), speed=SPEED)
    assert narrower.memory.total <= short


def test_what_fits_if_layers_are_computed_again_is_told_so(base: Path) -> None:
    long = Lengths(training=[120] * 4, supervised=400, validation=[])
    hyper = replace(HYPER, batch_size=1, token_budget=100)
    said = requirements.estimate(base, long, hyper, speed=SPEED)
    least = requirements.memory_needed(base, long, replace(hyper, gradient_checkpointing=True)).total
    assert least < said.memory.total
    with pytest.raises(Invalid, match=r"Set outcrop\.gradientCheckpointing to true: it then fits"):
        check("local.tiny-v1", said, base, long, hyper, free=least)


def test_where_only_the_gradients_of_threads_are_too_much_one_thread_is_proposed(base: Path) -> None:
    hyper = replace(HYPER, method=Full(), threads=2, token_budget=240)
    lengths = replace(LENGTHS, training=[120] * 8)  # in no smaller budget's room
    two, one = (requirements.memory_needed(base, lengths, replace(hyper, threads=num)).total for num in (2, 1))
    said = requirements.estimate(base, lengths, hyper, speed=SPEED)
    assert (said.memory.total, one < two) == (two, True)
    with pytest.raises(Invalid, match=r"Start Outcrop with OUTCROP_THREADS=1: it then fits"):
        check("local.tiny-v1", said, base, lengths, hyper, free=one)


def test_where_no_budget_helps_something_else_is_proposed(found: Estimate, base: Path) -> None:
    full = replace(HYPER, method=Full())
    with pytest.raises(Invalid, match=r"Choose outcrop\.method lora or a smaller base model, or free some memory\.$"):
        check("local.tiny-v1", found, base, LENGTHS, full, free=1000)


@pytest.mark.parametrize(("seconds", "said"), [(0.5, "0.5 s"), (99, "99 s"), (720, "12 min"), (12_600, "3.5 h")])
def test_time_is_told_as_a_person_would(seconds: float, said: str) -> None:
    assert requirements.clock(seconds) == said
