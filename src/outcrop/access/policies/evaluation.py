"""The decision over policies: an explicit deny beats every allow, and what nobody allows is denied.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from collections.abc import Iterable, Mapping
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from outcrop.access.policies.conditions import holds
from outcrop.access.policies.documents import (
    Effect,
    Matcher,
    Policy,
    Statement,
)
from outcrop.access.policies.patterns import (
    Values,
    covers_arn,
    fill,
    matches,
)

Context = Mapping[str, str | Values]
"Condition keys of a request, in any case, with their value or values."


class Matter(NamedTuple):
    """The matter of a decision: one action on one resource, which may have several names each."""

    actions: tuple[str, ...]
    resources: tuple[str, ...]
    "Every ARN of the resource, or `*` for an action that knows none: only a pattern for everything covers that."
    behind: tuple[str, ...] = ()
    "ARNs of what stands behind it; only a Deny can mean these."


class Decision(Enum):
    ALLOWED = "allowed"
    DENIED_IMPLICITLY = "implicitDeny"
    DENIED_EXPLICITLY = "explicitDeny"


SEVERITY = {Decision.DENIED_EXPLICITLY: 0, Decision.DENIED_IMPLICITLY: 1, Decision.ALLOWED: 2}
"""Of the decisions of several kinds of policy, the one with the least number holds."""


def evaluate(policies: Iterable[Policy], *, action: str, resource: str, context: Context) -> Decision:
    """The decision of these policies together about one action on one resource, an ARN or `*`."""
    return decide(policies, Matter((action,), (resource,)), context)


def decide(policies: Iterable[Policy], matter: Matter, context: Context) -> Decision:
    """The decision of these policies together about one matter.

    A resource with several names is covered by a pattern that covers any.
    """
    values = normalized(context)
    decision = Decision.DENIED_IMPLICITLY
    denied = matter._replace(resources=matter.resources + matter.behind)
    for policy in policies:
        for statement in policy.statements:
            about = denied if statement.effect is Effect.DENY else matter
            if not speaks_about(statement, about, values, variables=policy.variables):
                continue
            if statement.effect is Effect.DENY:
                return Decision.DENIED_EXPLICITLY
            decision = Decision.ALLOWED
    return decision


def normalized(context: Context) -> dict[str, Values]:
    """The context as evaluation needs it: keys in lower case, every value a tuple."""
    return {key.lower(): (value,) if isinstance(value, str) else tuple(value) for key, value in context.items()}


def speaks_about(statement: Statement, matter: Matter, context: Mapping[str, Values], *, variables: bool) -> bool:
    """Whether action, resource and conditions of the statement all fit; a trust statement has no resource to fit."""
    return (
        any(_covers_action(statement.actions, action) for action in matter.actions) != statement.actions.negated
        and (statement.resources is None or _covers_resource(statement.resources, matter.resources, context, variables))
        and all(holds(condition, context, variables=variables) for condition in statement.conditions)
    )


def _covers_action(matcher: Matcher, action: str) -> bool:
    """Whether a pattern covers the action; what its negation means is the caller's to say."""
    wanted = action.lower()
    return any(matches(_action_pattern(each), wanted) for each in matcher.patterns)


@lru_cache(maxsize=4096)
def _action_pattern(written: str) -> str:
    """Action names are compared without case, and hold no variables."""
    filled = fill(written.lower(), {}, variables=False)
    assert filled is not None, "without variables nothing can be missing"
    return filled


def _covers_resource(
    matcher: Matcher, resources: tuple[str, ...], context: Mapping[str, Values], variables: bool
) -> bool:
    filled = [fill(pattern, context, variables=variables) for pattern in matcher.patterns]
    if None in filled and matcher.negated:
        # Nobody can say what such a NotResource leaves out: the statement speaks about nothing.
        return False
    covered = any(pattern is not None and covers_arn(pattern, each) for pattern in filled for each in resources)
    return covered != matcher.negated
