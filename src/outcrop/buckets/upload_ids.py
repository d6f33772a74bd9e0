"""Ids of uploads in parts, which sort as the uploads began.

S3 lists the uploads of one key in the order in which they began, and goes on with ids greater than the marker. Both
hold where the id begins with the time, also when the upload at the marker has ended meanwhile.
"""

import re
import secrets
from datetime import UTC, datetime, timedelta

LAST_UPLOAD_ID = "g"
"""Greater than every id: the digits of its time are hexadecimal."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RANDOM_BYTES = 20
_ID = re.compile(r"[0-9a-f]{16}[A-Za-z0-9_-]{27}", re.ASCII)


def draw_upload_id(now: datetime) -> str:
    """The id of an upload that begins now: microseconds as 16 hexadecimal digits, then 160 bits that nobody guesses."""
    return f"{(now - _EPOCH) // timedelta(microseconds=1):016x}{secrets.token_urlsafe(_RANDOM_BYTES)}"


def is_upload_id(text: str) -> bool:
    """Whether this may have been an id, of an upload that is there or not."""
    return _ID.fullmatch(text) is not None
