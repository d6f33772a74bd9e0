"""Rows of policies: inline, managed with their versions, and what they are attached to.

IAM's rules stand in `access/policies/attachments.py`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sql

from outcrop.access.records.identities import Identity, identities_where
from outcrop.access.records.tables import Tables, of_identity, table
from outcrop.store.database import UtcTime, writing

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
_versions = table(
    "policy_versions",
    sql.Column("policy_arn", sql.ForeignKey("access_policies.arn", ondelete="CASCADE"), primary_key=True),
    sql.Column("number", sql.Integer, primary_key=True),
    sql.Column("document", sql.Text),
    sql.Column("created", UtcTime, nullable=False),
    sql.Column("is_default", sql.Boolean, nullable=False),
)


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


class PolicyRecords:
    """The rows of inline and managed policies, and of their attachments."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def put_inline(self, identity_id: str, name: str, document: str) -> None:
        with writing(self._tables.engine):
            self.remove_inline(identity_id, name)
            self._tables.write(sql.insert(_inline).values(identity_id=identity_id, name=name, document=document))

    def inline(self, identity_id: str) -> dict[str, str]:
        """Documents by name, in the order of the names."""
        query = sql.select(_inline.c.name, _inline.c.document).where(_inline.c.identity_id == identity_id)
        return {row.name: row.document for row in self._tables.all(query.order_by(_inline.c.name))}

    def remove_inline(self, identity_id: str, name: str) -> bool:
        return (
            self._tables.write(sql.delete(_inline).where(_inline.c.identity_id == identity_id, _inline.c.name == name))
            == 1
        )

    def add(self, policy: ManagedPolicy) -> None:
        self._tables.write(sql.insert(_policies).values(folded_name=policy.name.lower(), **vars(policy)))

    def with_arn(self, arn: str) -> ManagedPolicy | None:
        row = self._tables.first(sql.select(_policies).where(_policies.c.arn == arn))
        return None if row is None else _policy(row)

    def all(self) -> list[ManagedPolicy]:
        return [_policy(row) for row in self._tables.all(sql.select(_policies).order_by(_policies.c.name))]

    def set_document(self, arn: str, document: str) -> None:
        """Replace the document of a managed policy: what it says from now on."""
        self._tables.write(sql.update(_policies).where(_policies.c.arn == arn).values(document=document))

    def set_tags(self, arn: str, tags: dict[str, str]) -> None:
        self._tables.write(sql.update(_policies).where(_policies.c.arn == arn).values(tags=tags))

    def remove(self, arn: str) -> None:
        self._tables.write(sql.delete(_policies).where(_policies.c.arn == arn))

    def attach(self, identity_id: str, policy_arn: str) -> None:
        self._tables.write(sql.insert(_attachments).values(identity_id=identity_id, policy_arn=policy_arn))

    def detach(self, identity_id: str, policy_arn: str) -> bool:
        delete = sql.delete(_attachments).where(_attachments.c.identity_id == identity_id)
        return self._tables.write(delete.where(_attachments.c.policy_arn == policy_arn)) == 1

    def attached(self, identity_id: str) -> list[str]:
        """ARNs of the policies attached to an identity."""
        query = sql.select(_attachments.c.policy_arn).where(_attachments.c.identity_id == identity_id)
        return [row.policy_arn for row in self._tables.all(query.order_by(_attachments.c.policy_arn))]

    def num_attachments(self) -> dict[str, int]:
        """How many identities each attached policy has, by its ARN."""
        query = sql.select(_attachments.c.policy_arn, sql.func.count().label("num"))
        return {row.policy_arn: row.num for row in self._tables.all(query.group_by(_attachments.c.policy_arn))}

    def attached_to(self, policy_arn: str) -> list[Identity]:
        """Users, roles and groups with this policy, in the order of their ids."""
        holding = sql.select(_attachments.c.identity_id).where(_attachments.c.policy_arn == policy_arn)
        return sorted(identities_where(self._tables, lambda column: column.in_(holding)), key=lambda each: each.id)


class VersionRecords:
    """The versions of managed policies. One that never got a second version has no rows here: it is its own v1."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def all(self, policy: ManagedPolicy) -> list[Version]:
        """Oldest first, deleted ones too."""
        query = sql.select(_versions).where(_versions.c.policy_arn == policy.arn).order_by(_versions.c.number)
        found = [Version(**row._mapping) for row in self._tables.all(query)]
        only = Version(
            policy_arn=policy.arn, number=1, document=policy.document, created=policy.created, is_default=True
        )
        return found or [only]

    def put(self, version: Version) -> None:
        """Add it, or replace the one with its number."""
        here = (_versions.c.policy_arn == version.policy_arn) & (_versions.c.number == version.number)
        self._tables.write(sql.delete(_versions).where(here))
        self._tables.write(sql.insert(_versions).values(dict(vars(version))))


def _policy(row: sql.Row[Any]) -> ManagedPolicy:
    return ManagedPolicy(**{name: value for name, value in row._mapping.items() if name != "folded_name"})
