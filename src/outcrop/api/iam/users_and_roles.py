"""IAM: users and roles. Keys, groups, policies and their versions stand in files of their own."""

from outcrop.access import linked
from outcrop.access.identities import LINKED_PATH
from outcrop.access.names import Kind
from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.iam import (
    access_keys,
    account,
    groups,
    policies,
    policy_versions,
    simulation,
)
from outcrop.api.iam.access_keys import user_name
from outcrop.api.iam.answers import (
    page,
    role_shape,
    tag_list,
    tags_of,
    user_shape,
)
from outcrop.errors import ServiceRefusal
from outcrop.house import House


def create_role(house: House, call: Call) -> Answered:
    house.access.attachments.check_boundary(call.params.get("PermissionsBoundary"))
    role = house.access.identities.create_role(
        call.params["RoleName"],
        trust=call.params["AssumeRolePolicyDocument"],
        path=call.params.get("Path", "/"),
        description=call.params.get("Description"),
        max_session_s=call.params.get("MaxSessionDuration", 3600),
        tags=tags_of(call),
        boundary=call.params.get("PermissionsBoundary"),
    )
    return {"Role": role_shape(role, None)}


def get_role(house: House, call: Call) -> Answered:
    role = house.access.identities.get(Kind.ROLE, call.params["RoleName"])
    return {"Role": role_shape(role, house.access.uses.last(role.id))}


def list_roles(house: House, call: Call) -> Answered:
    roles = house.access.identities.records.identities.all(Kind.ROLE, path_prefix=call.params.get("PathPrefix", "/"))
    return page(
        call, "Roles", roles, key=lambda role: role.name, shape=lambda role: role_shape(role, None, listed=True)
    )


def delete_role(house: House, call: Call) -> Answered:
    house.access.identities.delete(Kind.ROLE, call.params["RoleName"])
    return {}


def update_role(house: House, call: Call) -> Answered:
    house.access.identities.update_role(
        call.params["RoleName"],
        description=call.params.get("Description"),
        max_session_s=call.params.get("MaxSessionDuration"),
    )
    return {}


def update_role_description(house: House, call: Call) -> Answered:
    role = house.access.identities.update_role(
        call.params["RoleName"], description=call.params["Description"], max_session_s=None
    )
    return {"Role": role_shape(role, house.access.uses.last(role.id))}


def update_assume_role_policy(house: House, call: Call) -> Answered:
    house.access.identities.set_trust(call.params["RoleName"], call.params["PolicyDocument"])
    return {}


def tag_role(house: House, call: Call) -> Answered:
    house.access.identities.tag(Kind.ROLE, call.params["RoleName"], tags_of(call))
    return {}


def create_user(house: House, call: Call) -> Answered:
    boundary = call.params.get("PermissionsBoundary")
    house.access.attachments.check_boundary(boundary)
    user = house.access.identities.create_user(
        call.params["UserName"], path=call.params.get("Path", "/"), tags=tags_of(call), boundary=boundary
    )
    return {"User": user_shape(user)}


def get_user(house: House, call: Call) -> Answered:
    return {"User": user_shape(house.access.identities.get(Kind.USER, user_name(house, call)))}


def list_users(house: House, call: Call) -> Answered:
    users = house.access.identities.records.identities.all(Kind.USER, path_prefix=call.params.get("PathPrefix", "/"))
    return page(call, "Users", users, key=lambda user: user.name, shape=lambda user: user_shape(user, listed=True))


def tag_user(house: House, call: Call) -> Answered:
    house.access.identities.tag(Kind.USER, call.params["UserName"], tags_of(call))
    return {}


def delete_user(house: House, call: Call) -> Answered:
    house.access.identities.delete(Kind.USER, call.params["UserName"])
    return {}


def _untag(kind: Kind) -> Handler:
    def handler(house: House, call: Call) -> Answered:
        house.access.identities.untag(kind, call.params[f"{kind.value.capitalize()}Name"], call.params["TagKeys"])
        return {}

    return handler


def _list_tags(kind: Kind) -> Handler:
    def handler(house: House, call: Call) -> Answered:
        identity = house.access.identities.get(kind, call.params[f"{kind.value.capitalize()}Name"])
        tags = tag_list(identity.tags) or []
        return page(call, "Tags", tags, key=lambda tag: tag["Key"], shape=lambda tag: tag)

    return handler


def _put_boundary(kind: Kind) -> Handler:
    def handler(house: House, call: Call) -> Answered:
        arn = call.params["PermissionsBoundary"]
        house.access.attachments.check_boundary(arn)
        house.access.identities.set_boundary(kind, call.params[f"{kind.value.capitalize()}Name"], arn)
        return {}

    return handler


def _delete_boundary(kind: Kind) -> Handler:
    def handler(house: House, call: Call) -> Answered:
        house.access.identities.set_boundary(kind, call.params[f"{kind.value.capitalize()}Name"], None)
        return {}

    return handler


def create_service_linked_role(house: House, call: Call) -> Answered:
    role = linked.create_linked(
        house.access.identities,
        call.params["AWSServiceName"],
        description=call.params.get("Description"),
        suffix=call.params.get("CustomSuffix"),
    )
    return {"Role": role_shape(role, None)}


def delete_service_linked_role(house: House, call: Call) -> Answered:
    return {"DeletionTaskId": linked.delete_linked(house.access.identities, call.params["RoleName"])}


def get_service_linked_role_deletion_status(house: House, call: Call) -> Answered:
    task = call.params["DeletionTaskId"]
    records = house.access.identities.records
    parts = task.split("/")
    if (
        len(parts) != 5
        or not task.startswith(f"task{LINKED_PATH}")
        or records.identities.with_id(parts[-1]) is not None
    ):
        sentence = f"The deletion task {task} cannot be found."
        raise ServiceRefusal("NoSuchEntity", sentence, http_status=404)
    return {"Status": "SUCCEEDED"}


OPERATIONS: dict[str, Handler] = {
    **account.OPERATIONS,
    **groups.OPERATIONS,
    **access_keys.OPERATIONS,
    **policies.OPERATIONS,
    **simulation.OPERATIONS,
    **policy_versions.OPERATIONS,
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
    "UpdateUser": groups.renaming(Kind.USER),
}
