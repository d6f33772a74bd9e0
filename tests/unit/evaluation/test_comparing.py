"""A comparison can say no: equal models are rarely called different, a known difference is found, the verdict named."""

import numpy as np
import pytest

from outcrop.evaluation.statistics.comparing import (
    ScoreDifference,
    Significance,
    compare,
    confidence_of_each,
    detectable,
)

SAID = (Significance.BETTER, Significance.WORSE)


def compared(*arguments: object, **options: object) -> ScoreDifference:
    found = compare(*arguments, **options)  # type: ignore[arg-type]
    assert found is not None
    return found


@pytest.mark.parametrize("num", [30, 100])
@pytest.mark.parametrize("kind", ["graded", "right or wrong"])
def test_a_model_against_itself_is_called_different_in_6_of_100_cases_at_most(num: int, kind: str) -> None:
    # Given a model that answers each record twice, with records that are easy and hard: any difference is luck
    generator = np.random.default_rng(19)
    alarms = 0  # of 4,000 repetitions, 3.6 to 5.5 % in all four cases
    for _ in range(1_000):
        ease_N = generator.uniform(0, 1, num)
        if kind == "graded":
            first_N, second_N = (np.clip(ease_N + generator.normal(0, 0.2, num), 0, 1) for _ in range(2))
        else:
            first_N, second_N = ((generator.uniform(0, 1, num) < ease_N).astype(float) for _ in range(2))
        found = compared(list(first_N), list(second_N), resamples=2_000)
        alarms += found.significance in SAID
    assert alarms <= 60


def test_a_known_difference_is_found_as_often_as_theory_says() -> None:
    # Given 100 records, differences of standard deviation 1, and a true difference that 80 of 100 trials should show
    generator = np.random.default_rng(3)
    true = detectable(1.0, 100)
    assert true == pytest.approx(0.2802, abs=1e-4)
    found = 0
    for _ in range(1_000):
        baseline_N = generator.normal(0, 1, 100)
        found += (
            compared(list(baseline_N + generator.normal(true, 1, 100)), list(baseline_N), resamples=2_000).significance
            is Significance.BETTER
        )
    # Student's t with 99 degrees of freedom has a power of 0.793 here; 1,000 trials have a standard error of 0.013
    assert found / 1_000 == pytest.approx(0.793, abs=0.04)


def test_identical_scores_differ_by_exactly_zero() -> None:
    values = [0.1, 0.7, None, 1 / 3]
    found = compared(values, list(values), model="custom", baseline="base")
    assert (found.difference, found.interval, found.significance) == (0.0, (0.0, 0.0), Significance.NO_DIFFERENCE)
    assert found.sentence == "custom and base score the same on every one of 3 records (0.378 against 0.378)."


def test_the_verdict_has_names_and_figures() -> None:
    ours, theirs = [1.0] * 30 + [0.0] * 10, [1.0] * 12 + [0.0] * 28
    found = compared(ours, theirs, model="custom", baseline="base")
    assert found.significance is Significance.BETTER
    assert found.sentence.startswith("custom is better than base: 0.750 against 0.300, +0.450 (95 % interval +0.")
    assert found.sentence.endswith("), 40 records.")
    back = compared(theirs, ours, model="base", baseline="custom")
    assert back.sentence.startswith("base is worse than custom: 0.300 against 0.750, -0.450")
    assert compared(ours, theirs, higher_is_better=False).significance is Significance.WORSE
    assert compared(ours, theirs, higher_is_better=None).significance is Significance.DIFFERENT


def test_what_is_not_significant_says_what_could_have_been_seen() -> None:
    found = compared([1.0, 0.0] * 20, [0.0, 1.0] * 19 + [0.0, 0.0], model="A", baseline="B")
    assert found.significance is Significance.NOT_SIGNIFICANT
    assert found.sentence.startswith("The difference of A to B is not significant: 0.500 against 0.475, +0.025 (")
    assert found.sentence.endswith(
        f"So many records show a difference of {found.detectable:.3f} in four of five trials."
    )


@pytest.mark.parametrize(("num_differing", "verdict"), [(5, Significance.NOT_SIGNIFICANT), (6, Significance.BETTER)])
def test_from_fewer_than_six_differing_records_nothing_is_concluded(num_differing: int, verdict: Significance) -> None:
    # Five coins fall one way in 1 of 16 throws
    ours = [1.0] * num_differing + [0.5] * 0
    assert compared(ours, [0.0] * num_differing).significance is verdict


def test_records_that_one_model_has_no_value_of_are_left_out_of_both() -> None:
    found = compared([1.0, None, 0.0, 1.0], [0.0, 1.0, None, 1.0])
    assert (found.num_records, found.num_without) == (2, 2)
    assert (found.model_mean, found.baseline_mean) == (1.0, 0.5)
    assert compare([None], [1.0]) is None


def test_seeds_of_one_record_count_as_one_record() -> None:
    # Given 4 records that were answered 50 times each, always better
    ours, clusters = [1.0] * 200, [record for record in range(4) for _ in range(50)]
    assert compared(ours, [0.0] * 200, clusters=clusters).significance is Significance.NOT_SIGNIFICANT
    assert compared(ours, [0.0] * 200).significance is Significance.BETTER


def test_losses_are_compared_by_token() -> None:
    found = compared([2.0, 1.0], [2.0, 2.0], weights=[30, 10], higher_is_better=False)
    assert (found.model_mean, found.baseline_mean, found.difference) == (1.75, 2.0, -0.25)


def test_several_comparisons_are_made_at_a_higher_confidence() -> None:
    assert confidence_of_each(1) == pytest.approx(0.95)
    assert confidence_of_each(10) == pytest.approx(0.995)
