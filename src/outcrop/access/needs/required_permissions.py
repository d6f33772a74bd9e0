"""Requested operations and the permissions they need: the values that the files of `needs` read and make."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from outcrop import arn as arns
from outcrop.access.needs.named import Find, FindFoundation
from outcrop.access.policies.evaluation import Context, Matter
from outcrop.keys.grants import KeyUse


@dataclass(frozen=True, kw_only=True)
class RequiredPermission:
    """A permission for one action on one resource; `*` is the resource of actions that know none."""

    action: str
    resource: str = "*"
    context: Context = field(default_factory=dict)
    "Condition keys that belong to this action, e.g. iam:PassedToService."
    also: tuple[str, ...] = ()
    "Further ARNs of the same resource: a policy may write any of them."
    behind: tuple[str, ...] = ()
    "ARNs of what stands behind the resource: a Deny on these holds too."
    or_action: str | None = None
    "Another action that the same request is: reading the version `null` is reading the object."
    policy_of: str = ""
    "The ARN of a resource whose own policy speaks about this too; empty where none can."
    key_use: KeyUse | None = None
    "The use of a KMS key, whose own policy and grants have to let the caller in; None: it is about no key."
    shown: str = ""
    "What a refusal calls the resource; its ARN where this is empty."

    @property
    def matter(self) -> Matter:
        actions = (self.action,) if self.or_action is None else (self.action, self.or_action)
        return Matter(actions, (self.resource, *self.also), self.behind)


@dataclass(frozen=True, kw_only=True)
class RequestedOperation:
    """A request with what is needed to name its resources."""

    service: str
    operation: str
    params: Mapping[str, Any]
    region: str
    account: str
    find: Find
    foundation: FindFoundation = lambda _identifier: None
    caller_arn: str = ""

    def arn(self, service: str, kind: str, value: str) -> str:
        """The ARN that a parameter means: itself, that of the thing with this name, or one built from the name."""
        if arns.is_arn(value):
            return value
        found = self.find(kind, value)
        built = arns.Arn(service=service, region=self.region, account=self.account, resource=f"{kind}/{value}")
        return found.arn if found is not None else str(built)

    def pass_role(self, member: str, service: str) -> list[RequiredPermission]:
        """Handing a role to a service needs permission of its own; without a role, none.

        A role is named by its ARN alone, which is looked up as it is: what is decided on is what the service takes on.
        """
        role = self.params.get(member)
        return [passing(role, service)] if isinstance(role, str) else []


def passing(role: str, service: str) -> RequiredPermission:
    """The permission to hand this role to a service."""
    return RequiredPermission(action="iam:PassRole", resource=role, context={"iam:PassedToService": service})
