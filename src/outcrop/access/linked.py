"""Roles that belong to a service: which services have one, its name, and whom it trusts. Only the service changes them.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_aws-services-that-work-with-iam.html
"""

import json
from collections.abc import Iterator

from outcrop.access import refusals
from outcrop.access.identities import LINKED_PATH, Identities
from outcrop.access.names import Kind
from outcrop.access.records.identities import Identity

NAMES = {
    "bedrock.amazonaws.com": "AWSServiceRoleForAmazonBedrock",
    "sagemaker.amazonaws.com": "AWSServiceRoleForAmazonSageMakerNotebooks",
    "sagemaker.application-autoscaling.amazonaws.com": "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint",
}


def create_linked(identities: Identities, service: str, *, description: str | None, suffix: str | None) -> Identity:
    name = NAMES.get(service)
    if name is None:
        raise refusals.invalid_input(
            f"Service role {service} is not valid for a service-linked role here. Known are {', '.join(NAMES)}."
        )
    if suffix:
        raise refusals.invalid_input(f"Custom suffix is not allowed for {service}")
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}],
    }
    if any(role.name == name for role in linked_roles(identities)):
        raise refusals.invalid_input(
            f"Service role name {name} has been taken in this account, please try a different suffix."
        )
    path = f"{LINKED_PATH}{service}/"
    return identities.create_role(name, trust=json.dumps(trust), path=path, description=description, linked=True)


def delete_linked(identities: Identities, name: str) -> str:
    """The id of the task that deleted it: here it is done when it is asked for."""
    with identities.records.alone():
        role = identities.get(Kind.ROLE, name)
        if not role.path.startswith(LINKED_PATH):
            raise refusals.invalid_input(f"The role {name} is not a service-linked role. Use DeleteRole.")
        identities.records.identities.remove(role.id)
    return f"task{role.path}{name}/{role.id}"


def linked_roles(identities: Identities) -> Iterator[Identity]:
    yield from identities.records.identities.all(Kind.ROLE, path_prefix=LINKED_PATH)
