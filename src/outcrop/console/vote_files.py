"""The files of votes in a bucket: JSON Lines below a place, to which votes are added one by one.

s3://BUCKET/PREFIX/datasets/votes/UUID_output.jsonl          where Bedrock puts those of human-based evaluations
s3://BUCKET/PREFIX/feedback-chosen.jsonl                     training data that was made of them
"""

import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from outcrop.console.user_client import UserClient
from outcrop.console.views.vote_lines import CastVote, votes_in

_LARGEST_BYTES = 2 << 20
"Of a file to which a vote is added: all of it is written anew."
_MOST_FILES = 20
_MOST_TRIES = 20
_CHANGED = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})


class VotePlace(NamedTuple):
    """A bucket, and a prefix in it that is empty or ends with a slash."""

    bucket: str
    prefix: str

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"

    def key(self, number: int) -> str:
        """The key of a file of votes, the same each time."""
        name = uuid.uuid5(uuid.NAMESPACE_URL, f"{self.uri}{number}")
        return f"{self.prefix}datasets/votes/{name}_output.jsonl"


def place_of(uri: str) -> VotePlace:
    """The place that an address of S3 names. Raises ValueError."""
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket:
        raise ValueError(f"{uri or 'place'}: write s3://BUCKET/PREFIX.")
    return VotePlace(bucket, f"{prefix.strip('/')}/" if prefix.strip("/") else "")


def add(api: UserClient, place: VotePlace, line: bytes) -> None:
    """Add a line to the newest file. Two who vote at once both count: whoever is later writes again."""
    s3 = api.client("s3")
    for _ in range(_MOST_TRIES):
        number, before, condition = _newest(s3, place)
        try:
            s3.put_object(
                Bucket=place.bucket,
                Key=place.key(number),
                Body=before + line,
                ContentType="application/jsonlines",
                **condition,
            )
        except ClientError as refusal:
            if refusal.response["Error"]["Code"] not in _CHANGED:
                raise
        else:
            return
    raise ValueError(f"{place.uri}: others vote at the same moment. Vote again.")


def read(api: UserClient, place: VotePlace) -> list[CastVote]:
    """All votes of a place, in the order in which they were cast."""
    return list(votes_in(_lines(api.client("s3"), place)))


def _lines(s3: Any, place: VotePlace) -> Iterator[bytes]:
    folder = f"{place.prefix}datasets/"
    found = s3.list_objects_v2(Bucket=place.bucket, Prefix=folder, MaxKeys=_MOST_FILES).get("Contents", [])
    for each in sorted(found, key=lambda each: each["LastModified"]):
        if each["Key"].endswith("_output.jsonl"):
            yield from s3.get_object(Bucket=place.bucket, Key=each["Key"])["Body"].read().splitlines()


def _newest(s3: Any, place: VotePlace) -> tuple[int, bytes, dict[str, str]]:
    """The number of the file to add to, what it holds, and the condition that it still holds that."""
    folder = f"{place.prefix}datasets/votes/"
    num = s3.list_objects_v2(Bucket=place.bucket, Prefix=folder, MaxKeys=_MOST_FILES)["KeyCount"]
    for number in range(max(0, num - 1), _MOST_FILES):
        try:
            found = s3.get_object(Bucket=place.bucket, Key=place.key(number))
        except ClientError as refusal:
            if refusal.response["Error"]["Code"] != "NoSuchKey":
                raise
            return number, b"", {"IfNoneMatch": "*"}
        before = found["Body"].read()
        if len(before) < _LARGEST_BYTES:
            return number, before, {"IfMatch": found["ETag"]}
    raise ValueError(f"{place.uri}: {_MOST_FILES} files of votes lie there. Vote into another place.")
