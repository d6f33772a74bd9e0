"""Bucket policies: who may do what with a bucket and its objects, beside what users and roles are allowed.

A Deny holds whatever anybody's own policies say. An Allow that names a user, a role or everyone gives what their own
policies need not; one that names the account lets in whom their own policies allow. Services are let in by nothing
else, and neither are strangers, who sign nothing: those only where the public access block leaves room for them.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from outcrop import arn as arns
from outcrop.access.policies.arn_forms import is_principal
from outcrop.access.policies.documents import (
    Effect,
    Matcher,
    Policy,
    PolicyForm,
    Principals,
    Statement,
    parse,
)
from outcrop.access.policies.evaluation import Context, Matter, normalized, speaks_about
from outcrop.access.policies.patterns import covers_arn, fill
from outcrop.access.policies.public_access import PublicAccessBlock, is_public, names_everyone
from outcrop.access.policies.s3_actions import actions_in, is_known_key, unbuilt_key
from outcrop.errors import ServiceRefusal

LONGEST = 20 * 1024
MENDING = frozenset(("s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"))
"""Actions that no bucket policy takes from the administrator, who stands here for the root user: nobody locks a bucket
for good."""
ANONYMOUS = "anonymous"
"The user id of who signs nothing."
_BUCKETS = "arn:aws:s3:::"
_ANY_KEY = "any/object"
_KINDS = ("AWS", "Service", "CanonicalUser")
_FIELDS = ("Effect", "Principal", "Action", "Resource")


class Voice(Enum):
    """The answers of a bucket's policy about somebody and something, the strongest first."""

    DENIED = "denied"
    ITSELF = "itself"
    "Allowed by the ARN of the very user or session: neither a boundary nor a session's policies limit that."
    NAMED = "named"
    "Allowed by name: nothing else is needed."
    ACCOUNT = "account"
    "Only its account is let in: its own policies must allow it too."
    NONE = "none"


@dataclass(frozen=True, kw_only=True)
class Visitor:
    """The user of a bucket: a user, a role or its session, a service, or a stranger."""

    account: str = ""
    arns: tuple[str, ...] = ()
    "Of a user its own; of a session that of its role and its own."
    service: str = ""


@dataclass(frozen=True, kw_only=True)
class BucketRules:
    """The policy of one bucket and its public access block."""

    policy: Policy | None = None
    block: PublicAccessBlock = field(default_factory=PublicAccessBlock)

    @property
    def admits_strangers(self) -> bool:
        """Whether anything may be done here without a signature."""
        if self.policy is None or (self.block.RestrictPublicBuckets and is_public(self.policy)):
            return False
        return any(each.effect is Effect.ALLOW and names_everyone(each) for each in self.policy.statements)

    @property
    def keys(self) -> frozenset[str]:
        """The condition keys that decisions here read."""
        return frozenset() if self.policy is None else self.policy.keys


def bucket_rules(policy: str | None, block: Mapping[str, Any] | None) -> BucketRules:
    """The rules of a bucket as its documents on record say. A policy that cannot be read lets nobody in."""
    try:
        parsed = None if policy is None else parse_bucket_policy(policy)
    except ServiceRefusal:
        parsed = _CLOSED
    return BucketRules(policy=parsed, block=PublicAccessBlock.of(block))


def bucket_in(resource: str) -> str:
    """The bucket that an ARN of S3 is about; empty for another, and for the listing of buckets."""
    name = resource.removeprefix(_BUCKETS).partition("/")[0] if resource.startswith(_BUCKETS) else ""
    return "" if name == "*" else name


def judge(policy: Policy, visitor: Visitor, matter: Matter, context: Context) -> Voice:
    """The strongest thing that the policy's statements say."""
    values, said = normalized(context), {Voice.NONE}
    for statement in policy.statements:
        assert statement.principals is not None, "a bucket policy was parsed in another form"
        if not speaks_about(statement, matter, values, variables=policy.variables):
            continue
        if statement.effect is Effect.DENY:
            said |= {Voice.DENIED} if _is_denied(statement.principals, visitor) else set()
        else:
            said.add(_allowed(statement.principals, visitor))
    return next(each for each in Voice if each in said)


def service_may(policy: str | None, service: str, *, action: str, resource: str, context: Context) -> bool:
    """Whether a bucket's policy lets a service do this in its own name; without a policy nothing is allowed."""
    if policy is None:
        return False
    said = judge(parse_bucket_policy(policy), Visitor(service=service), Matter((action,), (resource,)), context)
    return said is Voice.NAMED


def parse_bucket_policy(text: str) -> Policy:
    """The policy in a JSON text. Raises MalformedPolicy."""
    try:
        return parse(text, PolicyForm.BUCKET)
    except ServiceRefusal as refused:
        raise _malformed(_OF_IAM.get(refused.message.strip(), "Invalid policy syntax."), refused.message) from refused


def check_bucket_policy(text: str, bucket: str, *, account: str, exists: Callable[[str], bool]) -> Policy:
    """The policy that is to be put on this bucket. Raises MalformedPolicy for what is none, PolicyTooLarge.

    `exists`: whether the user or role with an ARN of this account is there.
    """
    _check_fields(text)
    policy = parse_bucket_policy(text)
    for place, statement in enumerate(policy.statements):
        where = f"Statement[{place}]"
        _check_principals(statement, where, account, exists)
        _check_actions(statement, where)
        _check_resources(statement, where, bucket)
        _check_conditions(statement, where)
    return policy


_CLOSED = Policy(
    statements=(
        Statement(
            effect=Effect.DENY,
            principals=Principals(named={}, anyone=True),
            actions=Matcher(patterns=("*",)),
            resources=Matcher(patterns=("*",)),
        ),
    )
)
_OF_IAM = {
    "Statement IDs (SID) in a single policy must be unique.": "Statement IDs (SID) in a single policy must be unique.",
}
"Sentences that IAM and S3 share."


def _allowed(principals: Principals, visitor: Visitor) -> Voice:
    if principals.negated:
        return Voice.NONE if _named(principals, visitor) is not Voice.NONE else Voice.NAMED
    return _named(principals, visitor)


def _is_denied(principals: Principals, visitor: Visitor) -> bool:
    """Whether a Deny means the visitor. To escape a NotPrincipal, account, user or role, and session are named.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html
    """
    if not principals.negated:
        return _named(principals, visitor) is not Voice.NONE
    if principals.anyone:
        return False
    if visitor.service:
        return visitor.service not in principals.named.get("Service", ())
    if not visitor.arns:
        return True
    people = {*principals.named.get("AWS", ())}
    return not (_has_account(people, principals, visitor) and people >= set(visitor.arns))


def _named(principals: Principals, visitor: Visitor) -> Voice:
    if visitor.service:
        is_named = principals.anyone or visitor.service in principals.named.get("Service", ())
        return Voice.NAMED if is_named else Voice.NONE
    people = {*principals.named.get("AWS", ())}
    if visitor.arns and visitor.arns[-1] in people and ":role/" not in visitor.arns[-1]:
        return Voice.ITSELF
    if principals.anyone or people & set(visitor.arns):
        return Voice.NAMED
    return Voice.ACCOUNT if visitor.arns and _has_account(people, principals, visitor) else Voice.NONE


def _has_account(people: set[str], principals: Principals, visitor: Visitor) -> bool:
    written = {visitor.account, arns.iam(visitor.account, "root")}
    return bool(people & written) or arns.canonical_user(visitor.account) in principals.named.get("CanonicalUser", ())


def _check_fields(text: str) -> None:
    """Raises what S3 says of a document that lacks something, before anything in it is read."""
    try:
        document = json.loads(text) if text.startswith("{") else None
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise _malformed("Policies must be valid JSON and the first byte must be '{'")
    if len(json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()) > LONGEST:
        sentence = f"Normalized policy document exceeds the maximum allowed size of {LONGEST} bytes."
        raise ServiceRefusal("PolicyTooLarge", sentence, http_status=400)
    if "Statement" not in document:
        raise _malformed("Missing required field Statement")
    if document.get("Version", "2012-10-17") not in ("2012-10-17", "2008-10-17"):
        raise _malformed("The policy must contain a valid version string", "Write 2012-10-17.")
    statements = document["Statement"] if isinstance(document["Statement"], list) else [document["Statement"]]
    if not statements:
        raise _malformed("Could not parse the policy: Statement is empty!")
    for place, statement in enumerate(statements):
        _check_fields_of(statement, f"Statement[{place}]")


def _check_fields_of(statement: Any, where: str) -> None:
    if not isinstance(statement, dict):
        raise _malformed("Invalid policy syntax.", f"{where}: a statement is an object.")
    for name in _FIELDS:
        if name not in statement and (name == "Effect" or f"Not{name}" not in statement):
            raise _malformed(f"Missing required field {name}", where)
    if statement["Effect"] not in ("Allow", "Deny"):
        raise _malformed(f"Invalid effect: {statement['Effect']}", f"{where}: write Allow or Deny.")


def _check_principals(statement: Statement, where: str, account: str, exists: Callable[[str], bool]) -> None:
    principals = statement.principals
    assert principals is not None, "a bucket policy was parsed in another form"
    for kind, names in principals.named.items():
        for name in names:
            if kind not in _KINDS or not _can_be(kind, name, account, exists):
                raise _malformed("Invalid principal in policy", f'{where}: "{kind}" : "{name}"')


def _can_be(kind: str, name: str, account: str, exists: Callable[[str], bool]) -> bool:
    if kind == "CanonicalUser":
        return name == arns.canonical_user(account)
    if kind == "Service":
        return name.endswith((".amazonaws.com", ".amazon.com"))
    found = arns.parse(name)
    if found is not None and found.account == account and found.kind in ("user", "role") and found.service == "iam":
        return is_principal(name) and exists(name)
    return is_principal(name)


def _check_actions(statement: Statement, where: str) -> None:
    for action in statement.actions.patterns:
        if action != "*" and (not action.lower().startswith("s3:") or not any(actions_in(action))):
            raise _malformed("Policy has invalid action", f"{where}: {action} is no action of S3.")


def _check_resources(statement: Statement, where: str, bucket: str) -> None:
    assert statement.resources is not None, "a bucket policy was parsed in another form"
    reaches = [_reach(resource, bucket) for resource in statement.resources.patterns]
    for resource, reach in zip(statement.resources.patterns, reaches, strict=True):
        if not any(reach):
            raise _malformed(
                "Policy has invalid resource", f"{where}: {resource} is not in this bucket. Name {_BUCKETS}{bucket}/*."
            )
    if statement.actions.negated or statement.resources.negated:
        return
    of_objects, of_bucket = (any(each) for each in zip(*reaches, strict=True))
    for action in statement.actions.patterns:
        on_objects, on_buckets = (True, True) if action == "*" else actions_in(action)
        if not (on_objects and of_objects) and not (on_buckets and of_bucket):
            hint = "the bucket itself" if on_buckets else "objects"
            raise _malformed(
                "Action does not apply to any resource(s) in statement", f"{where}: {action} is about {hint}."
            )


def _reach(resource: str, bucket: str) -> tuple[bool, bool]:
    """Whether a pattern covers objects of the bucket, and the bucket itself; it has to name the bucket."""
    if not resource.startswith(f"{_BUCKETS}{bucket}"):
        return False, False
    head, slash, _ = resource.partition("/")
    written = fill(head, {}, variables=False)
    assert written is not None, "without variables nothing can be missing"
    if slash:  # whatever follows, a variable too, is a key
        return covers_arn(written, f"{_BUCKETS}{bucket}"), False
    covers = [covers_arn(written, each) for each in (f"{_BUCKETS}{bucket}/{_ANY_KEY}", f"{_BUCKETS}{bucket}")]
    return covers[0], covers[1]


def _check_conditions(statement: Statement, where: str) -> None:
    for condition in statement.conditions:
        if not is_known_key(condition.key):
            raise _malformed("Policy has an invalid condition key", f"{where}: {condition.key}")
        why = unbuilt_key(condition.key)
        if why is not None:
            sentence = f"{where}: the condition key {condition.key} is not built in Outcrop yet: {why}."
            raise ServiceRefusal("NotImplemented", sentence, http_status=501)


def _malformed(sentence: str, detail: str = "") -> ServiceRefusal:
    members: Mapping[str, str] = {"Detail": detail} if detail else {}
    return ServiceRefusal("MalformedPolicy", sentence, http_status=400, **members)
