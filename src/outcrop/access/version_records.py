"""The versions of managed policies. A policy that never got a second version has no rows here: it is its own v1."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sql

from outcrop.access.records import ManagedPolicy, Records, schema, table
from outcrop.store.database import UtcTime, create_tables

_versions = table(
    "policy_versions",
    sql.Column("policy_arn", sql.ForeignKey("access_policies.arn", ondelete="CASCADE"), primary_key=True),
    sql.Column("number", sql.Integer, primary_key=True),
    sql.Column("document", sql.Text),
    sql.Column("created", UtcTime, nullable=False),
    sql.Column("is_default", sql.Boolean, nullable=False),
)


@dataclass(frozen=True, kw_only=True)
class Version:
    policy_arn: str
    number: int
    document: str | None
    "None for a version that was deleted; the row keeps its number from being given again."
    created: datetime
    is_default: bool

    @property
    def id(self) -> str:
        return f"v{self.number}"


class VersionRecords:
    """Versions, by policy and number."""

    def __init__(self, records: Records) -> None:
        self._records = records
        create_tables(records.engine, schema)

    def all(self, policy: ManagedPolicy) -> list[Version]:
        """Oldest first, deleted ones too."""
        query = sql.select(_versions).where(_versions.c.policy_arn == policy.arn).order_by(_versions.c.number)
        found = [Version(**row._mapping) for row in self._records.all(query)]
        only = Version(
            policy_arn=policy.arn, number=1, document=policy.document, created=policy.created, is_default=True
        )
        return found or [only]

    def put(self, version: Version) -> None:
        """Add it, or replace the one with its number."""
        here = (_versions.c.policy_arn == version.policy_arn) & (_versions.c.number == version.number)
        self._records.write(sql.delete(_versions).where(here))
        self._records.write(sql.insert(_versions).values(dict(vars(version))))
