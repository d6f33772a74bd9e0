"""An execution of a pipeline from its first step to its last: what may begin is created, and waited for.

Everything that it knows stands in its row: each step with its state, and the ARN of what it created. The successor of a
killed worker reads that, and goes on where it was.
"""

from collections.abc import Mapping
from typing import Any

from outcrop.arn import parse
from outcrop.errors import Invalid, Refusal
from outcrop.jobs.full_disk import is_passing
from outcrop.jobs.jobs import JobEnded
from outcrop.jobs.running import Interrupted, JobFailed, RunningJob, StopRequested
from outcrop.sagemaker.hosting.rooms import HostingRooms
from outcrop.sagemaker.pipelines import conditions
from outcrop.sagemaker.pipelines import definition as definitions
from outcrop.sagemaker.pipelines.definition import PipelineStep
from outcrop.sagemaker.pipelines.pipelines import OF_EXECUTION
from outcrop.sagemaker.pipelines.references import EXECUTION, PARAMETERS, Reference, part_of, resolve
from outcrop.sagemaker.pipelines.resource_steps import RESOURCE_STEPS, ResourceStep
from outcrop.sagemaker.pipelines.states import StepStatus, StepType
from outcrop.sagemaker.training_request import SERVICE
from outcrop.store.resources import Resource

_LOOK_S = 0.5
_RUNNING = (StepStatus.STARTING, StepStatus.EXECUTING)
_LONGEST_REASON = 1024
Entry = dict[str, Any]
"A step in the row of its execution."


def run(house: HostingRooms, job: RunningJob) -> None:
    """The whole road of one execution. Raises what ends the job or its worker."""
    ExecutionRun(house, job).run()


class ExecutionRun:
    """A worker's attempt at an execution."""

    def __init__(self, house: HostingRooms, job: RunningJob) -> None:
        self._house = house
        self._job = job
        record = job.record
        document = record.document
        self._region, self._began = record.region, record.created
        self._account = house.account
        self._role: str = document["roleArn"]
        self._pipeline: str = document[OF_EXECUTION]
        self._name: str = document["pipelineName"]
        self._parameters: Mapping[str, Any] = document["parameters"]
        self._attempts: Mapping[str, int] = document.get("attempts") or {}
        self._definition = definitions.read(document["definition"])
        self._owner, _ = house.jobs.owner_and_priority(job.arn)
        self._steps: dict[str, Entry] = dict(document["steps"])

    def run(self) -> None:
        """Begin what may begin until nothing is left or a step has failed, and wait for what runs."""
        self._job.waits = True  # it takes no place from the jobs that it waits for
        try:
            self._job.check()
            self._take_over()
            while True:
                self._look()
                self._check_failures()
                self._begin_what_may()
                self._check_failures()
                if not self._running():
                    return
                self._job.pause(_LOOK_S)
                self._job.check()
        except Interrupted:
            raise
        except Exception as error:
            # Whoever waits for its end runs the job again, from its row: its steps go on meanwhile.
            if is_passing(error):
                raise
            self._job.see_children_off()
            self._look(stopping=True)
            raise

    def _take_over(self) -> None:
        """Create what the worker before this one was killed over; what it has created is there."""
        for name, entry in [*self._steps.items()]:
            if entry["status"] == StepStatus.STARTING and self._row(entry) is None:
                self._create(self._definition.steps[name], entry)

    def _running(self) -> list[str]:
        return [name for name, entry in self._steps.items() if entry["status"] in _RUNNING]

    def _look(self, *, stopping: bool = False) -> None:
        """Read the rows of the steps that run, and note what came of them."""
        for name in self._running():
            entry, kind = self._steps[name], RESOURCE_STEPS[self._definition.steps[name].type]
            row = self._row(entry)
            if row is None:
                ended = StepStatus.STOPPED if stopping else StepStatus.FAILED
                self._note(name, status=ended, reason=None if stopping else f"{entry['arn']} was deleted while it ran.")
                continue
            status = kind.status(row)
            if status in _RUNNING:
                if entry["status"] != status:
                    self._note(name, status=status)
                continue
            reason = row.document.get("failureMessage") if status is StepStatus.FAILED else None
            if status is StepStatus.STOPPED and not stopping:
                status, reason = StepStatus.FAILED, f"{row.arn} was stopped."
            self._note(name, status=status, reason=reason)

    def _check_failures(self) -> None:
        """Raises JobFailed with the reason of the first step that failed, or was stopped."""
        for name, entry in self._steps.items():
            if entry["status"] == StepStatus.FAILED:
                raise JobFailed(f"Step failure: {name}: {entry.get('failureReason') or 'it told no reason.'}")
        for name, entry in self._steps.items():  # by an attempt that broke off before it could note the failure
            if entry["status"] == StepStatus.STOPPED:
                raise JobFailed(f"Step failure: {name}: it was stopped.")

    def _begin_what_may(self) -> None:
        """Begin steps as long as there are some whose predecessors have succeeded; conditions may open further ones."""
        parallel = (self._job.record.document.get("parallelism") or {}).get("MaxParallelExecutionSteps")
        begun = True
        while begun:
            begun = False
            for step in self._definition.steps.values():
                if step.name in self._steps or not self._may_begin(step):
                    continue
                if step.type in RESOURCE_STEPS and parallel is not None and len(self._running()) >= parallel:
                    continue
                self._begin(step)
                begun = True
                if self._steps[step.name]["status"] == StepStatus.FAILED:
                    return

    def _may_begin(self, step: PipelineStep) -> bool:
        if any(self._steps.get(name, {}).get("status") != StepStatus.SUCCEEDED for name in step.after):
            return False
        return step.branch is None or self._steps[step.branch[0]]["outcome"] == step.branch[1]

    def _begin(self, step: PipelineStep) -> None:
        entry: Entry = {
            "status": StepStatus.STARTING.value,
            "order": max((each["order"] for each in self._steps.values()), default=-1) + 1,
            "startTime": self._house.clock.now().isoformat(),
            "attempt": self._attempts.get(step.name, 0) + 1,
        }
        try:
            if step.type is StepType.FAIL:
                self._steps[step.name] = entry
                message = str(resolve(step.arguments["ErrorMessage"], self._value))
                self._note(step.name, status=StepStatus.FAILED, reason=message)
            elif step.type is StepType.CONDITION:
                asked = resolve(step.arguments["Conditions"], self._value)
                self._steps[step.name] = {**entry, "outcome": all(conditions.holds(each) for each in asked)}
                self._note(step.name, status=StepStatus.SUCCEEDED)
            else:
                kind = RESOURCE_STEPS[step.type]
                name = kind.name(step.arguments, execution=self._job.id, step=step.name, attempt=entry["attempt"])
                entry["arn"] = kind.arn(self._account, self._region, name)
                self._steps[step.name] = entry
                self._note(step.name)  # first the name, then what has it: a successor looks there
                self._create(step, entry)
        except Refusal as refused:
            self._steps.setdefault(step.name, entry)
            self._note(step.name, status=StepStatus.FAILED, reason=refused.message)

    def _create(self, step: PipelineStep, entry: Entry) -> None:
        """Create what a step is about, as the pipeline's role may. A refusal is the failure of the step."""
        kind = RESOURCE_STEPS[step.type]
        try:
            request = self._request(step, kind, entry)
            house = self._house
            house.access.assert_passable(self._role, SERVICE, source_arn=self._pipeline)
            house.access.check_role_may_ask(self._role, "sagemaker", kind.operation, request, region=self._region)
            kind.create(house, request, self._region, self._owner, self._job.arn)
        except JobEnded as stopping:
            raise StopRequested(stopping.message) from stopping
        except Refusal as refused:
            self._note(step.name, status=StepStatus.FAILED, reason=refused.message)
        else:
            self._note(step.name, status=StepStatus.EXECUTING)

    def _request(self, step: PipelineStep, kind: ResourceStep, entry: Entry) -> dict[str, Any]:
        name = kind.name(step.arguments, execution=self._job.id, step=step.name, attempt=entry["attempt"])
        return kind.request(resolve(step.arguments, self._value), name)

    def _value(self, reference: Reference) -> Any:
        """The value that a reference stands for now. Raises Invalid where there is none."""
        if reference.of == PARAMETERS:
            return self._parameters[reference.name]
        if reference.of == EXECUTION:
            return variables(
                name=self._name, pipeline=self._pipeline, execution=self._job.arn, began=self._began.isoformat(),
                now=self._house.clock.now().isoformat(),
            )[reference.name]  # fmt: skip
        entry, kind = self._steps[reference.name], RESOURCE_STEPS[self._definition.steps[reference.name].type]
        row = self._row(entry)
        if row is None:
            raise Invalid(f"{reference.text}: {entry['arn']} was deleted, and nothing more is known of it.")
        return part_of(kind.read(self._house, row), reference.path, reference.text)

    def _row(self, entry: Entry) -> Resource | None:
        return self._house.store.resources.get(entry["arn"])

    def _note(self, name: str, *, status: StepStatus | None = None, reason: str | None = None) -> None:
        """Write a step's state into the row of the execution."""
        entry = dict(self._steps[name])
        if status is not None:
            entry["status"] = status.value
            if status not in _RUNNING:
                entry["endTime"] = self._house.clock.now().isoformat()
        if reason:
            entry["failureReason"] = reason[:_LONGEST_REASON]
        self._steps[name] = entry
        self._job.note(steps=self._steps)
        ended = sum(each["status"] not in _RUNNING for each in self._steps.values())
        self._job.report(f"{len(self._steps)} steps begun, {ended} ended")


def variables(*, name: str, pipeline: str, execution: str, began: str, now: str) -> dict[str, str]:
    """The values of the variables `Execution.…`."""
    parsed = parse(execution)
    assert parsed is not None, "it is an ARN"
    return {
        "PipelineName": name,
        "PipelineArn": pipeline,
        "PipelineExecutionArn": execution,
        "PipelineExecutionId": parsed.tail.rpartition("/")[2],
        "StartDateTime": began,
        "CurrentDateTime": now,
    }
