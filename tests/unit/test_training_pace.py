"""How long a run will still take counts everything it has to do."""

import pytest

from outcrop.training.metrics import StepMetrics
from outcrop.training.throughput import RemainingWork, Throughput

AHEAD = RemainingWork(
    num_tokens=400,
    steps=4,
    evaluate_after=frozenset({2, 4}),
    evaluated_tokens=300,
    other_tokens=60,
    save_after=frozenset({2, 4}),
    saves_at_end=1,
    sampled_tokens=30,
)


class FakeTime:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def step(number: int) -> StepMetrics:
    return StepMetrics(
        step=number,
        epoch=0,
        loss=1.0,
        learning_rate=0.1,
        grad_norm=1.0,
        tokens=100,
        supervised=100,
        flops=1.0,
        seconds=1.0,
    )


def test_evaluations_saves_and_the_end_count() -> None:
    time = FakeTime()
    throughput = Throughput(AHEAD, now=time)
    left: list[float] = []
    with throughput.evaluating():
        time.now += 5
    with throughput.scoring_others():
        time.now += 2
    throughput.begin(tokens_done=0)
    for number in range(4):
        time.now += 10
        left.append(throughput.after(step(number)).seconds_left)
        if number in (1, 3):
            with throughput.evaluating():
                time.now += 5
            with throughput.saving():
                time.now += 3
    # Steps of 10 s, evaluations of 5, others of 2; a save is guessed to take a third of learning its 30 tokens
    assert left == pytest.approx([30 + 10 + 3 * 1 + 2, 20 + 10 + 3 * 1 + 2, 10 + 5 + 2 * 3 + 2, 0 + 5 + 2 * 3 + 2])


def test_what_was_not_timed_yet_is_guessed_after_a_resume() -> None:
    time = FakeTime()
    throughput = Throughput(AHEAD, now=time)
    throughput.begin(tokens_done=100)
    time.now += 10
    # 0.1 s a token: two evaluations of 300 tokens at a third of that, three saves of 30, the others' 60
    assert throughput.after(step(1)).seconds_left == pytest.approx(20 + 2 * 10 + 3 * 1 + 2)


def test_the_speed_counts_from_the_first_step_of_this_process() -> None:
    time = FakeTime()
    throughput = Throughput(AHEAD, now=time)
    time.now += 100
    throughput.begin(tokens_done=100)
    time.now += 20
    assert throughput.after(step(1)).tokens_per_s == pytest.approx(5)
