"""The permissions that operations on SageMaker's hubs need: on the hub, and on the content that they are about.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsagemakerai.html
"""

from outcrop import arn as arns
from outcrop.access.needs.required_permissions import RequestedOperation, RequiredPermission

_PUBLIC = "SageMakerPublicHub"
_ABOUT_HUBS = {"CreateHub", "DescribeHub", "UpdateHub", "DeleteHub", "ListHubContents"}
_ABOUT_CONTENTS = {
    "ImportHubContent",
    "DescribeHubContent",
    "UpdateHubContent",
    "DeleteHubContent",
    "ListHubContentVersions",
    "CreateHubContentReference",
    "UpdateHubContentReference",
    "DeleteHubContentReference",
    "CreateHubContentPresignedUrls",
}


def is_about_hubs(operation: str) -> bool:
    """Whether an operation of SageMaker is one on hubs."""
    return operation in _ABOUT_HUBS or operation in _ABOUT_CONTENTS


def needs(asked: RequestedOperation) -> list[RequiredPermission]:
    """The needs of an operation on hubs."""
    action = f"sagemaker:{asked.operation}"
    named = asked.params.get("HubName")
    if not isinstance(named, str):
        return [RequiredPermission(action=action)]
    # A hub may be named by its ARN, in which clients write their own account for the public one too.
    name = named.rpartition("/")[2] if arns.is_arn(named) else named
    account = "aws" if name == _PUBLIC else asked.account
    hub = arns.sagemaker(asked.region, account, f"hub/{name}")
    found = [RequiredPermission(action=action, resource=hub)]
    if asked.operation in _ABOUT_CONTENTS:
        kind = asked.params.get("HubContentType", "ModelReference")
        public = str(asked.params.get("SageMakerPublicHubContentArn", ""))
        content = asked.params.get("HubContentName") or public.rpartition("/")[2]
        resource = arns.sagemaker(asked.region, account, f"hub-content/{name}/{kind}/{content}")
        found.append(RequiredPermission(action=action, resource=resource))
    return found
