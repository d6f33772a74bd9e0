"""Names of buckets and objects: S3's rules, and the `s3://bucket/key` form in which jobs name them."""

import ipaddress
import re
from typing import NamedTuple

from outcrop.buckets import refusals
from outcrop.errors import Invalid

MAX_KEY_BYTES = 1024

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_RESERVED_STARTS = ("xn--", "sthree-")
_RESERVED_ENDS = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


class Place(NamedTuple):
    """Where an object, or everything under a prefix, is."""

    bucket: str
    key: str


def check_bucket_name(name: str) -> None:
    """Raises InvalidBucketName with the rule that `name` breaks."""
    problem = _bucket_name_problem(name)
    if problem:
        raise refusals.invalid_bucket_name(name, problem)


def check_key(key: str) -> None:
    """Raises KeyTooLongError, or InvalidURI for a key that is no text."""
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise refusals.invalid_key() from None
    if size > MAX_KEY_BYTES:
        raise refusals.key_too_long(size, MAX_KEY_BYTES)


def parse_s3_uri(uri: str) -> Place:
    """Bucket and key of `s3://bucket/key`; the key may be empty or end in a slash. Raises Invalid."""
    scheme, separator, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not separator or _bucket_name_problem(bucket):
        raise Invalid(f"{uri}: not an S3 URI. Write s3://bucket/key, with a bucket of 3 to 63 characters.")
    return Place(bucket=bucket, key=key)


def _bucket_name_problem(name: str) -> str:
    if not 3 <= len(name) <= 63:
        return "it must have 3 to 63 characters"
    if not _BUCKET.fullmatch(name):
        return "only a-z, 0-9, '.' and '-' are allowed, with a letter or digit at both ends"
    if ".." in name:
        return "two dots may not stand together"
    if name.startswith(_RESERVED_STARTS) or name.endswith(_RESERVED_ENDS):
        return "this beginning or end is reserved"
    return "it may not look like an IP address" if _is_ip_address(name) else ""


def _is_ip_address(name: str) -> bool:
    try:
        ipaddress.IPv4Address(name)
    except ValueError:
        return False
    return True
