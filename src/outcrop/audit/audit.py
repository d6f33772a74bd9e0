"""Audit: the append-only record of calls, each entry's digest made over it and the one before.

    audit = Audit(store, clock)
    audit.record(entry)                                # of reads and refusals; neither waits nor fails
    audit.flush()                                      # twice a second, and before a change is answered
    audit.entries(caller=arn, since=yesterday)         # newest first
    audit.verify()                                     # whether anything was changed, left out or put in
    audit.sweep()                                      # every hour: whole old ranges go

The entry of a call that changed something is on the disk before its answer is sent (`group_commit.py`). Those of reads
and refusals are half a second after theirs. While nothing can be written, entries wait in memory up to a bound; how
many went beyond it is an entry of its own afterwards.
"""

import logging
import threading
from collections.abc import Hashable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from itertools import islice

import sqlalchemy as sql

from outcrop import logs
from outcrop.audit.entry import Entry
from outcrop.audit.noted_end import NotedEnd
from outcrop.audit.records import AuditRecords, KeyLost, Link, Recorded, Search, next_digest
from outcrop.clock import Clock
from outcrop.errors import Unavailable
from outcrop.keys.root_key import Sealer
from outcrop.settings import AUDIT_KEPT, Retention
from outcrop.store.database import DiskFull
from outcrop.store.store import Store

MOST_WAITING = 50_000
"Entries in memory, while they cannot be written."
MOST_STRANGERS = 60
"Entries a minute about those who prove nothing: they must not push everybody else's out of the record."
LOST = "EntriesLost"
_MB = 1_000_000
_BYTES_OF_ENTRY = 500
"In columns, indexes and the table of resources, beside what is measured."
_SAMPLE = 1000
_log = logging.getLogger("outcrop.audit")


@dataclass(frozen=True, kw_only=True)
class ChainCheck:
    """The result of checking the audit's chain of digests."""

    first: int
    "Number of the first entry that is kept."
    last: int
    entries: int
    broken: str | None = None
    "Where it does not hold, and how; None: every entry is as it was written."


class Audit:
    """The record of one installation. Safe in several threads."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        retention: Retention = AUDIT_KEPT,
        *,
        noted: NotedEnd | None = None,
        sealer: Sealer | None = None,
    ) -> None:
        """`noted`: where the end of the chain is written down beside the database; `sealer`: of its key."""
        self._store = store
        self._sealer = sealer
        self._noted = noted
        self._note_holds = False
        "Whether the note was found in the chain since this was opened."
        self._failed_before = False
        "Whether the last try to write ended in an error: it may have come to the disk all the same."
        self._clock = clock
        self._retention = retention
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._waiting: list[Entry] = []
        self._repeats: dict[Hashable, list[int]] = {}
        "Of entries that wait: their place, and how often they are to be counted."
        self._trouble = False
        self._strangers = (clock.now(), 0)
        "Since when they are counted, and how many there were."
        self._lost = 0
        self.left_out = 0
        "Entries about strangers beyond MOST_STRANGERS a minute."

    @cached_property
    def _records(self) -> AuditRecords:
        return AuditRecords(
            self._store.engine, self._sealer
        )  # when it is first needed: a start waits for no table of this room

    @property
    def waiting(self) -> int:
        """Entries in memory."""
        return len(self._waiting)

    def again(self, key: Hashable) -> bool:
        """Whether an entry with this key waits to be written: it then counts once more, and needs no other."""
        with self._lock:
            found = self._repeats.get(key)
            if found is None:
                return False
            found[1] += 1
            return True

    def record(self, entry: Entry, key: Hashable | None = None) -> bool:
        """Add an entry; `key` is what `again` will know it by. Never waits for the database, and never raises.

        False where there is no room for it.
        """
        with self._lock:
            if len(self._waiting) >= MOST_WAITING:
                self._lost += 1
                return False
            if not entry.caller and not self._stranger_may(entry.at):
                self.left_out += 1
                return False
            if key is not None:
                self._repeats[key] = [len(self._waiting), entry.times]
            self._waiting.append(entry)
            return True

    def _stranger_may(self, at: datetime) -> bool:
        began, number = self._strangers
        if not began <= at < began + timedelta(minutes=1):
            began, number = at, 0
        self._strangers = (began, number + 1)
        return number < MOST_STRANGERS

    def write(self) -> bool:
        """Write what waits; whether all of it is on the disk."""
        self.flush()
        return not self._trouble

    def flush(self) -> int:
        """Write what waits; returns the number of entries. What could not be written waits on."""
        with self._flushing:
            with self._lock:
                entries, lost = self._waiting, self._lost
                for place, times in self._repeats.values():
                    entries[place] = entries[place]._replace(times=times)
                self._waiting, self._repeats, self._lost = [], {}, 0
            if lost:
                entries = [*entries, self._loss(lost)]
            if not entries:
                return 0
            try:
                self._check_note()
                link = self._records.append(entries, again=self._failed_before)
            except (DiskFull, Unavailable, KeyLost, sql.exc.SQLAlchemyError) as error:
                self._failed_before = True
                with self._lock:
                    self._waiting = [*entries[: len(entries) - bool(lost)], *self._waiting]
                    self._repeats = {}
                    self._lost += lost
                self._tell(error)
                return 0
            self._failed_before = False
            self._note(link)
            self._tell(None)
            return len(entries)

    def _check_note(self) -> None:
        """Hold the note against the chain before the first entry of this process goes behind it.

        Entries that are cut off would else be forgotten with the next note.
        """
        if self._noted is None or self._note_holds:
            return
        noted = self._noted.read()
        if noted is not None and not self._is_in_chain(noted):
            aside = self._noted.put_aside()
            note = f"Run `outcrop audit verify`. The note of how far it had come was kept as {aside}."
            logs.tell(_log, "the audit is not what it was", level=logging.ERROR, number=noted.number, note=note)
        self._note_holds = True

    def _is_in_chain(self, noted: Link) -> bool:
        if noted.number <= self._records.begins().number:
            return True  # its entry is too old to be there
        found = self._records.at(noted.number)
        return found is not None and found.link.digest == noted.digest

    def _note(self, link: Link) -> None:
        if self._noted is None:
            return
        try:
            self._noted.write(link)
        except OSError as error:  # the chain itself is written; the next note says as much as this one
            _log.warning("the end of the audit cannot be noted beside the database: %s", error.strerror)

    def _loss(self, lost: int) -> Entry:
        """The entry that stands for those that found no room."""
        return Entry(
            at=self._clock.now(),
            service="outcrop",
            operation=LOST,
            region="",
            caller="",
            user_id="",
            key_id="",
            session="",
            resources=(),
            source_ip="",
            user_agent="",
            request_id="",
            status=500,
            code=LOST,
            read_only=False,
            data=False,
            times=lost,
        )

    def _tell(self, error: Exception | None) -> None:
        """Log one line when writing the audit begins to fail, and one when it works again."""
        if (error is not None) == self._trouble:
            return
        self._trouble = error is not None
        if error is not None:
            reason = " ".join(str(error).split())[:300]
            note = f"{reason} Entries wait in memory, up to {MOST_WAITING:,} of them."
            logs.tell(_log, "the audit is not written", level=logging.WARNING, note=note)
        else:
            logs.tell(_log, "the audit is written again")

    def entries(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        service: str | None = None,
        operation: str | None = None,
        caller: str | None = None,
        resource: str | None = None,
        request_id: str | None = None,
        before: Recorded | None = None,
        most: int = 50,
    ) -> list[Recorded]:
        """Entries in [since, until) that have all that is given, newest first; `before` continues after a page."""
        asked = Search(
            since=since,
            until=until,
            services=() if service is None else (service,),
            operation=operation,
            callers=None if caller is None else (caller,),
            resources=() if resource is None else (resource,),
            request_id=request_id,
        )
        return self.search(asked, before=before, most=most)

    def search(self, asked: Search, *, before: Recorded | None = None, most: int = 50) -> list[Recorded]:
        """Entries that have all that is asked for, newest first; `before` continues after a page."""
        return self._records.search(asked, before=before, most=most)

    def at(self, number: int) -> Recorded | None:
        """The entry with this number; None where it is gone, or cannot be read."""
        return self._records.at(number)

    def following(self, number: int, most: int) -> list[Recorded]:
        """The entries behind a number, the oldest first, at most so many; damaged ones are left out."""
        found = islice(self._records.chain(number), most)
        return [Recorded(link, entry) for link, entry in found if entry is not None]

    def callers(self) -> list[str]:
        """Every caller in the record, by ARN."""
        return self._records.callers()

    def named_resources(self, name: str) -> list[str]:
        """The ARNs in the record that are this one, or end in this name."""
        return self._records.named_resources(name)

    def begins(self) -> Link:
        """The last place that was forgotten, after which the chain goes on."""
        return self._records.begins()

    def reseal(self, new: Sealer) -> None:
        """Seal the key of the chain with another root key. The caller has a transaction open."""
        self._records.reseal(new)

    def last(self) -> Link:
        """The end of the chain. Whoever notes it elsewhere can later show that nothing before it was changed."""
        return self._records.last()

    def verify(self, known: Link | None = None) -> ChainCheck:
        """Follow the chain from its beginning. What was noted of it beside the database has to be in it, and `known`,
        a place noted elsewhere."""
        before = self._records.begins()
        found = ChainCheck(first=before.number + 1, last=before.number, entries=0)
        try:
            key = self._records.key()
        except KeyLost as lost:
            return replace(found, broken=lost.message.rstrip("."))
        if key is None and self._sealer is not None and self._noted is not None and self._noted.read() is not None:
            return replace(found, broken="the key of its digests was removed")
        notes = [*(self._noted.all() if self._noted is not None else ()), *([] if known is None else [known])]
        missed = {note for note in notes if note.number > before.number}
        by_number = {note.number: note for note in missed}
        for link, entry in self._records.chain(before.number):
            if link.number != before.number + 1:
                return replace(found, broken=_gap(before.number + 1, link.number - 1))
            if entry is None or next_digest(before.digest, link.number, entry, key) != link.digest:
                return replace(
                    found, broken=f"entry {link.number} is not as it was written, or the one before was put in"
                )
            note = by_number.get(link.number)
            if note is not None:
                if any(each.digest != link.digest for each in missed if each.number == link.number):
                    return replace(found, broken=f"entry {link.number} or one before it is not what it was")
                missed -= {each for each in missed if each.number == link.number}
            before = link
            found = replace(found, last=link.number, entries=found.entries + 1)
        if missed:
            return replace(found, broken=f"entry {found.last + 1} is missing, and all after it")
        return found

    def sweep(self) -> int:
        """Forget the entries that are too old, and the oldest of more than there may be; returns how many went."""
        through = self._records.first_since(self._clock.now() - self._retention.age) - 1
        looked_at, letters = self._records.size_of_newest(_SAMPLE)
        if looked_at:
            room = self._retention.megabytes * _MB // (letters // looked_at + _BYTES_OF_ENTRY)
            through = max(through, self._records.last().number - room)
        return self._records.remove_through(through)


def _gap(first: int, last: int) -> str:
    return f"entry {first} is missing" if first == last else f"entries {first} to {last} are missing"
