"""The message and exit code of a command that cannot do its work: one place for every exception.

Codes: 1 (the work failed), 2 (asked wrongly), 130 (Ctrl-C), 141 (whoever read the output went away). What nobody
foresaw becomes a sentence too, with the traceback in a file for whoever mends the program.
"""

import errno
import os
import sys
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outcrop import settings as settings_of
from outcrop.errors import MachineTrouble, OutcropError

FAILED, ASKED_WRONGLY, INTERRUPTED, UNREAD = 1, 2, 130, 141
LOG = "command.log"

_MENDS = {
    errno.ENOSPC: "The disk is full. Free some space and do it again.",
    errno.EDQUOT: "Your share of the disk is used up. Free some space and do it again.",
    errno.EACCES: "Give the user who starts Outcrop the right to it.",
    errno.EPERM: "Give the user who starts Outcrop the right to it.",
    errno.EROFS: "It lies on a disk that is mounted read-only. Choose a place that can be written.",
    errno.EMFILE: "Raise the limit of open files (`ulimit -n`).",
}


@dataclass(frozen=True, kw_only=True)
class CommandFailure:
    """A sentence, empty where nothing needs to be said, and an exit code."""

    sentence: str
    code: int


def failure(error: BaseException) -> CommandFailure:
    """How a command ends that raised `error`."""
    match error:
        case KeyboardInterrupt():
            return CommandFailure(sentence="", code=INTERRUPTED)
        case BrokenPipeError():
            return CommandFailure(sentence="", code=UNREAD)
        case MachineTrouble():
            return CommandFailure(sentence=error.message, code=FAILED)
        case OutcropError():
            return CommandFailure(sentence=error.message, code=ASKED_WRONGLY)
        case MemoryError():
            return CommandFailure(sentence="The memory of this machine does not suffice for this.", code=FAILED)
        case OSError() if error.strerror:
            return CommandFailure(sentence=_of_system(error), code=FAILED)
    return _of_library(error) or CommandFailure(sentence=_unforeseen(error), code=FAILED)


def _of_system(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename is not None else ""
    mend = _MENDS.get(error.errno or 0, "")
    return f"{where}{error.strerror}. {mend}".rstrip()


def _of_library(error: Any) -> CommandFailure | None:
    """The sentence of a library's error about the arguments, the server or the database. None: it is something else."""
    if _is(error, "cyclopts", "CycloptsError"):
        return CommandFailure(sentence=f"{_on_one_line(str(error))} `outcrop --help` tells more.", code=ASKED_WRONGLY)
    if _is(error, "botocore.exceptions", "ClientError"):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
        told = error.response["Error"]
        sentence = f"{told.get('Message', '')} ({told.get('Code', '')})"
        return CommandFailure(sentence=sentence, code=FAILED if status >= 500 else ASKED_WRONGLY)
    if _is(error, "botocore.exceptions", "HTTPClientError") or _is(error, "botocore.exceptions", "ConnectionError"):
        sentence = f"The server does not answer ({_on_one_line(str(error))}). `outcrop up` starts it."
        return CommandFailure(sentence=sentence, code=FAILED)
    if _is(error, "botocore.exceptions", "BotoCoreError"):
        return CommandFailure(sentence=_on_one_line(str(error)), code=ASKED_WRONGLY)
    if _is(error, "sqlalchemy.exc", "DBAPIError"):
        sentence = (
            f"The database of this home cannot be used ({_on_one_line(str(error.orig))}). Put it back from a backup."
        )
        return CommandFailure(sentence=sentence, code=FAILED)
    return None


def _is(error: object, module: str, name: str) -> bool:
    """Whether it is of a library's class; a library that was never imported raised nothing."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(error, getattr(loaded, name))


def _on_one_line(text: str) -> str:
    return " ".join(text.split())


def _unforeseen(error: BaseException) -> str:
    told = "".join(traceback.format_exception(error))
    return (
        f"Something went wrong that should not ({type(error).__name__}: {_on_one_line(str(error))[:200]}). "
        f"The details are in {_write(told)}; please report them."
    )


def _write(text: str) -> str:
    """Write the text to a log, and return the log's path.

    It is the log of the home that was meant, or where that cannot be, a new temporary one.
    """
    try:
        log = settings_of.read(home=_home_of(sys.argv)).logs / LOG
        if log.parent.is_dir():
            descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(f"{text}\n")
            return str(log)
    except (OSError, OutcropError):
        pass  # the temporary folder is there for exactly this
    descriptor, path = tempfile.mkstemp(prefix="outcrop-", suffix=".log")
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
    return path


def _home_of(arguments: list[str]) -> Path | None:
    """The value of --home in arguments that may be wrong otherwise."""
    for argument, after in zip(arguments, [*arguments[1:], ""], strict=True):
        if argument == "--":
            return None
        if argument == "--home" and after:
            return Path(after)
        if argument.startswith("--home="):
            return Path(argument.removeprefix("--home="))
    return None
