"""The secondary statuses of a training job with their times, as its record keeps them and DescribeTrainingJob tells."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from outcrop.sagemaker.training_states import SENTENCES, SecondaryStatus, TrainingStatus

_LAST = {
    TrainingStatus.COMPLETED: SecondaryStatus.COMPLETED,
    TrainingStatus.FAILED: SecondaryStatus.FAILED,
    TrainingStatus.STOPPED: SecondaryStatus.STOPPED,
    TrainingStatus.STOPPING: SecondaryStatus.STOPPING,
}


def entered(
    before: Sequence[Mapping[str, str]], status: SecondaryStatus, *, at: datetime, sentence: str | None = None
) -> list[dict[str, str]]:
    """The transitions once the job has entered a status; in the same status, only its sentence changes."""
    found = [dict(each) for each in before]
    moment = at.isoformat()
    if found and found[-1]["Status"] == status:
        found[-1]["StatusMessage"] = sentence or SENTENCES[status]
        return found
    if found:
        found[-1].setdefault("EndTime", moment)
    return [*found, {"Status": status.value, "StartTime": moment, "StatusMessage": sentence or SENTENCES[status]}]


def told(
    document: Mapping[str, Any], status: TrainingStatus, *, created: datetime, updated: datetime
) -> list[dict[str, Any]]:
    """The transitions, at least one, as clients are told them.

    The end of a job follows from its state.
    """
    found: Sequence[Mapping[str, str]] = document["transitions"] or entered([], SecondaryStatus.STARTING, at=created)
    last = _LAST.get(status)
    exceeded = bool(found) and found[-1]["Status"] == SecondaryStatus.MAX_RUNTIME_EXCEEDED
    if last is not None and not exceeded:
        ended = document.get("endTime")
        found = entered(found, last, at=datetime.fromisoformat(ended) if ended else updated)
    return [
        {
            "Status": each["Status"],
            "StatusMessage": each["StatusMessage"],
            "StartTime": datetime.fromisoformat(each["StartTime"]),
            "EndTime": datetime.fromisoformat(each["EndTime"]) if "EndTime" in each else None,
        }
        for each in found
    ]
