"""Tuning jobs from their first training job to their last, with training jobs that are played."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from outcrop.errors import Unavailable
from outcrop.metrics.series import Resolution, series
from outcrop.sagemaker import training_request
from outcrop.sagemaker.metric_definitions import NAMESPACE
from outcrop.sagemaker.training_states import TrainingStatus
from outcrop.sagemaker.tuning.curves import CurveReader
from outcrop.sagemaker.tuning.run import TuningRun
from tests.support.tuning_house import REGION, Killed, TuningHouse

CATEGORIES = {"CategoricalParameterRanges": [{"Name": "kind", "Values": list("abcdef")}]}


@pytest.fixture
def house(tmp_path: Path) -> TuningHouse:
    return TuningHouse(tmp_path / "home")


def parabola(tuned: Mapping[str, str]) -> float:
    return (float(tuned["rate"]) - 3) ** 2


def test_no_more_training_jobs_run_at_once_than_asked_for(house: TuningHouse) -> None:
    told = house.play(house.create("some", most=5, parallel=2), parabola, epochs=1)
    assert told["HyperParameterTuningJobStatus"] == "Completed"
    assert told["TrainingJobStatusCounters"]["Completed"] == 5
    assert house.most_at_once == 2
    house.play(house.create("many", most=6, parallel=50), parabola, epochs=1)
    assert house.most_at_once == 4, "as many as a worker runs"


@pytest.mark.parametrize("strategy", ["Random", "Bayesian"])
def test_a_search_that_is_broken_off_goes_on_as_if_it_had_not_been(house: TuningHouse, strategy: str) -> None:
    whole, broken = (house.create(name, strategy=strategy, most=12, parallel=1) for name in ("whole", "broken"))
    house.play(whole, parabola)
    for _ in range(3):
        with pytest.raises(Killed):
            house.play(broken, parabola, ticks=3)
    told = house.play(broken, parabola)
    assert told["TrainingJobStatusCounters"]["Completed"] == 12
    assert house.tuned(broken) == house.tuned(whole)


def test_a_database_that_is_away_for_a_moment_stops_no_training_job(
    house: TuningHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outcrop.jobs.full_disk._DATABASE_PAUSE_S", 0.0)
    look, looks = TuningRun._look, list[object]()

    def away_once(run: TuningRun) -> None:
        looks.append(run)
        if len(looks) == 3:
            raise Unavailable("The database did not finish a statement in time.")
        look(run)

    monkeypatch.setattr(TuningRun, "_look", away_once)
    told = house.play(house.create("away", most=3, parallel=1), parabola, epochs=2)
    assert (told["HyperParameterTuningJobStatus"], told["TrainingJobStatusCounters"]["Completed"]) == ("Completed", 3)


def test_a_grid_goes_through_every_combination_once(house: TuningHouse) -> None:
    ranges = {
        "CategoricalParameterRanges": [{"Name": "a", "Values": ["1", "2"]}, {"Name": "b", "Values": ["x", "y", "z"]}]
    }
    arn = house.create("grid", strategy="Grid", most=None, ranges=ranges)
    house.play(arn, lambda tuned: float(tuned["a"]))
    assert house.tuned(arn) == [{"a": a, "b": b} for a in "12" for b in "xyz"]
    assert house.described(arn)["BestTrainingJob"]["TunedHyperParameters"] == {"a": "1", "b": "x"}


@pytest.mark.parametrize(
    ("criteria", "number"),
    [
        ({"TargetObjectiveMetricValue": 3.0}, 3),
        ({"BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 3}}, 6),
        ({"ConvergenceDetected": {"CompleteOnConvergence": "Disabled"}}, 6),
    ],
)
def test_a_search_ends_when_its_criterion_is_met(house: TuningHouse, criteria: dict[str, object], number: int) -> None:
    config = {"TuningJobCompletionCriteria": criteria}
    arn = house.create("ends", strategy="Grid", most=None, parallel=1, ranges=CATEGORIES, config=config)
    told = house.play(arn, lambda tuned: {"a": 5.0, "b": 4.0, "c": 3.0}.get(tuned["kind"], 2.99))
    assert told["HyperParameterTuningJobStatus"] == "Completed"
    assert len(house.children(arn)) == number
    if number == 6:
        assert told["TuningJobCompletionDetails"] == {"NumberOfTrainingJobsObjectiveNotImproving": 3}


def test_a_maximum_is_looked_for_where_it_is_asked_for(house: TuningHouse) -> None:
    config = {
        "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "score"},
        "TuningJobCompletionCriteria": {"TargetObjectiveMetricValue": 3.0},
    }
    arn = house.create("most", strategy="Grid", most=None, parallel=1, ranges=CATEGORIES, config=config)
    told = house.play(arn, lambda tuned: float("abcdef".index(tuned["kind"])))
    assert told["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"] == {
        "Type": "Maximize", "MetricName": "score", "Value": 3.0,
    }  # fmt: skip
    assert len(house.children(arn)) == 4


def test_a_search_whose_time_is_over_stops_what_runs(house: TuningHouse) -> None:
    arn = house.create("late", most=50, limits={"MaxRuntimeInSeconds": 120})

    def at_tick(number: int) -> None:
        if number == 10:
            house.clock.move(timedelta(seconds=120))

    told = house.play(arn, parabola, epochs=6, at_tick=at_tick)
    assert told["HyperParameterTuningJobStatus"] == "Completed"
    counters = told["TrainingJobStatusCounters"]
    assert (counters["Completed"], counters["Stopped"], counters["InProgress"]) == (2, 2, 0)


def test_five_training_jobs_without_the_objective_are_enough(house: TuningHouse) -> None:
    arn = house.create("silent", most=50, parallel=1)
    told = house.play(arn, lambda _tuned: None)
    assert told["HyperParameterTuningJobStatus"] == "Failed"
    assert told["FailureReason"] == (
        "No value of the objective score was found in 5 training jobs: no line that they printed matches its Regex. "
        "Print it, or correct the Regex."
    )
    assert len(house.children(arn)) == 5


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_that_is_no_finite_number_is_no_objective(house: TuningHouse, value: float) -> None:
    arn = house.create("odd", most=2, ranges=CATEGORIES)
    told = house.play(arn, lambda _tuned: value)
    assert told["ObjectiveStatusCounters"] == {"Succeeded": 0, "Pending": 0, "Failed": 2}


def test_a_stop_reaches_the_training_jobs_and_their_end_is_told(house: TuningHouse) -> None:
    arn = house.create("stopped", most=50)

    def at_tick(number: int) -> None:
        if number == 2:
            house.house.jobs.request_stop(arn)

    told = house.play(arn, parabola, epochs=100, at_tick=at_tick)
    assert told["HyperParameterTuningJobStatus"] == "Stopped"
    assert told["TrainingJobStatusCounters"] == {
        "Completed": 0, "InProgress": 0, "RetryableError": 0, "NonRetryableError": 0, "Stopped": 2,
    }  # fmt: skip
    assert told["BestTrainingJob"]["TrainingJobStatus"] == "Stopped", "it has told its objective"


def test_the_successor_of_a_worker_that_was_killed_while_stopping_sees_the_stop_through(house: TuningHouse) -> None:
    arn = house.create("stopping", most=50)
    with pytest.raises(Killed):
        house.play(arn, parabola, ticks=2, epochs=100)
    house.house.jobs.request_stop(arn)
    told = house.play(arn, parabola, epochs=100)
    assert told["HyperParameterTuningJobStatus"] == "Stopped"
    assert {child.status for child in house.children(arn)} == {TrainingStatus.STOPPED}


def test_what_is_worse_than_the_median_is_stopped(house: TuningHouse) -> None:
    config = {"TrainingJobEarlyStoppingType": "Auto"}
    arn = house.create("median", strategy="Grid", most=None, parallel=1, ranges=CATEGORIES, config=config)
    scores = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 1.9, "e": 2.1, "f": 1.0}
    house.play(arn, lambda tuned: scores[tuned["kind"]], epochs=6)
    stopped = [child.tuned["kind"] for child in house.children(arn) if child.status is TrainingStatus.STOPPED]
    assert stopped == ["e"], "the median of a, b, c, d is below it"
    assert house.children(arn)[4].record.document["told"] < 6


def test_the_curve_of_an_ended_training_job_has_the_values_of_its_last_second(house: TuningHouse) -> None:
    arn = house.create("curve", most=1, parallel=1)
    house.play(arn, parabola, epochs=2)
    [child] = house.children(arn)
    now, points = house.clock.now(), house.house.points
    of = series(NAMESPACE, child.objective.metric, {"TrainingJobName": str(child.record.name)})
    points.add(of, 7.0, at=now, resolution=Resolution.SECOND)
    assert CurveReader(points).read(child, now=now).epoch == 3
    running = replace(child, record=replace(child.record, status=TrainingStatus.IN_PROGRESS))
    assert CurveReader(points).read(running, now=now).epoch == 2, "more may come in this second"


def test_hyperband_gives_most_epochs_to_few(house: TuningHouse) -> None:
    config = {"StrategyConfig": {"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": 9}}}
    arn = house.create("hyperband", strategy="Hyperband", most=18, parallel=4, config=config)
    told = house.play(arn, parabola, epochs=9)
    assert told["HyperParameterTuningJobStatus"] == "Completed"
    children = house.children(arn)
    epochs = [child.record.document["told"] for child in children]
    stopped = [child for child in children if child.status is TrainingStatus.STOPPED]
    assert 0 < len(stopped) < 18
    assert sum(epochs) < 18 * 9 * 0.8
    best = told["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
    assert best == min(parabola(child.tuned) for child in children)


def test_hyperband_decides_after_kills_as_if_there_had_been_none(tmp_path: Path) -> None:
    config = {"StrategyConfig": {"HyperbandStrategyConfig": {"MinResource": 2, "MaxResource": 5}}}

    def every(number: int) -> int:  # some come to a rung before those that began earlier
        return (6, 2, 5, 3)[number % 4]

    def told(home: str, *, killed_after: tuple[int, ...]) -> list[tuple[str, int]]:
        house = TuningHouse(tmp_path / home)
        arn = house.create("same", strategy="Hyperband", most=16, parallel=4, config=config)
        for ticks in killed_after:
            with pytest.raises(Killed):
                house.play(arn, parabola, epochs=5, ticks=ticks, every=every)
        house.play(arn, parabola, epochs=5, every=every)
        return [(child.tuned["rate"], child.record.document["told"]) for child in house.children(arn)]

    assert told("killed", killed_after=(3,) * 9) == told("whole", killed_after=())


def test_hyperband_ends_what_goes_beyond_the_most_resources(house: TuningHouse) -> None:
    config = {"StrategyConfig": {"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": 3}}}
    arn = house.create("endless", strategy="Hyperband", most=1, config=config)
    house.play(arn, parabola, epochs=500)
    (child,) = house.children(arn)
    assert child.status is TrainingStatus.STOPPED
    assert 4 <= child.record.document["told"] <= 6


def test_several_definitions_share_the_training_jobs(house: TuningHouse) -> None:
    def definition(name: str, low: str) -> dict[str, object]:
        ranges = {"ContinuousParameterRanges": [{"Name": "rate", "MinValue": low, "MaxValue": "10"}]}
        objective = {"Type": "Minimize", "MetricName": "score"}
        return house.definition(DefinitionName=name, HyperParameterRanges=ranges, TuningObjective=objective)

    config = {"HyperParameterTuningJobObjective": None, "ParameterRanges": None}
    several = [definition("low", "0"), definition("high", "8")]
    arn = house.create("several", most=6, config=config, TrainingJobDefinition=None, TrainingJobDefinitions=several)
    told = house.play(arn, parabola)
    assert [child.definition for child in house.children(arn)] == [0, 1] * 3
    assert all(float(child.tuned["rate"]) >= 8 for child in house.children(arn) if child.definition)
    assert told["BestTrainingJob"]["TrainingJobDefinitionName"] == "low"


def warm(kind: str, *parents: str) -> dict[str, object]:
    names = [{"HyperParameterTuningJobName": name} for name in parents]
    return {"WarmStartType": kind, "ParentHyperParameterTuningJobs": names}


def test_a_search_goes_on_from_others_with_identical_data(house: TuningHouse) -> None:
    house.play(house.create("parent", strategy="Bayesian", most=20), parabola)
    arn = house.create(
        "child", strategy="Bayesian", most=6, WarmStartConfig=warm("IdenticalDataAndAlgorithm", "parent")
    )
    told = house.play(arn, parabola)
    distances = sorted(abs(float(tuned["rate"]) - 3) for tuned in house.tuned(arn))
    assert distances[2] < 1.5, "it begins where the other one ended"
    overall = told["OverallBestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
    own = told["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
    before = house.described(arn.replace("child", "parent"))["BestTrainingJob"]
    assert overall == min(own, before["FinalHyperParameterTuningJobObjectiveMetric"]["Value"])


def test_a_search_over_other_data_begins_with_the_best_points_of_others(house: TuningHouse) -> None:
    parent = house.create("parent", most=8)
    house.play(parent, parabola)
    arn = house.create("child", strategy="Bayesian", most=6, WarmStartConfig=warm("TransferLearning", "parent"))
    told = house.play(arn, lambda tuned: parabola(tuned) + 100)
    assert house.tuned(arn)[:3] == sorted(house.tuned(parent), key=parabola)[:3]
    assert told["OverallBestTrainingJob"] is None


def test_checkpoints_of_training_jobs_lie_apart(house: TuningHouse) -> None:
    arn = house.create("kept", definition={"CheckpointConfig": {"S3Uri": "s3://b/checkpoints/"}})
    house.play(arn, parabola)
    for child in house.children(arn):
        assert (
            child.record.document["request"]["CheckpointConfig"]["S3Uri"] == f"s3://b/checkpoints/{child.record.name}"
        )


def test_a_deleted_training_job_leaves_its_name_free(house: TuningHouse) -> None:
    definition = house.definition(StaticHyperParameters=None, HyperParameterTuningResourceConfig=None)
    resources = {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 5}
    asked = {**definition, "TrainingJobName": "again", "ResourceConfig": resources}
    for _ in range(2):
        arn = training_request.create(house.house, asked, region=REGION, owner="")
        house.house.jobs.request_stop(arn)
        house.house.jobs.forget(arn)
    assert house.house.store.resources.row(arn) is None
