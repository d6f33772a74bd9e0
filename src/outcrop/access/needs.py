"""What a request needs permission for: the values that the files `actions*.py` read and make."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from outcrop import arn as arns
from outcrop.access.evaluation import Context

Find = Callable[[str, str], str | None]
"The ARN of what a kind and a name stand for (`custom-model`, `my-model`), or None when there is no such thing."


@dataclass(frozen=True, kw_only=True)
class Need:
    """One action on one resource; `*` is the resource of actions that know none."""

    action: str
    resource: str = "*"
    context: Context = field(default_factory=dict)
    "Condition keys that belong to this action, e.g. iam:PassedToService."


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request with what is needed to name its resources."""

    service: str
    operation: str
    params: Mapping[str, Any]
    region: str
    account: str
    find: Find
    caller_arn: str = ""

    def arn(self, service: str, kind: str, value: str) -> str:
        """The ARN that a parameter means: itself, that of the thing with this name, or one built from the name."""
        if arns.is_arn(value):
            return value
        built = arns.Arn(service=service, region=self.region, account=self.account, resource=f"{kind}/{value}")
        return self.find(kind, value) or str(built)

    def pass_role(self, member: str, service: str) -> list[Need]:
        """Handing a role to a service needs permission of its own; without a role, none."""
        role = self.params.get(member)
        if not isinstance(role, str):
            return []
        return [Need(action="iam:PassRole", resource=role, context={"iam:PassedToService": service})]
