"""Policy documents as they are written: readable (see `documents.py`), and about something that can be.

What is on record was looked at when it came and is not looked at again, so a stricter rule breaks no older home.
"""

from outcrop.access.policies.arn_forms import is_principal, resource_problem
from outcrop.access.policies.documents import (
    VERSIONS,
    Policy,
    PolicyForm,
    Statement,
    parse,
)
from outcrop.errors import ServiceRefusal


def parse_new(text: str, form: PolicyForm = PolicyForm.IDENTITY) -> Policy:
    """The policy in a text that is to be kept. Raises MalformedPolicyDocument."""
    policy = parse(text, form)
    for place, statement in enumerate(policy.statements):
        _check_resources(statement, f"Statement[{place}]")
        _check_principals(statement, f"Statement[{place}]")
    return policy


def parse_new_managed(text: str) -> Policy:
    """Check a new managed policy, which has to say that it is of the newer version."""
    policy = parse_new(text)
    if policy.version != VERSIONS[0]:
        sentence = "Policy document must be version 2012-10-17 or greater."
        raise _malformed(sentence, f'Write "Version": "{VERSIONS[0]}".')
    return policy


def _check_resources(statement: Statement, where: str) -> None:
    for resource in statement.resources.patterns if statement.resources is not None else ():
        problem = resource_problem(resource)
        if problem:
            raise _malformed(problem, f"{where}.Resource: write arn:aws:service:region:account:resource.")


def _check_principals(statement: Statement, where: str) -> None:
    for written in statement.principals.named.get("AWS", ()) if statement.principals is not None else ():
        if not is_principal(written):
            detail = f"{where}.Principal: name an account, or the ARN of its root, of a user or of a role."
            raise _malformed(f'Invalid principal in policy: "AWS":"{written}".', detail)


def _malformed(sentence: str, detail: str) -> ServiceRefusal:
    return ServiceRefusal("MalformedPolicyDocument", f"{sentence} {detail}", http_status=400)
