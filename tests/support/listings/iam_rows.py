"""The rows that IAM lists, made and removed through IAM itself, with paths that differ by their number."""

from typing import Any

from tests.support.listings.listing import client_of
from tests.support.policies import policy, trusting
from tests.support.servers import Running

DOCUMENT = policy("Allow", "s3:GetObject")
USER, ROLE, GROUP, POLICY = "listed-user", "listed-role", "listed-group", "listed-policy"
# The page of a long path ends at an ARN that no marker could hold.
LONG = "/listed/" + "/".join(["p" * 60] * 8) + "/"


def path(number: int) -> str:
    return "/even/" if number % 2 == 0 else LONG


def client(house: Running) -> Any:
    return client_of(house, "iam")


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
