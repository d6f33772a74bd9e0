"""IAM: the versions of managed policies, their tags, and who uses them."""

from typing import Any

from outcrop.access.names import Kind
from outcrop.access.records.policies import Version
from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.iam.answers import (
    encoded,
    page,
    tag_list,
    tags_of,
)
from outcrop.house import House

_ENTITIES = {"Group": Kind.GROUP.value, "Role": Kind.ROLE.value, "User": Kind.USER.value}


def create_policy_version(house: House, call: Call) -> Answered:
    version = house.access.attachments.add_version(
        call.params["PolicyArn"], call.params["PolicyDocument"], is_default=call.params.get("SetAsDefault", False)
    )
    return {"PolicyVersion": version_shape(version)}


def get_policy_version(house: House, call: Call) -> Answered:
    version = house.access.attachments.version(call.params["PolicyArn"], call.params["VersionId"])
    return {"PolicyVersion": {**version_shape(version), "Document": encoded(version.document or "")}}


def list_policy_versions(house: House, call: Call) -> Answered:
    attachments = house.access.attachments
    versions = attachments.versions_of(attachments.get(call.params["PolicyArn"]))
    # Newest first; a marker names the last version shown, and versions are only added before the first.
    return page(call, "Versions", versions, key=lambda each: f"{10**9 - each.number:010d}", shape=version_shape)


def delete_policy_version(house: House, call: Call) -> Answered:
    house.access.attachments.delete_version(call.params["PolicyArn"], call.params["VersionId"])
    return {}


def set_default_policy_version(house: House, call: Call) -> Answered:
    house.access.attachments.set_default(call.params["PolicyArn"], call.params["VersionId"])
    return {}


def tag_policy(house: House, call: Call) -> Answered:
    house.access.attachments.tag(call.params["PolicyArn"], tags_of(call))
    return {}


def untag_policy(house: House, call: Call) -> Answered:
    house.access.attachments.untag(call.params["PolicyArn"], call.params["TagKeys"])
    return {}


def list_policy_tags(house: House, call: Call) -> Answered:
    tags = tag_list(house.access.attachments.get(call.params["PolicyArn"]).tags) or []
    return page(call, "Tags", tags, key=lambda tag: tag["Key"], shape=lambda tag: tag)


def list_entities_for_policy(house: House, call: Call) -> Answered:
    attachments, params = house.access.attachments, call.params
    policy = attachments.get(params["PolicyArn"])
    usage = params.get("PolicyUsageFilter")
    found = attachments.records.policies.attached_to(policy.arn) if usage != "PermissionsBoundary" else []
    if usage != "PermissionsPolicy":
        found += [each for each in attachments.bounded().get(policy.arn, []) if each not in found]
    wanted = params.get("EntityFilter", "All")
    kinds = {_ENTITIES[wanted]} if wanted in _ENTITIES else set() if wanted != "All" else set(_ENTITIES.values())
    shown = [each for each in found if each.kind in kinds and each.path.startswith(params.get("PathPrefix", "/"))]
    together = page(call, "entities", shown, key=lambda each: each.id, shape=lambda each: each)
    entities = together.pop("entities")
    return {**{f"Policy{word}s": _named(word, entities) for word in _ENTITIES}, **together}


def _named(word: str, entities: list[Any]) -> list[dict[str, str]]:
    return [{f"{word}Name": each.name, f"{word}Id": each.id} for each in entities if each.kind == _ENTITIES[word]]


def version_shape(version: Version) -> dict[str, Any]:
    return {"VersionId": version.id, "IsDefaultVersion": version.is_default, "CreateDate": version.created}


OPERATIONS: dict[str, Handler] = {
    "CreatePolicyVersion": create_policy_version,
    "DeletePolicyVersion": delete_policy_version,
    "GetPolicyVersion": get_policy_version,
    "ListEntitiesForPolicy": list_entities_for_policy,
    "ListPolicyTags": list_policy_tags,
    "ListPolicyVersions": list_policy_versions,
    "SetDefaultPolicyVersion": set_default_policy_version,
    "TagPolicy": tag_policy,
    "UntagPolicy": untag_policy,
}
