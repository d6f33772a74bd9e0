"""The permission that an operation of IAM needs: `iam:<Operation>` on the user, role, group or policy it speaks about.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
"""

from outcrop import arn as arns
from outcrop.access import linked
from outcrop.access.identities import LINKED_PATH
from outcrop.access.names import arn_of
from outcrop.access.needs.required_permissions import RequestedOperation, RequiredPermission

_LISTINGS = {
    "ListGroups": "group",
    "ListInstanceProfiles": "instance-profile",
    "ListRoles": "role",
    "ListServerCertificates": "server-certificate",
    "ListUsers": "user",
    "ListVirtualMFADevices": "mfa",
}
"""Listings that AWS asks about the path under which they look. Of every other one the resource is `*`."""
_NAMED = {"InstanceProfileName": "instance-profile", "ServerCertificateName": "server-certificate"}
_ARNS = ("OpenIDConnectProviderArn", "SAMLProviderArn", "PolicyArn")
ACCESS_KEY = "access-key"
"""What `RequestedOperation.find` looks up the owner of."""
_OWN = (
    "GetUser", "CreateAccessKey", "ListAccessKeys", "UpdateAccessKey", "DeleteAccessKey",
    "ListServiceSpecificCredentials", "UpdateServiceSpecificCredential", "ResetServiceSpecificCredential",
    "DeleteServiceSpecificCredential", "ChangePassword", "GetLoginProfile", "DeleteLoginProfile",
    "ListMFADevices",
    "ListSSHPublicKeys", "ListSigningCertificates", "UpdateSigningCertificate", "DeleteSigningCertificate",
)  # fmt: skip
"""Without a UserName they speak about the caller."""


def needs(asked: RequestedOperation) -> list[RequiredPermission]:
    """The one need of an operation of IAM."""
    operation, params = asked.operation, asked.params
    context: dict[str, str] = {}
    if operation.startswith(("Attach", "Detach")):
        context["iam:PolicyARN"] = str(params["PolicyArn"])
    if "PermissionsBoundary" in params:
        context["iam:PermissionsBoundary"] = str(params["PermissionsBoundary"])
    if "AWSServiceName" in params:
        context["iam:AWSServiceName"] = str(params["AWSServiceName"])
    return [
        RequiredPermission(action=f"iam:{operation}", resource=_resource(asked), context=context, shown=_shown(asked))
    ]


def _shown(asked: RequestedOperation) -> str:
    """The resource as a refusal names it: `user jane`, as IAM does, which does not tell whether there is one."""
    if asked.operation == "GetAccessKeyLastUsed":
        return f"access key {asked.params['AccessKeyId']}"
    for kind in ("group", "role", "user"):
        name = asked.params.get(f"{kind.capitalize()}Name")
        if isinstance(name, str) and not asked.operation.startswith("Create"):
            return f"{kind} {name}"
    return ""


def _resource(asked: RequestedOperation) -> str:
    params, operation = asked.params, asked.operation
    if operation in _LISTINGS:
        return arns.iam(asked.account, f"{_LISTINGS[operation]}{params.get('PathPrefix', '/')}")
    if params.get("AllUsers"):
        return "*"
    if operation == "GetAccessKeyLastUsed":
        owner = asked.find(ACCESS_KEY, str(params["AccessKeyId"]))
        return owner.arn if owner is not None else arns.iam(asked.account, "user/*")
    if operation == "SimulatePrincipalPolicy":
        return str(params["PolicySourceArn"])
    if operation == "CreateServiceLinkedRole":
        service = str(params["AWSServiceName"])
        return arn_of(asked.account, "role", f"{LINKED_PATH}{service}/", linked.NAMES.get(service, "*"))
    if operation == "GetServiceLinkedRoleDeletionStatus":
        task = str(params["DeletionTaskId"]).removeprefix("task/").rpartition("/")[0]
        return arns.iam(asked.account, f"role/{task}")
    if operation == "CreatePolicy":
        return arn_of(asked.account, "policy", str(params.get("Path", "/")), str(params["PolicyName"]))
    for member, kind in _NAMED.items():
        if member in params:
            return arn_of(asked.account, kind, str(params.get("Path", "/")), str(params[member]))
    given = next((str(params[member]) for member in _ARNS if member in params), None)
    return _identity(asked) or given or _device(asked) or (asked.caller_arn if operation in _OWN else "*")


def _device(asked: RequestedOperation) -> str | None:
    """A virtual MFA device, which is an ARN by its serial number; those of hardware are resources of no policy."""
    name, serial = asked.params.get("VirtualMFADeviceName"), str(asked.params.get("SerialNumber", ""))
    if name is not None:
        return arn_of(asked.account, "mfa", str(asked.params.get("Path", "/")), str(name))
    return serial if arns.is_arn(serial) else None


def _identity(asked: RequestedOperation) -> str | None:
    """The group, role or user that is named; who joins a group is not asked about."""
    for kind in ("group", "role", "user"):
        name = asked.params.get(f"{kind.capitalize()}Name")
        if isinstance(name, str):
            is_new = asked.operation == f"Create{kind.capitalize()}"
            known = None if is_new else asked.find(kind, name)
            path = str(asked.params.get("Path", "/"))
            return known.arn if known is not None else arn_of(asked.account, kind, path, name)
    return None
