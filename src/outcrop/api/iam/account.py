"""IAM: the account as a whole: its alias, a summary in numbers, and everything it holds in one listing."""

from collections.abc import Iterator
from typing import Any

from outcrop.access import identities as quotas
from outcrop.access.credentials import MAX_KEYS
from outcrop.access.names import Kind
from outcrop.access.policies import attachments as limits
from outcrop.access.policies.managed import AWS_MANAGED
from outcrop.access.records.identities import Identity
from outcrop.access.records.policies import ManagedPolicy
from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.iam.answers import (
    encoded,
    page,
    policy_shape,
    role_shape,
    user_shape,
)
from outcrop.api.iam.groups import group_shape
from outcrop.api.iam.policy_versions import version_shape
from outcrop.house import House

_FILTERS = {"User": "UserDetailList", "Group": "GroupDetailList", "Role": "RoleDetailList"}


def list_account_aliases(house: House, call: Call) -> Answered:
    aliases = house.access.aliases.all()
    return page(call, "AccountAliases", aliases, key=lambda alias: alias, shape=lambda alias: alias)


def create_account_alias(house: House, call: Call) -> Answered:
    house.access.aliases.set(call.params["AccountAlias"])
    return {}


def delete_account_alias(house: House, call: Call) -> Answered:
    house.access.aliases.remove(call.params["AccountAlias"])
    return {}


def get_account_summary(house: House, _call: Call) -> Answered:
    records, attachments = house.access.identities.records, house.access.attachments
    policies = records.policies.all()
    numbers = {
        "AccessKeysPerUserQuota": MAX_KEYS,
        "AccountAccessKeysPresent": 0,
        "AccountMFAEnabled": 0,
        "AssumeRolePolicySizeQuota": quotas.MAX_TRUST_CHARACTERS,
        "AttachedPoliciesPerGroupQuota": limits.MAX_ATTACHED,
        "AttachedPoliciesPerRoleQuota": limits.MAX_ATTACHED,
        "AttachedPoliciesPerUserQuota": limits.MAX_ATTACHED,
        "GroupPolicySizeQuota": limits.MAX_INLINE_CHARACTERS[Kind.GROUP],
        "Groups": len(records.identities.all(Kind.GROUP)),
        "GroupsPerUserQuota": quotas.MAX_GROUPS_OF_USER,
        "GroupsQuota": quotas.MAX_GROUPS,
        "InstanceProfiles": 0,
        "MFADevices": 0,
        "Policies": len(policies),
        "PoliciesQuota": limits.MAX_POLICIES,
        "PolicySizeQuota": limits.MAX_POLICY_CHARACTERS,
        "PolicyVersionsInUse": sum(len(attachments.versions_of(each)) for each in policies),
        "Providers": 0,
        "RolePolicySizeQuota": limits.MAX_INLINE_CHARACTERS[Kind.ROLE],
        "Roles": len(records.identities.all(Kind.ROLE)),
        "RolesQuota": quotas.MAX_ROLES,
        "ServerCertificates": 0,
        "UserPolicySizeQuota": limits.MAX_INLINE_CHARACTERS[Kind.USER],
        "Users": len(records.identities.all(Kind.USER)),
        "UsersQuota": quotas.MAX_USERS,
        "VersionsPerPolicyQuota": limits.MAX_VERSIONS,
    }
    return {"SummaryMap": numbers}


def get_account_authorization_details(house: House, call: Call) -> Answered:
    wanted = call.params.get("Filter") or [*_FILTERS, "LocalManagedPolicy", "AWSManagedPolicy"]
    items = [*_identities(house, wanted), *_policies(house, wanted)]
    together = page(call, "items", items, key=lambda item: item[1], shape=lambda item: item)
    shown: dict[str, Any] = {member: [] for member in (*_FILTERS.values(), "Policies")}
    for member, _, detail in together.pop("items"):
        shown[member].append(detail())
    return {**shown, **together}


def _identities(house: House, wanted: list[str]) -> Iterator[tuple[str, str, Any]]:
    """Where an identity is listed, the key of its place in the listing, and what makes its detail."""
    for word, member in _FILTERS.items():
        if word in wanted:
            for identity in house.access.identities.records.identities.all(Kind(word.lower())):
                yield member, identity.arn, lambda identity=identity: _detail(house, identity)


def _policies(house: House, wanted: list[str]) -> Iterator[tuple[str, str, Any]]:
    nums = house.access.attachments.records.policies.num_attachments()
    own = house.access.attachments.records.policies.all() if "LocalManagedPolicy" in wanted else []
    used = [each for arn, each in AWS_MANAGED.items() if nums.get(arn)] if "AWSManagedPolicy" in wanted else []
    for policy in (*own, *used):
        yield "Policies", policy.arn, lambda policy=policy: _policy(house, policy, nums.get(policy.arn, 0))


def _detail(house: House, identity: Identity) -> dict[str, Any]:
    attachments, word = house.access.attachments, identity.kind.capitalize()
    inline = attachments.records.policies.inline(identity.id)
    attached = map(attachments.get, attachments.records.policies.attached(identity.id))
    about: dict[str, Any] = {
        f"{word}PolicyList": [
            {"PolicyName": name, "PolicyDocument": encoded(document)} for name, document in inline.items()
        ],
        "AttachedManagedPolicies": [{"PolicyName": each.name, "PolicyArn": each.arn} for each in attached],
    }
    if identity.kind == Kind.GROUP.value:
        return {**group_shape(identity), **about}
    if identity.kind == Kind.USER.value:
        groups = house.access.identities.groups.groups_of(identity.id)
        return {**user_shape(identity), "GroupList": [group.name for group in groups], **about}
    role = role_shape(identity, house.access.uses.last(identity.id))
    del role["Description"], role["MaxSessionDuration"]  # IAM has no room for them in this listing
    return {**role, "InstanceProfileList": [], **about}


def _policy(house: House, policy: ManagedPolicy, num_attachments: int) -> dict[str, Any]:
    versions = house.access.attachments.versions_of(policy)
    details = [{**version_shape(each), "Document": encoded(each.document or "")} for each in versions]
    shape = policy_shape(policy, versions, num_attachments=num_attachments, listed=True)
    del shape["Tags"]
    return {**shape, "Description": policy.description or None, "PolicyVersionList": details}


OPERATIONS: dict[str, Handler] = {
    "CreateAccountAlias": create_account_alias,
    "DeleteAccountAlias": delete_account_alias,
    "GetAccountAuthorizationDetails": get_account_authorization_details,
    "GetAccountSummary": get_account_summary,
    "ListAccountAliases": list_account_aliases,
}
