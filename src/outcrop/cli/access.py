"""`outcrop access`: who may use this installation. Everything goes through IAM's operations, as boto3 would."""

import difflib
import json
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from cyclopts import App, Parameter

from outcrop.cli import export, tables
from outcrop.cli.options import AsJson, Home, running
from outcrop.errors import Refusal
from outcrop.settings import DEFAULT_REGION

app = App(name="access", help="List, add and remove users and their access keys.")

Policy = Annotated[
    list[str] | None,
    Parameter(name="--policy", help="Name or ARN of a policy, see `outcrop access policies`; may be repeated."),
]
_MOST_NEAR = 3
"So many names a mistaken one is answered with."
_COLUMNS = ["user", "access key", "status", "last used (UTC)", "policies", "groups"]


@app.default
def overview(*, home: Home = None, as_json: AsJson = False) -> int:
    """List users with their access keys, policies and groups."""
    iam = export.client(running(home), "iam")
    rows = [row for user in _all(iam, "list_users", "Users") for row in _rows(iam, user["UserName"])]
    return tables.print_rows(_COLUMNS, rows, as_json=as_json)


@app.command
def add(user: str, *, policy: Policy = None, home: Home = None, as_json: AsJson = False) -> int:
    """Add USER with an access key, and print what to export; without a policy it may do nothing yet."""
    settings = running(home)
    iam = export.client(settings, "iam")
    arns = [_policy_arn(iam, each) for each in policy or []]
    iam.create_user(UserName=user)
    for arn in arns:
        iam.attach_user_policy(UserName=user, PolicyArn=arn)
    made = iam.create_access_key(UserName=user)["AccessKey"]
    if not arns and not as_json:
        print(f"{user} may do nothing yet. Remove it and add it again with --policy AmazonBedrockFullAccess, say.")
    return _print_key(made, settings.endpoint, as_json=as_json)


@app.command
def key(user: str, *, home: Home = None, as_json: AsJson = False) -> int:
    """Make another access key for USER (two at most) and print what to export."""
    settings = running(home)
    made = export.client(settings, "iam").create_access_key(UserName=user)["AccessKey"]
    return _print_key(made, settings.endpoint, as_json=as_json)


@app.command
def policies(*, home: Home = None, as_json: AsJson = False) -> int:
    """List the policies that a user may be given: AWS's and those made here."""
    found = _all(export.client(running(home), "iam"), "list_policies", "Policies")
    rows = [[each["PolicyName"], each["Arn"]] for each in sorted(found, key=lambda each: each["PolicyName"].lower())]
    return tables.print_rows(["policy", "ARN"], rows, as_json=as_json)


@app.command
def remove(
    user: str,
    *,
    access_key: Annotated[str | None, Parameter(name="--key", help="Remove this access key only.")] = None,
    home: Home = None,
) -> int:
    """Remove USER with all its access keys and inline policies, or one access key of it."""
    iam = export.client(running(home), "iam")
    if access_key is not None:
        iam.delete_access_key(UserName=user, AccessKeyId=access_key)
        print(f"{access_key} of {user} is removed; requests signed with it are refused from now on.")
        return 0
    _remove_user(iam, user)
    print(f"{user} is removed, with its access keys.")
    return 0


def _remove_user(iam: Any, user: str) -> None:
    if user == "admin":
        # The API refuses it too, but only after what hangs on the user is gone.
        raise Refusal("admin: the administrator of this installation cannot be removed.")
    iam.get_user(UserName=user)
    for each in _all(iam, "list_access_keys", "AccessKeyMetadata", UserName=user):
        iam.delete_access_key(UserName=user, AccessKeyId=each["AccessKeyId"])
    for each in _all(iam, "list_attached_user_policies", "AttachedPolicies", UserName=user):
        iam.detach_user_policy(UserName=user, PolicyArn=each["PolicyArn"])
    for name in _all(iam, "list_user_policies", "PolicyNames", UserName=user):
        iam.delete_user_policy(UserName=user, PolicyName=name)
    for each in _all(iam, "list_groups_for_user", "Groups", UserName=user):
        iam.remove_user_from_group(UserName=user, GroupName=each["GroupName"])
    for each in iam.list_service_specific_credentials(UserName=user)["ServiceSpecificCredentials"]:
        iam.delete_service_specific_credential(
            UserName=user, ServiceSpecificCredentialId=each["ServiceSpecificCredentialId"]
        )
    iam.delete_user(UserName=user)


def _rows(iam: Any, user: str) -> Iterator[list[str]]:
    """The table rows of a user, one for each access key; one without a key where the user has none."""
    attached = [
        each["PolicyName"] for each in _all(iam, "list_attached_user_policies", "AttachedPolicies", UserName=user)
    ]
    policies = ", ".join([*attached, *_all(iam, "list_user_policies", "PolicyNames", UserName=user)])
    groups = ", ".join(each["GroupName"] for each in _all(iam, "list_groups_for_user", "Groups", UserName=user))
    keys = _all(iam, "list_access_keys", "AccessKeyMetadata", UserName=user)
    for each in keys:
        used = iam.get_access_key_last_used(AccessKeyId=each["AccessKeyId"])["AccessKeyLastUsed"]
        last = f"{used['LastUsedDate']:%Y-%m-%d %H:%M} {used['ServiceName']}" if "LastUsedDate" in used else "never"
        yield [user, each["AccessKeyId"], each["Status"], last, policies, groups]
    if not keys:
        yield [user, "none", "", "", policies, groups]


def _all(iam: Any, operation: str, member: str, **params: Any) -> list[Any]:
    pages = iam.get_paginator(operation).paginate(**params)
    return [each for page in pages for each in page[member]]


def _policy_arn(iam: Any, policy: str) -> str:
    if policy.startswith("arn:"):
        return str(iam.get_policy(PolicyArn=policy)["Policy"]["Arn"])
    known = {each["PolicyName"]: each["Arn"] for each in _all(iam, "list_policies", "Policies")}
    if policy not in known:
        raise Refusal(f"--policy {policy}: there is no such policy. {_nearest(policy, known)}")
    return str(known[policy])


def _nearest(policy: str, known: Iterable[str]) -> str:
    """The policy names that may have been meant, and where all names are: there are too many for a sentence."""
    plain = {name.lower(): name for name in sorted(known)}
    near = difflib.get_close_matches(policy.lower(), plain, n=_MOST_NEAR, cutoff=0.5)
    holding = [name for name in plain if policy.lower() in name]
    meant = [plain[name] for name in dict.fromkeys([*near, *holding])][:_MOST_NEAR]
    asked = f"Did you mean {' or '.join(meant)}? " if meant else ""
    return f"{asked}`outcrop access policies` lists all."


def _print_key(made: dict[str, Any], endpoint: str, *, as_json: bool) -> int:
    values = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": made["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": made["SecretAccessKey"],
        "AWS_DEFAULT_REGION": DEFAULT_REGION,
    }
    if as_json:
        print(json.dumps({"user": made["UserName"], **values}, indent=2))
    else:
        print(f"A new access key of {made['UserName']}. Its secret is shown only now:\n\n{export.shell_lines(values)}")
    return 0
