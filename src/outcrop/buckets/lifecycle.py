"""Lifecycle rules of a bucket: which objects, versions, markers and uploads expire, and when. Decides only.

A day ends at midnight UTC, as S3 counts: what was written on the 1st and lives for a day expires as the 3rd begins.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, NamedTuple
from urllib.parse import quote

from outcrop.buckets import refusals
from outcrop.buckets.records import ObjectRecord, UploadRecord
from outcrop.errors import ServiceRefusal

MOST_RULES = 1000
LONGEST_ID = 255
MOST_KEPT = 100
"Of NewerNoncurrentVersions."
_DAY = timedelta(days=1)
_FILTERS = ("Prefix", "Tag", "ObjectSizeGreaterThan", "ObjectSizeLessThan", "And")
_ACTIONS = ("Expiration", "NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload")
_TRANSITIONS = ("Transitions", "NoncurrentVersionTransitions", "Transition", "NoncurrentVersionTransition")


@dataclass(frozen=True, kw_only=True)
class Filter:
    """The objects that a rule is about."""

    prefix: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    larger_than: int | None = None
    smaller_than: int | None = None

    @property
    def is_by_prefix_alone(self) -> bool:
        return not self.tags and self.larger_than is None and self.smaller_than is None

    def fits(self, record: ObjectRecord) -> bool:
        return (
            record.key.startswith(self.prefix)
            and self.tags.items() <= record.details.tags.items()
            and (self.larger_than is None or record.size > self.larger_than)
            and (self.smaller_than is None or record.size < self.smaller_than)
        )


@dataclass(frozen=True, kw_only=True)
class LifecycleRule:
    """A lifecycle rule that is in force."""

    id: str
    filter: Filter
    days: int | None = None
    date: datetime | None = None
    removes_markers: bool = False
    "A delete marker with no version behind it."
    noncurrent_days: int | None = None
    noncurrent_kept: int = 0
    "How many of the newest versions behind the object stay, however old."
    upload_days: int | None = None

    def expires(self, record: ObjectRecord) -> datetime | None:
        """When the object expires; None where this rule says nothing of it."""
        if not self.filter.fits(record):
            return None
        if self.days is not None:
            return next_midnight(record.modified + self.days * _DAY)
        return None if self.date is None else max(self.date, next_midnight(record.modified))

    def marker_expires(self, marker: ObjectRecord) -> datetime | None:
        """When a delete marker goes that stands before nothing."""
        if not self.filter.is_by_prefix_alone or not marker.key.startswith(self.filter.prefix):
            return None
        if self.removes_markers:
            return marker.modified
        return None if self.days is None else next_midnight(marker.modified + self.days * _DAY)

    def version_expires(self, record: ObjectRecord, *, since: datetime, newer: int) -> datetime | None:
        """When a version goes that was followed by another at `since`; `newer`: versions between it and the object."""
        if self.noncurrent_days is None or newer < self.noncurrent_kept or not self.filter.fits(record):
            return None
        return next_midnight(since + self.noncurrent_days * _DAY)

    def upload_expires(self, upload: UploadRecord) -> datetime | None:
        """When an upload goes that nobody completed."""
        if self.upload_days is None or not upload.key.startswith(self.filter.prefix):
            return None
        return next_midnight(upload.created + self.upload_days * _DAY)


class Expiry(NamedTuple):
    """When an object expires, and by which rule."""

    at: datetime
    rule: str

    def header(self) -> str:
        """The value of `x-amz-expiration`."""
        return f'expiry-date="{format_datetime(self.at, usegmt=True)}", rule-id="{quote(self.rule)}"'


def next_midnight(moment: datetime) -> datetime:
    """The moment itself if it is a midnight in UTC, else the next one."""
    day = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day if day == moment else day + _DAY


def expiry_of(rules: list[LifecycleRule], record: ObjectRecord) -> Expiry | None:
    """The soonest expiry of an object; None where it stays."""
    found = [Expiry(at, rule.id) for rule in rules if (at := rule.expires(record)) is not None]
    return min(found, default=None)


def rules_in_force(document: list[dict[str, Any]] | None) -> list[LifecycleRule]:
    """The enabled rules of a document on record."""
    return [_rule(each) for each in document or () if each["Status"] == "Enabled"]


def check_rules(given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The document to keep: the rules as they were sent, each with an id. Raises S3's refusals."""
    if not given:
        raise refusals.malformed_xml("a lifecycle configuration has rules.")
    if len(given) > MOST_RULES:
        raise _invalid(f"The number of lifecycle rules must not exceed the allowed limit of {MOST_RULES} rules")
    for rule in given:
        _check_rule(rule)
    ids = [rule["ID"] for rule in given if rule.get("ID")]
    if len(set(ids)) < len(ids):
        raise _argument("Rule ID must be unique. Found same ID for more than one rule")
    return [_kept(rule) for rule in given]


def told_rules(document: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rules as they are told: dates are moments again."""
    told = [{**rule, **({"Expiration": dict(rule["Expiration"])} if "Expiration" in rule else {})} for rule in document]
    for rule in told:
        date = rule.get("Expiration", {}).get("Date")
        if date is not None:
            rule["Expiration"]["Date"] = datetime.fromisoformat(date)
    return told


def _kept(rule: dict[str, Any]) -> dict[str, Any]:
    kept = {**rule, "ID": rule.get("ID") or secrets.token_urlsafe(36)}
    expiration = dict(rule.get("Expiration") or {})
    if "Date" in expiration:
        expiration["Date"] = expiration["Date"].isoformat()
    return {**kept, "Expiration": expiration} if expiration else kept


def _rule(kept: dict[str, Any]) -> LifecycleRule:
    expiration = kept.get("Expiration") or {}
    noncurrent = kept.get("NoncurrentVersionExpiration") or {}
    date = expiration.get("Date")
    return LifecycleRule(
        id=kept["ID"],
        filter=_filter(kept),
        days=expiration.get("Days"),
        date=None if date is None else datetime.fromisoformat(date),
        removes_markers=bool(expiration.get("ExpiredObjectDeleteMarker")),
        noncurrent_days=noncurrent.get("NoncurrentDays"),
        noncurrent_kept=noncurrent.get("NewerNoncurrentVersions") or 0,
        upload_days=(kept.get("AbortIncompleteMultipartUpload") or {}).get("DaysAfterInitiation"),
    )


def _filter(rule: dict[str, Any]) -> Filter:
    written = rule.get("Filter") or {}
    both = written.get("And") or written
    tags = [*both.get("Tags", ()), *([both["Tag"]] if "Tag" in both else ())]
    return Filter(
        prefix=both.get("Prefix") or rule.get("Prefix") or "",
        tags={tag["Key"]: tag["Value"] for tag in tags},
        larger_than=both.get("ObjectSizeGreaterThan"),
        smaller_than=both.get("ObjectSizeLessThan"),
    )


def _check_rule(rule: dict[str, Any]) -> None:
    if rule.get("Status") not in ("Enabled", "Disabled"):
        raise refusals.malformed_xml("Status: Enabled or Disabled.")
    if len(rule.get("ID") or "") > LONGEST_ID:
        raise _argument(f"ID length should not exceed allowed limit of {LONGEST_ID}")
    moved = [name for name in _TRANSITIONS if rule.get(name)]
    if moved:
        raise refusals.not_built(
            f"Transitions to other storage classes ({moved[0]})",
            "All bytes are on the same disk; let objects expire, or leave it out.",
        )
    _check_filter(rule)
    if not any(rule.get(action) for action in _ACTIONS):
        raise _invalid("At least one action needs to be specified in a rule")
    _check_actions(rule)


def _check_filter(rule: dict[str, Any]) -> None:
    written = rule.get("Filter")
    if ("Prefix" in rule) == (written is not None):
        raise refusals.malformed_xml("a rule has a Filter, or, as of old, a Prefix.")
    named = [name for name in _FILTERS if name in (written or {})]
    if len(named) > 1:
        raise refusals.malformed_xml("a Filter has one condition; several stand in its And.")
    both = (written or {}).get("And")
    if both is not None:
        conditions = len(both.get("Tags", ())) + sum(name in both for name in _FILTERS)
        if conditions < 2:
            raise refusals.malformed_xml("And joins two conditions or more.")
    inner = both or written or {}
    tags = [*inner.get("Tags", ()), *([inner["Tag"]] if "Tag" in inner else ())]
    if any("Key" not in tag or "Value" not in tag for tag in tags):
        raise refusals.malformed_xml("a Tag has Key and Value.")
    if len({tag["Key"] for tag in tags}) < len(tags):
        raise _invalid("Duplicate Tag Keys are not allowed.")
    found = _filter(rule)
    for size in (found.larger_than, found.smaller_than):
        if size is not None and size < 0:
            raise _argument("'ObjectSizeGreaterThan' and 'ObjectSizeLessThan' must be positive integers")
    if None not in (found.larger_than, found.smaller_than) and found.smaller_than <= found.larger_than:  # type: ignore[operator]
        raise _invalid("'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'.")


def _check_actions(rule: dict[str, Any]) -> None:
    found, expiration = _filter(rule), rule.get("Expiration")
    if expiration is not None:
        _check_expiration(expiration, found)
    noncurrent = rule.get("NoncurrentVersionExpiration")
    if noncurrent is not None:
        _check_positive(noncurrent.get("NoncurrentDays"), "NoncurrentDays", "NoncurrentVersionExpiration")
        kept = noncurrent.get("NewerNoncurrentVersions")
        if kept is not None and not 1 <= kept <= MOST_KEPT:
            raise _argument(
                f"'NewerNoncurrentVersions' for NoncurrentVersionExpiration action must be between 1 and {MOST_KEPT}"
            )
    aborted = rule.get("AbortIncompleteMultipartUpload")
    if aborted is not None:
        _check_positive(aborted.get("DaysAfterInitiation"), "DaysAfterInitiation", "AbortIncompleteMultipartUpload")
        if not found.is_by_prefix_alone:
            what = "Tags" if found.tags else "Object Size"
            raise _invalid(f"AbortIncompleteMultipartUpload cannot be specified with {what}.")


def _check_expiration(expiration: dict[str, Any], found: Filter) -> None:
    named = [name for name in ("Days", "Date", "ExpiredObjectDeleteMarker") if name in expiration]
    if len(named) != 1:
        raise refusals.malformed_xml("Expiration has Days, Date or ExpiredObjectDeleteMarker.")
    if named == ["Days"]:
        _check_positive(expiration["Days"], "Days", "Expiration")
    elif named == ["Date"] and next_midnight(expiration["Date"]) != expiration["Date"]:
        raise _argument("'Date' must be at midnight GMT")
    elif named == ["ExpiredObjectDeleteMarker"] and not found.is_by_prefix_alone:
        what = "Tags" if found.tags else "Object Size"
        raise _invalid(f"ExpiredObjectDeleteMarker cannot be specified with {what}.")


def _check_positive(value: int | None, name: str, action: str) -> None:
    if value is None:
        raise refusals.malformed_xml(f"{action} has {name}.")
    if value < 1:
        raise _argument(f"'{name}' for {action} action must be a positive integer")


def _invalid(message: str) -> ServiceRefusal:
    return refusals.invalid_request(message)


def _argument(message: str) -> ServiceRefusal:
    return ServiceRefusal("InvalidArgument", message, http_status=400)
