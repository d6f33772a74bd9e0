"""The rows of credentials that open one service only; the rules over them stand in `service_credentials.py`."""

from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sql

from outcrop.access.records import Records, schema, table
from outcrop.store.database import UtcTime, create_tables

_table = table(
    "service_credentials",
    sql.Column("id", sql.String, primary_key=True),
    sql.Column("identity_id", sql.ForeignKey("access_identities.id", ondelete="CASCADE"), nullable=False, index=True),
    sql.Column("service", sql.String, nullable=False),
    sql.Column("alias", sql.String, nullable=False),
    sql.Column("digest", sql.LargeBinary, nullable=False, unique=True),
    sql.Column("active", sql.Boolean, nullable=False),
    sql.Column("created", UtcTime, nullable=False),
    sql.Column("expires", UtcTime),
)


@dataclass(frozen=True, kw_only=True)
class ServiceCredential:
    id: str
    identity_id: str
    service: str
    alias: str
    "Its public part, e.g. `jane-at-123456789012`."
    digest: bytes = field(repr=False)
    active: bool
    created: datetime
    expires: datetime | None

    def status(self, now: datetime) -> str:
        """In IAM's words."""
        if self.expires is not None and self.expires <= now:
            return "Expired"
        return "Active" if self.active else "Inactive"


class ServiceCredentialRecords:
    """The rows. Found in the order of their ids; nobody remembers them, so changes go unnoted."""

    def __init__(self, records: Records) -> None:
        self._records = records
        create_tables(records.engine, schema)

    def all(self) -> list[ServiceCredential]:
        return self._where(sql.true())

    def of(self, identity_id: str) -> list[ServiceCredential]:
        return self._where(_table.c.identity_id == identity_id)

    def with_digest(self, digest: bytes) -> ServiceCredential | None:
        return next(iter(self._where(_table.c.digest == digest)), None)

    def add(self, credential: ServiceCredential) -> None:
        self._records.write_unnoted(sql.insert(_table).values(vars(credential)))

    def change(self, credential_id: str, **values: bytes | bool) -> None:
        """`digest` or `active`."""
        self._records.write_unnoted(sql.update(_table).where(_table.c.id == credential_id).values(values))

    def remove(self, credential_id: str) -> None:
        self._records.write_unnoted(sql.delete(_table).where(_table.c.id == credential_id))

    def _where(self, condition: sql.ColumnElement[bool]) -> list[ServiceCredential]:
        rows = self._records.all(sql.select(_table).where(condition).order_by(_table.c.id))
        return [ServiceCredential(**row._mapping) for row in rows]
