"""Bucket policies: which services may use a bucket in their own name, as Bedrock does that writes invocation logs.

People are let in by their own policies and by nothing else, so a bucket policy here speaks about services alone, and
only allows. Any other is refused by name: one that was kept and not heeded would be a false promise.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html
"""

from outcrop.access.policies.documents import Effect, Policy, PolicyForm, Statement, parse
from outcrop.access.policies.evaluation import Context, Matter, normalized, speaks_about
from outcrop.errors import ServiceRefusal

_BUCKETS = "arn:aws:s3:::"


def check_bucket_policy(text: str, bucket: str) -> None:
    """Raises MalformedPolicy for what is no policy of this bucket, NotImplemented for one about more than services."""
    for place, statement in enumerate(parse_bucket_policy(text).statements):
        _check_about_bucket(statement, bucket)
        principals = statement.principals
        assert principals is not None, "a bucket policy was parsed in another form"
        if (
            statement.effect is Effect.DENY
            or principals.negated
            or principals.anyone
            or [*principals.named] != ["Service"]
        ):
            raise ServiceRefusal(
                "NotImplemented",
                f"Statement[{place}]: a bucket policy that denies, or is about anybody but services, is not built in "
                'Outcrop yet. Allow {"Service": …} alone; policies of users and roles decide about people.',
                http_status=501,
            )


def parse_bucket_policy(text: str) -> Policy:
    """The policy in a JSON text. Raises MalformedPolicy."""
    try:
        return parse(text, PolicyForm.BUCKET)
    except ServiceRefusal as refused:
        raise _malformed(refused.message) from refused


def service_may(policy: str | None, service: str, *, action: str, resource: str, context: Context) -> bool:
    """Whether a bucket's policy lets a service do this in its own name; without a policy nothing is allowed."""
    if policy is None:
        return False
    parsed, matter, known = parse_bucket_policy(policy), Matter((action,), (resource,)), normalized(context)
    return any(
        statement.principals is not None
        and service in statement.principals.named.get("Service", ())
        and speaks_about(statement, matter, known, variables=parsed.variables)
        for statement in parsed.statements
    )


def _check_about_bucket(statement: Statement, bucket: str) -> None:
    if not all(action == "*" or action.lower().startswith("s3:") for action in statement.actions.patterns):
        raise _malformed("Policy has invalid action")
    assert statement.resources is not None, "a bucket policy was parsed in another form"
    for resource in statement.resources.patterns:
        if resource.removeprefix(_BUCKETS).partition("/")[0] != bucket or not resource.startswith(_BUCKETS):
            raise _malformed("Policy has invalid resource")


def _malformed(sentence: str) -> ServiceRefusal:
    return ServiceRefusal("MalformedPolicy", sentence, http_status=400)
