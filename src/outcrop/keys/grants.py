"""Grants: single permissions on a key, given to one principal, with operations and an encryption context they hold for.

https://docs.aws.amazon.com/kms/latest/developerguide/grants.html
"""

import base64
import binascii
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from outcrop.store.damage import understood

_ID_BYTES = 32
_SECRET_BYTES = 16
_KEY_BYTES = 16
_WITH_CONTEXT = frozenset(
    {
        "Encrypt", "Decrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "GenerateDataKeyPair",
        "GenerateDataKeyPairWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo",
    }
)  # fmt: skip
"Operations that have an encryption context, which a constraint is held against."


@dataclass(frozen=True, kw_only=True)
class GrantConstraints:
    """The encryption context that a grant is for; nothing: any."""

    equals: Mapping[str, str] | None = None
    subset: Mapping[str, str] | None = None
    "Pairs that the request's context has to hold, among others."

    def hold(self, context: Mapping[str, str]) -> bool:
        """Whether a request with this encryption context is one that the grant is for."""
        if self.equals is not None and dict(context) != dict(self.equals):
            return False
        return self.subset is None or self.subset.items() <= context.items()

    def cover(self, other: "GrantConstraints") -> bool:
        """Whether all that another grant's constraints leave is left by these too."""
        if self == GrantConstraints():
            return True
        if self.equals is not None:
            return other.equals is not None and dict(other.equals) == dict(self.equals)
        assert self.subset is not None, "one of the two is given"
        told = other.equals if other.equals is not None else other.subset
        return told is not None and self.subset.items() <= told.items()

    @classmethod
    def of(cls, members: Mapping[str, Any] | None) -> "GrantConstraints":
        """Constraints by the names of CreateGrant's members."""
        given = members or {}
        return cls(equals=given.get("EncryptionContextEquals"), subset=given.get("EncryptionContextSubset"))

    def members(self) -> dict[str, Any]:
        named = {"EncryptionContextEquals": self.equals, "EncryptionContextSubset": self.subset}
        return {name: dict(value) for name, value in named.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class KeyGrant:
    """A grant on record."""

    id: str
    key_arn: str
    grantee: str
    retiring: str = ""
    "The principal that may give it back; empty: nobody by name."
    operations: tuple[str, ...]
    constraints: GrantConstraints = field(default_factory=GrantConstraints)
    name: str = ""
    created: datetime
    token: str = field(repr=False, default="")
    account: str = ""
    "The account that issued it."

    def document(self) -> dict[str, Any]:
        return {
            "grantee": self.grantee,
            "operations": list(self.operations),
            "constraints": self.constraints.members(),
            "name": self.name,
            "token": self.token,
            "account": self.account,
        }

    @classmethod
    def of(cls, grant_id: str, key_arn: str, retiring: str, created: datetime, document: Any) -> "KeyGrant":
        """Raises Damaged."""
        with understood(key_arn):
            return cls(
                id=grant_id,
                key_arn=key_arn,
                grantee=str(document["grantee"]),
                retiring=retiring,
                operations=tuple(map(str, document["operations"])),
                constraints=GrantConstraints.of(document["constraints"]),
                name=str(document["name"]),
                created=created,
                token=str(document["token"]),
                account=str(document["account"]),
            )


@dataclass(frozen=True, kw_only=True)
class KeyUse:
    """A use of a key that permission is asked for, as grants are held against it."""

    key_arn: str
    operation: str
    "As grants name it, e.g. ReEncryptFrom."
    context: Mapping[str, str] = field(default_factory=dict)
    grant_id: str = ""
    "Of the grant that is given back."
    operations: tuple[str, ...] = ()
    "Of the grant that is to be made."
    constraints: GrantConstraints = field(default_factory=GrantConstraints)
    "Those of the grant that is to be made."


def allows(grant: KeyGrant, use: KeyUse) -> bool:
    """Whether a grant is for this use, whoever asks."""
    if use.operation not in grant.operations:
        return False
    if use.operation == "RetireGrant":
        return grant.id == use.grant_id
    if use.operation == "CreateGrant":  # no more can be handed on than one has
        return set(use.operations) <= set(grant.operations) and grant.constraints.cover(use.constraints)
    return use.operation not in _WITH_CONTEXT or grant.constraints.hold(use.context)


class GrantName(NamedTuple):
    """The grant that a token names."""

    key_id: str
    grant_id: str


def new_grant_id() -> str:
    return secrets.token_hex(_ID_BYTES)


def new_token(key_id: str, grant_id: str) -> str:
    """A grant token, which names its grant and cannot be guessed."""
    content = uuid.UUID(key_id).bytes + bytes.fromhex(grant_id) + secrets.token_bytes(_SECRET_BYTES)
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def read_token(token: str) -> GrantName | None:
    """The grant that a token names, whether it is there or not; None for what is no token."""
    try:
        content = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(content) != _KEY_BYTES + _ID_BYTES + _SECRET_BYTES:
        return None
    return GrantName(str(uuid.UUID(bytes=content[:_KEY_BYTES])), content[_KEY_BYTES : _KEY_BYTES + _ID_BYTES].hex())
