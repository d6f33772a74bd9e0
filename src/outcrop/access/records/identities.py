"""Rows of users, roles and groups, and of who is in which group; IAM's rules stand in `access/identities.py`."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sql

from outcrop.access.names import Kind
from outcrop.access.records.tables import Tables, of_identity, table
from outcrop.store.database import UtcTime

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
_members = table(
    "group_members",
    of_identity(),
    sql.Column("user_id", sql.ForeignKey("access_identities.id", ondelete="CASCADE"), primary_key=True, index=True),
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


class IdentityRecords:
    """The rows of users, roles and groups."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def add(self, identity: Identity) -> None:
        self._tables.write(sql.insert(_identities).values(folded_name=identity.name.lower(), **vars(identity)))

    def named(self, kind: Kind, name: str) -> Identity | None:
        return self._where((_identities.c.kind == kind.value) & (_identities.c.name == name))

    def named_like(self, kind: Kind, name: str) -> Identity | None:
        """The identity whose name differs from `name` in case at most."""
        return self._where((_identities.c.kind == kind.value) & (_identities.c.folded_name == name.lower()))

    def with_id(self, identity_id: str) -> Identity | None:
        return self._where(_identities.c.id == identity_id)

    def with_arn(self, arn: str) -> Identity | None:
        return self._where(_identities.c.arn == arn)

    def all(self, kind: Kind, *, path_prefix: str = "/") -> list[Identity]:
        """The identities of one kind under a path, in the order of their names."""
        query = sql.select(_identities).where(
            _identities.c.kind == kind.value, _identities.c.path.startswith(path_prefix, autoescape=True)
        )
        return [_identity(row) for row in self._tables.all(query.order_by(_identities.c.name))]

    def replace(self, identity: Identity) -> None:
        values = {"folded_name": identity.name.lower(), **vars(identity)}
        self._tables.write(sql.update(_identities).where(_identities.c.id == identity.id).values(values))

    def remove(self, identity_id: str) -> None:
        """The identity with everything that hangs on it."""
        self._tables.write(sql.delete(_identities).where(_identities.c.id == identity_id))

    def _where(self, condition: sql.ColumnElement[bool]) -> Identity | None:
        row = self._tables.first(sql.select(_identities).where(condition))
        return None if row is None else _identity(row)


class GroupRecords:
    """The memberships of users in groups."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def add(self, group_id: str, user_id: str) -> None:
        self._tables.write(sql.insert(_members).values(identity_id=group_id, user_id=user_id))

    def remove(self, group_id: str, user_id: str) -> bool:
        here = (_members.c.identity_id == group_id) & (_members.c.user_id == user_id)
        return self._tables.write(sql.delete(_members).where(here)) == 1

    def members(self, group_id: str) -> list[Identity]:
        """The users in a group, in the order of their names."""
        found = sql.select(_members.c.user_id).where(_members.c.identity_id == group_id)
        return identities_where(self._tables, lambda column: column.in_(found))

    def groups_of(self, user_id: str) -> list[Identity]:
        """The groups of a user, in the order of their names."""
        found = sql.select(_members.c.identity_id).where(_members.c.user_id == user_id)
        return identities_where(self._tables, lambda column: column.in_(found))


def identities_where(tables: Tables, condition: Callable[[sql.Column[str]], sql.ColumnElement[bool]]) -> list[Identity]:
    """The identities whose id fits the condition, in the order of their names."""
    query = sql.select(_identities).where(condition(_identities.c.id)).order_by(_identities.c.name)
    return [_identity(row) for row in tables.all(query)]


def _identity(row: sql.Row[Any]) -> Identity:
    return Identity(**{name: value for name, value in row._mapping.items() if name != "folded_name"})
