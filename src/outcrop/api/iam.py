"""IAM: users, roles and access keys. The policies of both stand in `iam_policies.py`."""

from typing import Any

from outcrop.access.names import Kind
from outcrop.access.records import Identity
from outcrop.api import iam_policies
from outcrop.api.call import Answered, Call, Handler
from outcrop.api.iam_answers import encoded, page, refuse_boundary, tag_list, tags_of
from outcrop.api.platform import Platform
from outcrop.errors import ServiceRefusal


def create_role(platform: Platform, call: Call) -> Answered:
    refuse_boundary(call)
    role = platform.access.identities.create_role(
        call.params["RoleName"],
        trust=call.params["AssumeRolePolicyDocument"],
        path=call.params.get("Path", "/"),
        description=call.params.get("Description"),
        max_session_s=call.params.get("MaxSessionDuration", 3600),
        tags=tags_of(call),
    )
    return {"Role": _role(role)}


def get_role(platform: Platform, call: Call) -> Answered:
    role = platform.access.identities.get(Kind.ROLE, call.params["RoleName"])
    return {"Role": {**_role(role), "RoleLastUsed": {}}}


def list_roles(platform: Platform, call: Call) -> Answered:
    roles = platform.access.identities.records.identities(Kind.ROLE, path_prefix=call.params.get("PathPrefix", "/"))
    return page(call, "Roles", roles, key=lambda role: role.name, shape=lambda role: _role(role, listed=True))


def delete_role(platform: Platform, call: Call) -> Answered:
    platform.access.identities.delete(Kind.ROLE, call.params["RoleName"])
    return {}


def update_assume_role_policy(platform: Platform, call: Call) -> Answered:
    platform.access.identities.set_trust(call.params["RoleName"], call.params["PolicyDocument"])
    return {}


def tag_role(platform: Platform, call: Call) -> Answered:
    platform.access.identities.tag(Kind.ROLE, call.params["RoleName"], tags_of(call))
    return {}


def create_user(platform: Platform, call: Call) -> Answered:
    refuse_boundary(call)
    user = platform.access.identities.create_user(
        call.params["UserName"], path=call.params.get("Path", "/"), tags=tags_of(call)
    )
    return {"User": _user(user)}


def get_user(platform: Platform, call: Call) -> Answered:
    return {"User": _user(platform.access.identities.get(Kind.USER, _user_name(platform, call)))}


def list_users(platform: Platform, call: Call) -> Answered:
    users = platform.access.identities.records.identities(Kind.USER, path_prefix=call.params.get("PathPrefix", "/"))
    return page(call, "Users", users, key=lambda user: user.name, shape=lambda user: _user(user, listed=True))


def delete_user(platform: Platform, call: Call) -> Answered:
    platform.access.identities.delete(Kind.USER, call.params["UserName"])
    return {}


def create_access_key(platform: Platform, call: Call) -> Answered:
    name = _user_name(platform, call)
    issued = platform.access.credentials.create_key(name)
    key = {
        "UserName": name,
        "AccessKeyId": issued.key_id,
        "Status": "Active",
        "SecretAccessKey": issued.secret,
        "CreateDate": issued.created,
    }
    return {"AccessKey": key}


def list_access_keys(platform: Platform, call: Call) -> Answered:
    name = _user_name(platform, call)
    keys = platform.access.credentials.keys(name)
    return page(
        call,
        "AccessKeyMetadata",
        keys,
        key=lambda key: key.id,
        shape=lambda key: {"UserName": name, "AccessKeyId": key.id, "Status": "Active", "CreateDate": key.created},
    )


def delete_access_key(platform: Platform, call: Call) -> Answered:
    platform.access.credentials.delete_key(_user_name(platform, call), call.params["AccessKeyId"])
    return {}


def _user_name(platform: Platform, call: Call) -> str:
    """The user a request speaks about: the one it names, else the one who asks."""
    name = call.params.get("UserName")
    if name is not None:
        return str(name)
    caller = platform.access.decisions.identity_of(call.caller)
    if caller is None or caller.kind != Kind.USER.value:
        sentence = "Must specify userName when calling with non-User credentials"
        raise ServiceRefusal("ValidationError", sentence, http_status=400)
    return caller.name


def _role(role: Identity, *, listed: bool = False) -> dict[str, Any]:
    return {
        "Path": role.path,
        "RoleName": role.name,
        "RoleId": role.id,
        "Arn": role.arn,
        "CreateDate": role.created,
        "AssumeRolePolicyDocument": encoded(role.trust or ""),
        "Description": role.document["description"],
        "MaxSessionDuration": role.document["max_session_s"],
        # IAM leaves the tags out of listings.
        "Tags": None if listed else tag_list(role.tags),
    }


def _user(user: Identity, *, listed: bool = False) -> dict[str, Any]:
    return {
        "Path": user.path,
        "UserName": user.name,
        "UserId": user.id,
        "Arn": user.arn,
        "CreateDate": user.created,
        "Tags": None if listed else tag_list(user.tags),
    }


OPERATIONS: dict[str, Handler] = {
    **iam_policies.OPERATIONS,
    "CreateAccessKey": create_access_key,
    "CreateRole": create_role,
    "CreateUser": create_user,
    "DeleteAccessKey": delete_access_key,
    "DeleteRole": delete_role,
    "DeleteUser": delete_user,
    "GetRole": get_role,
    "GetUser": get_user,
    "ListAccessKeys": list_access_keys,
    "ListRoles": list_roles,
    "ListUsers": list_users,
    "TagRole": tag_role,
    "UpdateAssumeRolePolicy": update_assume_role_policy,
}
