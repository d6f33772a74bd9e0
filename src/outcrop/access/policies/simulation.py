"""Policy simulation: what policies would say about an action, without doing it.

The evaluator that decides at the door is asked by hand.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
"""

from collections.abc import Mapping
from dataclasses import dataclass

from outcrop.access.policies.documents import Policy, parse
from outcrop.access.policies.evaluation import (
    SEVERITY,
    Context,
    Decision,
    Matter,
    evaluate,
    normalized,
    speaks_about,
)
from outcrop.access.policies.patterns import Values


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """The outcome for one action on one resource."""

    action: str
    resource: str
    decision: Decision
    matched: tuple[str, ...]
    "The sources of the policies with a statement that speaks about it."
    missing: tuple[str, ...]
    "Condition keys that the policies read and the caller gave no value for."
    boundary_allows: bool | None
    "None without a permissions boundary."


def simulate(
    documents: Mapping[str, str], *, boundary: list[str], action: str, resource: str, context: Context
) -> Simulated:
    """`documents` by source. Raises MalformedPolicyDocument."""
    policies = {source: parse(text) for source, text in documents.items()}
    limits = [parse(text) for text in boundary]
    verdicts = [evaluate(policies.values(), action=action, resource=resource, context=context)]
    bounded = evaluate(limits, action=action, resource=resource, context=context) if limits else None
    verdicts += [bounded] if bounded is not None else []
    values = normalized(context)
    keys = frozenset[str]().union(*(policy.keys for policy in (*policies.values(), *limits)))
    return Simulated(
        action=action,
        resource=resource,
        decision=min(verdicts, key=SEVERITY.__getitem__),
        matched=tuple(each for each, policy in policies.items() if _speaks(policy, action, resource, values)),
        missing=tuple(sorted(keys - values.keys())),
        boundary_allows=None if bounded is None else bounded is Decision.ALLOWED,
    )


def _speaks(policy: Policy, action: str, resource: str, values: Mapping[str, Values]) -> bool:
    matter = Matter((action,), (resource,))
    return any(speaks_about(each, matter, values, variables=policy.variables) for each in policy.statements)
