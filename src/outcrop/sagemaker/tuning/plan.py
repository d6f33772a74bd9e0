"""The plan of a tuning job: everything that its request decides, as one value that is checked as a whole.

What is read here is also what a worker reads again from the record, after a kill for instance.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from outcrop.errors import Invalid
from outcrop.sagemaker.tuning import ranges
from outcrop.sagemaker.tuning.ranges import OBJECTIVE
from outcrop.search.ranges import Space, combinations
from outcrop.search.strategy import HyperbandResources, Objective, Strategy

IDENTICAL = "IdenticalDataAndAlgorithm"
"The type of warm starts whose objectives can be compared."
MOST_JOBS = 750
MOST_RANDOM_JOBS = 10_000
MOST_PARALLEL = 100
_MOST_EPOCHS = 20_000
_MOST_HYPERPARAMETERS = 100
_EPOCHS = ("epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs")
"Static hyperparameters that tell how long a training lasts."


@dataclass(frozen=True, kw_only=True)
class TrainingDefinition:
    """A kind of training job that a tuning job creates, with the space that is searched for it."""

    name: str | None
    objective: Objective
    space: Space
    request: Mapping[str, Any]

    @property
    def static(self) -> Mapping[str, str]:
        return self.request.get("StaticHyperParameters") or {}


@dataclass(frozen=True, kw_only=True)
class TuningPlan:
    """The decisions of a request for a tuning job."""

    strategy: Strategy
    definitions: tuple[TrainingDefinition, ...]
    most_jobs: int
    most_parallel: int
    most_seconds: int | None
    stops_early: bool
    target: float | None
    most_without_improvement: int | None
    hyperband: HyperbandResources | None

    @property
    def maximize(self) -> bool:
        """Whether objectives are to be large; all have one type."""
        return self.definitions[0].objective.maximize

    @property
    def watches_values(self) -> bool:
        """Whether training jobs are looked at while they run."""
        return self.stops_early or self.hyperband is not None


def read(params: Mapping[str, Any]) -> TuningPlan:
    """The plan in a CreateHyperParameterTuningJob request. Raises Invalid."""
    config = params["HyperParameterTuningJobConfig"]
    strategy = Strategy(config["Strategy"])
    _refuse_unbuilt(params, config)
    found = definitions(params)
    criteria = config.get("TuningJobCompletionCriteria") or {}
    stops_early = config.get("TrainingJobEarlyStoppingType", "Off") == "Auto"
    if strategy is Strategy.HYPERBAND and stops_early:
        raise Invalid(
            "HyperParameterTuningJobConfig.TrainingJobEarlyStoppingType: Hyperband stops training jobs itself. "
            "Choose Off."
        )
    return TuningPlan(
        strategy=strategy,
        definitions=found,
        most_jobs=_most_jobs(config, strategy, found),
        most_parallel=_most_parallel(config["ResourceLimits"]),
        most_seconds=config["ResourceLimits"].get("MaxRuntimeInSeconds"),
        stops_early=stops_early,
        target=_target(criteria),
        most_without_improvement=(criteria.get("BestObjectiveNotImproving") or {}).get(
            "MaxNumberOfTrainingJobsNotImproving"
        ),
        hyperband=_hyperband(config, strategy, found),
    )


def definitions(params: Mapping[str, Any]) -> tuple[TrainingDefinition, ...]:
    """The definitions of a request, one or several. Raises Invalid."""
    config = params["HyperParameterTuningJobConfig"]
    one, several = params.get("TrainingJobDefinition"), params.get("TrainingJobDefinitions")
    if (one is None) == (several is None):
        raise Invalid("Give either TrainingJobDefinition or TrainingJobDefinitions.")
    if one is not None:
        for member in ("TuningObjective", "HyperParameterRanges"):
            if one.get(member):
                raise Invalid(
                    f"TrainingJobDefinition.{member}: goes with TrainingJobDefinitions. Give it in "
                    "HyperParameterTuningJobConfig."
                )
        objective, given = config.get("HyperParameterTuningJobObjective"), config.get("ParameterRanges")
        place = "HyperParameterTuningJobConfig"
        return (_definition("TrainingJobDefinition", one, objective, given, place, "ParameterRanges"),)
    for member in ("HyperParameterTuningJobObjective", "ParameterRanges"):
        if config.get(member):
            raise Invalid(
                f"HyperParameterTuningJobConfig.{member}: with TrainingJobDefinitions each of these has its own. "
                "Leave it out."
            )
    return _several(several or [])


def objective_of(params: Mapping[str, Any], definition: Mapping[str, Any]) -> Objective:
    """The objective of one definition of a request that has been checked."""
    config = params["HyperParameterTuningJobConfig"]
    given = definition.get("TuningObjective") or config["HyperParameterTuningJobObjective"]
    return Objective(metric=given["MetricName"], maximize=given["Type"] == "Maximize")


def _refuse_unbuilt(params: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    if params.get("Autotune"):
        raise Invalid("Autotune: not built. Leave it out, and give ranges, limits and a strategy.")
    convergence = (config.get("TuningJobCompletionCriteria") or {}).get("ConvergenceDetected") or {}
    if convergence.get("CompleteOnConvergence", "Disabled") == "Enabled":
        raise Invalid(
            "HyperParameterTuningJobConfig.TuningJobCompletionCriteria.ConvergenceDetected: not built. Leave it out, "
            "or give BestObjectiveNotImproving."
        )


def _several(given: Sequence[Mapping[str, Any]]) -> tuple[TrainingDefinition, ...]:
    found = []
    for number, each in enumerate(given):
        place = f"TrainingJobDefinitions[{number}]"
        if not each.get("DefinitionName"):
            raise Invalid(f"{place}.DefinitionName: missing. Give each definition a name.")
        objective, space = each.get("TuningObjective"), each.get("HyperParameterRanges")
        found.append(_definition(place, each, objective, space, place, "HyperParameterRanges"))
    if len({each.name for each in found}) < len(found):
        raise Invalid("TrainingJobDefinitions: two have the same DefinitionName. Give each its own.")
    if len({each.objective.maximize for each in found}) > 1:
        raise Invalid("TrainingJobDefinitions: objectives of both types cannot be compared. Give all the same Type.")
    return tuple(found)


def _definition(
    place: str,
    given: Mapping[str, Any],
    objective: Mapping[str, Any] | None,
    space: Mapping[str, Any] | None,
    config_place: str,
    ranges_member: str,
) -> TrainingDefinition:
    if not objective:
        member = "TuningObjective" if config_place == place else "HyperParameterTuningJobObjective"
        raise Invalid(f"{config_place}.{member}: missing. Name the metric, and whether it is to be small or large.")
    metric = objective["MetricName"]
    printed = {each["Name"] for each in given["AlgorithmSpecification"].get("MetricDefinitions") or ()}
    if metric not in printed:
        raise Invalid(
            f"{place}.AlgorithmSpecification.MetricDefinitions: the objective {metric} is not among them. Add it, with "
            "a Regex that finds it in what the script prints."
        )
    found = TrainingDefinition(
        name=given.get("DefinitionName"),
        objective=Objective(metric=metric, maximize=objective["Type"] == "Maximize"),
        space=ranges.read(f"{config_place}.{ranges_member}", space or {}),
        request=given,
    )
    both = sorted(found.space.keys() & found.static.keys())
    if both:
        raise Invalid(f"{place}.StaticHyperParameters: {', '.join(both)} has a range too. Take one of the two away.")
    if found.static.get(OBJECTIVE, metric) != metric:
        raise Invalid(f"{place}.StaticHyperParameters: {OBJECTIVE} is told by the tuning job. Leave it out.")
    if len(found.space) + len(found.static) >= _MOST_HYPERPARAMETERS:
        raise Invalid(
            f"{place}: a training job has fewer than {_MOST_HYPERPARAMETERS} hyperparameters. Take some away."
        )
    return found


def _most_jobs(config: Mapping[str, Any], strategy: Strategy, definitions: Sequence[TrainingDefinition]) -> int:
    limits = config["ResourceLimits"]
    place = "HyperParameterTuningJobConfig.ResourceLimits.MaxNumberOfTrainingJobs"
    given: int | None = limits.get("MaxNumberOfTrainingJobs")
    most = MOST_RANDOM_JOBS if strategy is Strategy.RANDOM else MOST_JOBS
    if strategy is Strategy.GRID:
        numbers = [combinations(each.space) for each in definitions]
        if None in numbers:
            raise Invalid(
                "HyperParameterTuningJobConfig.Strategy: Grid goes through categories only. Give every hyperparameter "
                "a categorical range, or choose another strategy."
            )
        total = sum(number for number in numbers if number is not None)
        if given not in (None, total):
            raise Invalid(f"{place}: {given} is not the number of combinations, {total}. Leave it out with Grid.")
        given = total
    if given is None:
        if "MaxRuntimeInSeconds" not in limits:
            raise Invalid(f"{place}: missing. Give it, or MaxRuntimeInSeconds.")
        return most
    if given > most:
        raise Invalid(f"{place}: {given} is more than {most}, the most with {strategy}. Choose fewer.")
    return given


def _most_parallel(limits: Mapping[str, Any]) -> int:
    given: int = limits["MaxParallelTrainingJobs"]
    if given > MOST_PARALLEL:
        raise Invalid(
            "HyperParameterTuningJobConfig.ResourceLimits.MaxParallelTrainingJobs: "
            f"{given} is more than {MOST_PARALLEL}. Choose fewer."
        )
    return given


def _target(criteria: Mapping[str, Any]) -> float | None:
    given = criteria.get("TargetObjectiveMetricValue")
    if given is not None and not math.isfinite(given):
        raise Invalid("TuningJobCompletionCriteria.TargetObjectiveMetricValue: is no finite number. Give one.")
    return None if given is None else float(given)


def _hyperband(
    config: Mapping[str, Any], strategy: Strategy, definitions: Sequence[TrainingDefinition]
) -> HyperbandResources | None:
    given = (config.get("StrategyConfig") or {}).get("HyperbandStrategyConfig")
    place = "HyperParameterTuningJobConfig.StrategyConfig.HyperbandStrategyConfig"
    if strategy is not Strategy.HYPERBAND:
        if given is not None:
            raise Invalid(f"{place}: goes with the strategy Hyperband. Leave it out.")
        return None
    least, most = (given or {}).get("MinResource", 1), (given or {}).get("MaxResource") or _told_epochs(definitions)
    if most is None:
        raise Invalid(
            f"{place}.MaxResource: missing. Say how many values of the objective a whole training job prints, or give "
            f"a static hyperparameter {_EPOCHS[0]}."
        )
    if not least < most <= _MOST_EPOCHS:
        raise Invalid(
            f"{place}: MinResource {least} and MaxResource {most} leave nothing to choose. Give a MaxResource above "
            f"MinResource, and at most {_MOST_EPOCHS}."
        )
    return HyperbandResources(least=least, most=most)


def _told_epochs(definitions: Sequence[TrainingDefinition]) -> int | None:
    told = [each.static[name].strip('"') for each in definitions for name in _EPOCHS if name in each.static]
    return max((int(each) for each in told if each.isdecimal()), default=None)
