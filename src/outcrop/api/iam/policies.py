"""IAM: managed policies, and the inline and attached policies of users, roles and groups.

IAM has every operation on an identity's policies three times; here each is written once, for a kind of identity.
"""

from collections.abc import Callable
from typing import Any

from outcrop.access.names import Kind
from outcrop.access.policies.managed import AWS_MANAGED
from outcrop.access.records.policies import ManagedPolicy
from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.iam.answers import (
    encoded,
    page,
    policy_shape,
    tags_of,
)
from outcrop.house import House


def create_policy(house: House, call: Call) -> Answered:
    policy = house.access.attachments.create(
        call.params["PolicyName"],
        document=call.params["PolicyDocument"],
        path=call.params.get("Path", "/"),
        description=call.params.get("Description", ""),
        tags=tags_of(call),
    )
    return {"Policy": _shape(house, policy, num_attachments=0)}


def get_policy(house: House, call: Call) -> Answered:
    policy = house.access.attachments.get(call.params["PolicyArn"])
    num = house.access.attachments.records.policies.num_attachments().get(policy.arn, 0)
    return {"Policy": {**_shape(house, policy, num_attachments=num), "Description": policy.description or None}}


def list_policies(house: House, call: Call) -> Answered:
    scope, prefix = call.params.get("Scope", "All"), call.params.get("PathPrefix", "/")
    nums = house.access.attachments.records.policies.num_attachments()
    policies = [
        *(house.access.attachments.records.policies.all() if scope != "AWS" else ()),
        *(AWS_MANAGED.values() if scope != "Local" else ()),
    ]
    shown = [each for each in policies if each.path.startswith(prefix)]
    bounded = house.access.attachments.bounded()
    usage = call.params.get("PolicyUsageFilter")
    if call.params.get("OnlyAttached"):
        shown = [each for each in shown if nums.get(each.arn) or each.arn in bounded]
    if usage is not None:
        used = nums if usage == "PermissionsPolicy" else bounded
        shown = [each for each in shown if each.arn in used]
    return page(
        call,
        "Policies",
        shown,
        key=lambda policy: policy.arn,
        shape=lambda policy: policy_shape(
            policy,
            house.access.attachments.versions_of(policy),
            num_attachments=nums.get(policy.arn, 0),
            num_bounded=len(bounded.get(policy.arn, ())),
            listed=True,
        ),
    )


def _shape(house: House, policy: ManagedPolicy, *, num_attachments: int) -> dict[str, Any]:
    attachments = house.access.attachments
    bounded = attachments.bounded().get(policy.arn, [])
    return policy_shape(
        policy, attachments.versions_of(policy), num_attachments=num_attachments, num_bounded=len(bounded)
    )


def delete_policy(house: House, call: Call) -> Answered:
    house.access.attachments.delete(call.params["PolicyArn"])
    return {}


def _put_inline(house: House, call: Call, kind: Kind, owner: str) -> Answered:
    house.access.attachments.put_inline(kind, owner, call.params["PolicyName"], call.params["PolicyDocument"])
    return {}


def _get_inline(house: House, call: Call, kind: Kind, owner: str) -> Answered:
    name = call.params["PolicyName"]
    document = house.access.attachments.get_inline(kind, owner, name)
    return {f"{kind.value.capitalize()}Name": owner, "PolicyName": name, "PolicyDocument": encoded(document)}


def _delete_inline(house: House, call: Call, kind: Kind, owner: str) -> Answered:
    house.access.attachments.delete_inline(kind, owner, call.params["PolicyName"])
    return {}


def _list_inline(house: House, call: Call, kind: Kind, owner: str) -> Answered:
    names = list(house.access.attachments.inline(kind, owner))
    return page(call, "PolicyNames", names, key=lambda name: name, shape=lambda name: name)


def _attach(house: House, call: Call, kind: Kind, owner: str) -> Answered:
    house.access.attachments.attach(kind, owner, call.params["PolicyArn"])
    return {}


def _detach(house: House, call: Call, kind: Kind, owner: str) -> Answered:
    house.access.attachments.detach(kind, owner, call.params["PolicyArn"])
    return {}


def _list_attached(house: House, call: Call, kind: Kind, owner: str) -> Answered:
    return page(
        call,
        "AttachedPolicies",
        house.access.attachments.attached(kind, owner, path_prefix=call.params.get("PathPrefix", "/")),
        key=lambda policy: policy.arn,
        shape=lambda policy: {"PolicyName": policy.name, "PolicyArn": policy.arn},
    )


def _of(kind: Kind, function: Callable[[House, Call, Kind, str], Answered]) -> Handler:
    """The handler of an operation on users, on roles or on groups, from one of the functions above."""
    owner = f"{kind.value.capitalize()}Name"

    def handler(house: House, call: Call) -> Answered:
        return function(house, call, kind, call.params[owner])

    return handler


OPERATIONS: dict[str, Handler] = {
    "CreatePolicy": create_policy,
    "DeletePolicy": delete_policy,
    "GetPolicy": get_policy,
    "ListPolicies": list_policies,
}
for _kind in Kind:
    _word = _kind.value.capitalize()
    OPERATIONS |= {
        f"Attach{_word}Policy": _of(_kind, _attach),
        f"Delete{_word}Policy": _of(_kind, _delete_inline),
        f"Detach{_word}Policy": _of(_kind, _detach),
        f"Get{_word}Policy": _of(_kind, _get_inline),
        f"ListAttached{_word}Policies": _of(_kind, _list_attached),
        f"List{_word}Policies": _of(_kind, _list_inline),
        f"Put{_word}Policy": _of(_kind, _put_inline),
    }
