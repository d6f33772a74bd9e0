"""The progress of deliveries on record: how far each trail has come, and what was delivered since its last digest."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import sqlalchemy as sql
from sqlalchemy.engine import Engine

from outcrop.store.database import alone, create_tables, reading, writing

_schema = sql.MetaData()
_table = sql.Table(
    "trail_progress",
    _schema,
    sql.Column("arn", sql.String, primary_key=True),
    sql.Column("document", sql.JSON, nullable=False),
)


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """A log file in the bucket, as digests name it."""

    bucket: str
    key: str
    sha256: str
    "Of what it holds, not compressed."
    oldest: str
    newest: str
    "Times of events."


@dataclass(frozen=True, kw_only=True)
class Digest:
    """The last digest file of a region, to which the next one points."""

    bucket: str
    key: str
    sha256: str
    signature: str
    end: str


@dataclass(frozen=True, kw_only=True)
class TrailProgress:
    """The state of one trail's delivery. Times are texts, as JSON holds them."""

    through: int
    "Number of the last entry that was delivered, or was none of this trail's."
    until: int | None = None
    "Where the trail was stopped: it takes no entry behind."
    stop_request: str | None = None
    "The request that stopped it, whose entry it takes along once that is written."
    plan: Mapping[str, Any] | None = None
    "The delivery that was begun: `through` and `at`. Begun again, it makes the same files."
    digest_plan: str | None = None
    "When the digest was due that was begun."
    next_digest: str | None = None
    tried: str | None = None
    delivered: str | None = None
    digested: str | None = None
    error: str = ""
    "The code of what kept the last delivery from succeeding."
    digest_error: str = ""
    files: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    "By region, the files that no digest names yet."
    digests: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    "By region, the last digest."


class ProgressRecords:
    """The rows of one database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        create_tables(engine, _schema)

    def get(self, arn: str) -> TrailProgress | None:
        with reading(self._engine) as connection:
            row = connection.execute(sql.select(_table.c.document).where(_table.c.arn == arn)).first()
        names = {each.name for each in fields(TrailProgress)}
        return None if row is None else TrailProgress(**{k: v for k, v in row.document.items() if k in names})

    def put(self, arn: str, progress: TrailProgress) -> None:
        with writing(self._engine) as connection:
            connection.execute(sql.delete(_table).where(_table.c.arn == arn))
            connection.execute(sql.insert(_table).values(arn=arn, document=asdict(progress)))

    def change(self, arn: str, **members: Any) -> TrailProgress | None:
        """The progress with these members changed; others are as somebody else may have set them meanwhile.

        None where the trail was deleted: nothing is written then.
        """
        with writing(self._engine) as connection:
            alone(connection, "trail progress")
            found = self.get(arn)
            if found is None:
                return None
            changed = replace(found, **members)
            change = sql.update(_table).where(_table.c.arn == arn).values(document=asdict(changed))
            connection.execute(change)
        return changed

    def remove(self, arn: str) -> None:
        with writing(self._engine) as connection:
            connection.execute(sql.delete(_table).where(_table.c.arn == arn))
