"""A training job from its lease to its model. Its script runs in sandboxes, and what they leave is put into S3.

A worker that is killed takes the script with it. Its successor begins the script again, with the checkpoints that lie
in S3 by then; what was printed stays in the log.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from outcrop.access.credentials import Issued
from outcrop.errors import Refusal
from outcrop.isolation.program import ProgramEnd
from outcrop.jobs.running import Interrupted, JobFailed, RunningJob, StopRequested
from outcrop.metrics.series import Resolution, series
from outcrop.sagemaker import artifacts, channels, environments, images, script, training_request, transitions
from outcrop.sagemaker.instances import TrainingInstance, instances_of
from outcrop.sagemaker.job_folder import JobFolder, folder_of
from outcrop.sagemaker.metric_definitions import NAMESPACE, MetricDefinitions
from outcrop.sagemaker.rooms import TrainingRooms
from outcrop.sagemaker.training_host import HostedJob, TrainingHost
from outcrop.sagemaker.training_kind import SESSION_KEY as _KEY
from outcrop.sagemaker.training_request import SERVICE
from outcrop.sagemaker.training_states import PREPARING, SecondaryStatus, TrainingStatus

GRACE_S = 120.0
"Between SIGTERM and SIGKILL, as SageMaker has it."
_LOOK_S = 0.2
_SESSION = "SageMaker"
_MORE_SESSION = timedelta(hours=1)
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
        role, sealed_by = self._request["RoleArn"], self._request["OutputDataConfig"].get("KmsKeyId", "")
        self._data = house.data.under(role, source_arn=job.arn, service=SERVICE)
        self._outputs = house.data.under(role, source_arn=job.arn, service=SERVICE, kms_key_id=sealed_by)
        self._metrics = MetricDefinitions(self._request["AlgorithmSpecification"].get("MetricDefinitions", []))
        self._final: dict[str, dict[str, Any]] = dict(record.document.get("finalMetrics", {}))
        self._num_lines = 0
        self._names: dict[str, dict[str, str]] = {}
        self._family = images.family_of(house.settings, self._request["AlgorithmSpecification"]["TrainingImage"])

    def run(self) -> None:
        """Go from the first status to the last. Of a job that is to stop already, what is left is put into S3."""
        exceeded = False
        if not self._job.is_stopping():
            self._enter(SecondaryStatus.STARTING if self._is_first else SecondaryStatus.RESTARTING)
            for host in self._hosts:
                host.log.resume()
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
        return training_request.memory_of_job(self._house)

    def _is_to_end(self) -> bool:
        return self._job.interrupted() or self._job.is_stopping()

    def _interpreter(self) -> Path:
        def told(words: str) -> None:
            self._enter(SecondaryStatus.STARTING, PREPARING)
            self._job.report(words)

        return environments.interpreter(self._house.settings, self._family, told=told)

    def _download(self, python: Path) -> None:
        self._enter(SecondaryStatus.DOWNLOADING)
        try:
            for host in self._hosts:
                host.fetch(python, names_of=self._names_of)
        except Refusal as refused:
            raise JobFailed(f"ClientError: Data download failed:{refused.message}") from refused
        finally:
            for host in self._hosts:
                host.log.pass_on(last=True)

    def _names_of(self, channel: Mapping[str, Any]) -> Mapping[str, str]:
        """The objects of a channel, which all hosts see alike: they are listed once. Raises Invalid."""
        name = channel["ChannelName"]
        if name not in self._names:
            self._names[name] = channels.names_of(self._data, channel)
        return self._names[name]

    def _train(self, python: Path) -> bool:
        """Run the script on all hosts to its end; whether its time was over. Raises JobFailed where it failed."""
        self._enter(SecondaryStatus.TRAINING)
        self._job.note(trainingStartTime=self._house.clock.now().isoformat())
        try:
            self._start(python)
            exceeded = self._watch()
            failed = self._failed()  # before the others are ended
        finally:
            for host in self._hosts:
                host.kill()
            for host in self._hosts:
                host.close()
        self._look(last=True)
        self._job.note(trainingEndTime=self._house.clock.now().isoformat(), finalMetrics=self._final)
        if self._job.interrupted():
            raise Interrupted(f"{self._job.arn}: the worker ends; the job goes on in the next one.")
        if failed is not None and not exceeded and not self._job.is_stopping():
            self._tell(artifacts.upload_output(self._outputs, self._request, self._folders))
            host, ended = failed
            raise JobFailed(host.reason(ended))
        return exceeded

    def _start(self, python: Path) -> None:
        """Start the script on every host, all of them in the network of the first."""
        session = self._session()
        for number, host in enumerate(self._hosts):
            variables = self._variables(host.instance, session)
            host.start(python, variables, beside=self._hosts[0] if number else None)

    def _session(self) -> Issued:
        """Credentials of the job's role, for all hosts."""
        access, document = self._house.access, self._job.record.document
        if _KEY in document:  # of an attempt before this one
            access.credentials.end_session(document[_KEY])
        lasting = timedelta(seconds=self._most_seconds) + _MORE_SESSION
        session = access.session_of_service(
            self._request["RoleArn"], SERVICE, name=_SESSION, lasting=lasting, source_arn=self._job.arn
        )
        self._job.note(**{_KEY: session.key_id})
        return session

    def _variables(self, instance: TrainingInstance, session: Issued) -> dict[str, str]:
        settings = self._house.settings
        variables = script.variables(
            self._request,
            self._family,
            job_arn=self._job.arn,
            region=self._region,
            endpoint=f"http://{instance.address}:{settings.port}",  # in the sandbox, wherever it is outside
            session=session,
        )
        if self._family.is_own:  # what it computes is to be what a customization job here would compute
            return {"OUTCROP_THREADS": str(settings.threads), **environments.own_switches(), **variables}
        return variables

    def _watch(self) -> bool:
        """Tell what the script prints and keeps, until it has ended or the worker is to end.

        One that is to stop, or whose time is over, is asked to end, and made to after the time of grace.
        """
        began = time.monotonic()
        killed_at: float | None = None
        exceeded = False
        while not self._has_ended(asked_to=killed_at is not None) and not self._job.interrupted():
            self._look()
            self._check_channels()
            now = time.monotonic()
            if killed_at is None:
                exceeded = now - began > self._most_seconds
                if exceeded or self._job.is_stopping():
                    if not exceeded:
                        self._enter(SecondaryStatus.STOPPING)
                    for host in self._hosts:
                        host.terminate()
                    killed_at = now + GRACE_S
            elif now > killed_at:
                for host in self._hosts:
                    host.kill()
        return exceeded

    def _check_channels(self) -> None:
        try:
            for host in self._hosts:
                host.check()
        except Refusal as refused:
            raise JobFailed(f"ClientError: Data download failed:{refused.message}") from refused

    def _has_ended(self, *, asked_to: bool) -> bool:
        """Whether all hosts have ended, or one has failed by itself; waits a little for it."""
        running = [host for host in self._hosts if host.wait(0) is None]
        if running:
            running[0].wait(_LOOK_S)
        if not asked_to and self._failed() is not None:
            return True
        return all(host.wait(0) is not None for host in self._hosts)

    def _failed(self) -> tuple[TrainingHost, ProgramEnd] | None:
        """The host that failed first, and how: the others may have failed for want of it."""
        ends = [(host, ended) for host in self._hosts if (ended := host.wait(0)) is not None and ended.is_failure]
        return min(ends, key=lambda each: each[1].at_s, default=None)

    def _look(self, *, last: bool = False) -> None:
        self._num_lines += sum(host.look(last=last) for host in self._hosts)
        self._job.report(f"{self._num_lines} lines printed")

    def _hear(self, host: str, line: str) -> None:
        """Take the metrics out of a line of the log."""
        for name, value in self._metrics.numbers_in(line):
            now = self._house.clock.now()
            self._final[name] = {"MetricName": name, "Value": value, "Timestamp": now.isoformat()}
            for dimensions in ({"TrainingJobName": self._name}, {"TrainingJobName": self._name, "Host": host}):
                self._house.points.add(series(NAMESPACE, name, dimensions), value, at=now, resolution=Resolution.SECOND)

    def _upload(self) -> None:
        self._enter(SecondaryStatus.UPLOADING)
        try:
            self._tell(artifacts.upload_model(self._outputs, self._request, self._folders))
            self._tell(artifacts.upload_output(self._outputs, self._request, self._folders))
        except Refusal as refused:
            raise JobFailed(f"ClientError: Artifact upload failed:{refused.message}") from refused

    def _tell(self, sentences: list[str]) -> None:
        for sentence in sentences:
            self._hosts[0].say(sentence)

    def _enter(self, status: SecondaryStatus, sentence: str | None = None) -> None:
        before = self._job.record.document["transitions"]
        now = self._house.clock.now()
        self._job.note(transitions=transitions.entered(before, status, at=now, sentence=sentence))

    @property
    def _most_seconds(self) -> int:
        return int(self._request["StoppingCondition"].get("MaxRuntimeInSeconds", _DAY_S))

    @property
    def _folders(self) -> list[JobFolder]:
        return [host.folder for host in self._hosts]

    @cached_property
    def _hosts(self) -> list[TrainingHost]:
        instances = instances_of(self._request["ResourceConfig"])
        hosted = HostedJob(
            house=self._house,
            job=self._job,
            request=self._request,
            data=self._data,
            family=self._family,
            instances=instances,
            root=folder_of(self._house.settings, self._job.arn),
            region=self._region,
            memory_bytes=self._memory_bytes // len(instances),
            heard=self._hear,
        )
        streams = self._streams([each.host for each in instances])
        return [TrainingHost(hosted, each, stream=streams[each.host]) for each in instances]

    def _streams(self, hosts: list[str]) -> dict[str, str]:
        """The stream of each host's log, the same ones in every attempt."""
        told: dict[str, str] | None = self._job.record.document.get("logStreams")
        if told is None:
            began = int(self._house.clock.now().timestamp())
            told = {host: f"{self._name}/{host}-{began}" for host in hosts}
            self._job.note(logStreams=told)
        return told
