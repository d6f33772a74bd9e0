"""Programs of others that answer requests: what is started in the sandbox of each, written down beside it.

A program has a folder of its own, which only we read: `program.json` in it says what to start and holds the
credentials that the program is given, `printed.log` is what it prints.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from outcrop.errors import MachineTrouble

_FILE = "program.json"
SOCKET = "model-server"
SOCKET_INSIDE = f"/tmp/{SOCKET}"
_ITS_OWN_BYTES = 0o600


@dataclass(frozen=True, kw_only=True)
class ServingProgram:
    """A program that listens on `SOCKET_INSIDE`, answers GET /ping once it can work, and ends upon SIGTERM."""

    command: tuple[str, ...]
    environment: dict[str, str]
    read_only: tuple[str, ...] = ()
    "Paths that show at their own place."
    shown: dict[str, str] = field(default_factory=dict)
    "The same at other places: the path inside, and what shows there."
    reaches_endpoint: bool = True
    "Whether it may ask this installation; it never reaches anything else."
    memory_bytes: int
    "The most that it may hold."
    estimated_bytes: int
    "What it will hold, as far as anybody knows before it runs."
    disk_bytes: int

    def write(self, folder: Path) -> None:
        """Write it down in the program's folder, whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = folder / f"{_FILE}.new"
        new.touch(_ITS_OWN_BYTES)
        new.write_text(json.dumps(asdict(self)), "utf-8")
        new.replace(folder / _FILE)

    @staticmethod
    def is_written(folder: Path) -> bool:
        """Whether a program is written down in this folder."""
        return (folder / _FILE).exists()

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Raises MachineTrouble for one that is not there, or damaged."""
        try:
            told: dict[str, Any] = json.loads((folder / _FILE).read_text("utf-8"))
            return cls(**{**told, "command": tuple(told["command"]), "read_only": tuple(told["read_only"])})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise MachineTrouble(f"{folder / _FILE}: what is to be started there cannot be read ({error}).") from error


def socket_of(folder: Path) -> Path:
    """The socket on which the program of this folder answers, as this machine sees it."""
    return own_folder(folder) / SOCKET


def own_folder(folder: Path) -> Path:
    """Where /tmp of the program's sandbox lies."""
    return sandbox_of(folder) / "tmp"


def sandbox_of(folder: Path) -> Path:
    return folder / "sandbox"


def log_of(folder: Path) -> Path:
    """Everything that the program prints."""
    return folder / "printed.log"


def estimated_bytes(folder: Path) -> int:
    """Bytes that the program of this folder is estimated to hold; a program that cannot be read holds one."""
    try:
        return ServingProgram.read(folder).estimated_bytes
    except MachineTrouble:
        return 1  # its start fails, and says so
