"""Buckets named by the host: `bucket.localhost`, `bucket.s3.localhost` and `bucket.s3.<region>.localhost`.

Names under `localhost` lead to this machine by themselves. Signatures cover the path as it was sent, so the request is
only looked at in path style where its operation is found.
"""

import re
from dataclasses import replace

from outcrop.protocol.http import HttpRequest

_REGIONAL = re.compile(r"(?P<bucket>.+)\.s3(?:[.-][a-z0-9-]+)?\.localhost")
_PLAIN = re.compile(r"(?P<bucket>.+)\.localhost")


def bucket_in(host: str) -> str | None:
    """The bucket that a Host header names, or None for the address of the house itself."""
    name = host.partition(":")[0].lower()
    found = _REGIONAL.fullmatch(name) or _PLAIN.fullmatch(name)
    bucket = found["bucket"] if found else None
    return None if bucket is None or bucket == "s3" or bucket.startswith("s3.") else bucket


def addressed(request: HttpRequest) -> HttpRequest:
    """The request in path style."""
    bucket = bucket_in(request.headers.get("host", ""))
    return request if bucket is None else replace(request, raw_path=f"/{bucket}{request.raw_path}")
