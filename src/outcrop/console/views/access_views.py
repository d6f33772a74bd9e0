"""Identities, keys, policies and verdicts of IAM as plain values."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from outcrop.console.views.amounts import age

EXAMPLE_POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["bedrock:InvokeModel", "bedrock:Converse"], "Resource": "*"}],
}
_ALLOWED = "allowed"


class IdentityRow(NamedTuple):
    """A user or a role in a list."""

    name: str
    arn: str
    age: str


class AccessKeyRow(NamedTuple):
    """An access key of a user, without its secret."""

    id: str
    status: str
    age: str
    last_used: str


class SimulatedVerdict(NamedTuple):
    """The verdict on an action: the key of its text, and what decided."""

    action: str
    resource: str
    key: str
    is_allowed: bool
    because: list[str]


def identity_row(told: Mapping[str, Any], kind: str, now: datetime, language: str) -> IdentityRow:
    """A row of a user or a role; `kind` is User or Role."""
    return IdentityRow(told[f"{kind}Name"], told["Arn"], age(told.get("CreateDate"), now, language))


def key_row(told: Mapping[str, Any], last_used: Mapping[str, Any] | None, now: datetime, language: str) -> AccessKeyRow:
    """A row of an access key, with its last use where that may be known."""
    used = (last_used or {}).get("LastUsedDate")
    service = (last_used or {}).get("ServiceName", "")
    return AccessKeyRow(
        told["AccessKeyId"],
        told["Status"],
        age(told.get("CreateDate"), now, language),
        f"{age(used, now, language)} · {service}" if used else "",
    )


def document_text(document: Any) -> str:
    """A policy's document as people edit it; what is no JSON, as it is."""
    if isinstance(document, str):
        try:
            return document_text(json.loads(document) or {})
        except ValueError:
            return str(document)
    return json.dumps(document, indent=2, ensure_ascii=False)


def asked_actions(text: str) -> list[str]:
    """The actions that a form names, apart by commas, blanks or lines."""
    return list(dict.fromkeys(text.replace(",", " ").split()))


def verdicts(results: Sequence[Mapping[str, Any]]) -> list[SimulatedVerdict]:
    """Verdicts of SimulatePrincipalPolicy: allowed, denied by a statement, or by nobody allowed."""
    found = []
    for each in results:
        decision = each["EvalDecision"]
        boundary = each.get("PermissionsBoundaryDecisionDetail", {}).get("AllowedByPermissionsBoundary", True)
        key = "access.by_boundary" if decision != _ALLOWED and not boundary else f"access.{decision}"
        found.append(
            SimulatedVerdict(
                each["EvalActionName"],
                each.get("EvalResourceName", "*"),
                key,
                decision == _ALLOWED,
                [statement["SourcePolicyId"] for statement in each.get("MatchedStatements", [])],
            )
        )
    return found
