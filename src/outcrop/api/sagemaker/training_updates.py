"""UpdateTrainingJob: the few members of a training job that may change after it was created."""

from typing import Any

from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.sagemaker.training_jobs import row_of
from outcrop.errors import Invalid
from outcrop.house import House
from outcrop.sagemaker.training_states import TrainingStatus
from outcrop.store.changing import Change, change
from outcrop.store.damage import understood
from outcrop.store.resources import Resource

_CHANGED = ("ProfilerConfig", "ResourceConfig", "RemoteDebugConfig")


def update_training_job(house: House, call: Call) -> Answered:
    row, given = row_of(house, call), {member: call.params[member] for member in _CHANGED if member in call.params}
    _check_real(call.params)
    if not given:
        raise Invalid(f"UpdateTrainingJob: nothing to change. Give one of {', '.join(_CHANGED)}.")

    def decide(job: Resource) -> Change:
        if "ResourceConfig" not in given and job.status != TrainingStatus.IN_PROGRESS:
            raise Invalid(f"The training job {job.name} is {job.status}: {', '.join(given)} cannot change any more.")
        request = job.document["request"]
        changed = {member: {**(request.get(member) or {}), **value} for member, value in given.items()}
        return Change(document={**job.document, "request": {**request, **changed}})

    with understood(row.arn):
        change(house.store.resources, row.arn, at=house.clock.now(), decide=decide)
    return {"TrainingJobArn": row.arn}


def _check_real(params: dict[str, Any]) -> None:
    """Refuse what would not be done. Raises Invalid."""
    if params.get("ProfilerRuleConfigurations"):
        raise Invalid("ProfilerRuleConfigurations: rules of the profiler are images, which are not run. Leave it out.")
    if (params.get("RemoteDebugConfig") or {}).get("EnableRemoteDebug"):
        raise Invalid("RemoteDebugConfig.EnableRemoteDebug: there is no Systems Manager to connect by. Leave it out.")


OPERATIONS: dict[str, Handler] = {"UpdateTrainingJob": update_training_job}
