"""Policies of vector buckets: who may use a bucket and its indexes, beside what users and roles are allowed.

An Allow that names a user, a role or everyone gives what their own policies need not; a Deny holds whatever they say.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-vectors-resource-based-policies.html
"""

from outcrop.access.policies.documents import Policy, PolicyForm, Statement, parse
from outcrop.access.policies.patterns import covers_arn, fill
from outcrop.errors import Invalid, ServiceRefusal

MENDING = frozenset(
    f"s3vectors:{operation}"
    for operation in ("GetVectorBucketPolicy", "PutVectorBucketPolicy", "DeleteVectorBucketPolicy")
)
"Actions that no such policy takes from the administrator: one that denies everything could not be undone."
_PRINCIPALS = ("AWS", "Service")


def check_vector_bucket_policy(text: str, bucket_arn: str) -> None:
    """Raises Invalid for what is no policy of this vector bucket."""
    for place, statement in enumerate(parse_vector_bucket_policy(text).statements):
        where = f"policy: Statement[{place}]"
        _check_actions(statement, where)
        _check_principals(statement, where)
        _check_resources(statement, bucket_arn, where)


def parse_vector_bucket_policy(text: str) -> Policy:
    """The policy in a JSON text. Raises Invalid."""
    try:
        return parse(text, PolicyForm.BUCKET)
    except ServiceRefusal as refused:
        raise Invalid(f"policy: {refused.message}") from refused


def _check_actions(statement: Statement, where: str) -> None:
    for action in statement.actions.patterns:
        if action != "*" and not action.lower().startswith("s3vectors:"):
            raise Invalid(f"{where}: the action {action!r} is none of S3 Vectors. Name actions as s3vectors:….")


def _check_principals(statement: Statement, where: str) -> None:
    assert statement.principals is not None, "the policy was parsed in another form"
    for kind in statement.principals.named:
        if kind not in _PRINCIPALS:
            raise Invalid(f"{where}: a principal of the kind {kind} cannot be here. Name AWS or Service.")


def _check_resources(statement: Statement, bucket_arn: str, where: str) -> None:
    assert statement.resources is not None, "the policy was parsed in another form"
    for resource in statement.resources.patterns:
        if resource.startswith((f"{bucket_arn}/", "${")):
            continue
        pattern = fill(resource, {}, variables=False)
        assert pattern is not None, "without variables nothing can be missing"
        if not any(covers_arn(pattern, each) for each in (bucket_arn, f"{bucket_arn}/index/any")):
            raise Invalid(
                f"{where}: the resource {resource!r} is not in this bucket. Name {bucket_arn} or {bucket_arn}/*."
            )
