"""Rows of what opens the door: access keys, sessions, and credentials of one service. Secrets come and go sealed."""

from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sql

from outcrop.access.records.tables import Tables, table
from outcrop.store.database import UtcTime, writing

_keys = table(
    "keys",
    sql.Column("id", sql.String, primary_key=True),
    sql.Column("identity_id", sql.ForeignKey("access_identities.id", ondelete="CASCADE"), nullable=False, index=True),
    sql.Column("secret", sql.LargeBinary, nullable=False),
    sql.Column("created", UtcTime, nullable=False),
)
# A table of its own, since homes of earlier versions have keys without a status.
_inactive = table(
    "inactive_keys",
    sql.Column("key_id", sql.ForeignKey("access_keys.id", ondelete="CASCADE"), primary_key=True),
)
_sessions = table(
    "sessions",
    sql.Column("key_id", sql.String, primary_key=True),
    sql.Column("identity_id", sql.ForeignKey("access_identities.id", ondelete="CASCADE"), nullable=False),
    sql.Column("name", sql.String),
    sql.Column("secret", sql.LargeBinary, nullable=False),
    sql.Column("token", sql.LargeBinary, nullable=False),
    sql.Column("policies", sql.JSON, nullable=False),
    sql.Column("expires", UtcTime, nullable=False, index=True),
)
_service_credentials = table(
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
class AccessKey:
    """A key with which a user signs requests."""

    id: str
    identity_id: str
    secret: bytes = field(repr=False)
    created: datetime


@dataclass(frozen=True, kw_only=True)
class SessionRow:
    """Temporary credentials of a role (with a name) or of a user (without)."""

    key_id: str
    identity_id: str
    name: str | None
    secret: bytes = field(repr=False)
    token: bytes = field(repr=False)
    policies: list[str]
    "Texts of session policies; what they do not allow, the session may not do. Empty: no limit."
    expires: datetime


@dataclass(frozen=True, kw_only=True)
class ServiceCredential:
    """A credential of a user that opens one service only."""

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
        """The status of the credential at this moment, in IAM's words."""
        if self.expires is not None and self.expires <= now:
            return "Expired"
        return "Active" if self.active else "Inactive"


class KeyRecords:
    """The rows of access keys and sessions."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def add(self, key: AccessKey) -> None:
        self._tables.write(sql.insert(_keys).values(vars(key)))

    def find(self, key_id: str) -> AccessKey | None:
        row = self._tables.first(sql.select(_keys).where(_keys.c.id == key_id))
        return None if row is None else AccessKey(**row._mapping)

    def of(self, identity_id: str) -> list[AccessKey]:
        """Oldest first."""
        query = sql.select(_keys).where(_keys.c.identity_id == identity_id).order_by(_keys.c.created, _keys.c.id)
        return [AccessKey(**row._mapping) for row in self._tables.all(query)]

    def is_inactive(self, key_id: str) -> bool:
        return self._tables.first(sql.select(_inactive).where(_inactive.c.key_id == key_id)) is not None

    def set_inactive(self, key_id: str, *, inactive: bool) -> None:
        with writing(self._tables.engine):
            self._tables.write(sql.delete(_inactive).where(_inactive.c.key_id == key_id))
            if inactive:
                self._tables.write(sql.insert(_inactive).values(key_id=key_id))

    def remove(self, key_id: str) -> None:
        self._tables.write(sql.delete(_keys).where(_keys.c.id == key_id))

    def add_session(self, session: SessionRow) -> None:
        # Unnoted: nobody remembers that something was absent, and each AssumeRole would empty all memories.
        self._tables.write_unnoted(sql.insert(_sessions).values(vars(session)))

    def session(self, key_id: str) -> SessionRow | None:
        row = self._tables.first(sql.select(_sessions).where(_sessions.c.key_id == key_id))
        return None if row is None else SessionRow(**row._mapping)

    def remove_session(self, key_id: str) -> None:
        self._tables.write(sql.delete(_sessions).where(_sessions.c.key_id == key_id))

    def sealed_secrets(self) -> list[tuple[str, bytes]]:
        """Id and sealed secret of every access key."""
        return [(row.id, row.secret) for row in self._tables.all(sql.select(_keys.c.id, _keys.c.secret))]

    def set_secret(self, key_id: str, secret: bytes) -> None:
        self._tables.write(sql.update(_keys).where(_keys.c.id == key_id).values(secret=secret))

    def sealed_sessions(self) -> list[tuple[str, bytes, bytes]]:
        """Key id, sealed secret and sealed token of every session."""
        query = sql.select(_sessions.c.key_id, _sessions.c.secret, _sessions.c.token)
        return [(row.key_id, row.secret, row.token) for row in self._tables.all(query)]

    def set_session_secrets(self, key_id: str, *, secret: bytes, token: bytes) -> None:
        changed = sql.update(_sessions).where(_sessions.c.key_id == key_id).values(secret=secret, token=token)
        self._tables.write(changed)

    def remove_sessions(self, *, expired_before: datetime) -> int:
        return self._tables.write(sql.delete(_sessions).where(_sessions.c.expires < expired_before))


class ServiceCredentialRecords:
    """The rows of service credentials, by their ids; nobody remembers them, so changes go unnoted."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def all(self) -> list[ServiceCredential]:
        return self._where(sql.true())

    def of(self, identity_id: str) -> list[ServiceCredential]:
        return self._where(_service_credentials.c.identity_id == identity_id)

    def with_digest(self, digest: bytes) -> ServiceCredential | None:
        return next(iter(self._where(_service_credentials.c.digest == digest)), None)

    def add(self, credential: ServiceCredential) -> None:
        self._tables.write_unnoted(sql.insert(_service_credentials).values(vars(credential)))

    def change(self, credential_id: str, **values: bytes | bool) -> None:
        """`digest` or `active`."""
        self._tables.write_unnoted(
            sql.update(_service_credentials).where(_service_credentials.c.id == credential_id).values(values)
        )

    def remove(self, credential_id: str) -> None:
        self._tables.write_unnoted(sql.delete(_service_credentials).where(_service_credentials.c.id == credential_id))

    def _where(self, condition: sql.ColumnElement[bool]) -> list[ServiceCredential]:
        rows = self._tables.all(sql.select(_service_credentials).where(condition).order_by(_service_credentials.c.id))
        return [ServiceCredential(**row._mapping) for row in rows]
