"""IAM's list operations."""

from collections.abc import Callable
from typing import Any

from tests.support.listings.iam_rows import (
    DOCUMENT,
    GROUP,
    ROLE,
    USER,
    add_attached_to,
    add_group_of_user,
    add_member,
    add_policy,
    add_version,
    arn_of,
    client,
    make_owners,
    own_policy,
    path,
    remove_attached_to,
    remove_group_of_user,
    remove_member,
    remove_policy,
)
from tests.support.listings.listing import Listing, Row
from tests.support.policies import trusting
from tests.support.servers import Running

ACTIONS = [f"s3:Row{number}" for number in range(5)]


def iam(operation: str, rows: str | Callable[[dict[str, Any]], list[Row]], name: str | None, **fields: Any) -> Listing:
    """`rows`: the member of the answer, or what takes the rows out of it; `name`: the member of a row, None for rows
    that are names."""
    return Listing(
        service="iam",
        prepare=make_owners,
        operation=operation,
        rows=rows if callable(rows) else lambda answer: answer[rows],
        name_of=lambda row: row if name is None else row[name],
        size="MaxItems",
        tokens={"Marker": "Marker"},
        refusal="ValidationError",
        **fields,
    )


def entities(operation: str, kind: str, **fields: Any) -> Listing:
    """Users, roles or groups."""
    extra = {"AssumeRolePolicyDocument": trusting({"Service": "bedrock.amazonaws.com"})} if kind == "Role" else {}

    def add(house: Running, number: int) -> str:
        name = f"row-{number}"
        getattr(client(house), f"create_{kind.lower()}")(**{f"{kind}Name": name, "Path": path(number)}, **extra)
        return name

    def remove(house: Running, name: str) -> None:
        getattr(client(house), f"delete_{kind.lower()}")(**{f"{kind}Name": name})

    filters = {"PathPrefix": ("/even/", lambda row: row["Path"] == "/even/")}
    return iam(operation, f"{kind}s", f"{kind}Name", add=add, remove=remove, filters=filters, **fields)


def attached(kind: str, owner: str) -> Listing:
    word = kind.lower()

    def add(house: Running, number: int) -> str:
        name = f"row-{number}"
        made = client(house).create_policy(PolicyName=name, Path=path(number), PolicyDocument=DOCUMENT)["Policy"]
        getattr(client(house), f"attach_{word}_policy")(**{f"{kind}Name": owner, "PolicyArn": made["Arn"]})
        return name

    def remove(house: Running, name: str) -> None:
        made = arn_of(house, name)
        getattr(client(house), f"detach_{word}_policy")(**{f"{kind}Name": owner, "PolicyArn": made})
        client(house).delete_policy(PolicyArn=made)

    return iam(
        f"ListAttached{kind}Policies",
        "AttachedPolicies",
        "PolicyName",
        add=add,
        remove=remove,
        asked=lambda _: {f"{kind}Name": owner},
        filters={"PathPrefix": ("/even/", lambda row: ":policy/even/" in row["PolicyArn"])},
    )


def inline(kind: str, owner: str) -> Listing:
    word = kind.lower()

    def add(house: Running, number: int) -> str:
        given = {f"{kind}Name": owner, "PolicyName": f"row-{number}", "PolicyDocument": DOCUMENT}
        getattr(client(house), f"put_{word}_policy")(**given)
        return f"row-{number}"

    def remove(house: Running, name: str) -> None:
        getattr(client(house), f"delete_{word}_policy")(**{f"{kind}Name": owner, "PolicyName": name})

    asked = {f"{kind}Name": owner}
    return iam(f"List{kind}Policies", "PolicyNames", None, add=add, remove=remove, asked=lambda _: asked)


def tags(kind: str, asked: Callable[[Running], dict[str, Any]]) -> Listing:
    """A listing of tags with keys of the greatest length, in characters of four bytes."""
    word = kind.lower()

    def add(house: Running, number: int) -> str:
        key = f"row-{number}" + "\U00020000" * 123
        getattr(client(house), f"tag_{word}")(**asked(house), Tags=[{"Key": key, "Value": "v"}])
        return key

    def remove(house: Running, key: str) -> None:
        getattr(client(house), f"untag_{word}")(**asked(house), TagKeys=[key])

    return iam(f"List{kind}Tags", "Tags", "Key", add=add, remove=remove, asked=asked)


def using(answer: dict[str, Any]) -> list[dict[str, str]]:
    pairs = [(kind, each) for kind in ("User", "Group", "Role") for each in answer[f"Policy{kind}s"]]
    return [{"kind": kind, "name": each[f"{kind}Name"]} for kind, each in pairs]


def details(answer: dict[str, Any]) -> list[dict[str, str]]:
    kinds = ("User", "Group", "Role")
    named = [{"kind": kind, "name": each[f"{kind}Name"]} for kind in kinds for each in answer[f"{kind}DetailList"]]
    policies = [{"kind": each["Arn"].split(":")[4], "name": each["PolicyName"]} for each in answer["Policies"]]
    return named + policies


def credentials(*, asked: dict[str, Any], most: int, refused: dict[str, Any]) -> Listing:
    """Service specific credentials, of which a user has two at most."""

    def add(house: Running, number: int) -> str:
        user = USER if number < 2 or most == 2 else "listed-other"
        given = {"UserName": user, "ServiceName": "bedrock.amazonaws.com"}
        made = client(house).create_service_specific_credential(**given)["ServiceSpecificCredential"]
        return str(made["ServiceSpecificCredentialId"])

    def remove(house: Running, name: str) -> None:
        found = client(house).list_service_specific_credentials(AllUsers=True)["ServiceSpecificCredentials"]
        owner = next(each["UserName"] for each in found if each["ServiceSpecificCredentialId"] == name)
        client(house).delete_service_specific_credential(UserName=owner, ServiceSpecificCredentialId=name)

    return iam(
        "ListServiceSpecificCredentials",
        "ServiceSpecificCredentials",
        "ServiceSpecificCredentialId",
        add=add,
        remove=remove,
        most=most,
        asked=lambda _: asked,
        not_filters=frozenset({"ServiceName"}),  # one service has such credentials here, and any other is refused
        refused=refused,
    )


def simulation(operation: str, **fields: Any) -> Listing:
    """Its rows follow from the actions that are asked about."""
    return iam(operation, "EvaluationResults", "EvalActionName", **fields)


NOT_BUILT = {
    "ResourcePolicy": DOCUMENT,
    "ResourceOwner": "arn:aws:iam::123456789012:root",
    "CallerArn": "arn:aws:iam::123456789012:user/a",
    "ResourceHandlingOption": "EC2-VPC-InstanceStore",
}
# They choose what is decided, not which decisions are shown.
ABOUT = frozenset({"PolicyInputList", "PermissionsBoundaryPolicyInputList", "ResourceArns", "ContextEntries"})

LISTINGS = [
    entities("ListUsers", "User"),
    entities("ListRoles", "Role"),
    entities("ListGroups", "Group"),
    *(attached(kind, owner) for kind, owner in (("User", USER), ("Role", ROLE), ("Group", GROUP))),
    *(inline(kind, owner) for kind, owner in (("User", USER), ("Role", ROLE), ("Group", GROUP))),
    tags("User", lambda _: {"UserName": USER}),
    tags("Role", lambda _: {"RoleName": ROLE}),
    tags("Policy", own_policy),
    iam(
        "ListPolicies",
        "Policies",
        "PolicyName",
        add=add_policy,
        remove=remove_policy,
        filters={
            "Scope": ("Local", lambda row: not row["Arn"].startswith("arn:aws:iam::aws:")),
            "OnlyAttached": (True, lambda row: row["AttachmentCount"] + row["PermissionsBoundaryUsageCount"] > 0),
            "PathPrefix": ("/even/", lambda row: row["Path"] == "/even/"),
            "PolicyUsageFilter": ("PermissionsPolicy", lambda row: row["AttachmentCount"] > 0),
        },
    ),
    iam(
        "ListPolicyVersions",
        "Versions",
        "VersionId",
        add=add_version,
        remove=lambda house, version: client(house).delete_policy_version(**own_policy(house), VersionId=version),
        most=3,
        asked=own_policy,
    ),
    iam(
        "ListEntitiesForPolicy",
        using,
        "name",
        is_ordered=False,
        add=add_attached_to,
        remove=remove_attached_to,
        asked=own_policy,
        filters={
            "EntityFilter": ("Group", lambda row: row["kind"] == "Group"),
            "PathPrefix": ("/even/", lambda row: row["name"][-1] in "024"),
            "PolicyUsageFilter": ("PermissionsBoundary", lambda row: row["name"] == "using-4"),
        },
    ),
    iam("GetGroup", "Users", "UserName", add=add_member, remove=remove_member, asked=lambda _: {"GroupName": GROUP}),
    iam(
        "ListGroupsForUser",
        "Groups",
        "GroupName",
        add=add_group_of_user,
        remove=remove_group_of_user,
        asked=lambda _: {"UserName": USER},
    ),
    iam(
        "ListAccessKeys",
        "AccessKeyMetadata",
        "AccessKeyId",
        add=lambda house, _: str(client(house).create_access_key(UserName=USER)["AccessKey"]["AccessKeyId"]),
        remove=lambda house, key: client(house).delete_access_key(UserName=USER, AccessKeyId=key),
        most=2,
        asked=lambda _: {"UserName": USER},
    ),
    iam(
        "ListAccountAliases",
        "AccountAliases",
        None,
        add=lambda house, number: client(house).create_account_alias(AccountAlias=f"row-{number}") and f"row-{number}",
        remove=lambda house, alias: client(house).delete_account_alias(AccountAlias=alias),
        most=1,
    ),
    iam(
        "GetAccountAuthorizationDetails",
        details,
        "name",
        is_ordered=False,
        add=add_member,
        remove=remove_member,
        filters={"Filter": (["User", "LocalManagedPolicy"], lambda row: row["kind"] not in ("Role", "Group", "aws"))},
    ),
    credentials(asked={"UserName": USER}, most=2, refused={"AllUsers": True}),
    credentials(asked={"AllUsers": True}, most=3, refused={"UserName": USER}),
    simulation(
        "SimulateCustomPolicy",
        asked=lambda _: {"PolicyInputList": [DOCUMENT], "ActionNames": ACTIONS},
        refused=NOT_BUILT,
        not_filters=ABOUT,
    ),
    simulation(
        "SimulatePrincipalPolicy",
        asked=lambda house: {
            "PolicySourceArn": f"arn:aws:iam::{house.platform.account}:user/{USER}",
            "ActionNames": ACTIONS,
        },
        refused=NOT_BUILT,
        not_filters=ABOUT,
    ),
]
