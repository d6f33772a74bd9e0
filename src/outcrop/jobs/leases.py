"""Who works on which job. A lease is a row with a time limit: a worker that dies stops renewing, and the job is free.

One machine only: the time limit trusts a single clock.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sql
from sqlalchemy.engine import Engine

from outcrop import logs
from outcrop.jobs.jobs import KIND
from outcrop.jobs.states import RUNNING
from outcrop.store.damage import Damaged, understood
from outcrop.store.database import UtcTime, alone, create_tables, writing
from outcrop.store.resources import Resources

LEASE = timedelta(seconds=60)
_log = logging.getLogger("outcrop.worker")
MAX_ATTEMPTS = 8
"Times that a job is taken up again without having come any further, before it is given up."

_schema = sql.MetaData()
_table = sql.Table(
    "leases",
    _schema,
    sql.Column("job", sql.String, primary_key=True),
    sql.Column("worker", sql.String, nullable=False),
    sql.Column("until", UtcTime, nullable=False),
    sql.Column("attempts", sql.Integer, nullable=False),
    sql.Column("progress", sql.String, nullable=False),
)


@dataclass(frozen=True, kw_only=True)
class Lease:
    """The right to work on one job until it is released or runs out."""

    job: str
    worker: str
    attempts: int
    "How often it was taken up since it last came further; 1 at first."


class Leases:
    """The leases of every worker."""

    def __init__(self, engine: Engine, resources: Resources) -> None:
        self._engine = engine
        self._resources = resources
        create_tables(engine, _schema)

    def take(self, worker: str, *, now: datetime) -> Lease | None:
        """The oldest job that nobody works on, or None. A worker's own lease is its own again after a crash."""
        with writing(self._engine) as connection:
            alone(connection, "leases")  # so two workers never see the same free job
            for job in self._resources.all(KIND):
                lease = self._claim_anew(job.arn, worker, now) if job.status in RUNNING else None
                if lease is not None:
                    return lease
        return None

    def renew(self, lease: Lease, *, now: datetime, progress: str) -> None:
        """Hold the lease for another while; progress that differs from the last forgives the attempts so far."""
        further = (_table.c.job == lease.job) & (_table.c.worker == lease.worker) & (_table.c.progress != progress)
        with writing(self._engine) as connection:
            connection.execute(sql.update(_table).where(further).values(progress=progress, attempts=0))
            held = (_table.c.job == lease.job) & (_table.c.worker == lease.worker)
            connection.execute(sql.update(_table).where(held).values(until=now + LEASE))

    def release(self, lease: Lease) -> None:
        """Give the job back, ended or not."""
        with writing(self._engine) as connection:
            connection.execute(sql.delete(_table).where(_table.c.job == lease.job, _table.c.worker == lease.worker))

    def _claim_anew(self, job: str, worker: str, now: datetime) -> Lease | None:
        """As `_claim`; a lease that cannot be read holds nobody back."""
        try:
            with understood(job):
                return self._claim(job, worker, now)
        except Damaged as damaged:
            logs.tell(_log, "damaged lease", level=logging.ERROR, exc_info=damaged, job=job)
            with writing(self._engine) as connection:
                connection.execute(sql.delete(_table).where(_table.c.job == job))
            return self._claim(job, worker, now)

    def _claim(self, job: str, worker: str, now: datetime) -> Lease | None:
        with writing(self._engine) as connection:
            row = connection.execute(sql.select(_table).where(_table.c.job == job)).first()
            if row is not None and row.worker != worker and row.until > now:
                return None
            attempts = 1 if row is None else row.attempts + 1
            values = {"worker": worker, "until": now + LEASE, "attempts": attempts}
            if row is None:
                connection.execute(sql.insert(_table).values(job=job, progress="", **values))
            else:
                connection.execute(sql.update(_table).where(_table.c.job == job).values(**values))
        return Lease(job=job, worker=worker, attempts=attempts)
