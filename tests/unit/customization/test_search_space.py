"""The search in a job's hyperparameters: its ranges, and what is refused before a job is on record."""

import pytest

from outcrop.customization.choices import hyperparameters, search_space
from outcrop.customization.choices.search_space import Pruner, SearchPlan
from outcrop.errors import Invalid
from outcrop.search.ranges import CategoricalRange, ContinuousRange, IntegerRange, ScalingType
from outcrop.search.strategy import Strategy

FAMILY = "outcrop"
LINEAR, LOGARITHMIC = ScalingType.LINEAR, ScalingType.LOGARITHMIC


def planned(text: str, *, has_validation: bool = True, **more: str) -> SearchPlan | None:
    given = {f"outcrop.{name}": value for name, value in more.items()}
    values = hyperparameters.filled(FAMILY, {"outcrop.search": text, **given})
    return search_space.read(FAMILY, values, has_validation=has_validation)


def test_ranges_are_read_one_by_one_and_numbers_by_what_the_hyperparameter_takes() -> None:
    plan = planned(
        "outcrop.rank=4..64; outcrop.learningRate=1e-5..1e-3\nlearningRateWarmupSteps=0..10;outcrop.schedule=linear|cosine"
    )
    assert plan is not None
    assert plan.space == {
        "learningRateWarmupSteps": IntegerRange(least=0, most=10, scaling=LINEAR),
        "outcrop.learningRate": ContinuousRange(least=1e-5, most=1e-3, scaling=LOGARITHMIC),
        "outcrop.rank": IntegerRange(least=4, most=64, scaling=LINEAR),
        "outcrop.schedule": CategoricalRange(values=("linear", "cosine")),
    }
    assert (plan.trials, plan.strategy, plan.pruner, plan.at_once, plan.seed) == (
        16, Strategy.BAYESIAN, Pruner.MEDIAN, 8, 0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("said", "scaling"),
    [
        ("0.001..0.003", LINEAR),
        ("0.001..0.003 log", LOGARITHMIC),
        ("0.001..0.1 even", LINEAR),
        ("0.0001..0.01", LOGARITHMIC),
    ],
)
def test_a_wide_range_is_gone_through_by_orders_of_magnitude_unless_it_says_otherwise(
    said: str, scaling: ScalingType
) -> None:
    plan = planned(f"outcrop.learningRate={said}")
    assert plan is not None
    found = plan.space["outcrop.learningRate"]
    assert isinstance(found, ContinuousRange)
    assert found.scaling is scaling


def test_numbers_may_be_words() -> None:
    plan = planned("batchSize=1|4|16; outcrop.rank=8|32", sampler="grid")
    assert plan is not None
    assert plan.space["batchSize"] == CategoricalRange(values=("1", "4", "16"))
    assert plan.trials == 7, "every combination, and the job's own hyperparameters"
    assert list(plan.corners()) == [
        {"batchSize": "1", "outcrop.rank": "8"},
        {"batchSize": "4", "outcrop.rank": "32"},
        {"batchSize": "16", "outcrop.rank": "32"},
    ]


def test_without_a_search_there_is_no_plan() -> None:
    assert planned("none") is None
    assert search_space.read(FAMILY, hyperparameters.filled(FAMILY, {}), has_validation=False) is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("outcrop.rank", "outcrop.search: outcrop.rank has no range. Write NAME=LEAST..MOST, or NAME=WORD|WORD."),
        ("outcrop.rank=8", "outcrop.search: outcrop.rank '8' is no range. Write LEAST..MOST, or several different WORD|WORD."),
        ("outcrop.rank=64..4", "outcrop.search: outcrop.rank 64..4 ends below its beginning. Exchange them."),
        ("outcrop.rank=0..4", "outcrop.search: outcrop.rank 0 is below the least value 1."),
        ("outcrop.rank=4..1.5", "outcrop.search: outcrop.rank '1.5' is no whole number."),
        ("outcrop.learningRate=0..1e-3 log", "outcrop.learningRate 0..1e-3 log needs a beginning above 0."),
        ("outcrop.schedule=linear|square", "outcrop.search: outcrop.schedule 'square' is none of them."),
        ("outcrop.seed=0..9", "outcrop.search: outcrop.seed is the same for all trials"),
        ("rank=4..8", "outcrop.search: rank is unknown for this base model. Known are epochCount, "),
        ("outcrop.rank=4..8;outcrop.rank=4..9", "outcrop.search: outcrop.rank is given twice."),
    ],
)  # fmt: skip
def test_a_range_that_is_none_names_its_hyperparameter(text: str, problem: str) -> None:
    with pytest.raises(Invalid) as refused:
        planned(text)
    assert problem in refused.value.message


def test_a_search_needs_something_to_compare_on_and_its_options_need_a_search() -> None:
    with pytest.raises(Invalid, match=r"outcrop\.search: trials are compared on validation data, and there is none"):
        planned("outcrop.rank=4..8", has_validation=False)
    with pytest.raises(Invalid, match=r"outcrop\.trials: goes with outcrop\.search"):
        planned("none", trials="4")
    with pytest.raises(Invalid, match=r"outcrop\.sampler: grid goes through words only"):
        planned("outcrop.rank=4..8", sampler="grid")
