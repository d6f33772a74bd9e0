"""Limits of a sandboxed program, and the sentences that say which one it broke."""

from dataclasses import dataclass
from enum import Enum

_GB = 1024**3


class Breach(Enum):
    """A limit that ended a program."""

    MEMORY = "memory"
    PROCESSES = "processes"
    DISK = "disk"
    CPU = "cpu"
    DEPTH = "depth"
    MACHINE_MEMORY = "machine memory"
    MACHINE_DISK = "machine disk"


@dataclass(frozen=True, kw_only=True)
class SandboxLimits:
    """Most that a program and all that it starts may use, together where nothing else is said. None is no limit."""

    memory_bytes: int | None = None
    "Counted by a control group where this process may make one; else what the processes hold, looked at often."
    num_processes: int = 2048
    "Processes and threads."
    disk_bytes: int | None = None
    "Everything in the sandbox's own folders, `/opt/ml` among them; a file counts at least 4 KiB. One file has no more."
    num_open_files: int = 4096
    "Of each process."
    cpu_s: int | None = None
    "Seconds of processor time."
    log_bytes_per_s: int | None = 1024**2
    "Of each stream that is printed to; what is beyond is left out, and a line says how much."
    machine_memory_bytes: int = _GB // 4
    "The program is ended when the machine has less memory left than this, where no control group holds it."
    machine_disk_bytes: int = _GB // 2
    "The same of free space on the file system of its folders."

    def sentence(self, breach: Breach) -> str:
        """Why a program was ended, for whoever started it."""
        match breach:
            case Breach.MEMORY:
                return f"It was ended: it used more than {size(self.memory_bytes)} of memory."
            case Breach.PROCESSES:
                return f"It was ended: it had {self.num_processes:,} processes and threads at once."
            case Breach.DISK:
                return f"It was ended: it wrote more than {size(self.disk_bytes)} to disk."
            case Breach.CPU:
                return f"It was ended: it used more than {self.cpu_s:,} seconds of processor time."
            case Breach.DEPTH:
                return "It was ended: it made folders within folders, more than 100 deep."
            case Breach.MACHINE_MEMORY:
                return f"It was ended: the machine had less than {size(self.machine_memory_bytes)} of memory left."
            case Breach.MACHINE_DISK:
                return f"It was ended: the disk had less than {size(self.machine_disk_bytes)} left."


def size(num_bytes: int | None) -> str:
    """A number of bytes as people say it."""
    number = float(num_bytes or 0)
    for unit in ("bytes", "KB", "MB", "GB"):
        if number < 1024:
            return f"{number:,.0f} {unit}" if unit == "bytes" or number == int(number) else f"{number:,.1f} {unit}"
        number /= 1024
    return f"{number:,.1f} TB"
