"""Leases of jobs: which worker works on which job. A lease is a row with a time limit: a worker that dies stops
renewing, and the job is free.

Every lease of a job has a number, higher than those before. A worker writes under the fence of its lease: once another
has taken the job, nothing that the first one still does is written, however long it was paused.

Jobs that wait are found by an index of their own, at the head of each owner's queue: neither those that have ended cost
anything nor those that stand behind, and the writers' lock is taken only when there is a job to be had. The time limit
is told by the clocks of the machines that share a database; they may differ by some seconds. A lease that is taken too
early costs work, and never a result.
"""

import json
import logging
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sql
from sqlalchemy.engine import Connection, Engine

from outcrop import logs
from outcrop.jobs.kinds import JobKind
from outcrop.jobs.queue_records import (
    JOBS,
    QueueRecords,
    WaitingJob,
    first_waiting,
    last_turns,
    note_turn,
    note_waiting,
)
from outcrop.jobs.running import LeaseLost
from outcrop.store import fence
from outcrop.store.database import UtcTime, create_tables, microseconds, reading, writing
from outcrop.store.resource_table import RESOURCES
from outcrop.store.store import Store

LEASE = timedelta(seconds=60)
MAX_ATTEMPTS = 8
"Times that a job is taken up again without having come any further, before it is given up."
_UNNOTED_S = 5.0
"So often jobs of an older Outcrop are looked for, where there are no others."
_log = logging.getLogger("outcrop.worker")

_schema = sql.MetaData()
_table = sql.Table(
    "leases",
    _schema,
    sql.Column("job", sql.String, primary_key=True),
    sql.Column("worker", sql.String, nullable=False),
    sql.Column("until", UtcTime, nullable=False),
    sql.Column("attempts", sql.Integer, nullable=False),
    sql.Column("progress", sql.String, nullable=False),
    sql.Column("number", sql.BigInteger),  # which leases of older programs do not have
)


@dataclass(frozen=True, kw_only=True)
class Lease:
    """The right to work on one job until it is released or runs out."""

    job: str
    kind: JobKind[Any]
    worker: str
    owner: str
    attempts: int
    "How often it was taken up since it last came further; 1 at first."
    number: int
    "How often it was taken up in all; no two leases of a job have the same."


class _FreeJob(NamedTuple):
    """A job that has not ended, as the queue sees it. Times and lease are as the rows have them, be they damaged."""

    job: str
    kind: str
    created: Any
    owner: str | None
    priority: int | None
    worker: str | None
    until: Any
    attempts: Any
    number: Any

    @property
    def is_leased_soundly(self) -> bool:
        return self.worker is not None and type(self.until) is int and type(self.attempts) is int

    @property
    def next_number(self) -> int:
        return self.number + 1 if type(self.number) is int else 1


class Leases:
    """The leases of every worker on jobs of some kinds, all of one class of worker."""

    def __init__(self, store: Store, kinds: Sequence[JobKind[Any]]) -> None:
        assert len({kind.worker for kind in kinds}) == 1, "kinds of one class of worker"
        self._engine = store.engine
        self._points = store.points
        self._kinds = {kind.name: kind for kind in kinds}
        self._class = kinds[0].worker
        fence.keep(store.engine)
        QueueRecords(store.engine)  # whose tables the look joins
        create_tables(store.engine, _schema)
        self._look = _look(kinds)
        # As the driver takes them: each runs at every lease.
        self._leased = _text(_leased(kinds), store.engine)
        one = _text(self._look.where(RESOURCES.c.arn == sql.literal_column("?")), store.engine)
        self._one = one if store.is_local else one.replace("?", "%s")
        # What was made by an Outcrop that did not note who waits.
        self._unnoted = self._look.where(_table.c.job.is_(None), JOBS.c.waiting.is_(None))
        self._unnoted_at = float("-inf")
        self._found = False
        self.idle_look = _text(sql.select(RESOURCES.c.arn).where(_running(kinds)).limit(1), store.engine)
        "As the database is asked whether there is anything to look at."
        held = "value FROM json_each(?)" if store.is_local else "json_array_elements_text(CAST(? AS json))"
        others = sql.select(RESOURCES.c.arn).where(_running(kinds), sql.text(f"arn NOT IN (SELECT {held})"))
        self._busy_look = _text(others.limit(1), store.engine)
        "The same of a worker that holds some already."

    def take(
        self, worker: str, *, now: datetime, holding: Collection[str] = (), only: str | None = None
    ) -> Lease | None:
        """The next job that nobody works on, or None.

        A job that was begun goes on before another begins. Then the more urgent comes first; of equal priority, the
        one whose owner has fewest running, or had a turn longest ago; then the oldest. A worker's own lease is its own
        again after a crash, but for jobs it is `holding`. A kind may say how many of it a worker holds at most.

        `only`: the one job that comes into question.
        """
        if only is not None:
            with writing(self._engine) as connection:
                return self._claim(connection, only, worker, now, holding)
        if self._points.possible() and self._has_nothing(holding):
            return None  # as a rule: by a plain read past the query builder, on SQLite in some 20 µs
        # Without the writers' lock first, unless there was a job to be had just now.
        if not self._found:
            with reading(self._engine) as connection:
                if self._next(connection, worker, now, holding) is None:
                    return None
        with writing(self._engine) as connection:
            # Chosen while nobody else writes: two workers never take the same job, nor look at it in vain.
            lease = None
            while lease is None and (job := self._next(connection, worker, now, holding)) is not None:
                lease = self._claim(connection, job, worker, now, holding)
        self._found = lease is not None
        return lease

    def waiting(self, worker: str, *, now: datetime, holding: Collection[str] = ()) -> list[str]:
        """The ARNs of the jobs that nobody works on, in the order in which the worker should take them."""
        if self._points.possible() and self._has_nothing(holding):
            return []
        with reading(self._engine) as connection:
            waiting = [_FreeJob._make(row) for row in connection.execute(self._look)]
            free = [job for job in waiting if _is_free(job, worker, now, holding)]
            turns = last_turns(connection, self._class) if len(free) > 1 else {}
        running = Counter(job.owner or "" for job in waiting if job not in free)
        held = Counter(job.kind for job in waiting if job.job in holding)
        takeable = [job for job in free if held[job.kind] < (self._kinds[job.kind].most_at_once or len(waiting) + 1)]
        return [job.job for job in sorted(takeable, key=lambda job: (job.worker is None, *_order(job, running, turns)))]

    def _next(self, connection: Connection, worker: str, now: datetime, holding: Collection[str]) -> str | None:
        """The ARN of the job to be taken. One that nobody had begun may have ended meanwhile."""
        leased = [_FreeJob._make(row) for row in connection.exec_driver_sql(self._leased)]
        running = Counter(job.owner or "" for job in leased if not _is_free(job, worker, now, holding))
        held = Counter(job.kind for job in leased if job.job in holding)
        limits = {name: kind.most_at_once for name, kind in self._kinds.items()}
        takeable = {name for name, most in limits.items() if most is None or held[name] < most}
        begun = [job for job in leased if job.kind in takeable and _is_free(job, worker, now, holding)]
        free: list[_FreeJob | WaitingJob] = [*begun] or [*first_waiting(connection, sorted(takeable))]
        if not free and time.monotonic() >= self._unnoted_at + _UNNOTED_S:
            unnoted = [_FreeJob._make(row) for row in connection.execute(self._unnoted)]
            free = [job for job in unnoted if job.kind in takeable and job.job not in holding]
            if not free:
                self._unnoted_at = time.monotonic()
        turns = last_turns(connection, self._class) if len(free) > 1 else {}
        return min(free, key=lambda job: _order(job, running, turns)).job if free else None

    def _has_nothing(self, holding: Collection[str]) -> bool:
        if not holding:
            return self._points.row(self.idle_look, ()) is None
        return self._points.row(self._busy_look, (json.dumps(list(holding)),)) is None

    def renew(self, lease: Lease, *, now: datetime, progress: str) -> bool:
        """Hold the lease for another while; progress that differs from the last forgives the attempts so far.

        False where another has the job by now.
        """
        with fence.unfenced(), writing(self._engine) as connection:
            further = _held(lease) & (_table.c.progress != progress)
            connection.execute(sql.update(_table).where(further).values(progress=progress, attempts=0))
            renewed = sql.update(_table).where(_held(lease)).values(until=now + LEASE)
            return connection.execute(renewed).rowcount == 1

    def is_held(self, lease: Lease) -> bool:
        """Whether no other worker has taken the job up since."""
        with reading(self._engine) as connection:
            return connection.execute(sql.select(_table.c.job).where(_held(lease))).first() is not None

    def release(self, lease: Lease, *, now: datetime) -> None:
        """Give the job back, ended or not."""
        with fence.unfenced(), writing(self._engine) as connection:
            was_held = connection.execute(sql.delete(_table).where(_held(lease))).rowcount == 1
            if was_held and self._found_one(connection, lease.job) is not None:
                note_waiting(connection, lease.job, lease.kind.name)
            note_turn(connection, lease.owner, lease.kind.worker, now)

    def give_up(self, worker: str, *, now: datetime) -> list[str]:
        """Let the leases of a worker that is gone run out at once; returns the ARNs of their jobs.

        Were it not gone, its fence would keep it from writing.
        """
        with writing(self._engine) as connection:
            found = connection.execute(sql.select(_table.c.job).where(_table.c.worker == worker)).scalars().all()
            connection.execute(sql.update(_table).where(_table.c.worker == worker).values(until=now))
        return list(found)

    @contextmanager
    def fenced(self, lease: Lease, *, whole_process: bool = False) -> Iterator[None]:
        """A block in which nothing is written unless the lease is still held; else LeaseLost is raised.

        `whole_process`: in no thread of the process, and not only in this one.
        """

        def check(connection: Connection) -> None:
            if connection.engine is not self._engine:
                return
            # The row is locked until the commit: nobody takes the job in between. SQLite has one writer anyway.
            held = sql.select(_table.c.job).where(_held(lease)).with_for_update(read=True)
            if connection.execute(held).first() is None:
                raise LeaseLost(f"{lease.job}: another worker has taken it up, since this one did not renew its lease.")

        with fence.fenced_process(check) if whole_process else fence.fenced(check):
            yield

    def _found_one(self, connection: Connection, job_arn: str) -> _FreeJob | None:
        """The job with this ARN, unless it has ended."""
        row = connection.exec_driver_sql(self._one, (job_arn,)).first()
        return None if row is None else _FreeJob._make(row)

    def _claim(
        self, connection: Connection, job_arn: str, worker: str, now: datetime, holding: Collection[str]
    ) -> Lease | None:
        """The lease of a job that is to be taken; None for one that has ended before it began."""
        note_waiting(connection, job_arn, None)
        job = self._found_one(connection, job_arn)
        if job is None or not _is_free(job, worker, now, holding):
            return None
        if job.worker is not None and not job.is_leased_soundly:
            logs.tell(_log, "damaged lease", level=logging.ERROR, job=job_arn)
        attempts = job.attempts + 1 if job.is_leased_soundly else 1
        number = job.next_number
        _write(connection, job_arn, worker=worker, until=now + LEASE, attempts=attempts, number=number)
        note_turn(connection, job.owner or "", self._class, now)
        kind = self._kinds[job.kind]
        return Lease(job=job_arn, kind=kind, worker=worker, owner=job.owner or "", attempts=attempts, number=number)


def _held(lease: Lease) -> sql.ColumnElement[bool]:
    """The SQL condition for a lease that is still held."""
    return (_table.c.job == lease.job) & (_table.c.worker == lease.worker) & (_table.c.number == lease.number)


def _running(kinds: Sequence[JobKind[Any]]) -> sql.ColumnElement[bool]:
    """The SQL condition for jobs that have not ended. Kind by kind: what is an end for one kind may not be one for
    another."""
    return sql.or_(
        *((RESOURCES.c.kind == kind.name) & RESOURCES.c.status.in_(sorted(kind.lifecycle.running)) for kind in kinds)
    )


def _text(query: sql.Select[Any], engine: Engine) -> str:
    return str(query.compile(engine, compile_kwargs={"literal_binds": True}))


def _look(kinds: Sequence[JobKind[Any]]) -> sql.Select[Any]:
    """The jobs that have not ended, each with its place in the queue and its lease."""
    beside = RESOURCES.outerjoin(JOBS, JOBS.c.job == RESOURCES.c.arn).outerjoin(_table, _table.c.job == RESOURCES.c.arn)
    return sql.select(*_columns()).select_from(beside).where(_running(kinds))


def _leased(kinds: Sequence[JobKind[Any]]) -> sql.Select[Any]:
    """The jobs that have a lease, found from lease to job: those that wait are not even passed."""
    beside = _table.join(RESOURCES, RESOURCES.c.arn == _table.c.job).outerjoin(JOBS, JOBS.c.job == RESOURCES.c.arn)
    # Neither kind nor state lead anywhere here, and SQLite would go along an index that has them.
    kind, status = RESOURCES.c.kind.concat(""), RESOURCES.c.status.concat("")
    of_kinds = ((kind == each.name) & status.in_(sorted(each.lifecycle.running)) for each in kinds)
    is_leased = RESOURCES.c.arn.in_(sql.select(_table.c.job))
    return sql.select(*_columns()).select_from(beside).where(is_leased, sql.or_(*of_kinds))


def _columns() -> tuple[sql.ColumnElement[Any], ...]:
    created, until = (sql.type_coerce(column, sql.BigInteger) for column in (RESOURCES.c.created, _table.c.until))
    columns = (RESOURCES.c.arn, RESOURCES.c.kind, created, JOBS.c.owner, JOBS.c.priority, _table.c.worker, until)
    return (*columns, _table.c.attempts, _table.c.number)


def _is_free(job: _FreeJob, worker: str, now: datetime, holding: Collection[str]) -> bool:
    if job.job in holding:
        return False
    return not job.is_leased_soundly or job.worker == worker or job.until <= microseconds(now)


def _order(job: _FreeJob | WaitingJob, running: Counter[str], turns: dict[str, int]) -> tuple[Any, ...]:
    owner = job.owner or ""
    created = job.created if type(job.created) is int else 0
    return -(job.priority or 0), running[owner], turns.get(owner, 0), created, job.job


def _write(connection: Connection, job_arn: str, **values: Any) -> None:
    if connection.execute(sql.update(_table).where(_table.c.job == job_arn).values(**values)).rowcount == 0:
        connection.execute(sql.insert(_table).values(job=job_arn, progress="", **values))
