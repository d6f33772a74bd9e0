"""Log files of trails: what they are called, and what is in them. The same events make the same bytes.

    PREFIX/AWSLogs/ACCOUNT/CloudTrail/REGION/YYYY/MM/DD/ACCOUNT_CloudTrail_REGION_YYYYMMDDTHHmmZ_UNIQUE.json.gz
    PREFIX/AWSLogs/ACCOUNT/CloudTrail-Digest/REGION/YYYY/MM/DD/
        ACCOUNT_CloudTrail-Digest_REGION_TRAIL_HOMEREGION_YYYYMMDDTHHmmssZ.json.gz

https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-examples.html
"""

import gzip
import hashlib
import json
from base64 import b32encode
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from outcrop.audit.entry import Entry
from outcrop.audit.event_form import event_of
from outcrop.trails.trail import Trail

_UNIQUE = 16


class TrailFile(NamedTuple):
    """A file as it is delivered: compressed, and the digest of what it holds."""

    key: str
    content: bytes
    sha256: str


def log_file(
    trail: Trail, account: str, region: str, entries: Sequence[Entry], *, at: datetime, through: int
) -> TrailFile:
    """The file of some events of a region; `through`: the number of the last entry that the delivery looks at."""
    unique = b32encode(hashlib.sha256(f"{trail.arn} {region} {through}".encode()).digest()).decode()[:_UNIQUE]
    folder = f"{trail.top}/{account}/CloudTrail/{region}/{at:%Y/%m/%d}"
    name = f"{account}_CloudTrail_{region}_{at:%Y%m%dT%H%MZ}_{unique}.json.gz"
    return packed(f"{folder}/{name}", {"Records": [event_of(entry, account) for entry in entries]})


def digest_key(trail: Trail, account: str, region: str, end: datetime) -> str:
    folder = f"{digest_folder(trail, account, region)}/{end:%Y/%m/%d}"
    return f"{folder}/{account}_CloudTrail-Digest_{region}_{trail.name}_{trail.region}_{end:%Y%m%dT%H%M%SZ}.json.gz"


def digest_folder(trail: Trail, account: str, region: str) -> str:
    return f"{trail.top}/{account}/CloudTrail-Digest/{region}"


def packed(key: str, document: dict[str, Any]) -> TrailFile:
    text = json.dumps(document, separators=(",", ":")).encode()
    return TrailFile(key, gzip.compress(text, mtime=0), hashlib.sha256(text).hexdigest())


def unpacked(content: bytes) -> bytes:
    """The content of a file, not compressed. Raises ValueError for what is not compressed, or damaged."""
    try:
        return gzip.decompress(content)
    except (OSError, EOFError) as error:
        raise ValueError("it is not compressed by gzip, or damaged") from error


def utc(at: datetime) -> str:
    """A moment as events and digests write it."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
