"""A training job from its lease to its model. Its script runs in a sandbox, and what that leaves is put into S3.

A worker that is killed takes the script with it. Its successor begins the script again, with the checkpoints that lie
in S3 by then; what was printed stays in the log.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from outcrop.errors import Invalid, Refusal
from outcrop.isolation import leftovers
from outcrop.isolation.found import found
from outcrop.isolation.limits import SandboxLimits
from outcrop.isolation.program import ProgramEnd, SandboxedProgram
from outcrop.isolation.sandbox import Sandbox
from outcrop.jobs.running import Interrupted, JobFailed, RunningJob, StopRequested
from outcrop.metrics.series import Resolution, series
from outcrop.sagemaker import (
    artifacts,
    channels,
    checkpoints,
    environments,
    images,
    requirements,
    script,
    transitions,
)
from outcrop.sagemaker.checkpoints import Checkpoints
from outcrop.sagemaker.job_folder import HOST, JobFolder, folder_of
from outcrop.sagemaker.job_log import JobLog
from outcrop.sagemaker.metric_definitions import NAMESPACE, MetricDefinitions
from outcrop.sagemaker.rooms import TrainingRooms
from outcrop.sagemaker.training_kind import SESSION_KEY as _KEY
from outcrop.sagemaker.training_request import SERVICE
from outcrop.sagemaker.training_states import PREPARING, SecondaryStatus, TrainingStatus
from outcrop.settings import DEFAULT_HOST

GRACE_S = 120.0
"Between SIGTERM and SIGKILL, as SageMaker has it."
_LOOK_S = 0.2
_CHECKPOINTS_S = 2.0
_MOST_FAILURE_BYTES = 4096
_LONGEST_REASON = 1024
_SESSION = "SageMaker"
_MORE_SESSION = timedelta(hours=1)
_GB = 1 << 30
_DAY_S = 86_400


def run(house: TrainingRooms, job: RunningJob) -> None:
    """The whole road of one training job. Raises what ends the job or its worker."""
    TrainingRun(house, job).run()


class TrainingRun:
    """An attempt at a training job."""

    def __init__(self, house: TrainingRooms, job: RunningJob) -> None:
        self._house = house
        self._job = job
        record = job.record
        self._name, self._region = str(record.name), record.region
        self._request: dict[str, Any] = record.document["request"]
        self._is_first = "trainingStartTime" not in record.document
        self._folder = JobFolder(root=folder_of(house.settings, job.arn))
        self._data = house.data.under(self._request["RoleArn"], source_arn=job.arn, service=SERVICE)
        self._metrics = MetricDefinitions(self._request["AlgorithmSpecification"].get("MetricDefinitions", []))
        self._final: dict[str, dict[str, Any]] = dict(record.document.get("finalMetrics", {}))
        self._num_lines = 0
        self._checkpoints_at = 0.0
        self._family = images.family_of(house.settings, self._request["AlgorithmSpecification"]["TrainingImage"])

    def run(self) -> None:
        """Go from the first status to the last. Of a job that is to stop already, what is left is put into S3."""
        exceeded = False
        if not self._job.is_stopping():
            self._enter(SecondaryStatus.STARTING if self._is_first else SecondaryStatus.RESTARTING)
            self._log.resume()
            python = self._interpreter()
            with self._memory():
                self._download(python)
                exceeded = self._train(python)
        self._upload()
        if self._job.is_stopping():
            raise StopRequested(f"{self._job.arn}: it was asked to stop.")
        if exceeded:
            self._enter(SecondaryStatus.MAX_RUNTIME_EXCEEDED)
            self._job.end(TrainingStatus.STOPPED)

    @contextmanager
    def _memory(self) -> Iterator[None]:
        """Hold the memory that the script may take, of what engines and trainings share."""
        title = f"the training job {self._name}"
        with self._house.sharing.held(
            self._job.arn, title, self._memory_bytes, until=self._is_to_end, waits=self._job.report
        ):
            self._job.check()
            yield

    @property
    def _memory_bytes(self) -> int:
        return self._house.sharing.budget_bytes // 2

    def _is_to_end(self) -> bool:
        return self._job.interrupted() or self._job.is_stopping()

    def _interpreter(self) -> Path:
        def told(words: str) -> None:
            self._enter(SecondaryStatus.STARTING, PREPARING)
            self._job.report(words)

        return environments.interpreter(self._house.settings, self._family, told=told)

    def _download(self, python: Path) -> None:
        try:
            self._fetch(python)
        except Refusal as refused:
            raise JobFailed(f"ClientError: Data download failed:{refused.message}") from refused
        finally:
            self._log.pass_on(last=True)

    def _fetch(self, python: Path) -> None:
        self._enter(SecondaryStatus.DOWNLOADING)
        folder = self._folder
        for left in (folder.model, folder.output, folder.code, folder.environment, folder.sandbox):
            if left.exists():
                leftovers.remove(left)  # an attempt before this one has written it; a new instance had none of it
        folder.make()
        with folder.without_data():
            script.fetch_code(self._data, self._request, folder)
            environments.make_over(python, folder.environment, first=self._own_folders)
            self._install(python)
        folder.write_configuration(self._request)
        for channel in self._request.get("InputDataConfig", []):
            name = channel["ChannelName"]
            self._job.report(f"downloading {name}")
            channels.fetch(self._data, channel, folder.channel(name), check=self._job.check)
        if self._checkpoints is not None:
            self._checkpoints.fetch()

    def _install(self, python: Path) -> None:
        try:
            requirements.install(self._folder, python, way=found(), limits=self._limits)
        except Invalid as refused:
            raise JobFailed(f"AlgorithmError: InstallRequirementsError: {refused.message}") from refused

    def _train(self, python: Path) -> bool:
        """Run the script to its end; whether its time was over. Raises JobFailed where it failed."""
        self._enter(SecondaryStatus.TRAINING)
        self._job.note(trainingStartTime=self._house.clock.now().isoformat())
        with self._folder.log.open("ab") as printed:
            program = self._sandbox(python).start(script.command(self._request), way=found(), stdout=printed.fileno())
        try:
            exceeded = self._watch(program)
        finally:
            program.kill()
            ended = program.wait()
        self._look(last=True)
        self._job.note(trainingEndTime=self._house.clock.now().isoformat(), finalMetrics=self._final)
        if self._job.interrupted():
            raise Interrupted(f"{self._job.arn}: the worker ends; the job goes on in the next one.")
        assert ended is not None, "it has been waited for"
        if (ended.code or ended.breach is not None) and not exceeded and not self._job.is_stopping():
            artifacts.upload_output(self._data, self._request, self._folder)
            raise JobFailed(self._reason(ended))
        return exceeded

    def _sandbox(self, python: Path) -> Sandbox:
        settings = self._house.settings
        lasting = timedelta(seconds=self._most_seconds) + _MORE_SESSION
        access, document = self._house.access, self._job.record.document
        if _KEY in document:  # of an attempt before this one
            access.credentials.end_session(document[_KEY])
        session = access.session_of_service(
            self._request["RoleArn"], SERVICE, name=_SESSION, lasting=lasting, source_arn=self._job.arn
        )
        self._job.note(**{_KEY: session.key_id})
        variables = script.variables(
            self._request,
            self._family,
            job_arn=self._job.arn,
            region=self._region,
            endpoint=f"http://{DEFAULT_HOST}:{settings.port}",  # in the sandbox, wherever it is outside
            session=session,
        )
        if self._family.is_own:  # what it computes is to be what a customization job here would compute
            variables = {"OUTCROP_THREADS": str(settings.threads), **environments.own_switches(), **variables}
        return Sandbox(
            root=self._folder.sandbox,
            opt_ml=self._folder.opt_ml,
            read_only=[*environments.roots(python), *([environments.own_package()] if self._family.is_own else [])],
            shown={script.LAUNCHER_INSIDE: script.LAUNCHER},
            environment=variables,
            hosts=(HOST,),
            endpoint=(urlsplit(settings.endpoint).hostname or DEFAULT_HOST, settings.port),
            limits=self._limits,
        )

    @property
    def _own_folders(self) -> list[Path]:
        """Where Outcrop itself is imported from, in the environment of this installation."""
        return [environments.own_package().parent] if self._family.is_own else []

    @property
    def _limits(self) -> SandboxLimits:
        disk_bytes = self._request["ResourceConfig"].get("VolumeSizeInGB", 30) * _GB
        return SandboxLimits(memory_bytes=self._memory_bytes, disk_bytes=disk_bytes)

    def _watch(self, program: SandboxedProgram) -> bool:
        """Tell what the script prints and keeps, until it has ended or the worker is to end.

        One that is to stop, or whose time is over, is asked to end, and made to after the time of grace.
        """
        began = time.monotonic()
        killed_at: float | None = None
        exceeded = False
        while program.wait(_LOOK_S) is None and not self._job.interrupted():
            self._look()
            now = time.monotonic()
            if killed_at is None:
                exceeded = now - began > self._most_seconds
                if exceeded or self._job.is_stopping():
                    if not exceeded:
                        self._enter(SecondaryStatus.STOPPING)
                    program.terminate()
                    killed_at = now + GRACE_S
            elif now > killed_at:
                program.kill()
        return exceeded

    def _look(self, *, last: bool = False) -> None:
        self._num_lines += self._log.pass_on(last=last)
        self._job.report(f"{self._num_lines} lines printed")
        if self._checkpoints is not None and (last or time.monotonic() >= self._checkpoints_at):
            self._checkpoints.look(last=last)
            self._checkpoints_at = time.monotonic() + _CHECKPOINTS_S

    def _hear(self, line: str) -> None:
        """Take the metrics out of a line of the log."""
        for name, value in self._metrics.numbers_in(line):
            now = self._house.clock.now()
            self._final[name] = {"MetricName": name, "Value": value, "Timestamp": now.isoformat()}
            for dimensions in ({"TrainingJobName": self._name}, {"TrainingJobName": self._name, "Host": HOST}):
                self._house.points.add(series(NAMESPACE, name, dimensions), value, at=now, resolution=Resolution.SECOND)

    def _upload(self) -> None:
        self._enter(SecondaryStatus.UPLOADING)
        try:
            artifacts.upload_model(self._data, self._request, self._folder)
            artifacts.upload_output(self._data, self._request, self._folder)
        except Refusal as refused:
            raise JobFailed(f"ClientError: Artifact upload failed:{refused.message}") from refused

    def _reason(self, ended: ProgramEnd) -> str:
        """Why the script failed, in its own words where it has left some."""
        left = leftovers.read(self._folder.opt_ml, "output/failure", most_bytes=_MOST_FAILURE_BYTES)
        told = (left or b"").decode("utf-8", "replace").strip()
        if ended.breach is not None:
            told = f"{ended.reason} {told}".strip()
        behind = f", exit code: {ended.code}"
        if not told:
            return f"AlgorithmError: Exit Code: {ended.code}"
        return f"AlgorithmError: {told}"[: _LONGEST_REASON - len(behind)] + behind

    def _enter(self, status: SecondaryStatus, sentence: str | None = None) -> None:
        before = self._job.record.document["transitions"]
        now = self._house.clock.now()
        self._job.note(transitions=transitions.entered(before, status, at=now, sentence=sentence))

    @property
    def _most_seconds(self) -> int:
        return int(self._request["StoppingCondition"].get("MaxRuntimeInSeconds", _DAY_S))

    @cached_property
    def _checkpoints(self) -> Checkpoints | None:
        config = self._request.get("CheckpointConfig")
        if config is None:
            return None
        folder = self._folder.opt_ml / checkpoints.local_path(self._request)
        folder.mkdir(parents=True, exist_ok=True)
        return Checkpoints(self._data, config["S3Uri"], folder)

    @cached_property
    def _log(self) -> JobLog:
        document = self._job.record.document
        stream = document.get("logStream")
        if stream is None:
            stream = f"{self._name}/{HOST}-{int(self._house.clock.now().timestamp())}"
            self._job.note(logStream=stream)
        return JobLog(
            self._folder.log,
            str(stream),
            region=self._region,
            groups=self._house.log_groups,
            clock=self._house.clock,
            heard=self._hear,
        )
