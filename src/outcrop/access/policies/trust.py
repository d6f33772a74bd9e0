"""Policies that name principals: who may take on a role, or use a resource that has a policy."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from outcrop import arn as arns
from outcrop.access.policies.documents import Effect, Policy, Principals
from outcrop.access.policies.evaluation import (
    Context,
    Matter,
    normalized,
    speaks_about,
)
from outcrop.access.policies.patterns import Values

ASSUME_ROLE = "sts:AssumeRole"


class Trust(Enum):
    """The verdict of a trust policy on a principal."""

    NAMED = "named"
    "Trusted by its own name: nothing else is needed."
    ACCOUNT = "account"
    "Only its account is trusted: the principal's own policies must allow the action too."
    NONE = "none"
    DENIED = "denied"


@dataclass(frozen=True, kw_only=True)
class Principal:
    """The principal that asks to take on a role.

    A service is known by its host name, a user or role by its ARN and, in a session, the session's ARN.
    """

    service: str = ""
    arns: tuple[str, ...] = ()

    @property
    def account(self) -> str:
        first = arns.parse(self.arns[0]) if self.arns else None
        return first.account if first else ""


def trust(
    policy: Policy,
    principal: Principal,
    *,
    action: str = ASSUME_ROLE,
    resources: tuple[str, ...] = (),
    context: Context,
) -> Trust:
    """The strongest thing the policy's statements say: denied, then named, then account.

    `resources`: the ARNs of what it is about, where the policy is one of a resource; a trust policy names none.
    """
    values: Mapping[str, Values] = normalized(context)
    found: set[Trust] = set()
    for statement in policy.statements:
        assert statement.principals is not None, "the policy was parsed as an identity policy"
        if not speaks_about(statement, Matter((action,), resources), values, variables=policy.variables):
            continue
        naming = _naming(statement.principals, principal)
        if naming is not Trust.NONE:
            found.add(Trust.DENIED if statement.effect is Effect.DENY else naming)
    return next((each for each in (Trust.DENIED, Trust.NAMED, Trust.ACCOUNT) if each in found), Trust.NONE)


def _naming(principals: Principals, principal: Principal) -> Trust:
    naming = _listed(principals, principal)
    if not principals.negated:
        return naming
    return Trust.NAMED if naming is Trust.NONE else Trust.NONE


def _listed(principals: Principals, principal: Principal) -> Trust:
    if principal.service:
        return (
            Trust.NAMED if principals.anyone or principal.service in principals.named.get("Service", ()) else Trust.NONE
        )
    people = principals.named.get("AWS", ())
    if principals.anyone or any(each in people for each in principal.arns):
        return Trust.NAMED
    account = principal.account
    if account in people or arns.iam(account, "root") in people:
        return Trust.ACCOUNT
    return Trust.NONE
