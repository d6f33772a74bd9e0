"""The noted end of the chain: a small file beside the database, with the last number and digest.

Whoever can write the database but not the home can then neither cut entries off at the end nor make a whole new chain.
A note that the chain does not bear out is never overwritten: it is put aside under another name, and every verification
looks at it again.
"""

import json
import os
from pathlib import Path

from outcrop.audit.records import Link

_FILE = "audit-end.json"
_BROKEN = "audit-end.*.broken.json"
_SIZE = 128
"Bytes of a note, always as many: it is overwritten in place, within one sector of the disk."


class NotedEnd:
    """The note of one home."""

    def __init__(self, home: Path) -> None:
        self._path = home / _FILE

    def read(self) -> Link | None:
        """The noted place; None where nothing was noted, or the note cannot be read."""
        return _read(self._path)

    def write(self, link: Link) -> None:
        """Note a place. Raises OSError."""
        text = json.dumps({"number": link.number, "digest": link.digest.hex()})
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.pwrite(descriptor, text.ljust(_SIZE - 1).encode() + b"\n", 0)
        finally:
            os.close(descriptor)

    def put_aside(self) -> Path | None:
        """Keep the present note under another name, for good; None where there is none."""
        noted = self.read()
        if noted is None:
            return None
        aside = self._path.with_name(f"audit-end.{noted.number}.broken.json")
        self._path.replace(aside)
        return aside

    def all(self) -> list[Link]:
        """Every note that there is, those that were put aside too."""
        places = [*sorted(self._path.parent.glob(_BROKEN)), self._path]
        return [link for link in map(_read, places) if link is not None]


def _read(path: Path) -> Link | None:
    try:
        members = json.loads(path.read_bytes())
        return Link(int(members["number"]), bytes.fromhex(members["digest"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
