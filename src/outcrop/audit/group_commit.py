"""Group commit: calls that changed something wait together until their entries are on the disk.

Whoever comes while a write is under way waits for the next one, which takes along all that came meanwhile: under load
one write to the disk serves many calls.
"""

import asyncio

from anyio import to_thread

from outcrop.audit.audit import Audit
from outcrop.audit.entry import Entry


class GroupCommit:
    """The writes of one event loop."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        self._running: asyncio.Task[bool] | None = None
        self._next: asyncio.Task[bool] | None = None

    async def keep(self, entry: Entry) -> bool:
        """Record an entry; returns once it is on the disk, or False when it could not be written. It then waits on."""
        if not self._audit.record(entry):
            return False
        if self._next is None:
            self._next = asyncio.create_task(self._write_behind(self._running))
        return await asyncio.shield(self._next)  # who leaves takes nobody's write along

    async def _write_behind(self, running: "asyncio.Task[bool] | None") -> bool:
        if running is not None:
            await asyncio.wait((running,))
        self._running, self._next = self._next, None
        return await to_thread.run_sync(self._audit.write)
