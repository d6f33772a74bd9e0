"""KMS keys and aliases as values: what is on record of each."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from outcrop import arn as arns
from outcrop.keys.specs import SPECS, KeySpec, KeyUsage
from outcrop.store.damage import understood
from outcrop.store.resources import Resource, Resources, Row

KEY, ALIAS = "kms-key", "kms-alias"
"Kinds of resources."
TARGET = "targetKeyId"
"The member of an alias that names its key, and by which the aliases of a key are found."
_ALIAS = "alias/"
_KEY_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class KeyState(StrEnum):
    """The state of a key."""

    ENABLED = "Enabled"
    DISABLED = "Disabled"
    PENDING_DELETION = "PendingDeletion"


@dataclass(frozen=True, kw_only=True)
class KmsKey:
    """A key on record, without its material."""

    arn: str
    id: str
    region: str
    created: datetime
    state: KeyState
    spec: KeySpec
    usage: KeyUsage
    description: str
    policy: str
    "JSON, as it was put."
    material_id: str
    "Of the material that encrypts now."
    rotation_days: int | None
    "The period of automatic rotation; None where it is off."
    next_rotation: datetime | None
    deletion_at: datetime | None
    waiting_days: int | None
    "The days between the request to delete it and the deletion."
    manager: str
    "CUSTOMER; AWS for a key that a service has in the account."

    @property
    def account(self) -> str:
        return self.arn.split(":")[4]

    @classmethod
    def of(cls, row: Resource) -> "KmsKey":
        """Raises Damaged."""
        with understood(row.arn):
            document = row.document
            return cls(
                arn=row.arn,
                id=str(row.name),
                region=row.region,
                created=row.created,
                state=KeyState(row.status),
                spec=SPECS[document["spec"]],
                usage=KeyUsage(document["usage"]),
                description=str(document["description"]),
                policy=str(document["policy"]),
                material_id=str(document["materialId"]),
                rotation_days=_optional(document, "rotationDays", int),
                next_rotation=_optional(document, "nextRotation", datetime.fromisoformat),
                deletion_at=_optional(document, "deletionAt", datetime.fromisoformat),
                waiting_days=_optional(document, "waitingDays", int),
                manager=str(document.get("manager", "CUSTOMER")),
            )


@dataclass(frozen=True, kw_only=True)
class KmsAlias:
    """An alias on record: another name for a key, which can come to mean another key."""

    arn: str
    name: str
    "With alias/ before it."
    key_id: str
    created: datetime
    updated: datetime

    @classmethod
    def of(cls, row: Resource) -> "KmsAlias":
        """Raises Damaged."""
        with understood(row.arn):
            return cls(
                arn=row.arn,
                name=str(row.name),
                key_id=str(row.document[TARGET]),
                created=row.created,
                updated=row.updated,
            )


def key_arn(region: str, account: str, key_id: str) -> str:
    return str(arns.Arn(service="kms", region=region, account=account, resource=f"key/{key_id}"))


def alias_arn(region: str, account: str, name: str) -> str:
    return str(arns.Arn(service="kms", region=region, account=account, resource=name))


def alias_in(spelling: str) -> str | None:
    """The name of the alias in a KeyId, with alias/ before it; None where there is none."""
    named = arns.parse(spelling)
    name = named.resource if named is not None else spelling
    return name if name.startswith(_ALIAS) else None


def is_key_id(text: str) -> bool:
    return _KEY_ID.fullmatch(text) is not None


def find_key(resources: Resources, region: str, account: str, spelling: str) -> Row | None:
    """The row of the key that a KeyId stands for; None where there is none.

    A KeyId is an id, the ARN of a key, an alias or its ARN.
    """
    named = arns.parse(spelling)
    if named is not None and (named.service, named.region, named.account) != ("kms", region, account):
        return None
    alias = alias_in(spelling)
    key_id: str | None = spelling if named is None else named.resource.removeprefix("key/")
    if alias is not None:
        row = resources.find(ALIAS, region, alias)
        key_id = None if row is None else KmsAlias.of(row).key_id
    return None if key_id is None else resources.row_named(KEY, region, key_id)


def _optional(document: dict[str, Any], name: str, read: Callable[[Any], Any]) -> Any:
    value = document.get(name)
    return None if value is None else read(value)
