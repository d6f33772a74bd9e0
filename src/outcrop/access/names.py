"""Names, paths and ids of IAM: their patterns, their ARNs, and the random ones made here."""

import base64
import re
import secrets
from enum import Enum

from outcrop import arn as arns
from outcrop.errors import ServiceRefusal

_NAME = re.compile(r"^[A-Za-z0-9+=,.@_-]+$")
_PATH = re.compile(r"^(/|/[\x21-\x7e]+/)$")


class Kind(Enum):
    """A kind of identity; the value is the first part of its ARN's resource."""

    GROUP = "group"
    ROLE = "role"
    USER = "user"


LONGEST_NAME = {"group": 128, "role": 64, "user": 64, "policy": 128}
_LASTING, _TEMPORARY = "AKIA", "ASIA"
ID_PREFIX = {"group": "AGPA", "role": "AROA", "user": "AIDA", "policy": "ANPA"}


def check_name(kind: str, name: str) -> None:
    """Raises ValidationError in IAM's words."""
    if not _NAME.match(name):
        raise _invalid(
            f"The specified value for {kind}Name is invalid. It must contain only alphanumeric characters and/or the "
            "following: +=,.@_-"
        )
    longest = LONGEST_NAME[kind]
    if len(name) > longest:
        raise _invalid(
            f"1 validation error detected: Value '{name}' at '{kind}Name' failed to satisfy constraint: "
            f"Member must have length less than or equal to {longest}"
        )


def check_path(path: str) -> None:
    if not _PATH.match(path) or len(path) > 512:
        raise _invalid(
            "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric "
            "characters and/or / characters."
        )


def arn_of(account: str, kind: str, path: str, name: str) -> str:
    """arn:aws:iam::<account>:role/service-role/OutcropServiceRole"""
    return arns.iam(account, f"{kind}{path}{name}")


def new_identity_id(kind: str) -> str:
    """A unique id of 21 characters: AROA…, AIDA…, ANPA…."""
    return ID_PREFIX[kind] + _base32(17)


def is_temporary_key(key_id: str) -> bool:
    """Whether the access key belongs to a session."""
    return key_id.startswith(_TEMPORARY)


def new_key_id(*, temporary: bool = False) -> str:
    """An access key id of 20 characters: AKIA…, or ASIA… for a session."""
    return (_TEMPORARY if temporary else _LASTING) + _base32(16)


def new_secret() -> str:
    """A secret access key: 40 characters, 240 random bits."""
    return base64.b64encode(secrets.token_bytes(30)).decode()


def _base32(length: int) -> str:
    return base64.b32encode(secrets.token_bytes(length))[:length].decode()


def _invalid(message: str) -> ServiceRefusal:
    return ServiceRefusal("ValidationError", message, http_status=400)
