"""The logs of endpoints: what each copy prints, as events of CloudWatch Logs.

A copy prints into a file. How far it has been told lies beside it; what is told gives its room on disk back, so that an
endpoint may print for years.
"""

import ctypes
import logging
from pathlib import Path

from outcrop.clock import Clock
from outcrop.engines import programs
from outcrop.log_groups.log_groups import LogGroups
from outcrop.loops import contained
from outcrop.sagemaker.job_log import JobLog

GROUP = "/aws/sagemaker/Endpoints"
TRANSFORMS = "/aws/sagemaker/TransformJobs"
_TOLD = "told"
_LARGE_BYTES = 16 << 20
_PUNCH_HOLE = 0x02 | 0x01
"Of Linux's fallocate: with FALLOC_FL_KEEP_SIZE."
_log = logging.getLogger("outcrop.server")


class CopyLogs:
    """The logs of all copies on this machine."""

    def __init__(self, groups: LogGroups, clock: Clock) -> None:
        self._groups = groups
        self._clock = clock
        self._logs: dict[Path, JobLog] = {}
        self._freed: dict[Path, int] = {}
        "Bytes of each file whose room was given back."

    def tell(self, folder: Path, *, group: str, stream: str, region: str) -> None:
        """Tell what the copy in this folder has printed since it was told last; `stream` begins its stream's name."""
        with contained(_log, f"telling the log of {folder.name}"):
            self._tell(folder, group, stream, region)

    def forget(self, folder: Path) -> None:
        """Tell the rest of a copy that has ended."""
        log = self._logs.pop(folder, None)
        self._freed.pop(folder, None)
        if log is not None:
            log.pass_on(last=True)

    def _tell(self, folder: Path, group: str, stream: str, region: str) -> None:
        file = programs.log_of(folder)
        if not file.exists():
            return
        if folder not in self._logs:
            self._logs[folder] = JobLog(
                file,
                f"{stream}/{folder.name}",
                region=region,
                group=group,
                groups=self._groups,
                clock=self._clock,
                heard=lambda _line: None,
            )
            self._logs[folder].position = _number_in(folder / _TOLD)
        log = self._logs[folder]
        if not log.pass_on():
            return
        (folder / _TOLD).write_text(str(log.position))
        if log.position - self._freed.get(folder, 0) > _LARGE_BYTES:
            _free(file, log.position)
            self._freed[folder] = log.position


def _free(file: Path, num_bytes: int) -> None:
    """Give the room of a file's first bytes back. Its length stays: whoever appends to it is not disturbed.

    Where the file system cannot do that, the file stays as it is.
    """
    with file.open("r+b") as opened:
        ctypes.CDLL(None, use_errno=True).fallocate64(
            opened.fileno(), _PUNCH_HOLE, ctypes.c_int64(0), ctypes.c_int64(num_bytes)
        )


def _number_in(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0
