"""Names of JumpStart's two buckets, one of each in every region."""

import re
from typing import NamedTuple

CONTENT, GATED = "jumpstart-cache-prod", "jumpstart-private-cache-prod"
_NAME = re.compile(rf"({CONTENT}|{GATED})-([a-z]{{2,4}}(?:-[a-z]+)+-\d)")


class RegionalBucket(NamedTuple):
    """A bucket of JumpStart's, in a region."""

    kind: str
    region: str


def parse(name: str) -> RegionalBucket | None:
    """The bucket of this name, if it is one of JumpStart's."""
    found = _NAME.fullmatch(name)
    return None if found is None else RegionalBucket(*found.groups())


def name_in(kind: str, region: str) -> str:
    return f"{kind}-{region}"
