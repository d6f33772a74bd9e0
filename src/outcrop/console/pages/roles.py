"""Roles that a form offers: those which trust the service that is to use them."""

from botocore.exceptions import ClientError

from outcrop.console.user_client import DENIED
from outcrop.console.visit import ConsoleVisit

BEDROCK, SAGEMAKER = "bedrock.amazonaws.com", "sagemaker.amazonaws.com"


def roles_for(visit: ConsoleVisit, service: str) -> list[str]:
    """ARNs of roles that trust a service; none for who may not list roles, who then writes one."""
    try:
        found = visit.api.client("iam").list_roles()["Roles"]
    except ClientError as refusal:
        if refusal.response["Error"]["Code"] not in DENIED:
            raise
        return []
    return [role["Arn"] for role in found if service in str(role["AssumeRolePolicyDocument"])]
