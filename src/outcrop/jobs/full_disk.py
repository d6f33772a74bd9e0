"""Troubles that pass, told from others and waited out: a full disk, a database that does not answer. Training is hours
of work, and they are mended in minutes."""

import contextlib
import errno
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from outcrop import logs
from outcrop.errors import OutcropError, Unavailable
from outcrop.jobs.running import Interrupted, RunningJob

PAUSE_S = 20.0
_DATABASE_PAUSE_S = 2.0
_ASK_EVERY_S = 0.5
_Done = TypeVar("_Done")
_CODES = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# SQLite and safetensors tell it in words.
_WORDS = ("disk is full", "No space left on device")
_log = logging.getLogger("outcrop.worker")


def is_passing(error: BaseException) -> bool:
    """Whether an error, or one behind it, is of a full disk or an absent database.

    An error that says of itself whether it passes decides before those behind it.
    """
    for link in _chain(error):
        if isinstance(link, OutcropError) and link.passes is not None:
            return link.passes
        if _says_so(link):
            return True
    return False


@dataclass(frozen=True, kw_only=True)
class Patience:
    """The waiting of one job for room on the disk or for the database, unless its worker is to end."""

    job: RunningJob

    def repeat(self, work: Callable[[], _Done]) -> _Done:
        """The result of `work`, begun anew whenever such a trouble broke it off. Raises Interrupted."""
        while True:
            try:
                return work()
            except Exception as error:
                if not is_passing(error):
                    raise
                if not self.wait(error):
                    raise Interrupted("The worker is to end before the job can go on.") from error

    def wait(self, error: BaseException) -> bool:
        """Whether to try again: after a pause, or at once when the job is to stop. False when the worker is to end."""
        away = isinstance(error, Unavailable)
        pause_s = _DATABASE_PAUSE_S if away else PAUSE_S
        waits = f"Nothing is lost: the job waits, and tries again every {pause_s:g} seconds."
        sentence = (
            f"{error} {waits}"
            if away
            else f"The disk is full ({error}). {waits} Make room on the disk of Outcrop's home."
        )
        with contextlib.suppress(OSError):
            logs.tell(_log, "database away" if away else "disk full", level=logging.WARNING, note=sentence)
        until = time.monotonic() + pause_s
        while time.monotonic() < until and not self.job.interrupted() and not self.job.is_stopping():
            self.job.pause(_ASK_EVERY_S)
        return not self.job.interrupted()


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__


def _says_so(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in _CODES:
        return True
    return any(words in str(error) for words in _WORDS)
