"""Ids of versions, which begin with the version's number within its key.

A listing that goes on behind a version therefore knows where that stood, also when it was removed meanwhile.
"""

import re
import secrets

NULL_VERSION = "null"
"S3's name of the version that was written while its bucket kept none."
_VERSION = re.compile(r"[0-9a-f]{8}[A-Za-z0-9_-]{24}", re.ASCII)
_RANDOM_BYTES = 18


def draw_version_id(number: int) -> str:
    """The id of the version with this number: 32 characters, as S3's have, most of which nobody guesses."""
    return f"{number:08x}{secrets.token_urlsafe(_RANDOM_BYTES)}"


def is_version_id(text: str) -> bool:
    """Whether this may be the id of a version, of one that is there or not."""
    return text == NULL_VERSION or _VERSION.fullmatch(text) is not None


def number_in(version: str) -> int:
    """The number that the id of a version other than `null` begins with."""
    return int(version[:8], 16)
