"""Removal of the contents that no row names any more: files, rows of small ones, pieces of others.

They are removed here, and only here. Two puts of the same content, a delete and a sweep may run at once, in different
processes. None of them loses a file:

* A put gives the file its final name and writes the row inside one write transaction, and renames even when an equal
  file is there. A sweep looks for rows and removes the file inside one write transaction, too. Write transactions of
  this room never overlap, so the sweep sees either no put at all, or its file and its row.
* A sweep removes a file some time after its last row went. Whoever was told the path meanwhile (a download that is
  about to begin, a worker about to open its dataset) still finds it, and an open file outlives its name.
* Whoever sweeps goes on until nothing is due, in short transactions with a pause between them for those who wait to
  write: a hundred thousand deletions give their space back within minutes.
* A crash between rename and commit leaves a file without a row, and a crash during an upload one under a temporary
  name: garbage, which `sweep_leftovers` takes up at the next start once it is a day old.
"""

from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from sqlalchemy.engine import Connection

from outcrop.buckets import content_records, records, version_records
from outcrop.store.database import alone, reading, writing
from outcrop.store.store import Store

GRACE = timedelta(minutes=2)
GRACE_OF_PIECES = timedelta(hours=1)
"More for the pieces of an object: a download opens them one after the other."
LEFTOVER_AGE = timedelta(days=1)
ROOM = "buckets"

BATCH = 100
"Contents of one transaction: a put waits for one of them at most."


class Swept(NamedTuple):
    """The result of one transaction of a sweep."""

    removed: int
    more_due: bool


def sweep_batch(store: Store, now: datetime) -> Swept:
    """Remove some contents that were unwanted through the grace period. Cheap when there are none.

    Whatever it looked at is due no more, so whoever goes on while more is due comes to an end.
    """
    before = now - GRACE
    with reading(store.engine) as connection:
        if not content_records.unwanted_since(connection, before, 1):
            return Swept(removed=0, more_due=False)
    removed = 0
    with writing(store.engine) as connection:
        alone(connection, ROOM)
        due = content_records.unwanted_since(connection, before, BATCH + 1)
        for digest in due[:BATCH]:
            content_records.forget_unwanted(connection, digest)
            if not _is_wanted(connection, digest):
                store.objects.remove(digest)
                content_records.remove_content(connection, digest, at=now + GRACE_OF_PIECES)
                removed += 1
    return Swept(removed=removed, more_due=len(due) > BATCH)


def sweep_leftovers(store: Store, now: datetime) -> int:
    """Take up what crashes left behind; returns how many files. Looks at every file: for the start, not for a request.

    Unfinished files go at once; whole ones without a row are noted as unwanted, for a later sweep.
    """
    unfinished = [path for path in store.objects.unfinished() if _is_old(path, now)]
    for path in unfinished:
        path.unlink(missing_ok=True)
    with reading(store.engine) as connection:
        old = [path.name for path in store.objects.kept() if _is_old(path, now)]
        orphans = [digest for digest in old if not _is_wanted(connection, digest)]
    if orphans:
        with writing(store.engine) as connection:
            alone(connection, ROOM)
            content_records.note_unwanted(connection, orphans, at=now)
    return len(unfinished) + len(orphans)


def _is_wanted(connection: Connection, digest: str) -> bool:
    return (
        records.names_content(connection, digest)
        or version_records.version_names_content(connection, digest)
        or content_records.is_piece(connection, digest)
    )


def _is_old(path: Path, now: datetime) -> bool:
    try:
        return path.stat().st_mtime < (now - LEFTOVER_AGE).timestamp()
    except FileNotFoundError:
        return False
