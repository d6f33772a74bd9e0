"""A tuning job from its first training job to its last. It proposes hyperparameters, waits, and learns.

Everything that it knows stands in records: the training jobs that it has created, with their hyperparameters and
objectives. The successor of a killed worker reads them, and goes on where it was.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from outcrop.errors import Conflict, NotFound
from outcrop.jobs.full_disk import is_passing
from outcrop.jobs.jobs import JobEnded
from outcrop.jobs.running import Interrupted, JobFailed, RunningJob, StopRequested
from outcrop.sagemaker import training_request
from outcrop.sagemaker.rooms import TrainingRooms
from outcrop.sagemaker.training_kind import MOST_AT_ONCE as MOST_TRAINING_JOBS
from outcrop.sagemaker.training_states import TrainingStatus
from outcrop.sagemaker.tuning import children, outcome, plan, warm_start
from outcrop.sagemaker.tuning.children import TunedJob
from outcrop.sagemaker.tuning.curves import CurveReader
from outcrop.sagemaker.tuning.plan import IDENTICAL, TrainingDefinition
from outcrop.search import ranges
from outcrop.search.curves import ObjectiveCurve
from outcrop.search.early_stops import HyperbandRule, MedianRule, RungReport, StopRule
from outcrop.search.proposals import TriedPoint, propose
from outcrop.search.strategy import Strategy
from outcrop.store.resources import Resource

_LOOK_S = 0.5
_ENOUGH_WITHOUT_OBJECTIVE = 5
"Training jobs that end without the objective, the first ones, after which no further one is begun."
_SEEDS_APART = 1_000_003
_RUNGS = "rungs"
"The member of a tuning job's document that holds what its Hyperband rules were told, by the place of the definition."


def run(house: TrainingRooms, job: RunningJob) -> None:
    """The whole road of one tuning job. Raises what ends the job or its worker."""
    TuningRun(house, job).run()


class TuningRun:
    """A worker's attempt at a tuning job."""

    def __init__(self, house: TrainingRooms, job: RunningJob) -> None:
        self._house = house
        self._job = job
        record = job.record
        self._name, self._region = str(record.name), record.region
        self._plan = plan.read(record.document["request"])
        self._seed: int = record.document["seed"]
        self._began = datetime.fromisoformat(record.document["beganTime"])
        self._owner, _ = house.jobs.owner_and_priority(job.arn)
        self._children: dict[str, TunedJob] = {}
        self._curves: dict[str, CurveReader] = {}
        self._whole: set[str] = set()
        "Training jobs whose curves are whole."
        self._known, self._first = self._of_parents(record)
        self._rungs: dict[str, list[list[float]]] = record.document.get(_RUNGS, {})
        self._rules = [self._rule(each, place) for place, each in enumerate(self._plan.definitions)]
        self._told: object = None

    def run(self) -> None:
        """Create training jobs until there are enough, and wait for them."""
        self._job.waits = True  # it takes no place from the training jobs that it waits for
        self._adopt()
        try:
            self._job.check()
            self._tune()
        except Interrupted:
            raise
        except Exception as error:
            # Whoever waits for its end runs the job again, from its records: its training jobs go on meanwhile.
            if is_passing(error):
                raise
            self._end_children()
            raise
        self._end_children()
        self._check_outcome()

    def _of_parents(self, record: Resource) -> tuple[list[TriedPoint], list[dict[str, ranges.Value]]]:
        """The points that are known from other tuning jobs, and those that are tried first."""
        parents = record.document.get("parents")
        if not parents or self._plan.strategy not in (Strategy.BAYESIAN, Strategy.HYPERBAND):
            return [], []
        points = warm_start.known(self._house.jobs, parents, self._plan.definitions[0])
        if record.document["request"]["WarmStartConfig"]["WarmStartType"] == IDENTICAL:
            return points, []
        return [], warm_start.first_points(points, most=self._plan.most_jobs)

    def _adopt(self) -> None:
        """Take the training jobs over that are on record, of the worker before this one."""
        for record in self._job.children():
            self._take(record)

    def _take(self, record: Resource) -> None:
        child = TunedJob.of(record)
        if child is not None:
            self._children[record.arn] = child

    def _tune(self) -> None:
        while not self._is_over():
            self._stop_hopeless()
            self._begin_more()
            if not self._running:
                return
            self._job.pause(_LOOK_S)
            self._job.check()
            self._look()

    @property
    def _all(self) -> list[TunedJob]:
        return sorted(self._children.values(), key=lambda each: each.number)

    @property
    def _running(self) -> list[TunedJob]:
        return [each for each in self._all if each.is_running]

    def _look(self) -> None:
        """Read the records of those that ran, and tell what came of them."""
        for child in self._running:
            record = self._house.store.resources.get(child.record.arn)
            if record is None:
                del self._children[child.record.arn]  # by hand: nobody may delete one that runs
            else:
                self._take(record)
        self._tell()

    def _tell(self) -> None:
        told = outcome.told(self._all)
        if told != self._told:
            self._told = told
            self._job.note(outcome=told)
            ended = len(self._children) - len(self._running)
            self._job.report(f"{len(self._children)} training jobs begun, {ended} ended")

    def _is_over(self) -> bool:
        """Whether no further training job is to begin, and those that run are to end. Raises JobFailed."""
        planned, limit = self._plan, self._plan.most_seconds
        ended = [each for each in self._all if not each.is_running]
        if limit is not None and self._house.clock.now() - self._began > timedelta(seconds=limit):
            return True
        without = [each for each in ended if each.value is None]
        if len(without) == len(ended) >= _ENOUGH_WITHOUT_OBJECTIVE:
            raise JobFailed(self._without_objective(ended))
        most = planned.most_without_improvement
        return self._has_reached_target(ended) or (most is not None and outcome.not_improving(ended) >= most)

    def _has_reached_target(self, ended: Sequence[TunedJob]) -> bool:
        best, target = outcome.best(ended), self._plan.target
        if best is None or best.value is None or target is None:
            return False
        return best.objective.cost(best.value) <= best.objective.cost(target)

    def _check_outcome(self) -> None:
        """Raises JobFailed where no training job has told its objective."""
        children = self._all
        if children and outcome.best(children) is None:
            raise JobFailed(self._without_objective(children))

    def _without_objective(self, ended: Sequence[TunedJob]) -> str:
        failed = [each for each in ended if each.status is TrainingStatus.FAILED]
        if len(failed) == len(ended):
            reason = failed[0].record.document.get("failureMessage", "")
            return f"All {len(ended)} training jobs failed. The reason of {failed[0].record.name}: {reason}"
        metrics = ", ".join(sorted({each.objective.metric for each in ended}))
        return (
            f"No value of the objective {metrics} was found in {len(ended)} training jobs: no line that they printed "
            "matches its Regex. Print it, or correct the Regex."
        )

    def _begin_more(self) -> None:
        # More than can run at once would only wait, with hyperparameters chosen knowing less.
        most = min(self._plan.most_parallel, MOST_TRAINING_JOBS)
        while len(self._running) < most and len(self._children) < self._plan.most_jobs:
            if not self._begin():
                return
            self._tell()

    def _begin(self) -> bool:
        """Create the next training job; whether there was one."""
        begun = Counter(each.definition for each in self._children.values())
        for place in sorted(range(len(self._plan.definitions)), key=lambda place: begun[place]):
            values = self._proposed(place, begun[place])
            if values is not None:
                self._create(self._plan.definitions[place], values, place)
                return True
        return False

    def _proposed(self, place: int, number: int) -> dict[str, ranges.Value] | None:
        """The point of the training job with this number among those of its definition."""
        if number < len(self._first):
            return self._first[number]
        return propose(
            self._plan.definitions[place].space,
            [*self._known, *self._tried(place)],
            strategy=self._plan.strategy,
            seed=self._seed + place * _SEEDS_APART,
            number=number,
            most=self._plan.most_jobs,
        )

    def _create(self, definition: TrainingDefinition, values: dict[str, ranges.Value], place: int) -> None:
        number = max((each.number for each in self._children.values()), default=-1) + 1
        tags = self._house.store.tags.get(self._job.arn)
        request = children.request_of(definition, values, name=children.name_of(self._name, number), tags=tags)
        kept = children.kept_with(definition, values, job=self._job.arn, number=number, place=place)
        try:
            created = training_request.create(
                self._house, request, region=self._region, owner=self._owner, parent=self._job.arn, tuning=kept
            )
        except JobEnded as stopping:
            raise StopRequested(stopping.message) from stopping
        record = self._house.store.resources.get(created)
        assert record is not None, "it has just been written"
        self._take(record)

    def _tried(self, place: int) -> Iterator[TriedPoint]:
        definition = self._plan.definitions[place]
        for child in self._all:
            values = ranges.values(definition.space, child.tuned)
            if child.definition == place and values is not None:
                cost = None if child.value is None else definition.objective.cost(child.value)
                yield TriedPoint(values=values, cost=cost, has_ended=not child.is_running)

    def _rule(self, definition: TrainingDefinition, place: int) -> StopRule | None:
        if self._plan.hyperband is not None:
            kept = [RungReport(int(n), int(epoch), cost) for n, epoch, cost in self._rungs.get(str(place), ())]
            name = f"{self._name}-{place}"
            return HyperbandRule(definition.objective, self._plan.hyperband, name=name, reports=kept)
        return MedianRule(definition.objective) if self._plan.stops_early else None

    def _stop_hopeless(self) -> None:
        for place, rule in enumerate(self._rules):
            if rule is None:
                continue
            jobs = {each.number: each for each in self._all if each.definition == place}
            running = {number: each for number, each in jobs.items() if each.status is TrainingStatus.IN_PROGRESS}
            curves = {number: self._curve(each) for number, each in jobs.items()}
            ended = {number: curve for number, curve in curves.items() if number not in running}
            hopeless = rule.hopeless({each: curves[each] for each in running}, ended)
            if isinstance(rule, HyperbandRule):
                self._keep_reports(rule, place)
            for number in hopeless:
                self._stop(running[number])

    def _keep_reports(self, rule: HyperbandRule, place: int) -> None:
        """Write down what decided, before anything is stopped by it.

        Metric points would not do for a successor: within a second they have no order, of long runs they are coarser
        than they were told, and of a training job that began again they are others.
        """
        reports = [list(each) for each in rule.reports]
        if len(reports) > len(self._rungs.get(str(place), ())):
            self._rungs = {**self._rungs, str(place): reports}
            self._job.note(**{_RUNGS: self._rungs})

    def _curve(self, job: TunedJob) -> ObjectiveCurve:
        """The values of a training job so far; of one that has ended they are read once more, and kept."""
        arn = job.record.arn
        reader = self._curves.setdefault(arn, CurveReader(self._house.points))
        if arn in self._whole:
            return reader.curve
        if not job.is_running:
            self._whole.add(arn)
        return reader.read(job, now=self._house.clock.now())

    def _stop(self, job: TunedJob) -> None:
        with contextlib.suppress(Conflict, NotFound):  # it has ended by itself
            self._house.jobs.request_stop(job.record.arn)

    def _end_children(self) -> None:
        """Stop what still runs, wait for its end, and tell what came of all. Raises Interrupted."""
        self._job.see_children_off()
        self._look()
