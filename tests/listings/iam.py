"""IAM's list operations. Rows are made through IAM itself, with paths that differ by their number."""

from collections.abc import Callable
from typing import Any

from tests.listings.listing import Listing, Row
from tests.policies import policy, trusting
from tests.server_thread import Running

DOCUMENT = policy("Allow", "s3:GetObject")
USER, ROLE, GROUP, POLICY = "listed-user", "listed-role", "listed-group", "listed-policy"
# The page of a long path ends at an ARN that no marker could hold.
LONG = "/listed/" + "/".join(["p" * 60] * 8) + "/"
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


def path(number: int) -> str:
    return "/even/" if number % 2 == 0 else LONG


def client(house: Running) -> Any:
    return house.client("iam")


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


def arn_of(house: Running, name: str) -> str:
    """The ARN of the policy that was made with this name."""
    found = client(house).list_policies(Scope="Local", MaxItems=1000)["Policies"]
    return next(str(each["Arn"]) for each in found if each["PolicyName"] == name)


def add_policy(house: Running, number: int) -> str:
    name = f"row-{number}"
    made = client(house).create_policy(PolicyName=name, Path=path(number), PolicyDocument=DOCUMENT)["Policy"]
    if number == 2:
        client(house).attach_user_policy(UserName=USER, PolicyArn=made["Arn"])
    return name


def remove_policy(house: Running, name: str) -> None:
    made = arn_of(house, name)
    for user in client(house).list_entities_for_policy(PolicyArn=made)["PolicyUsers"]:
        client(house).detach_user_policy(UserName=user["UserName"], PolicyArn=made)
    client(house).delete_policy(PolicyArn=made)


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
    """With keys of the greatest length, in characters of four bytes."""
    word = kind.lower()

    def add(house: Running, number: int) -> str:
        key = f"row-{number}" + "\U00020000" * 123
        getattr(client(house), f"tag_{word}")(**asked(house), Tags=[{"Key": key, "Value": "v"}])
        return key

    def remove(house: Running, key: str) -> None:
        getattr(client(house), f"untag_{word}")(**asked(house), TagKeys=[key])

    return iam(f"List{kind}Tags", "Tags", "Key", add=add, remove=remove, asked=asked)


def own_policy(house: Running) -> dict[str, Any]:
    return {"PolicyArn": f"arn:aws:iam::{house.platform.account}:policy/{POLICY}"}


def add_version(house: Running, _: int) -> str:
    made = client(house).create_policy_version(**own_policy(house), PolicyDocument=DOCUMENT)["PolicyVersion"]
    return str(made["VersionId"])


def add_member(house: Running, number: int) -> str:
    client(house).create_user(UserName=f"member-{number}")
    client(house).add_user_to_group(GroupName=GROUP, UserName=f"member-{number}")
    return f"member-{number}"


def remove_member(house: Running, name: str) -> None:
    client(house).remove_user_from_group(GroupName=GROUP, UserName=name)
    client(house).delete_user(UserName=name)


def add_group_of_user(house: Running, number: int) -> str:
    client(house).create_group(GroupName=f"around-{number}")
    client(house).add_user_to_group(GroupName=f"around-{number}", UserName=USER)
    return f"around-{number}"


def remove_group_of_user(house: Running, name: str) -> None:
    client(house).remove_user_from_group(GroupName=name, UserName=USER)
    client(house).delete_group(GroupName=name)


def add_attached_to(house: Running, number: int) -> str:
    """By turns a user and a group; the last only bounded by the policy."""
    name, arn = f"using-{number}", own_policy(house)["PolicyArn"]
    if number % 2:
        client(house).create_group(GroupName=name, Path=path(number))
        client(house).attach_group_policy(GroupName=name, PolicyArn=arn)
    elif number == 4:
        client(house).create_user(UserName=name, Path=path(number), PermissionsBoundary=arn)
    else:
        client(house).create_user(UserName=name, Path=path(number))
        client(house).attach_user_policy(UserName=name, PolicyArn=arn)
    return name


def remove_attached_to(house: Running, name: str) -> None:
    arn, number = own_policy(house)["PolicyArn"], int(name[-1])
    if number % 2:
        client(house).detach_group_policy(GroupName=name, PolicyArn=arn)
        client(house).delete_group(GroupName=name)
        return
    if number != 4:
        client(house).detach_user_policy(UserName=name, PolicyArn=arn)
    client(house).delete_user(UserName=name)


def using(answer: dict[str, Any]) -> list[dict[str, str]]:
    pairs = [(kind, each) for kind in ("User", "Group", "Role") for each in answer[f"Policy{kind}s"]]
    return [{"kind": kind, "name": each[f"{kind}Name"]} for kind, each in pairs]


def details(answer: dict[str, Any]) -> list[dict[str, str]]:
    kinds = ("User", "Group", "Role")
    named = [{"kind": kind, "name": each[f"{kind}Name"]} for kind in kinds for each in answer[f"{kind}DetailList"]]
    policies = [{"kind": each["Arn"].split(":")[4], "name": each["PolicyName"]} for each in answer["Policies"]]
    return named + policies


def make_owners(house: Running) -> None:
    """The user, role, group and policy that rows hang on; kept once made."""
    made = [each["UserName"] for each in client(house).list_users()["Users"]]
    if USER in made:
        return
    trust = trusting({"Service": "bedrock.amazonaws.com"})
    client(house).create_user(UserName=USER)
    client(house).create_user(UserName="listed-other")
    client(house).create_role(RoleName=ROLE, AssumeRolePolicyDocument=trust)
    client(house).create_group(GroupName=GROUP)
    client(house).create_policy(PolicyName=POLICY, PolicyDocument=DOCUMENT)


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
