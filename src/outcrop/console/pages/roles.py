"""The roles that jobs may run under, for the forms that ask for one."""

from botocore.exceptions import ClientError

from outcrop.console.user_client import DENIED
from outcrop.console.visit import ConsoleVisit

_SERVICE = "bedrock.amazonaws.com"


def service_roles(visit: ConsoleVisit) -> list[str]:
    """Roles that trust Bedrock; none for who may not list roles, who then writes one."""
    try:
        found = visit.api.client("iam").list_roles()["Roles"]
    except ClientError as refusal:
        if refusal.response["Error"]["Code"] not in DENIED:
            raise
        return []
    return [role["Arn"] for role in found if _SERVICE in str(role["AssumeRolePolicyDocument"])]
