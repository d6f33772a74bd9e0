"""Scaling activities: what was set, why, and what became of it; told for six weeks.

An activity is written before anything is set, so that a crash between leaves one that is taken up again.
"""

import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import uuid4

import sqlalchemy as sql
from sqlalchemy.engine import Engine

from outcrop.loops import each
from outcrop.scaling import target_id
from outcrop.scaling.target_id import TargetId
from outcrop.store.database import UtcTime, create_tables, reading, writing

KEPT = timedelta(weeks=6)
_OF_TARGET = ("resource_id", "dimension")
_log = logging.getLogger("outcrop.scaling")
_schema = sql.MetaData()
_table = sql.Table(
    "scaling_activities",
    _schema,
    sql.Column("id", sql.String, primary_key=True),
    sql.Column("region", sql.String, nullable=False),
    sql.Column("resource_id", sql.String, nullable=False),
    sql.Column("dimension", sql.String, nullable=False),
    sql.Column("began", UtcTime, nullable=False),
    sql.Column("ended", UtcTime),
    sql.Column("status", sql.String, nullable=False),
    sql.Column("count", sql.Integer),
    sql.Column("policy", sql.String, nullable=False),
    sql.Column("base", sql.Integer, nullable=False),
    sql.Column("description", sql.Text, nullable=False),
    sql.Column("cause", sql.Text, nullable=False),
    sql.Column("message", sql.Text, nullable=False),
    sql.Column("details", sql.Text, nullable=False),
    sql.Column("reason", sql.JSON),
    sql.Index("scaling_activities_in_order", "region", "began", "id"),
    sql.Index("scaling_activities_in_status", "status", "began"),
)


class ActivityStatus(StrEnum):
    """The states of an activity, in the words of Application Auto Scaling."""

    PENDING = "Pending"
    IN_PROGRESS = "InProgress"
    SUCCESSFUL = "Successful"
    OVERRIDDEN = "Overridden"
    UNFULFILLED = "Unfulfilled"
    FAILED = "Failed"


OPEN = (ActivityStatus.PENDING, ActivityStatus.IN_PROGRESS)
"The states of an activity that goes on."


@dataclass(frozen=True, kw_only=True)
class ScalingActivity:
    """A change of a capacity, or the reason why there was none."""

    id: str
    region: str
    target: TargetId
    began: datetime
    ended: datetime | None = None
    status: ActivityStatus
    count: int | None = None
    "The capacity that is set; None where nothing was."
    policy: str = ""
    "ARN of the policy that asked for it; empty where bounds did."
    base: int = 0
    "The capacity before."
    description: str
    cause: str
    message: str = ""
    details: str = ""
    reason: dict[str, Any] | None = None
    "Why nothing was scaled: a NotScaledReason."


def begun(target: TargetId, region: str, count: int, *, cause: str, base: int, at: datetime) -> ScalingActivity:
    """An activity that will set a capacity."""
    return ScalingActivity(
        id=str(uuid4()),
        region=region,
        target=target,
        began=at,
        status=ActivityStatus.PENDING,
        count=count,
        base=base,
        description=f"Setting {target.counted} to {count}.",
        cause=cause,
    )


def not_scaled(target: TargetId, region: str, reason: dict[str, Any], *, cause: str, at: datetime) -> ScalingActivity:
    """An activity that found nothing to do, or no way to do it."""
    well = reason["Code"] == "AlreadyAtDesiredCapacity"
    return ScalingActivity(
        id=str(uuid4()),
        region=region,
        target=target,
        began=at,
        ended=at,
        status=ActivityStatus.SUCCESSFUL if well else ActivityStatus.FAILED,
        description="Attempting to scale due to alarm triggered",
        cause=cause,
        reason=reason,
    )


class Activities:
    """The activities of one database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        create_tables(engine, _schema)

    def add(self, activity: ScalingActivity) -> None:
        with writing(self._engine) as connection:
            connection.execute(sql.insert(_table).values(_values(activity)))

    def update(
        self, activity: ScalingActivity, status: ActivityStatus, message: str, *, at: datetime | None = None
    ) -> ScalingActivity:
        """The activity in another state; `at`: when it ended."""
        changed = replace(activity, status=status, message=message, ended=at)
        with writing(self._engine) as connection:
            connection.execute(sql.update(_table).where(_table.c.id == activity.id).values(_values(changed)))
        return changed

    def open(self) -> list[ScalingActivity]:
        """Activities that go on, the oldest first."""
        query = sql.select(_table).where(_table.c.status.in_(list(OPEN))).order_by(_table.c.began, _table.c.id)
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        return each(rows, _activity, log=_log, name=_named, broken=self._give_up)

    def list(
        self,
        *,
        region: str,
        resource_id: str | None = None,
        dimension: str | None = None,
        with_not_scaled: bool = False,
        after: tuple[datetime, str] | None = None,
        since: datetime,
        most: int,
    ) -> list[ScalingActivity]:
        """Activities of a region, the newest first, behind a time and an id."""
        columns = _table.c
        query = sql.select(_table).where(columns.region == region, columns.began >= since)
        query = query.order_by(columns.began.desc(), columns.id.desc()).limit(most)
        if resource_id is not None:
            query = query.where(columns.resource_id == resource_id)
        if dimension is not None:
            query = query.where(columns.dimension == dimension)
        if not with_not_scaled:
            query = query.where(columns.count.is_not(None))
        if after is not None:
            place = sql.tuple_(columns.began, columns.id)
            query = query.where(place < sql.tuple_(sql.literal(after[0], UtcTime), after[1]))
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        return each(rows, _activity, log=_log, name=_named)

    def remove_before(self, cutoff: datetime) -> int:
        """Forget what is older; returns how many activities went."""
        with writing(self._engine) as connection:
            return connection.execute(sql.delete(_table).where(_table.c.began < cutoff)).rowcount

    def _give_up(self, row: sql.Row[Any]) -> None:
        """End an activity that cannot be read."""
        with writing(self._engine) as connection:
            failed = sql.update(_table).where(_table.c.id == row.id).values(status=str(ActivityStatus.FAILED))
            connection.execute(failed)


def _named(row: sql.Row[Any]) -> str:
    return f"activity {row.id}"


def _values(activity: ScalingActivity) -> dict[str, Any]:
    target = activity.target
    own = {column.name: getattr(activity, column.name) for column in _table.columns if column.name not in _OF_TARGET}
    return {
        **own,
        "resource_id": target.resource_id,
        "dimension": str(target.dimension),
        "status": str(activity.status),
    }


def _activity(row: sql.Row[Any]) -> ScalingActivity:
    values = dict(row._mapping)
    target = target_id.read(values.pop("resource_id"), values.pop("dimension"))
    return ScalingActivity(**{**values, "target": target, "status": ActivityStatus(row.status)})
