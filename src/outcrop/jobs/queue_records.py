"""Queue records of each job, beside its resource: owner, priority, parent, and the last turn of each owner.

A job made by an older Outcrop has no row here, nobody's, of priority 0, and without a parent; or one that does not say
whether it waits.
"""

import re
from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sql
from sqlalchemy.engine import Connection, Engine

from outcrop.store.database import UtcTime, create_tables, reading, writing

_schema = sql.MetaData()
JOBS = sql.Table(
    "jobs",
    _schema,
    sql.Column("job", sql.String, primary_key=True),
    sql.Column("owner", sql.String, nullable=False),
    sql.Column("priority", sql.Integer, nullable=False),
    sql.Column("parent", sql.String),
    sql.Column("waiting", sql.String),
    sql.Column("created", UtcTime),
    sql.Index("jobs_parent", "parent", "job"),
)
# Of a job that nobody has begun, `waiting` is its kind; the index has no others, however many have ended.
_is_waiting = JOBS.c.waiting.is_not(None)
sql.Index(
    "jobs_waiting", JOBS.c.waiting, JOBS.c.priority, JOBS.c.owner, JOBS.c.created, JOBS.c.job,
    sqlite_where=_is_waiting, postgresql_where=_is_waiting,
)  # fmt: skip
_turns = sql.Table(
    "job_turns",
    _schema,
    sql.Column("owner", sql.String, primary_key=True),
    sql.Column("worker_class", sql.String, primary_key=True),
    sql.Column("at", UtcTime, nullable=False),
)


# From one owner to the next along the index, and of each the oldest job: jobs that are not at the head cost nothing.
# The kind is code and the priority a number of ours, so the text holds them: it runs at every lease.
_HEADS = """
    WITH RECURSIVE owners(owner) AS (
        SELECT min(owner) FROM jobs WHERE waiting = '{kind}' AND priority = {priority:d}
        UNION ALL
        SELECT (SELECT min(j.owner) FROM jobs AS j
                WHERE j.waiting = '{kind}' AND j.priority = {priority:d} AND j.owner > owners.owner)
        FROM owners WHERE owners.owner IS NOT NULL
    )
    SELECT (SELECT j.job FROM jobs AS j WHERE j.waiting = '{kind}' AND j.priority = {priority:d}
            AND j.owner = owners.owner ORDER BY j.created, j.job LIMIT 1) AS job,
           (SELECT j.created FROM jobs AS j WHERE j.waiting = '{kind}' AND j.priority = {priority:d}
            AND j.owner = owners.owner ORDER BY j.created, j.job LIMIT 1) AS created,
           owners.owner AS owner
    FROM owners WHERE owners.owner IS NOT NULL
"""


class WaitingJob(NamedTuple):
    """A job that nobody has begun."""

    job: str
    kind: str
    owner: str
    priority: int
    created: int
    "Microseconds since 1970."


class QueueRecords:
    """Owners, priorities and parents of jobs."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        create_tables(engine, _schema)

    def add(self, job: str, *, kind: str, owner: str, priority: int, parent: str | None, created: datetime) -> None:
        row = {"job": job, "owner": owner, "priority": priority, "parent": parent, "waiting": kind, "created": created}
        with writing(self._engine) as connection:
            connection.execute(sql.insert(JOBS).values(row))

    def remove(self, job: str) -> None:
        """Forget a job; its children have no parent from then on."""
        with writing(self._engine) as connection:
            connection.execute(sql.delete(JOBS).where(JOBS.c.job == job))
            connection.execute(sql.update(JOBS).where(JOBS.c.parent == job).values(parent=None))

    def owner_and_priority(self, job: str) -> tuple[str, int]:
        """Whose the job is, and how urgent; higher comes first."""
        with reading(self._engine) as connection:
            found = connection.execute(sql.select(JOBS.c.owner, JOBS.c.priority).where(JOBS.c.job == job)).first()
        return ("", 0) if found is None else (found.owner, found.priority)

    def children(self, parent: str) -> list[str]:
        """ARNs of the jobs that this one has created."""
        query = sql.select(JOBS.c.job).where(JOBS.c.parent == parent).order_by(JOBS.c.job)
        with reading(self._engine) as connection:
            return list(connection.execute(query).scalars())


def first_waiting(connection: Connection, kinds: Collection[str]) -> list[WaitingJob]:
    """The oldest job of each owner and kind among the most urgent ones that nobody has begun."""
    if not kinds:
        return []
    assert all(re.fullmatch(r"[a-z-]+", kind) for kind in kinds), "a kind is code, not input"
    tops = ", ".join(f"(SELECT max(priority) FROM jobs WHERE waiting = '{kind}')" for kind in kinds)
    highest = dict(zip(kinds, connection.exec_driver_sql(f"SELECT {tops}").one(), strict=True))
    priority = max((each for each in highest.values() if each is not None), default=None)
    return [
        WaitingJob(job=row.job, kind=kind, owner=row.owner, priority=priority, created=row.created)
        for kind in kinds
        if priority is not None and highest[kind] == priority
        for row in connection.exec_driver_sql(_HEADS.format(kind=kind, priority=priority))
    ]


def note_waiting(connection: Connection, job: str, kind: str | None) -> None:
    """Remember that a job waits for its beginning; None: no more."""
    connection.execute(sql.update(JOBS).where(JOBS.c.job == job).values(waiting=kind))


def last_turns(connection: Connection, worker_class: str) -> dict[str, int]:
    """When a job of each owner last began or ended, in microseconds since 1970."""
    at = sql.type_coerce(_turns.c.at, sql.BigInteger)
    found = connection.execute(sql.select(_turns.c.owner, at).where(_turns.c.worker_class == worker_class))
    return {owner: moment for owner, moment in found if type(moment) is int}


def note_turn(connection: Connection, owner: str, worker_class: str, at: datetime) -> None:
    """Remember that a job of this owner has just begun or ended."""
    mine = (_turns.c.owner == owner) & (_turns.c.worker_class == worker_class)
    if connection.execute(sql.update(_turns).where(mine).values(at=at)).rowcount == 0:
        connection.execute(sql.insert(_turns).values(owner=owner, worker_class=worker_class, at=at))
