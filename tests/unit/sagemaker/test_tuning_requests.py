"""Requests for tuning jobs: what they come to, and what is refused, with a sentence that says how to mend it."""

from pathlib import Path
from typing import Any

import pytest

from outcrop.errors import Invalid, ServiceRefusal
from outcrop.sagemaker.tuning import children, plan, ranges
from outcrop.search.ranges import CategoricalRange, ContinuousRange, IntegerRange, ScalingType, texts, values
from outcrop.search.strategy import HyperbandResources
from tests.support.tuning_house import TuningHouse


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> TuningHouse:
    return TuningHouse(tmp_path_factory.mktemp("requests") / "home")


def continuous(least: str, most: str, **more: str) -> dict[str, Any]:
    return {"ContinuousParameterRanges": [{"Name": "rate", "MinValue": least, "MaxValue": most, **more}]}


def integer(least: str, most: str, **more: str) -> dict[str, Any]:
    return {"IntegerParameterRanges": [{"Name": "width", "MinValue": least, "MaxValue": most, **more}]}


def test_ranges_are_read_in_the_forms_that_clients_send() -> None:
    given = {
        "ContinuousParameterRanges": [
            {"Name": "rate", "MinValue": "1e-05", "MaxValue": "0.1", "ScalingType": "Auto"},
            {"Name": "momentum", "MinValue": "0.9", "MaxValue": "0.999", "ScalingType": "ReverseLogarithmic"},
        ],
        "IntegerParameterRanges": [{"Name": "width", "MinValue": "-8", "MaxValue": "64", "ScalingType": "Linear"}],
        "CategoricalParameterRanges": [{"Name": "kind", "Values": ['"adam"', "8", "[1, 2]"]}],
    }
    space = ranges.read("R", given)
    assert space == {
        "kind": CategoricalRange(values=('"adam"', "8", "[1, 2]")),
        "momentum": ContinuousRange(least=0.9, most=0.999, scaling=ScalingType.REVERSE_LOGARITHMIC),
        "rate": ContinuousRange(least=1e-5, most=0.1, scaling=ScalingType.LOGARITHMIC),
        "width": IntegerRange(least=-8, most=64, scaling=ScalingType.LINEAR),
    }
    told = texts(space, {"kind": '"adam"', "momentum": 0.95, "rate": 1e-5, "width": 7})
    assert told == {"kind": '"adam"', "momentum": "0.95", "rate": "1e-05", "width": "7"}
    assert values(space, {**told, "other": "1"}) == {
        "kind": '"adam"',
        "momentum": 0.95,
        "rate": 1e-5,
        "width": 7,
    }
    assert values(space, {**told, "rate": "0.2"}) is None
    assert values(space, {"rate": "0.01"}) is None


WRONG_RANGES: list[tuple[dict[str, Any], str]] = [
    (continuous("2", "1"), "R.ContinuousParameterRanges.rate: MinValue 2 is above MaxValue 1. Exchange them."),
    (continuous("a", "1"), "R.ContinuousParameterRanges.rate: MinValue 'a' is no number. Give one, 0.1 or 1e-5 say."),
    (continuous("0", "inf"), "R.ContinuousParameterRanges.rate: MaxValue 'inf' is no number. Give one, 0.1 or 1e-5 say."),
    (continuous("-1e308", "1e308"), "R.ContinuousParameterRanges.rate: MinValue and MaxValue lie too far apart. Choose a narrower range."),
    (continuous("0", "1", ScalingType="Logarithmic"), "R.ContinuousParameterRanges.rate: ScalingType Logarithmic needs a MinValue above 0. Raise it, or choose Linear."),
    (continuous("0", "1", ScalingType="ReverseLogarithmic"), "R.ContinuousParameterRanges.rate: ScalingType ReverseLogarithmic needs values from 0 to below 1. Narrow the range."),
    (integer("3", "2"), "R.IntegerParameterRanges.width: MinValue 3 is above MaxValue 2. Exchange them."),
    (integer("1.5", "2"), "R.IntegerParameterRanges.width: MinValue '1.5' is no whole number. Give one, or a continuous range."),
    (integer("1", "9" * 17), f"R.IntegerParameterRanges.width: MaxValue '{'9' * 17}' is no whole number. Give one, or a continuous range."),
    (integer("1", "2", ScalingType="ReverseLogarithmic"), "R.IntegerParameterRanges.width: ScalingType ReverseLogarithmic needs values from 0 to below 1. Narrow the range."),
    (integer("0", "0", ScalingType="ReverseLogarithmic"), "R.IntegerParameterRanges.width: ScalingType ReverseLogarithmic is for continuous ranges only. Choose another."),
    ({"CategoricalParameterRanges": [{"Name": "kind", "Values": ["a", "a"]}]}, "R.CategoricalParameterRanges.kind: a value is given twice. Give each once."),
    (continuous("0", "1") | {"CategoricalParameterRanges": [{"Name": "rate", "Values": ["a"]}]}, "R.CategoricalParameterRanges.rate: the name is given twice. Give each hyperparameter one range."),
    ({"CategoricalParameterRanges": [{"Name": "_tuning_objective_metric", "Values": ["a"]}]}, "R.CategoricalParameterRanges._tuning_objective_metric: is no name for a hyperparameter. Choose another."),
    ({"AutoParameters": [{"Name": "a", "ValueHint": "1"}]}, "R.AutoParameters: Autotune is not built. Give each hyperparameter a range."),
    ({}, "R: no range. Give at least one hyperparameter a range."),
    ({"CategoricalParameterRanges": [{"Name": f"n{number}", "Values": ["a"]} for number in range(31)]}, "R: 31 hyperparameters are more than 30. Give fewer a range."),
]  # fmt: skip


@pytest.mark.parametrize(("given", "sentence"), WRONG_RANGES)
def test_a_range_that_is_none_is_refused(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Invalid) as refused:
        ranges.read("R", given)
    assert refused.value.message == sentence


def test_every_problem_of_the_ranges_is_told_at_once() -> None:
    with pytest.raises(Invalid) as refused:
        ranges.read("R", continuous("2", "1") | integer("3", "2"))
    assert refused.value.message.count("Exchange them.") == 2


KINDS = {"CategoricalParameterRanges": [{"Name": "kind", "Values": ["a", "b"]}]}
HYPERBAND = {"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": 9}}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"Autotune": {"Mode": "Enabled"}}, "Autotune: not built."),
    ({"TrainingJobDefinition": None}, "Give either TrainingJobDefinition or TrainingJobDefinitions."),
    ({"most": None}, "ResourceLimits.MaxNumberOfTrainingJobs: missing. Give it, or MaxRuntimeInSeconds."),
    ({"most": 751, "strategy": "Bayesian"}, "751 is more than 750, the most with Bayesian. Choose fewer."),
    ({"parallel": 101}, "MaxParallelTrainingJobs: 101 is more than 100. Choose fewer."),
    ({"strategy": "Grid"}, "Strategy: Grid goes through categories only."),
    ({"strategy": "Grid", "ranges": KINDS, "most": 3}, "3 is not the number of combinations, 2. Leave it out with Grid."),
    ({"config": {"StrategyConfig": HYPERBAND}}, "HyperbandStrategyConfig: goes with the strategy Hyperband. Leave it out."),
    ({"strategy": "Hyperband", "definition": {"StaticHyperParameters": None}}, "HyperbandStrategyConfig.MaxResource: missing."),
    ({"strategy": "Hyperband", "config": {"StrategyConfig": {"HyperbandStrategyConfig": {"MinResource": 9}}}}, "MinResource 9 and MaxResource 9 leave nothing to choose."),
    ({"strategy": "Hyperband", "config": {"TrainingJobEarlyStoppingType": "Auto"}}, "TrainingJobEarlyStoppingType: Hyperband stops training jobs itself. Choose Off."),
    ({"config": {"HyperParameterTuningJobObjective": None}}, "HyperParameterTuningJobConfig.HyperParameterTuningJobObjective: missing."),
    ({"config": {"HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"}}}, "MetricDefinitions: the objective loss is not among them. Add it,"),
    ({"definition": {"StaticHyperParameters": {"rate": "1"}}}, "StaticHyperParameters: rate has a range too. Take one of the two away."),
    ({"definition": {"StaticHyperParameters": {"_tuning_objective_metric": "x"}}}, "_tuning_objective_metric is told by the tuning job. Leave it out."),
    ({"definition": {"StaticHyperParameters": {f"p{number}": "1" for number in range(99)}}}, "a training job has fewer than 100 hyperparameters."),
    ({"definition": {"TuningObjective": {"Type": "Minimize", "MetricName": "score"}}}, "TrainingJobDefinition.TuningObjective: goes with TrainingJobDefinitions."),
    ({"definition": {"HyperParameterTuningResourceConfig": None}}, "TrainingJobDefinition: give either ResourceConfig or HyperParameterTuningResourceConfig."),
    ({"definition": {"HyperParameterTuningResourceConfig": {"InstanceCount": 0, "InstanceType": "ml.m5.large"}}}, "TrainingJobDefinition.ResourceConfig.InstanceCount: 0 instances"),
    ({"definition": {"AlgorithmSpecification": {"TrainingImage": "me/mine:1", "TrainingInputMode": "File", "MetricDefinitions": [{"Name": "score", "Regex": "(x)"}]}}}, "TrainingJobDefinition.TrainingImage: no environment stands for"),
    ({"config": {"TuningJobCompletionCriteria": {"ConvergenceDetected": {"CompleteOnConvergence": "Enabled"}}}}, "ConvergenceDetected: not built."),
    ({"config": {"TuningJobCompletionCriteria": {"TargetObjectiveMetricValue": float("nan")}}}, "TargetObjectiveMetricValue: is no finite number."),
    ({"WarmStartConfig": {"WarmStartType": "TransferLearning", "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "nobody"}]}}, "nobody was not found. Name tuning jobs of this region."),
    ({"WarmStartConfig": {"WarmStartType": "TransferLearning", "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "p"}] * 2}}, "one is named twice. Name each once."),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "sentence"), WRONG)
def test_what_would_not_be_done_is_refused_at_once(house: TuningHouse, asked: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Invalid) as refused:
        house.create("refused", **asked)
    assert sentence in refused.value.message
    assert house.house.store.resources.find("hyper-parameter-tuning-job", "us-east-1", "refused") is None


def definitions(house: TuningHouse, *changes: dict[str, Any]) -> dict[str, Any]:
    usual = {
        "TuningObjective": {"Type": "Minimize", "MetricName": "score"},
        "HyperParameterRanges": KINDS,
    }
    several = [
        house.definition(**{"DefinitionName": f"d{place}", **usual, **each}) for place, each in enumerate(changes)
    ]
    config = {"HyperParameterTuningJobObjective": None, "ParameterRanges": None}
    return {"TrainingJobDefinition": None, "TrainingJobDefinitions": several, "config": config}


@pytest.mark.parametrize(
    ("second", "sentence"),
    [
        ({"DefinitionName": None}, "TrainingJobDefinitions[1].DefinitionName: missing. Give each definition a name."),
        ({"DefinitionName": "d0"}, "TrainingJobDefinitions: two have the same DefinitionName. Give each its own."),
        (
            {"TuningObjective": {"Type": "Maximize", "MetricName": "score"}},
            "objectives of both types cannot be compared",
        ),
        ({"TuningObjective": None}, "TrainingJobDefinitions[1].TuningObjective: missing."),
        ({"HyperParameterRanges": None}, "TrainingJobDefinitions[1].HyperParameterRanges: no range."),
    ],
)
def test_several_definitions_each_have_what_they_need(
    house: TuningHouse, second: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(Invalid) as refused:
        plan.read(house.params("several", **definitions(house, {}, second)))
    assert sentence in refused.value.message


def test_limits_that_are_not_given_follow_from_the_strategy(house: TuningHouse) -> None:
    def planned(**asked: Any) -> plan.TuningPlan:
        return plan.read(house.params("limits", **asked))

    assert planned(strategy="Grid", most=None, ranges=KINDS).most_jobs == 2
    assert planned(most=None, limits={"MaxRuntimeInSeconds": 600}).most_jobs == plan.MOST_RANDOM_JOBS
    hyperband = planned(strategy="Hyperband", definition={"StaticHyperParameters": {"epochs": '"27"'}}).hyperband
    assert hyperband == HyperbandResources(least=1, most=27)


def test_early_stopping_needs_points(tmp_path: Path) -> None:
    house = TuningHouse(tmp_path / "home", points_days=0)
    with pytest.raises(Invalid, match="Set OUTCROP_METRICS_DAYS to 1 or more"):
        house.create("pointless", config={"TrainingJobEarlyStoppingType": "Auto"})
    house.create("plain")


def test_a_name_is_taken_whatever_its_letters_case(house: TuningHouse) -> None:
    house.create("Taken")
    with pytest.raises(ServiceRefusal) as taken:
        house.create("taken")
    assert taken.value.code == "ResourceInUse"


def test_a_parent_must_have_ended_and_look_for_the_same(house: TuningHouse) -> None:
    arn = house.create("parent", most=1)

    def refused(**asked: Any) -> str:
        warm = {
            "WarmStartType": "IdenticalDataAndAlgorithm",
            "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "parent"}],
        }
        with pytest.raises(Invalid) as refusal:
            house.create("child", WarmStartConfig=warm, **asked)
        return refusal.value.message

    assert refused().endswith("parent is InProgress. Wait for its end, or stop it.")
    house.play(arn, lambda _tuned: 1.0)
    other = {"HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "score"}}
    assert refused(config=other).endswith("parent has another objective: Minimize score. Take it.")
    algorithm = {**house.definition()["AlgorithmSpecification"], "TrainingImage": "x/pytorch-training:9"}
    assert "parent has another TrainingImage" in refused(definition={"AlgorithmSpecification": algorithm})


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"ResourceConfig": {"InstanceType": "a", "InstanceCount": 1}},
            {"InstanceType": "a", "InstanceCount": 1, "VolumeSizeInGB": 30},
        ),
        (
            {
                "HyperParameterTuningResourceConfig": {
                    "AllocationStrategy": "Prioritized",
                    "InstanceConfigs": [
                        {"InstanceType": "b", "InstanceCount": 1, "VolumeSizeInGB": 7},
                        {"InstanceType": "c", "InstanceCount": 1, "VolumeSizeInGB": 8},
                    ],
                }
            },
            {"InstanceType": "b", "InstanceCount": 1, "VolumeSizeInGB": 7},
        ),
    ],
)
def test_resources_come_from_either_form_and_of_several_the_first(given: dict[str, Any], told: dict[str, Any]) -> None:
    assert children.resources_of(given) == told
