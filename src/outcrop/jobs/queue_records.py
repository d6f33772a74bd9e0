"""Queue records of each job, beside its resource: owner, priority, parent, and the last turn of each owner.

A job made by an older Outcrop has no row here: nobody's, of priority 0, and without a parent.
"""

from datetime import datetime

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
    sql.Index("jobs_parent", "parent", "job"),
)
_turns = sql.Table(
    "job_turns",
    _schema,
    sql.Column("owner", sql.String, primary_key=True),
    sql.Column("worker_class", sql.String, primary_key=True),
    sql.Column("at", UtcTime, nullable=False),
)


class QueueRecords:
    """Owners, priorities and parents of jobs."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        create_tables(engine, _schema)

    def add(self, job: str, *, owner: str, priority: int, parent: str | None) -> None:
        with writing(self._engine) as connection:
            connection.execute(sql.insert(JOBS).values(job=job, owner=owner, priority=priority, parent=parent))

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
