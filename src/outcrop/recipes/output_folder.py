"""The folder that a recipe writes: nothing half is ever seen in it, and nothing of somebody else is lost.

Everything is written in a folder inside and moved out when it is whole, the card last. A folder that holds anything
but an earlier output, unchanged since, is refused.
"""

import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from outcrop import private
from outcrop.errors import Conflict, Invalid

CARD = "README.md"
LEFT_OUT = "left-out.jsonl"
FILES = ("train.jsonl", "validation.jsonl", "test.jsonl", LEFT_OUT)
MARK = "<!-- Written by `outcrop data`. A later run replaces this folder's files, unless they were changed. -->"
_MAKING = ".outcrop-making"
_DIGEST = re.compile(r"^\| (\S+\.jsonl) \|.*\| ([0-9a-f]{64}) \|$", re.MULTILINE)
_READ_BYTES = 2**20


@contextmanager
def new_output(folder: Path) -> Iterator[Path]:
    """A folder to write into, whose files become those of `folder` when all went well, and are gone otherwise.

    Raises Invalid for a folder that holds something else, Conflict while another run writes there.
    """
    folder = folder.expanduser()
    made = _made(folder)
    with _locked(folder):
        making = folder / _MAKING
        try:
            shutil.rmtree(making, ignore_errors=True)  # of a run that was killed: whoever lives holds the lock
            _check_ours(folder)
            making.mkdir()
            yield making
            _publish(making, folder)
        except BaseException:
            shutil.rmtree(making, ignore_errors=True)
            for each in made:
                with suppress(OSError):  # somebody else put something there meanwhile
                    each.rmdir()
            raise
        making.rmdir()


def digest_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _made(folder: Path) -> Sequence[Path]:
    """The folders that had to be made, innermost first. Raises Invalid where a file is in the way."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise Invalid(f"--out {folder}: a file is in the way. Name a new folder.") from error
    private.open_as_the_user_would(missing)
    return missing


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict(f"--out {folder}: another run writes there. Wait for it, or name another one.") from error
        yield
    finally:
        os.close(descriptor)


def _check_ours(folder: Path) -> None:
    found = sorted(each.name for each in folder.iterdir())
    if not found:
        return
    strange = [name for name in found if name not in (*FILES, CARD)]
    card = folder / CARD
    if strange or not card.is_file() or MARK not in card.read_text("utf-8", "replace")[:1000]:
        raise Invalid(
            f"--out {folder}: it holds {strange[0] if strange else found[0]}, which this command did not write. Name a "
            "new folder."
        )
    # The table of outputs comes first; a source may have the name of one.
    told = dict(reversed(_DIGEST.findall(card.read_text("utf-8", "replace"))))
    changed = [name for name in found if name != CARD and digest_of(folder / name) != told.get(name)]
    if changed:
        raise Invalid(
            f"--out {folder}: {changed[0]} was changed since it was written. Move it away, or name a new one."
        )


def _publish(making: Path, folder: Path) -> None:
    """Move the files out; without its card, which goes first and comes last, a folder is no whole output."""
    (folder / CARD).unlink(missing_ok=True)
    for name in FILES:
        if (making / name).exists():
            os.replace(making / name, folder / name)
        else:
            (folder / name).unlink(missing_ok=True)
    os.replace(making / CARD, folder / CARD)
    private.open_as_the_user_would(path for name in (*FILES, CARD) if (path := folder / name).exists())
