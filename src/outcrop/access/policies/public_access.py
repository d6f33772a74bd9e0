"""Whether a bucket's policy is public, and what the public access block makes of that.

A policy is public when it allows something to everyone without a condition that keeps it to fixed values: of a
principal, an address, an account. https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html
"""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from outcrop.access.policies.conditions import Condition, Quantifier
from outcrop.access.policies.documents import Effect, Policy, Statement

_TEXT = {"StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike"}
_FIXING = {
    "aws:principalaccount", "aws:principalarn", "aws:principalorgid", "aws:principalservicename", "aws:sourceaccount",
    "aws:sourcearn", "aws:sourcevpc", "aws:sourcevpce", "aws:userid", "aws:username", "s3:dataaccesspointaccount",
    "s3:dataaccesspointarn", "s3:x-amz-server-side-encryption-aws-kms-key-id",
}  # fmt: skip
_BROADEST = {4: 8, 6: 32}
"The shortest prefix of a network, by the version of its addresses, that is not the public."
_OPEN = ("*", "?", "${")
_SESSIONS_OF_ROLE = re.compile(r"AROA[A-Z0-9]+:\*")
"A user id of which only the session's name is open."


@dataclass(frozen=True, kw_only=True)
class PublicAccessBlock:
    """The four switches of a bucket, all on unless somebody set them otherwise."""

    BlockPublicAcls: bool = True
    IgnorePublicAcls: bool = True
    BlockPublicPolicy: bool = True
    RestrictPublicBuckets: bool = True

    @classmethod
    def of(cls, document: Mapping[str, Any] | None) -> Self:
        """The block that was set; without a document all is blocked, and where it was deleted nothing is."""
        if document is None:
            return cls()
        return cls(**{name: bool(document.get(name, False)) for name in BLOCKS})

    @property
    def members(self) -> dict[str, bool]:
        return asdict(self)


BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
DELETED = {"removed": True}
"The document of a block that was taken away: it blocks nothing, and is told to be none."


def is_public(policy: Policy) -> bool:
    """Whether any statement lets everyone in."""
    return any(
        statement.effect is Effect.ALLOW and names_everyone(statement) and not any(map(_fixes, statement.conditions))
        for statement in policy.statements
    )


def names_everyone(statement: Statement) -> bool:
    """Whether its principals are everyone, or everyone but some."""
    principals = statement.principals
    return principals is not None and (principals.anyone or principals.negated)


def _fixes(condition: Condition) -> bool:
    """Whether a condition holds for fixed values alone."""
    if condition.if_exists or condition.quantifier is Quantifier.FOR_ALL or not condition.values:
        return False
    if condition.key == "aws:sourceip":
        return condition.operator == "IpAddress" and all(map(_is_narrow, condition.values))
    return condition.operator in _TEXT and condition.key in _FIXING and all(map(_is_fixed, condition.values))


def _is_fixed(value: str) -> bool:
    return not any(sign in value for sign in _OPEN) or _SESSIONS_OF_ROLE.fullmatch(value) is not None


def _is_narrow(text: str) -> bool:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return network.prefixlen >= _BROADEST[network.version]
