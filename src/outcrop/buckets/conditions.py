"""Conditions of requests: which version of an object is meant, and which stretch of it. Decides only."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from outcrop.buckets import refusals
from outcrop.buckets.records import ObjectRecord

_RANGE = re.compile(r"\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """The conditional headers of HTTP, as sent."""

    if_match: str | None = None
    if_none_match: str | None = None
    if_modified_since: datetime | None = None
    if_unmodified_since: datetime | None = None


UNCONDITIONAL = Conditions()


class Stretch(NamedTuple):
    offset: int
    length: int


def check_read(record: ObjectRecord, conditions: Conditions) -> None:
    """Raises PreconditionFailed or NotModified. An ETag outweighs the time beside it (RFC 9110, 13.2.2)."""
    check_source(record, conditions, unchanged=refusals.not_modified(), headers="")


def check_source(
    record: ObjectRecord,
    conditions: Conditions,
    *,
    now: datetime | None = None,
    unchanged: Exception | None = None,
    headers: str = "x-amz-copy-source-",
) -> None:
    """Check the conditions on the source of a copy, as `check_read` does on an object to be read.

    But an object that did not change is refused with PreconditionFailed, as CopyObject does. A modification asked for
    that lies ahead of `now` is passed over, as S3 does for the source of a copy.
    """
    modified = record.modified.replace(microsecond=0)  # what the client was told
    if conditions.if_match is not None:
        if not _names(conditions.if_match, record):
            raise refusals.precondition_failed(f"{headers}If-Match")
    elif conditions.if_unmodified_since is not None and modified > conditions.if_unmodified_since:
        raise refusals.precondition_failed(f"{headers}If-Unmodified-Since")
    if conditions.if_none_match is not None:
        if _names(conditions.if_none_match, record):
            raise unchanged or refusals.precondition_failed(f"{headers}If-None-Match")
    elif conditions.if_modified_since is not None and modified <= conditions.if_modified_since <= (
        now or conditions.if_modified_since
    ):
        raise unchanged or refusals.precondition_failed(f"{headers}If-Modified-Since")


def check_write(key: str, current: ObjectRecord | None, conditions: Conditions) -> None:
    """Raises PreconditionFailed, NoSuchKey when a version was named of what is not there, NotImplemented."""
    check_form(conditions)
    if conditions.if_none_match is not None and current is not None:
        raise refusals.precondition_failed("If-None-Match")
    if conditions.if_match is not None:
        if current is None:
            raise refusals.no_such_key(key)
        if not _names(conditions.if_match, current):
            raise refusals.precondition_failed("If-Match")


def check_removal(key: str, current: ObjectRecord | None, conditions: Conditions) -> None:
    """Check the conditions on a removal, as `check_write` does; a star may name any version too.

    No write takes a star.
    """
    if conditions.if_match != "*":
        check_write(key, current, conditions)
    elif current is None:
        raise refusals.no_such_key(key)


def check_form(conditions: Conditions) -> None:
    """Raises NotImplemented for conditions on a write that S3 does not take."""
    if conditions.if_none_match is not None and conditions.if_match is not None:
        raise refusals.header_not_built(
            "If-Match,If-None-Match", "Multiple conditional request headers present in the request"
        )
    for header, value, is_taken in (
        ("If-None-Match", conditions.if_none_match, conditions.if_none_match == "*"),
        ("If-Match", conditions.if_match, conditions.if_match != "*"),
    ):
        if value is not None and not is_taken:
            raise refusals.header_not_built(
                header, f"We don't accept the provided value of {header} header for this API"
            )


def check_unchanged_since(begun: datetime, current: ObjectRecord | None, key: str, conditions: Conditions) -> None:
    """Raises ConditionalRequestConflict when a conditional upload was overtaken by a write that its condition fits."""
    if conditions.if_match is not None and current is not None and current.modified > begun:
        raise refusals.conditional_conflict(key, "If-Match")


def stretch_of(asked: str | None, size: int) -> Stretch | None:
    """The bytes that a Range header names, or None when the whole object is to be sent. Raises InvalidRange.

    A header that is malformed or names several ranges is passed over, as S3 does.
    """
    match = _RANGE.fullmatch(asked or "")
    if asked is None or match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if first == "":  # the last so many bytes
        length = min(int(last), size)
        offset = size - length
    else:
        offset = int(first)
        if last and int(last) < offset:
            return None
        length = min(int(last) if last else size - 1, size - 1) - offset + 1
    if length <= 0:
        raise refusals.invalid_range(asked, size)
    return Stretch(offset, length)


def _names(etags: str, record: ObjectRecord) -> bool:
    names = [etag.strip().removeprefix("W/").strip('"') for etag in etags.split(",")]
    return "*" in names or record.etag in names
