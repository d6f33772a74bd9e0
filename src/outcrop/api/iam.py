"""IAM: users and roles. Keys, groups, policies and their versions stand in files of their own."""

from outcrop.access import linked
from outcrop.access.identities import LINKED_PATH
from outcrop.access.names import Kind
from outcrop.api import iam_account, iam_groups, iam_keys, iam_policies, iam_simulation, iam_versions
from outcrop.api.call import Answered, Call, Handler
from outcrop.api.iam_answers import page, role_shape, tag_list, tags_of, user_shape
from outcrop.api.iam_keys import user_name
from outcrop.api.platform import Platform
from outcrop.errors import ServiceRefusal


def create_role(platform: Platform, call: Call) -> Answered:
    platform.access.attachments.check_boundary(call.params.get("PermissionsBoundary"))
    role = platform.access.identities.create_role(
        call.params["RoleName"],
        trust=call.params["AssumeRolePolicyDocument"],
        path=call.params.get("Path", "/"),
        description=call.params.get("Description"),
        max_session_s=call.params.get("MaxSessionDuration", 3600),
        tags=tags_of(call),
        boundary=call.params.get("PermissionsBoundary"),
    )
    return {"Role": role_shape(role, None)}


def get_role(platform: Platform, call: Call) -> Answered:
    role = platform.access.identities.get(Kind.ROLE, call.params["RoleName"])
    return {"Role": role_shape(role, platform.access.uses.last(role.id))}


def list_roles(platform: Platform, call: Call) -> Answered:
    roles = platform.access.identities.records.identities(Kind.ROLE, path_prefix=call.params.get("PathPrefix", "/"))
    return page(
        call, "Roles", roles, key=lambda role: role.name, shape=lambda role: role_shape(role, None, listed=True)
    )


def delete_role(platform: Platform, call: Call) -> Answered:
    platform.access.identities.delete(Kind.ROLE, call.params["RoleName"])
    return {}


def update_role(platform: Platform, call: Call) -> Answered:
    platform.access.identities.update_role(
        call.params["RoleName"],
        description=call.params.get("Description"),
        max_session_s=call.params.get("MaxSessionDuration"),
    )
    return {}


def update_role_description(platform: Platform, call: Call) -> Answered:
    role = platform.access.identities.update_role(
        call.params["RoleName"], description=call.params["Description"], max_session_s=None
    )
    return {"Role": role_shape(role, platform.access.uses.last(role.id))}


def update_assume_role_policy(platform: Platform, call: Call) -> Answered:
    platform.access.identities.set_trust(call.params["RoleName"], call.params["PolicyDocument"])
    return {}


def tag_role(platform: Platform, call: Call) -> Answered:
    platform.access.identities.tag(Kind.ROLE, call.params["RoleName"], tags_of(call))
    return {}


def create_user(platform: Platform, call: Call) -> Answered:
    boundary = call.params.get("PermissionsBoundary")
    platform.access.attachments.check_boundary(boundary)
    user = platform.access.identities.create_user(
        call.params["UserName"], path=call.params.get("Path", "/"), tags=tags_of(call), boundary=boundary
    )
    return {"User": user_shape(user)}


def get_user(platform: Platform, call: Call) -> Answered:
    return {"User": user_shape(platform.access.identities.get(Kind.USER, user_name(platform, call)))}


def list_users(platform: Platform, call: Call) -> Answered:
    users = platform.access.identities.records.identities(Kind.USER, path_prefix=call.params.get("PathPrefix", "/"))
    return page(call, "Users", users, key=lambda user: user.name, shape=lambda user: user_shape(user, listed=True))


def tag_user(platform: Platform, call: Call) -> Answered:
    platform.access.identities.tag(Kind.USER, call.params["UserName"], tags_of(call))
    return {}


def delete_user(platform: Platform, call: Call) -> Answered:
    platform.access.identities.delete(Kind.USER, call.params["UserName"])
    return {}


def _untag(kind: Kind) -> Handler:
    def handler(platform: Platform, call: Call) -> Answered:
        platform.access.identities.untag(kind, call.params[f"{kind.value.capitalize()}Name"], call.params["TagKeys"])
        return {}

    return handler


def _list_tags(kind: Kind) -> Handler:
    def handler(platform: Platform, call: Call) -> Answered:
        identity = platform.access.identities.get(kind, call.params[f"{kind.value.capitalize()}Name"])
        tags = tag_list(identity.tags) or []
        return page(call, "Tags", tags, key=lambda tag: tag["Key"], shape=lambda tag: tag)

    return handler


def _put_boundary(kind: Kind) -> Handler:
    def handler(platform: Platform, call: Call) -> Answered:
        arn = call.params["PermissionsBoundary"]
        platform.access.attachments.check_boundary(arn)
        platform.access.identities.set_boundary(kind, call.params[f"{kind.value.capitalize()}Name"], arn)
        return {}

    return handler


def _delete_boundary(kind: Kind) -> Handler:
    def handler(platform: Platform, call: Call) -> Answered:
        platform.access.identities.set_boundary(kind, call.params[f"{kind.value.capitalize()}Name"], None)
        return {}

    return handler


def create_service_linked_role(platform: Platform, call: Call) -> Answered:
    role = linked.create_linked(
        platform.access.identities,
        call.params["AWSServiceName"],
        description=call.params.get("Description"),
        suffix=call.params.get("CustomSuffix"),
    )
    return {"Role": role_shape(role, None)}


def delete_service_linked_role(platform: Platform, call: Call) -> Answered:
    return {"DeletionTaskId": linked.delete_linked(platform.access.identities, call.params["RoleName"])}


def get_service_linked_role_deletion_status(platform: Platform, call: Call) -> Answered:
    task = call.params["DeletionTaskId"]
    records = platform.access.identities.records
    parts = task.split("/")
    if len(parts) != 5 or not task.startswith(f"task{LINKED_PATH}") or records.identity_with_id(parts[-1]) is not None:
        sentence = f"The deletion task {task} cannot be found."
        raise ServiceRefusal("NoSuchEntity", sentence, http_status=404)
    return {"Status": "SUCCEEDED"}


OPERATIONS: dict[str, Handler] = {
    **iam_account.OPERATIONS,
    **iam_groups.OPERATIONS,
    **iam_keys.OPERATIONS,
    **iam_policies.OPERATIONS,
    **iam_simulation.OPERATIONS,
    **iam_versions.OPERATIONS,
    "CreateRole": create_role,
    "CreateServiceLinkedRole": create_service_linked_role,
    "CreateUser": create_user,
    "DeleteRole": delete_role,
    "DeleteRolePermissionsBoundary": _delete_boundary(Kind.ROLE),
    "DeleteServiceLinkedRole": delete_service_linked_role,
    "DeleteUser": delete_user,
    "DeleteUserPermissionsBoundary": _delete_boundary(Kind.USER),
    "GetRole": get_role,
    "GetServiceLinkedRoleDeletionStatus": get_service_linked_role_deletion_status,
    "GetUser": get_user,
    "ListRoleTags": _list_tags(Kind.ROLE),
    "ListRoles": list_roles,
    "ListUserTags": _list_tags(Kind.USER),
    "ListUsers": list_users,
    "PutRolePermissionsBoundary": _put_boundary(Kind.ROLE),
    "PutUserPermissionsBoundary": _put_boundary(Kind.USER),
    "TagRole": tag_role,
    "TagUser": tag_user,
    "UntagRole": _untag(Kind.ROLE),
    "UntagUser": _untag(Kind.USER),
    "UpdateAssumeRolePolicy": update_assume_role_policy,
    "UpdateRole": update_role,
    "UpdateRoleDescription": update_role_description,
    "UpdateUser": iam_groups.renaming(Kind.USER),
}
