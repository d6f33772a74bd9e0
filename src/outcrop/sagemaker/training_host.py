"""An instance of a training job: its folder, its sandbox, and what comes out of it while the script runs."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from outcrop.data.data import RoleData
from outcrop.errors import Invalid
from outcrop.isolation import leftovers
from outcrop.isolation.found import found
from outcrop.isolation.limits import SandboxLimits
from outcrop.isolation.program import ProgramEnd, SandboxedProgram
from outcrop.isolation.sandbox import Sandbox
from outcrop.jobs.running import JobFailed, RunningJob
from outcrop.sagemaker import channels, checkpoints, environments, instances, requirements, script
from outcrop.sagemaker.channel_pipes import ChannelPipe
from outcrop.sagemaker.checkpoints import Checkpoints
from outcrop.sagemaker.images import ImageFamily
from outcrop.sagemaker.instances import TrainingInstance
from outcrop.sagemaker.job_folder import JobFolder
from outcrop.sagemaker.job_log import JobLog
from outcrop.sagemaker.rooms import TrainingRooms
from outcrop.settings import DEFAULT_HOST

_LOG_S, _CHECKPOINTS_S = 1.0, 2.0
"Between two looks at what is printed, and at what is kept: lines are written to the log many at a time."
_MOST_FAILURE_BYTES = 4096
_LONGEST_REASON = 1024


@dataclass(frozen=True, kw_only=True)
class HostedJob:
    """A training job, as all its instances know it."""

    house: TrainingRooms
    job: RunningJob
    request: Mapping[str, Any]
    data: RoleData
    family: ImageFamily
    instances: Sequence[TrainingInstance]
    root: Path
    "The job's folder; each instance has one in it."
    region: str
    memory_bytes: int
    "For one instance."
    heard: Callable[[str, str], None]
    "Told each line that is printed, and by which host."


class TrainingHost:
    """An instance of a training job, at work."""

    def __init__(self, hosted: HostedJob, instance: TrainingInstance, *, stream: str) -> None:
        self.instance = instance
        self.folder = JobFolder(root=hosted.root / instance.host)
        self._hosted = hosted
        self._stream = stream
        self._program: SandboxedProgram | None = None
        self._log_at = self._checkpoints_at = 0.0
        self._piped: dict[str, tuple[list[str], int | None]] = {}
        "The objects of each channel in Pipe mode, and the seed that shuffles them."
        self._pipes: list[ChannelPipe] = []

    def fetch(self, python: Path, *, names_of: Callable[[Mapping[str, Any]], Mapping[str, str]]) -> None:
        """Make the folder as the script will find it; `names_of` tells the objects of a channel. Raises Refusal."""
        hosted, folder = self._hosted, self.folder
        # An attempt before this one may have left links there that lead anywhere: nothing of it is written through.
        for left in (folder.opt_ml, folder.sandbox, folder.making.root):
            if left.exists():
                leftovers.remove(left)
        folder.make()
        self._make_code(python)
        folder.write_configuration(hosted.request, self.instance)
        for channel in hosted.request.get("InputDataConfig", []):
            if instances.has_channel(self.instance, channel):
                self._fetch_channel(channel, names_of)
        if self._checkpoints is not None:
            self._checkpoints.fetch()

    def _make_code(self, python: Path) -> None:
        """Fetch the code and make its environment, apart from the data: what pip installs may run anything."""
        hosted, making = self._hosted, self.folder.making
        making.code.mkdir(parents=True)
        script.fetch_code(hosted.data, hosted.request, making)
        own_packages = [environments.own_package().parent] if hosted.family.is_own else []
        environments.make_over(python, making.environment, first=own_packages)
        self._install(making, python)
        making.code.rename(self.folder.code)
        making.environment.rename(self.folder.environment)
        leftovers.remove(making.root)

    def _install(self, making: JobFolder, python: Path) -> None:
        try:
            request = self._hosted.request
            offline = script.is_isolated(request) or "VpcConfig" in request
            requirements.install(making, python, way=found(), limits=self._limits, log=self.folder.log, offline=offline)
        except Invalid as refused:
            raise JobFailed(f"AlgorithmError: InstallRequirementsError: {refused.message}") from refused

    def _fetch_channel(
        self, channel: Mapping[str, Any], names_of: Callable[[Mapping[str, Any]], Mapping[str, str]]
    ) -> None:
        name, job = channel["ChannelName"], self._hosted.job
        own = instances.shard(names_of(channel), channel, self.instance, self._hosted.instances)
        if channels.mode_of(channel, self._hosted.request) == channels.PIPE:
            self._piped[name] = (list(own), channel.get("ShuffleConfig", {}).get("Seed"))
            return
        job.report(f"downloading {name} for {self.instance.host}")
        channels.fetch(self._hosted.data, own, self.folder.channel(name), check=job.check)

    def start(self, python: Path, variables: Mapping[str, str], *, beside: "TrainingHost | None") -> None:
        """Start the script, in the network of another host if there is one."""
        data, folder = self._hosted.data, self.folder.data
        for name, (uris, seed) in self._piped.items():
            self._pipes.append(ChannelPipe(data, uris, folder, name, shuffled_by=seed))
        sandbox = self._sandbox(python, variables)
        first = None if beside is None else beside._program
        with self.folder.log.open("ab") as printed:
            command = script.command(self._hosted.request)
            self._program = sandbox.start(command, way=found(), stdout=printed.fileno(), beside=first)
        for pipe in self._pipes:
            pipe.start()

    def _sandbox(self, python: Path, variables: Mapping[str, str]) -> Sandbox:
        hosted, settings = self._hosted, self._hosted.house.settings
        endpoint = (urlsplit(settings.endpoint).hostname or DEFAULT_HOST, settings.port)
        own_first = sorted(hosted.instances, key=lambda each: each is not self.instance)
        return Sandbox(
            root=self.folder.sandbox,
            opt_ml=self.folder.opt_ml,
            read_only=[*environments.roots(python), *([environments.own_package()] if hosted.family.is_own else [])],
            shown={script.LAUNCHER_INSIDE: script.LAUNCHER},
            environment=variables,
            hosts={each.host: each.address for each in own_first},
            endpoint=None if script.is_isolated(hosted.request) else endpoint,
            endpoint_socket=None if settings.tls_cert is None else settings.door_socket,
            limits=self._limits,
        )

    @property
    def _limits(self) -> SandboxLimits:
        disk_bytes = self._hosted.request["ResourceConfig"].get("VolumeSizeInGB", 30) << 30
        return SandboxLimits(memory_bytes=self._hosted.memory_bytes, disk_bytes=disk_bytes)

    def wait(self, timeout_s: float | None = None) -> ProgramEnd | None:
        """How its script ended, as soon as it has; None when that takes longer, or where none was started."""
        return None if self._program is None else self._program.wait(timeout_s)

    def terminate(self) -> None:
        if self._program is not None:
            self._program.terminate()

    def kill(self) -> None:
        if self._program is not None:
            self._program.kill()

    def close(self) -> None:
        """End its script if it still runs, and all that was given to it."""
        if self._program is not None:
            self._program.kill()
            self._program.wait()
        for pipe in self._pipes:
            pipe.close()

    def check(self) -> None:
        """Raises Refusal where the data of a channel cannot be given any more."""
        for pipe in self._pipes:
            if pipe.trouble is not None:
                raise pipe.trouble

    def look(self, *, last: bool = False) -> int:
        """Tell what the script has printed and kept since the last look; returns the number of lines."""
        num_lines, now = 0, time.monotonic()
        if last or now >= self._log_at:
            num_lines = self.log.pass_on(last=last)
            self._log_at = now + _LOG_S
        if self._checkpoints is not None and (last or now >= self._checkpoints_at):
            self._checkpoints.look(last=last)
            self._checkpoints_at = time.monotonic() + _CHECKPOINTS_S
        return num_lines

    def say(self, words: str) -> None:
        """Put words of ours into the host's log."""
        with self.folder.log.open("a", encoding="utf-8") as printed:
            printed.write(f"{words}\n")
        self.log.pass_on(last=True)

    def reason(self, ended: ProgramEnd) -> str:
        """Why the script failed, in its own words where it has left some."""
        left = leftovers.read(self.folder.opt_ml, "output/failure", most_bytes=_MOST_FAILURE_BYTES)
        told = (left or b"").decode("utf-8", "replace").strip()
        if ended.breach is not None:
            told = f"{ended.reason} {told}".strip()
        behind = f", exit code: {ended.code}"
        if not told:
            return f"AlgorithmError: Exit Code: {ended.code}"
        return f"AlgorithmError: {told}"[: _LONGEST_REASON - len(behind)] + behind

    @cached_property
    def log(self) -> JobLog:
        """Everything that the host prints, on its way to a stream of its own."""
        hosted = self._hosted
        return JobLog(
            self.folder.log,
            self._stream,
            region=hosted.region,
            groups=hosted.house.log_groups,
            clock=hosted.house.clock,
            heard=partial(hosted.heard, self.instance.host),
        )

    @cached_property
    def _checkpoints(self) -> Checkpoints | None:
        request = self._hosted.request
        if "CheckpointConfig" not in request:
            return None
        folder = self.folder.opt_ml / checkpoints.local_path(request)
        folder.mkdir(parents=True, exist_ok=True)
        return Checkpoints(self._hosted.data, request["CheckpointConfig"]["S3Uri"], folder)
