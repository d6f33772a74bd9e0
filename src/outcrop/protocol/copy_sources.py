"""The header `x-amz-copy-source`: `bucket/key?versionId=…`, percent-encoded, with or without a slash before it."""

from typing import NamedTuple
from urllib.parse import unquote


class CopySource(NamedTuple):
    """The source of a copy: bucket, key and version. Any part may be empty; whoever copies judges that."""

    bucket: str
    key: str
    version: str


def parse_copy_source(header: str) -> CopySource:
    """The one reading of the header, for the decision and for the copy."""
    path, _, version = header.partition("?versionId=")
    bucket, _, key = unquote(path).removeprefix("/").partition("/")
    return CopySource(bucket, key, unquote(version))
