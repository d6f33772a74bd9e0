"""IAM: managed policies, and the inline and attached policies of roles and users.

IAM has every operation on an identity's policies twice, once for roles and once for users; here each is written once,
for a kind of identity.
"""

from collections.abc import Callable
from typing import Any

from outcrop.access.managed import AWS_MANAGED
from outcrop.access.names import Kind
from outcrop.access.records import ManagedPolicy
from outcrop.api.call import Answered, Call, Handler
from outcrop.api.iam_answers import encoded, page, tag_list, tags_of
from outcrop.api.platform import Platform
from outcrop.errors import ServiceRefusal

_VERSION = "v1"


def create_policy(platform: Platform, call: Call) -> Answered:
    policy = platform.access.attachments.create(
        call.params["PolicyName"],
        document=call.params["PolicyDocument"],
        path=call.params.get("Path", "/"),
        description=call.params.get("Description", ""),
        tags=tags_of(call),
    )
    return {"Policy": _policy(policy, num_attachments=0)}


def get_policy(platform: Platform, call: Call) -> Answered:
    policy = platform.access.attachments.get(call.params["PolicyArn"])
    num = platform.access.attachments.records.num_attachments().get(policy.arn, 0)
    return {"Policy": {**_policy(policy, num_attachments=num), "Description": policy.description or None}}


def get_policy_version(platform: Platform, call: Call) -> Answered:
    policy, version = platform.access.attachments.get(call.params["PolicyArn"]), call.params["VersionId"]
    if version != _VERSION:
        sentence = f"Policy {policy.arn} version {version} does not exist or is not attachable."
        raise ServiceRefusal("NoSuchEntity", sentence, http_status=404)
    found = {
        "Document": encoded(policy.document),
        "VersionId": _VERSION,
        "IsDefaultVersion": True,
        "CreateDate": policy.created,
    }
    return {"PolicyVersion": found}


def list_policies(platform: Platform, call: Call) -> Answered:
    scope, prefix = call.params.get("Scope", "All"), call.params.get("PathPrefix", "/")
    nums = platform.access.attachments.records.num_attachments()
    policies = [
        *(platform.access.attachments.records.policies() if scope != "AWS" else ()),
        *(AWS_MANAGED.values() if scope != "Local" else ()),
    ]
    shown = [each for each in policies if each.path.startswith(prefix)]
    if call.params.get("OnlyAttached"):
        shown = [each for each in shown if nums.get(each.arn)]
    return page(
        call,
        "Policies",
        shown,
        key=lambda policy: policy.arn,
        shape=lambda policy: _policy(policy, num_attachments=nums.get(policy.arn, 0), listed=True),
    )


def delete_policy(platform: Platform, call: Call) -> Answered:
    platform.access.attachments.delete(call.params["PolicyArn"])
    return {}


def _put_inline(platform: Platform, call: Call, kind: Kind, owner: str) -> Answered:
    platform.access.attachments.put_inline(kind, owner, call.params["PolicyName"], call.params["PolicyDocument"])
    return {}


def _get_inline(platform: Platform, call: Call, kind: Kind, owner: str) -> Answered:
    name = call.params["PolicyName"]
    document = platform.access.attachments.get_inline(kind, owner, name)
    return {f"{kind.value.capitalize()}Name": owner, "PolicyName": name, "PolicyDocument": encoded(document)}


def _delete_inline(platform: Platform, call: Call, kind: Kind, owner: str) -> Answered:
    platform.access.attachments.delete_inline(kind, owner, call.params["PolicyName"])
    return {}


def _list_inline(platform: Platform, call: Call, kind: Kind, owner: str) -> Answered:
    names = list(platform.access.attachments.inline(kind, owner))
    return page(call, "PolicyNames", names, key=lambda name: name, shape=lambda name: name)


def _attach(platform: Platform, call: Call, kind: Kind, owner: str) -> Answered:
    platform.access.attachments.attach(kind, owner, call.params["PolicyArn"])
    return {}


def _detach(platform: Platform, call: Call, kind: Kind, owner: str) -> Answered:
    platform.access.attachments.detach(kind, owner, call.params["PolicyArn"])
    return {}


def _list_attached(platform: Platform, call: Call, kind: Kind, owner: str) -> Answered:
    return page(
        call,
        "AttachedPolicies",
        platform.access.attachments.attached(kind, owner, path_prefix=call.params.get("PathPrefix", "/")),
        key=lambda policy: policy.arn,
        shape=lambda policy: {"PolicyName": policy.name, "PolicyArn": policy.arn},
    )


def _policy(policy: ManagedPolicy, *, num_attachments: int, listed: bool = False) -> dict[str, Any]:
    return {
        "PolicyName": policy.name,
        "PolicyId": policy.id,
        "Arn": policy.arn,
        "Path": policy.path,
        "DefaultVersionId": _VERSION,
        "AttachmentCount": num_attachments,
        "PermissionsBoundaryUsageCount": 0,
        "IsAttachable": True,
        "CreateDate": policy.created,
        "UpdateDate": policy.created,
        "Tags": None if listed else tag_list(policy.tags),
    }


def _of(kind: Kind, function: Callable[[Platform, Call, Kind, str], Answered]) -> Handler:
    """One of the functions above as the operation on roles, or the one on users."""
    owner = f"{kind.value.capitalize()}Name"

    def handler(platform: Platform, call: Call) -> Answered:
        return function(platform, call, kind, call.params[owner])

    return handler


OPERATIONS: dict[str, Handler] = {
    "CreatePolicy": create_policy,
    "DeletePolicy": delete_policy,
    "GetPolicy": get_policy,
    "GetPolicyVersion": get_policy_version,
    "ListPolicies": list_policies,
    "AttachRolePolicy": _of(Kind.ROLE, _attach),
    "AttachUserPolicy": _of(Kind.USER, _attach),
    "DeleteRolePolicy": _of(Kind.ROLE, _delete_inline),
    "DeleteUserPolicy": _of(Kind.USER, _delete_inline),
    "DetachRolePolicy": _of(Kind.ROLE, _detach),
    "DetachUserPolicy": _of(Kind.USER, _detach),
    "GetRolePolicy": _of(Kind.ROLE, _get_inline),
    "GetUserPolicy": _of(Kind.USER, _get_inline),
    "ListAttachedRolePolicies": _of(Kind.ROLE, _list_attached),
    "ListAttachedUserPolicies": _of(Kind.USER, _list_attached),
    "ListRolePolicies": _of(Kind.ROLE, _list_inline),
    "ListUserPolicies": _of(Kind.USER, _list_inline),
    "PutRolePolicy": _of(Kind.ROLE, _put_inline),
    "PutUserPolicy": _of(Kind.USER, _put_inline),
}
