"""ARNs that people write: into policy documents and into requests. One that cannot mean anything is refused, by IAM's
sentences: a statement about it would be kept and say nothing, and a Deny that says nothing is an open door.
"""

import re

from outcrop import arn as arns
from outcrop.access import refusals
from outcrop.access.policies.patterns import fill, matches

_FIELDS = 6
_PRINCIPAL = re.compile(
    rf"arn:{arns.PARTITION}:(iam::\d{{12}}:(root|(user|role)/[^*?]+)|sts::\d{{12}}:(assumed-role|federated-user)/[^*?]+)",
    re.ASCII,
)


def resource_problem(written: str) -> str:
    """The problem with a Resource of a policy, in IAM's words; empty for one that can be.

    One with too few fields may end in a star, which then stands for all that are missing.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
    """
    if written == "*":
        return ""
    fields = written.split(":")
    if fields[0] != "arn" or len(fields) < 3:
        return f'Resource {written} must be in ARN format or "*".'
    pattern = fill(fields[1], {}, variables=False)
    assert pattern is not None, "without variables nothing can be missing"
    if not matches(pattern, arns.PARTITION):
        return f'Partition "{fields[1]}" is not valid for resource "{written}".'
    if not fields[2] or {"*", "?"} & set(fields[2]):
        return "Resource vendor must be fully qualified and cannot contain regexes."
    if len(fields) < _FIELDS and not written.endswith("*"):
        return f'Resource {written} must be in ARN format or "*".'
    return ""


def is_principal(written: str) -> bool:
    """Whether a trust policy may name this as an AWS principal.

    An account, its root, a user, a role and a session can be named.
    """
    return written == "*" or arns.is_account(written) or _PRINCIPAL.fullmatch(written) is not None


def check_policy_arn(written: str) -> None:
    """Raises InvalidInput for what is no ARN of a managed policy."""
    found = arns.parse(written)
    owner = found.account if found is not None else ""
    if found is None or (found.service, found.region, found.kind) != ("iam", "", "policy") or not found.tail:
        raise refusals.invalid_input(f"ARN {written} is not valid.")
    if owner != "aws" and not arns.is_account(owner):
        raise refusals.invalid_input(f"ARN {written} is not valid.")


def is_role(written: str) -> bool:
    """Whether this is the ARN of a role, of whatever account."""
    found = arns.parse(written)
    if found is None or (found.service, found.region, found.kind) != ("iam", "", "role"):
        return False
    return arns.is_account(found.account) and bool(found.tail)
