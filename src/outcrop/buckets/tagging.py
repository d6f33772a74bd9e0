"""Tags of buckets and objects: S3's rules for their keys and values, in its own sentences."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from outcrop.buckets import refusals
from outcrop.errors import ServiceRefusal

_ALLOWED = re.compile(r"[\w\s+\-=.:/@]*")


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The rules for tags that differ between the places that take them."""

    most: int
    what: str
    system_tag: str


BUCKET_TAGS = Rules(most=50, what="Bucket", system_tag="System tags cannot be added/updated by requester")
OBJECT_TAGS = Rules(most=10, what="Object", system_tag="Your TagKey cannot be prefixed with aws:")
NEW_BUCKET_TAGS = Rules(
    most=50,
    what="Bucket",
    system_tag='User-defined tag keys can\'t start with "aws:". This prefix is reserved for system tags. Remove "aws:" '
    "from your tag keys and try again.",
)


def parse_tags(listed: Iterable[Mapping[str, str]], rules: Rules) -> dict[str, str]:
    """A TagSet as a dict. Raises MalformedXML, InvalidTag, or BadRequest for too many."""
    tags: dict[str, str] = {}
    for tag in listed:
        key, value = tag.get("Key"), tag.get("Value")
        if key is None or value is None:
            raise refusals.malformed_xml()
        if not 1 <= len(key) <= 128 or not _ALLOWED.fullmatch(key):
            raise _invalid("The TagKey you have provided is invalid", TagKey=key)
        if len(value) > 256 or not _ALLOWED.fullmatch(value):
            raise _invalid("The TagValue you have provided is invalid", TagKey=key, TagValue=value)
        if key in tags:
            raise _invalid("Cannot provide multiple Tags with the same key", TagKey=key)
        if key.startswith("aws:"):
            raise _invalid(rules.system_tag, **({} if rules is NEW_BUCKET_TAGS else {"TagKey": key}))
        tags[key] = value
    if len(tags) > rules.most:
        text = f"{rules.what} tags cannot be greater than {rules.most}"
        raise ServiceRefusal("BadRequest", text, http_status=400)
    return tags


def _invalid(message: str, **members: str) -> ServiceRefusal:
    return ServiceRefusal("InvalidTag", message, http_status=400, **members)
