"""Parts that IAM's answers share: pages by marker, documents percent-encoded, tags as pairs, and the shapes."""

import hashlib
from collections.abc import Callable, Iterable
from typing import Any, TypeVar
from urllib.parse import quote

from outcrop.access import refusals
from outcrop.access.last_used import Use
from outcrop.access.records.identities import Identity
from outcrop.access.records.policies import ManagedPolicy, Version
from outcrop.api.door import page_tokens
from outcrop.api.door.call import Call

DEFAULT_MAX_ITEMS = 100
_LONGEST_PLACE_BYTES = 200  # a marker has at most 320 characters
_COMMON_CHARACTERS = 40
T = TypeVar("T")


def page(
    call: Call, member: str, items: Iterable[T], *, key: Callable[[T], str], shape: Callable[[T], Any]
) -> dict[str, Any]:
    """A page of a listing, beginning behind the last key of the page before. So it stands when rows come and go."""
    after = page_tokens.read(call)
    placed = sorted(((_place(key(item)), item) for item in items), key=lambda pair: pair[0])
    rest = [pair for pair in placed if after is None or pair[0] > after]
    shown = rest[: call.params.get("MaxItems", DEFAULT_MAX_ITEMS)]
    more = len(rest) > len(shown)
    return {
        member: [shape(item) for _, item in shown],
        "IsTruncated": more,
        "Marker": page_tokens.write(call, shown[-1][0]) if more else None,
    }


def encoded(document: str) -> str:
    """A policy document as IAM answers it: percent-encoded after RFC 3986."""
    return quote(document, safe="-_.~")


def tags_of(call: Call) -> dict[str, str]:
    """The tags of a request. Raises InvalidInput for a key given twice."""
    pairs = call.params.get("Tags") or []
    tags = {pair["Key"]: pair["Value"] for pair in pairs}
    if len({key.lower() for key in tags}) < len(pairs):
        raise refusals.invalid_input("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    return tags


def tag_list(tags: dict[str, str]) -> list[dict[str, str]] | None:
    return [{"Key": key, "Value": value} for key, value in tags.items()] or None


def role_shape(role: Identity, used: Use | None, *, listed: bool = False) -> dict[str, Any]:
    """`listed`: IAM leaves tags, boundary and last use out of listings."""
    shape = {
        "Path": role.path,
        "RoleName": role.name,
        "RoleId": role.id,
        "Arn": role.arn,
        "CreateDate": role.created,
        "AssumeRolePolicyDocument": encoded(role.trust or ""),
        "Description": role.document["description"],
        "MaxSessionDuration": role.document["max_session_s"],
    }
    if listed:
        return shape
    last = {"LastUsedDate": used.at.replace(microsecond=0), "Region": used.region} if used is not None else {}
    return {**shape, **_boundary(role), "Tags": tag_list(role.tags), "RoleLastUsed": last}


def user_shape(user: Identity, *, listed: bool = False) -> dict[str, Any]:
    shape = {
        "Path": user.path,
        "UserName": user.name,
        "UserId": user.id,
        "Arn": user.arn,
        "CreateDate": user.created,
    }
    return shape if listed else {**shape, **_boundary(user), "Tags": tag_list(user.tags)}


def policy_shape(
    policy: ManagedPolicy, versions: list[Version], *, num_attachments: int, num_bounded: int = 0, listed: bool = False
) -> dict[str, Any]:
    """`versions` newest first."""
    return {
        "PolicyName": policy.name,
        "PolicyId": policy.id,
        "Arn": policy.arn,
        "Path": policy.path,
        "DefaultVersionId": next(each.id for each in versions if each.is_default),
        "AttachmentCount": num_attachments,
        "PermissionsBoundaryUsageCount": num_bounded,
        "IsAttachable": True,
        "CreateDate": policy.created,
        "UpdateDate": versions[0].created,
        "Tags": None if listed else tag_list(policy.tags),
    }


def _boundary(identity: Identity) -> dict[str, Any]:
    arn = identity.document.get("boundary")
    if arn is None:
        return {}
    return {"PermissionsBoundary": {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn}}


def _place(key: str) -> str:
    """Where a key stands in a listing. One that no marker could hold is ordered by how it begins, then by its hash."""
    if len(key.encode()) <= _LONGEST_PLACE_BYTES:
        return key
    return key[:_COMMON_CHARACTERS] + hashlib.sha256(key.encode()).hexdigest()[:32]
