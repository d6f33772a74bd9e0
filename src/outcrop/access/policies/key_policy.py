"""Policies of KMS keys: its own policy or a grant has to let in whoever uses a key.

A statement that names the account (`arn:aws:iam::ACCOUNT:root`) lets in whom their own policies allow; one that names
a user, a role or a session needs no policy of theirs. Grants are further permissions beside the policy.
https://docs.aws.amazon.com/kms/latest/developerguide/policy-evaluation.html
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from outcrop import arn as arns
from outcrop.access.policies.arn_forms import is_principal
from outcrop.access.policies.documents import Effect, Policy, PolicyForm, parse
from outcrop.access.policies.evaluation import Context, Matter, normalized, speaks_about
from outcrop.access.policies.trust import Principal, Trust, trust
from outcrop.errors import ServiceRefusal
from outcrop.keys.grants import KeyGrant, KeyUse, allows

MENDING = frozenset(("kms:GetKeyPolicy", "kms:PutKeyPolicy"))
"""Actions that no key policy takes from the administrator, who stands here for AWS's support: a key that nobody can
manage could never be used again."""
LONGEST = 32 * 1024
DEFAULT_NAME = "default"
_STRENGTH = (Trust.DENIED, Trust.NAMED, Trust.ACCOUNT)


@dataclass(frozen=True, kw_only=True)
class KeyRules:
    """The rules of one key: its policy, its grants, and what conditions can know of it."""

    policy: Policy
    grants: tuple[KeyGrant, ...] = ()
    known: Context = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class KeyVerdict:
    """The verdict of a key's rules about one use of it."""

    said: Trust
    is_named_itself: bool = False
    "By the ARN of the very user or session: then neither a boundary nor a session's policies limit what is given."


def default_key_policy(account: str) -> str:
    """The policy of a key that was made without one: whoever the account's IAM policies allow."""
    statement = {
        "Sid": "Enable IAM User Permissions", "Effect": "Allow",
        "Principal": {"AWS": arns.iam(account, "root")}, "Action": "kms:*", "Resource": "*",
    }  # fmt: skip
    policy = {"Version": "2012-10-17", "Id": "key-default-1", "Statement": [statement]}
    return json.dumps(policy, indent=2)


def parse_key_policy(text: str) -> Policy:
    """Raises MalformedPolicyDocumentException for what is no policy of a key."""
    if len(text.encode()) > LONGEST:
        raise malformed(f"The policy is longer than {LONGEST:,} bytes. Shorten it, or use grants.")
    try:
        policy = parse(text, PolicyForm.KEY)
    except ServiceRefusal as refused:
        raise malformed(refused.message) from refused
    for statement in policy.statements:
        assert statement.principals is not None, "the policy was parsed in another form"
        for written in statement.principals.named.get("AWS", ()):
            if not is_principal(written):
                raise malformed("Policy contains a statement with one or more invalid principals.")
    return policy


def principals_of(policy: Policy) -> set[str]:
    """The principals that the statements of a policy name under AWS."""
    return {
        written
        for statement in policy.statements
        if statement.principals is not None
        for written in statement.principals.named.get("AWS", ())
    }


def judge(
    rules: KeyRules, principal: Principal, *, action: str, resource: str, use: KeyUse, context: Context
) -> KeyVerdict:
    """The verdict of policy and grants on a use of the key. The last of the principal's ARNs is its very own."""
    own = principal.arns[-1]
    said = trust(rules.policy, principal, action=action, resources=(resource,), context=context)
    granted = [each.grantee for each in rules.grants if allows(each, use)]
    if use.operation == "RetireGrant":
        granted += [each.retiring for each in rules.grants if each.id == use.grant_id]
    by_grant = {_named(each, principal) for each in granted}
    strongest = next((each for each in _STRENGTH if each in {said, *by_grant}), Trust.NONE)
    itself = own in granted or _names(rules.policy, own, action, resource, normalized(context))
    return KeyVerdict(said=strongest, is_named_itself=strongest is Trust.NAMED and itself)


def malformed(sentence: str) -> ServiceRefusal:
    return ServiceRefusal("MalformedPolicyDocumentException", sentence, http_status=400)


def _named(grantee: str, principal: Principal) -> Trust:
    if grantee in principal.arns:
        return Trust.NAMED
    account = principal.account
    return Trust.ACCOUNT if grantee in (account, arns.iam(account, "root")) else Trust.NONE


def _names(policy: Policy, arn: str, action: str, resource: str, values: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether an Allow names this very ARN, and speaks about the use."""
    return any(
        statement.effect is Effect.ALLOW
        and statement.principals is not None
        and not statement.principals.negated
        and arn in statement.principals.named.get("AWS", ())
        and speaks_about(statement, Matter((action,), (resource,)), values, variables=policy.variables)
        for statement in policy.statements
    )
