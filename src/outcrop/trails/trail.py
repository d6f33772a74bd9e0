"""A trail: what is recorded is delivered into a bucket. Its row, as values."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from outcrop import arn as arns
from outcrop.store.damage import understood
from outcrop.store.resources import Resource
from outcrop.trails.refusals import refusal, unsupported
from outcrop.trails.selectors import EventSelection

KIND = "trail"
ON, OFF = "Logging", "Stopped"
"The states of a trail."
SERVICE = "cloudtrail.amazonaws.com"
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_LETTER = re.compile(r"[A-Za-z0-9]")
_TWO_SIGNS = re.compile(r"[._-]{2}")
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
_LENGTHS = range(3, 129)
_LONGEST_PREFIX = 200
_UNBUILT = {
    "SnsTopicName": "nothing here sends notifications. Leave it out.",
    "CloudWatchLogsLogGroupArn": "trails deliver into buckets alone. Leave it out, with its role.",
    "CloudWatchLogsRoleArn": "trails deliver into buckets alone. Leave it out, with its log group.",
    "KmsKeyId": "log files are not encrypted by a key of their own. Leave it out.",
}
_DEFAULTS = {"IncludeGlobalServiceEvents": True, "IsMultiRegionTrail": False, "EnableLogFileValidation": False}
_KEPT = ("S3BucketName", "S3KeyPrefix", *_DEFAULTS)


@dataclass(frozen=True, kw_only=True)
class Trail:
    """A trail on record."""

    name: str
    arn: str
    region: str
    "Its home region."
    bucket: str
    prefix: str
    includes_global: bool
    is_multi_region: bool
    is_validated: bool
    "Whether digest files are delivered, by which its log files can be verified."
    is_logging: bool
    selection: EventSelection
    has_own_selection: bool
    started: datetime | None
    stopped: datetime | None

    @property
    def top(self) -> str:
        """The beginning of every key that is delivered."""
        return f"{self.prefix}/AWSLogs" if self.prefix else "AWSLogs"


def trail_arn(region: str, account: str, name: str) -> str:
    return str(arns.Arn(service="cloudtrail", region=region, account=account, resource=f"trail/{name}"))


def check_name(name: str) -> str:
    """Raises InvalidTrailNameException, in CloudTrail's sentences."""
    problem = _problem_of_name(name)
    if problem:
        raise refusal("InvalidTrailNameException", problem)
    return name


def _problem_of_name(name: str) -> str:
    told = f"Specified name length: {len(name)} characters."
    if len(name) < _LENGTHS.start:
        return f"Trail name too short. Minimum allowed length: {_LENGTHS.start} characters. {told}"
    if len(name) >= _LENGTHS.stop:
        return f"Trail name too long. Maximum allowed length: {_LENGTHS.stop - 1} characters. {told}"
    if not _LETTER.match(name[0]):
        return "Trail name must starts with a letter or number."
    if not _LETTER.match(name[-1]):
        return "Trail name must ends with a letter or number."
    if not _NAME.fullmatch(name):
        return (
            "Trail name or ARN can only contain uppercase letters, lowercase letters, numbers, periods (.), hyphens "
            "(-), and underscores (_)."
        )
    if _TWO_SIGNS.search(name):
        return (
            "Trail name must have no adjacent periods, hyphens or underscores, as my-_namespace and my--namespace have."
        )
    return "Trail name must not be in IP address format." if _ADDRESS.fullmatch(name) else ""


def members_of(params: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The configuration that CreateTrail or UpdateTrail asks for; `before`: the one that it changes.

    Refuses what is not built, by name, and a prefix that is none.
    """
    for member, why in _UNBUILT.items():
        if params.get(member):
            raise unsupported(member, why)
    if params.get("IsOrganizationTrail"):
        raise unsupported("IsOrganizationTrail", "there is one account here, and no organization. Leave it out.")
    prefix = params.get("S3KeyPrefix") or ""
    if len(prefix) > _LONGEST_PREFIX or prefix.startswith("/") or prefix.endswith("/"):
        raise refusal(
            "InvalidS3PrefixException",
            f"S3KeyPrefix: at most {_LONGEST_PREFIX} characters, without a slash at either end.",
        )
    members = {**_DEFAULTS, **(before or {}), **{name: params[name] for name in _KEPT if name in params}}
    if members["IsMultiRegionTrail"] and not members["IncludeGlobalServiceEvents"]:
        raise refusal("InvalidParameterCombinationException", "Multi-Region trail must include global service events.")
    return members


def trail_of(row: Resource) -> Trail:
    """The trail of a row. Raises Damaged."""
    with understood(row.arn):
        members, chosen = row.document["members"], row.document.get("selection")
        return Trail(
            name=str(row.name),
            arn=row.arn,
            region=row.region,
            bucket=members["S3BucketName"],
            prefix=members.get("S3KeyPrefix") or "",
            includes_global=members["IncludeGlobalServiceEvents"],
            is_multi_region=members["IsMultiRegionTrail"],
            is_validated=members["EnableLogFileValidation"],
            is_logging=row.status == ON,
            selection=EventSelection(**chosen) if chosen else EventSelection(),
            has_own_selection=bool(chosen),
            started=_moment(row.document.get("started")),
            stopped=_moment(row.document.get("stopped")),
        )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
