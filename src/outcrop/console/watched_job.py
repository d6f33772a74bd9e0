"""A job as its watchers know it: curves of its measures, its latest events and answers.

It is read from where it was read last, so a page costs what is new. Its memory does not grow with the run: curves are
thinned, and of events and answers the latest are kept. It belongs to one session, whose key asks each time.
"""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from outcrop.console.user_client import DENIED, UserClient
from outcrop.console.views.curve import Curve
from outcrop.console.views.study_view import StudyGain

MEASURES = ("TrainingLoss", "ValidationLoss", "LearningRate", "TokensPerSecond", "ResidentBytes")
_OF_STEPS = {
    "TrainingLoss": "loss",
    "LearningRate": "learning_rate",
    "TokensPerSecond": "tokens_per_s",
    "ResidentBytes": "resident_bytes",
}
_MOST_EVENTS = 200
_MOST_ANSWERED = 40
_MOST_PAGES = 60
"Of one look: 600,000 steps. What is beyond comes with the next."
_MOST_JOBS = 12
_ENDED_EVERY_S = 15.0


class WatchedJob:
    """Everything that is known of one job so far."""

    def __init__(self, arn: str) -> None:
        self.arn = arn
        self._lock = threading.Lock()
        self._seen_ended = 0.0
        "When it was last read after it had ended."
        self._forget()

    def look(self, api: UserClient, *, has_ended: bool = False) -> None:
        """Read what is new. Where the user may not know, `refused` says so. Raises ClientError for other reasons.

        Of a job that `has_ended` nothing new is to be expected: it is asked about seldom, however often this is called.
        """
        with self._lock:
            if has_ended and self._seen_ended and time.monotonic() - self._seen_ended < _ENDED_EVERY_S:
                return
            try:
                self._losses(api)
                if self._events(api):
                    told = api.own("/outcrop/checkpoints", {"job": self.arn})
                    self.checkpoints[:] = told["checkpoints"]
            except ClientError as refusal:
                if refusal.response["Error"]["Code"] not in DENIED:
                    raise
                self._forget()
                self.refused = refusal.response["Error"]["Message"]
            self._seen_ended = time.monotonic() if has_ended else 0.0

    def _forget(self) -> None:
        self.curves = {name: Curve() for name in MEASURES}
        self.last_step: dict[str, Any] = {}
        "What the job told of its last step."
        self.events: deque[dict[str, Any]] = deque(maxlen=_MOST_EVENTS)
        self.answered: deque[dict[str, Any]] = deque(maxlen=_MOST_ANSWERED)
        self.checkpoints: list[dict[str, Any]] = []
        "Those that are there; asked for when the job tells of another one, and of its end."
        self.study: Mapping[str, Any] | None = None
        self.gain: StudyGain | None = None
        "Of that study; a bootstrap, so it is made once for each."
        self._has_new_trial = True
        self.refused = ""
        self._after_losses = self._after_events = "0"

    def _losses(self, api: UserClient) -> None:
        for _ in range(_MOST_PAGES):
            told = self._asked(api, "/outcrop/losses", self._after_losses)
            if told["taken_up_at"] is not None:
                for curve in self.curves.values():
                    # So many steps were done, and stay, with the evaluation after them.
                    curve.take_back(told["taken_up_at"] + 1)
            for step in told["steps"]:
                self._add(step)
            for each in told["evaluations"]:
                self.curves["ValidationLoss"].add(each["step"], each["loss"])
            self._after_losses = told["next"]
            if not told["more"]:
                return

    def _add(self, step: dict[str, Any]) -> None:
        for name, member in _OF_STEPS.items():
            if member in step:
                # After the first step, which the job calls 0, one step is done: there the validation's steps count too.
                self.curves[name].add(step["step"] + 1, step[member])
        self.last_step = step

    def _events(self, api: UserClient) -> bool:
        """Read what happened; whether that may have changed the checkpoints."""
        has_changed = False
        for _ in range(_MOST_PAGES):
            told = self._asked(api, "/outcrop/events", self._after_events)
            for event in told["events"]:
                self._has_new_trial |= event["event"] == "trial"
                has_changed |= event["event"] in ("checkpoint", "end")
                (self.answered if event["event"] == "answers" else self.events).append(event)
            self._after_events = told["next"]
            if not told["more"]:
                break
        return has_changed

    def wants_study(self) -> bool:
        """Whether a trial has ended since this was last asked, or it is asked for the first time."""
        wanted, self._has_new_trial = self._has_new_trial, False
        return wanted

    def _asked(self, api: UserClient, path: str, after: str) -> Any:
        try:
            return api.own(path, {"job": self.arn, "after": after})
        except ClientError as refusal:
            if refusal.response["Error"]["Code"] != "ValidationException" or after == "0":
                raise
            self._forget()  # the job's output was replaced: it is read anew
            return api.own(path, {"job": self.arn, "after": "0"})


class WatchedJobs:
    """The jobs that one session has looked at last."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, WatchedJob] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, arn: str) -> WatchedJob:
        """The job, as it was known when it was last looked at."""
        with self._lock:
            job = self._jobs.pop(arn, None) or WatchedJob(arn)
            self._jobs[arn] = job
            while len(self._jobs) > _MOST_JOBS:
                self._jobs.popitem(last=False)
            return job

    def __len__(self) -> int:
        return len(self._jobs)
