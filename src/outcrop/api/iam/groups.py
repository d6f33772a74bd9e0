"""IAM: groups, and which users are in them. Their policies stand in `iam_policies.py`."""

from typing import Any

from outcrop.access.names import Kind
from outcrop.access.records.identities import Identity
from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.iam.answers import page, user_shape
from outcrop.house import House


def create_group(house: House, call: Call) -> Answered:
    group = house.access.identities.create_group(call.params["GroupName"], path=call.params.get("Path", "/"))
    return {"Group": group_shape(group)}


def get_group(house: House, call: Call) -> Answered:
    identities = house.access.identities
    group = identities.get(Kind.GROUP, call.params["GroupName"])
    members = identities.groups.members(group.id)
    users = page(call, "Users", members, key=lambda user: user.name, shape=lambda user: user_shape(user, listed=True))
    return {"Group": group_shape(group), **users}


def list_groups(house: House, call: Call) -> Answered:
    groups = house.access.identities.records.identities.all(Kind.GROUP, path_prefix=call.params.get("PathPrefix", "/"))
    return page(call, "Groups", groups, key=lambda group: group.name, shape=group_shape)


def list_groups_for_user(house: House, call: Call) -> Answered:
    identities = house.access.identities
    groups = identities.groups.groups_of(identities.get(Kind.USER, call.params["UserName"]).id)
    return page(call, "Groups", groups, key=lambda group: group.name, shape=group_shape)


def renaming(kind: Kind) -> Handler:
    """UpdateGroup and UpdateUser: another name, another path, or both."""
    noun = kind.value.capitalize()

    def handler(house: House, call: Call) -> Answered:
        new_name, new_path = call.params.get(f"New{noun}Name"), call.params.get("NewPath")
        house.access.identities.rename(kind, call.params[f"{noun}Name"], new_name=new_name, new_path=new_path)
        return {}

    return handler


def delete_group(house: House, call: Call) -> Answered:
    house.access.identities.delete(Kind.GROUP, call.params["GroupName"])
    return {}


def add_user_to_group(house: House, call: Call) -> Answered:
    house.access.identities.join(call.params["GroupName"], call.params["UserName"])
    return {}


def remove_user_from_group(house: House, call: Call) -> Answered:
    house.access.identities.leave(call.params["GroupName"], call.params["UserName"])
    return {}


def group_shape(group: Identity) -> dict[str, Any]:
    return {
        "Path": group.path,
        "GroupName": group.name,
        "GroupId": group.id,
        "Arn": group.arn,
        "CreateDate": group.created,
    }


OPERATIONS: dict[str, Handler] = {
    "AddUserToGroup": add_user_to_group,
    "CreateGroup": create_group,
    "DeleteGroup": delete_group,
    "GetGroup": get_group,
    "ListGroups": list_groups,
    "ListGroupsForUser": list_groups_for_user,
    "RemoveUserFromGroup": remove_user_from_group,
    "UpdateGroup": renaming(Kind.GROUP),
}
