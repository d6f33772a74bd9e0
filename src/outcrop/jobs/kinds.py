"""A job kind: its states in the service model's words, the worker it needs, and the function that runs it.

A new kind is one `JobKind` and one line in `outcrop/kinds.py`. Leases, resume after a kill, stop, children and listing
come with it; its function may tell and ask what `running.RunningJob` offers.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from outcrop.jobs.states import PhaseStatus
from outcrop.lifecycle import Lifecycle

if TYPE_CHECKING:
    from outcrop.jobs.running import RunningJob

House = TypeVar("House", contravariant=True)


class WorkerClass(StrEnum):
    """The class of worker that a kind of job needs."""

    HEAVY = "heavy"
    "Tensors: one job at a time, in a process that ends after it and gives all memory back."
    LIGHT = "light"
    "Waits on engines, disks and other jobs: several at once, each in a thread of one process."


def _keep_all(_house: Any, _job_arn: str) -> None:
    """Tidying for a kind of job that leaves nothing behind."""


@dataclass(frozen=True, kw_only=True)
class JobKind(Generic[House]):
    """A kind of job: long work with its states, its worker class and its function. `House` is what its functions need
    of the process they run in."""

    name: str
    "The kind of its rows, and of their ARNs: `model-customization-job`."
    lifecycle: Lifecycle[Any]
    first: StrEnum
    "The state of a new job; the other states below are those of the same table."
    stopping: StrEnum | None
    "Asked to stop; None for a kind that nobody can stop."
    stopped: StrEnum
    completed: StrEnum
    failed: StrEnum
    phases: tuple[StrEnum, ...] = ()
    "In their order; each has an entry in `statusDetails`. A kind may have none."
    worker: WorkerClass
    run: Callable[[House, "RunningJob"], None]
    """Works on the job and returns when all is done; raises what `RunningJob.check` raises, and any Refusal to fail.
    Called again after a kill. It imports what is large itself: an idle worker has not read it."""
    tidy: Callable[[House, str], None] = field(default=_keep_all)
    "Removes what the ended job with this ARN needed while it ran; called again when it was broken off."
    most_at_once: int | None = None
    "Jobs of this kind that a light worker has at the same time; None: as many as of all kinds."
    ends_stops: bool = False
    """Whether `run` is called for a job that is to stop too, after a kill say, to keep what it has made so far. It then
    raises StopRequested itself."""
    gives_up: str = "The worker's log has the details."
    "What to do about a job whose worker died again and again: the end of its failureMessage."

    def __post_init__(self) -> None:
        named = {self.first, self.stopped, self.completed, self.failed} | ({self.stopping} - {None})
        assert named <= set(self.lifecycle.states), f"{self.name}: states of one table"
        assert {self.stopped, self.completed, self.failed} <= self.lifecycle.ended, f"{self.name}: ends are ends"

    @property
    def noun(self) -> str:
        """The name of the kind for use in sentences: `model customization job`."""
        return self.name.replace("-", " ")

    def phase_at_end(self, status: StrEnum) -> PhaseStatus:
        """The last status of the phase that was running when the job ends in this state."""
        return {self.stopped: PhaseStatus.STOPPED, self.failed: PhaseStatus.FAILED}.get(status, PhaseStatus.COMPLETED)
