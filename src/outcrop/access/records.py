"""The tables of this room: users and roles, their policies, access keys, sessions, and the one row of the installation.

Rows only; IAM's rules stand in `identities.py`, `attachments.py` and `credentials.py`. Secrets come and go sealed.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sql
from sqlalchemy.engine import Engine

from outcrop.access.changes import Changes
from outcrop.access.names import Kind
from outcrop.store.database import UtcTime, alone, create_tables, reading, writing

schema = sql.MetaData()


def table(name: str, *columns: sql.schema.SchemaItem) -> sql.Table:
    """A table of this room; `create_tables(engine, schema)` makes it."""
    return sql.Table(f"access_{name}", schema, *columns)


def of_identity() -> sql.Column[str]:
    """A column for what hangs on an identity and goes with it."""
    return sql.Column("identity_id", sql.ForeignKey("access_identities.id", ondelete="CASCADE"), primary_key=True)


_installation = table(
    "installation",
    sql.Column("id", sql.Integer, primary_key=True),
    sql.Column("account", sql.String, nullable=False),
    sql.Column("seal_check", sql.LargeBinary, nullable=False),
)
_identities = table(
    "identities",
    sql.Column("id", sql.String, primary_key=True),
    sql.Column("kind", sql.String, nullable=False),
    sql.Column("name", sql.String, nullable=False),
    # Names that differ in case only exclude each other in IAM, though they are looked up as written.
    sql.Column("folded_name", sql.String, nullable=False),
    sql.Column("path", sql.String, nullable=False),
    sql.Column("arn", sql.String, nullable=False, unique=True),
    sql.Column("created", UtcTime, nullable=False),
    sql.Column("trust", sql.Text),
    sql.Column("document", sql.JSON, nullable=False),
    sql.UniqueConstraint("kind", "folded_name"),
)
_inline = table(
    "inline_policies",
    of_identity(),
    sql.Column("name", sql.String, primary_key=True),
    sql.Column("document", sql.Text, nullable=False),
)
_policies = table(
    "policies",
    sql.Column("arn", sql.String, primary_key=True),
    sql.Column("id", sql.String, nullable=False),
    sql.Column("name", sql.String, nullable=False),
    sql.Column("folded_name", sql.String, nullable=False, unique=True),
    sql.Column("path", sql.String, nullable=False),
    sql.Column("description", sql.String, nullable=False),
    sql.Column("document", sql.Text, nullable=False),
    sql.Column("tags", sql.JSON, nullable=False),
    sql.Column("created", UtcTime, nullable=False),
)
_attachments = table("attachments", of_identity(), sql.Column("policy_arn", sql.String, primary_key=True, index=True))
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


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A user, role or group."""

    id: str
    kind: str
    name: str
    path: str
    arn: str
    created: datetime
    trust: str | None = None
    "The trust policy's text; None for a user or group."
    document: dict[str, Any] = field(default_factory=dict)
    "tags, boundary (the ARN of a policy); of a role also description and max_session_s."

    @property
    def tags(self) -> dict[str, str]:
        return dict(self.document.get("tags", {}))


@dataclass(frozen=True, kw_only=True)
class ManagedPolicy:
    """A policy with an ARN of its own: the customer's, or one of AWS's."""

    arn: str
    id: str
    name: str
    path: str
    description: str
    document: str
    tags: dict[str, str]
    created: datetime


@dataclass(frozen=True, kw_only=True)
class AccessKey:
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
class InstallationRow:
    account: str
    seal_check: bytes


class Records:
    """The tables. Each method is one transaction, or joins the one that `alone()` or the store has open."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        create_tables(engine, schema)
        self.changes = Changes(engine)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """A write transaction in which nobody else changes these tables: check first, then write."""
        with writing(self.engine) as connection:
            alone(connection, "access")
            yield

    # the installation

    def installation(self) -> InstallationRow | None:
        row = self.first(sql.select(_installation.c.account, _installation.c.seal_check))
        return None if row is None else InstallationRow(**row._mapping)

    def add_installation(self, row: InstallationRow) -> None:
        self.write(sql.insert(_installation).values(id=1, account=row.account, seal_check=row.seal_check))

    # users and roles

    def add_identity(self, identity: Identity) -> None:
        self.write(sql.insert(_identities).values(folded_name=identity.name.lower(), **_values(identity)))

    def identity(self, kind: Kind, name: str) -> Identity | None:
        return self._identity((_identities.c.kind == kind.value) & (_identities.c.name == name))

    def identity_named_like(self, kind: Kind, name: str) -> Identity | None:
        """The identity whose name differs from `name` in case at most."""
        return self._identity((_identities.c.kind == kind.value) & (_identities.c.folded_name == name.lower()))

    def identity_with_id(self, identity_id: str) -> Identity | None:
        return self._identity(_identities.c.id == identity_id)

    def identity_with_arn(self, arn: str) -> Identity | None:
        return self._identity(_identities.c.arn == arn)

    def tags_of(self, arn: str) -> dict[str, str]:
        """The tags of an identity or of a managed policy; none of what is not there."""
        found = self.identity_with_arn(arn) or self.policy(arn)
        return {} if found is None else dict(found.tags)

    def identities(self, kind: Kind, *, path_prefix: str = "/") -> list[Identity]:
        """In the order of their names."""
        query = sql.select(_identities).where(
            _identities.c.kind == kind.value, _identities.c.path.startswith(path_prefix, autoescape=True)
        )
        return [_identity(row) for row in self.all(query.order_by(_identities.c.name))]

    def replace_identity(self, identity: Identity) -> None:
        values = {"folded_name": identity.name.lower(), **_values(identity)}
        self.write(sql.update(_identities).where(_identities.c.id == identity.id).values(values))

    def remove_identity(self, identity_id: str) -> None:
        """The identity with everything that hangs on it."""
        self.write(sql.delete(_identities).where(_identities.c.id == identity_id))

    # inline policies

    def put_inline(self, identity_id: str, name: str, document: str) -> None:
        with writing(self.engine):
            self.remove_inline(identity_id, name)
            self.write(sql.insert(_inline).values(identity_id=identity_id, name=name, document=document))

    def inline(self, identity_id: str) -> dict[str, str]:
        """Documents by name, in the order of the names."""
        query = sql.select(_inline.c.name, _inline.c.document).where(_inline.c.identity_id == identity_id)
        return {row.name: row.document for row in self.all(query.order_by(_inline.c.name))}

    def remove_inline(self, identity_id: str, name: str) -> bool:
        return self.write(sql.delete(_inline).where(_inline.c.identity_id == identity_id, _inline.c.name == name)) == 1

    # managed policies of the customer, and what any managed policy is attached to

    def add_policy(self, policy: ManagedPolicy) -> None:
        self.write(sql.insert(_policies).values(folded_name=policy.name.lower(), **_values(policy)))

    def policy(self, arn: str) -> ManagedPolicy | None:
        row = self.first(sql.select(_policies).where(_policies.c.arn == arn))
        return None if row is None else _policy(row)

    def policies(self) -> list[ManagedPolicy]:
        return [_policy(row) for row in self.all(sql.select(_policies).order_by(_policies.c.name))]

    def set_document(self, arn: str, document: str) -> None:
        """What a managed policy says from now on."""
        self.write(sql.update(_policies).where(_policies.c.arn == arn).values(document=document))

    def set_policy_tags(self, arn: str, tags: dict[str, str]) -> None:
        self.write(sql.update(_policies).where(_policies.c.arn == arn).values(tags=tags))

    def remove_policy(self, arn: str) -> None:
        self.write(sql.delete(_policies).where(_policies.c.arn == arn))

    def attach(self, identity_id: str, policy_arn: str) -> None:
        self.write(sql.insert(_attachments).values(identity_id=identity_id, policy_arn=policy_arn))

    def detach(self, identity_id: str, policy_arn: str) -> bool:
        delete = sql.delete(_attachments).where(_attachments.c.identity_id == identity_id)
        return self.write(delete.where(_attachments.c.policy_arn == policy_arn)) == 1

    def attached(self, identity_id: str) -> list[str]:
        """ARNs of the policies attached to an identity."""
        query = sql.select(_attachments.c.policy_arn).where(_attachments.c.identity_id == identity_id)
        return [row.policy_arn for row in self.all(query.order_by(_attachments.c.policy_arn))]

    def num_attachments(self) -> dict[str, int]:
        """How many identities each attached policy has, by its ARN."""
        query = sql.select(_attachments.c.policy_arn, sql.func.count().label("num"))
        return {row.policy_arn: row.num for row in self.all(query.group_by(_attachments.c.policy_arn))}

    def attached_to(self, policy_arn: str) -> list[Identity]:
        """Users, roles and groups with this policy, in the order of their ids."""
        join = _identities.join(_attachments, _attachments.c.identity_id == _identities.c.id)
        query = sql.select(_identities).select_from(join).where(_attachments.c.policy_arn == policy_arn)
        return [_identity(row) for row in self.all(query.order_by(_identities.c.id))]

    # access keys and sessions

    def add_key(self, key: AccessKey) -> None:
        self.write(sql.insert(_keys).values(_values(key)))

    def key(self, key_id: str) -> AccessKey | None:
        row = self.first(sql.select(_keys).where(_keys.c.id == key_id))
        return None if row is None else AccessKey(**row._mapping)

    def keys(self, identity_id: str) -> list[AccessKey]:
        """Oldest first."""
        query = sql.select(_keys).where(_keys.c.identity_id == identity_id).order_by(_keys.c.created, _keys.c.id)
        return [AccessKey(**row._mapping) for row in self.all(query)]

    def is_inactive(self, key_id: str) -> bool:
        return self.first(sql.select(_inactive).where(_inactive.c.key_id == key_id)) is not None

    def set_inactive(self, key_id: str, *, inactive: bool) -> None:
        with writing(self.engine):
            self.write(sql.delete(_inactive).where(_inactive.c.key_id == key_id))
            if inactive:
                self.write(sql.insert(_inactive).values(key_id=key_id))

    def remove_key(self, key_id: str) -> None:
        self.write(sql.delete(_keys).where(_keys.c.id == key_id))

    def add_session(self, session: SessionRow) -> None:
        # Unnoted: nobody remembers that something was absent, and each AssumeRole would empty all memories.
        self.write_unnoted(sql.insert(_sessions).values(_values(session)))

    def session(self, key_id: str) -> SessionRow | None:
        row = self.first(sql.select(_sessions).where(_sessions.c.key_id == key_id))
        return None if row is None else SessionRow(**row._mapping)

    def remove_sessions(self, *, expired_before: datetime) -> int:
        return self.write(sql.delete(_sessions).where(_sessions.c.expires < expired_before))

    def _identity(self, condition: sql.ColumnElement[bool]) -> Identity | None:
        row = self.first(sql.select(_identities).where(condition))
        return None if row is None else _identity(row)

    def first(self, query: sql.Select[Any]) -> sql.Row[Any] | None:
        with reading(self.engine) as connection:
            return connection.execute(query).first()

    def all(self, query: sql.Select[Any]) -> list[sql.Row[Any]]:
        with reading(self.engine) as connection:
            return list(connection.execute(query).all())

    def write(self, statement: sql.Insert | sql.Update | sql.Delete) -> int:
        """How many rows it changed; what anybody remembers of these tables is void then."""
        with writing(self.engine) as connection:
            changed = connection.execute(statement).rowcount
            if changed:
                self.changes.note(connection)
            return changed

    def write_unnoted(self, statement: sql.Insert | sql.Update | sql.Delete) -> int:
        """For what no memory can hold a wrong belief about, see memory.py."""
        with writing(self.engine) as connection:
            return connection.execute(statement).rowcount


def identities_where(
    records: Records, condition: Callable[[sql.Column[str]], sql.ColumnElement[bool]]
) -> list[Identity]:
    """Those whose id fits, in the order of their names."""
    query = sql.select(_identities).where(condition(_identities.c.id)).order_by(_identities.c.name)
    return [_identity(row) for row in records.all(query)]


def _values(record: Identity | ManagedPolicy | AccessKey | SessionRow) -> dict[str, Any]:
    return dict(vars(record))


def _identity(row: sql.Row[Any]) -> Identity:
    return Identity(**{name: value for name, value in row._mapping.items() if name != "folded_name"})


def _policy(row: sql.Row[Any]) -> ManagedPolicy:
    return ManagedPolicy(**{name: value for name, value in row._mapping.items() if name != "folded_name"})
