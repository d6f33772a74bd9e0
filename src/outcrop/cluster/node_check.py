"""Whether a node may run jobs: asked on the node itself, before the first job is sent there.

A worker needs the same home at the same path, the same Outcrop, a database that several machines may open, and a clock
that agrees. A node that lacks one of these is refused by name.
"""

import platform
import secrets
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
FOLDER = "cluster"
"In the home: what the nodes read of it."
_TOKEN = "token"
_MOST_SKEW_S = 10.0
"Of clocks. A lease lasts a minute, and is renewed every five seconds."


@dataclass(frozen=True, kw_only=True)
class NodeDemand:
    """The facts of the installation that each node is held against."""

    home: str
    token: str
    "Stands in a file of the home: who reads it there sees the same home."
    outcrop: str
    python: str
    machine: str
    "The one on which the installation runs."
    is_sqlite: bool


def demand(home: Path, *, is_sqlite: bool) -> NodeDemand:
    """The demand of this installation. Writes the file that shows a node that it sees the home."""
    folder = home / FOLDER
    folder.mkdir(exist_ok=True, mode=0o700)
    token = secrets.token_hex(16)
    (folder / _TOKEN).write_text(token)
    return NodeDemand(
        home=str(home),
        token=token,
        outcrop=version("outcrop"),
        python=_python(),
        machine=machine(),
        is_sqlite=is_sqlite,
    )


def machine() -> str:
    """A name that tells this machine from others, until it starts anew."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return platform.node()


def check(asked: NodeDemand, *, name: str, sent_at: float) -> str | None:
    """Why the node on which this runs gets no job; None where it may. `sent_at`: by the asker's clock, just now."""
    file = Path(asked.home) / FOLDER / _TOKEN
    try:
        seen = file.read_text()
    except OSError as error:
        return (
            f"{name}: it does not see the home {asked.home} ({error.strerror}). Mount it there at the same path, for "
            "the same user."
        )
    if seen != asked.token:
        return f"{name}: {asked.home} is another home there. Mount the shared one at this path."
    if (found := version("outcrop")) != asked.outcrop or _python() != asked.python:
        return (
            f"{name}: it has Outcrop {found} and Python {_python()}, and this installation has {asked.outcrop} and "
            f"{asked.python}. Install the same."
        )
    if asked.is_sqlite and machine() != asked.machine:
        return (
            f"{name}: the records are in SQLite, which one machine alone may open. Set OUTCROP_DATABASE_URL to a "
            "PostgreSQL database that every node reaches."
        )
    skew_s = time.time() - sent_at
    if abs(skew_s) > _MOST_SKEW_S and machine() != asked.machine:
        return f"{name}: its clock is {skew_s:+.0f} s away. Synchronise the clocks of the nodes."
    return None


def _python() -> str:
    return ".".join(platform.python_version_tuple()[:2])
