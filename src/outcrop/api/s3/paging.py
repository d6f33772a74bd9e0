"""Pages of S3's listings: how long they are, and from where they go on.

The older listings go on behind a key that clients may name themselves. A token of the others is opaque and good for
the rows that it was given for only: bucket, prefix, delimiter, region of buckets. The size of a page may change, and so
may what else is told about each row; StartAfter may be repeated or not, since a token takes its place.
"""

from outcrop.api.door import page_tokens
from outcrop.api.door.call import Call
from outcrop.buckets import refusals
from outcrop.errors import ServiceRefusal

_CHOOSE_ROWS = ("Bucket", "Prefix", "Delimiter", "BucketRegion")
_MOST_BUCKETS = 10_000


def limit_of(call: Call, member: str, most: int = 1000) -> int:
    """How many entries a listing may have. Raises InvalidArgument for a negative number."""
    asked = int(call.params.get(member, most))
    if asked < 0:
        raise _no_size(member, asked, 0, most)
    return min(asked, most)


def limit_of_buckets(call: Call) -> int:
    """How many entries ListBuckets may have. Raises InvalidArgument outside S3's documented least and greatest."""
    asked = int(call.params.get("MaxBuckets", _MOST_BUCKETS))
    if not 1 <= asked <= _MOST_BUCKETS:
        raise _no_size("MaxBuckets", asked, 1, _MOST_BUCKETS)
    return asked


def write_token(call: Call, place: bytes) -> str:
    """The token that goes on at `place` in the listing of this call."""
    return page_tokens.write_of_query(_rows_of(call), place)


def read_token(call: Call) -> bytes | None:
    """The place at which the call goes on, None at the beginning. Raises InvalidArgument for another query's token."""
    token = call.params.get("ContinuationToken")
    if token is None:
        return None
    place = page_tokens.read_of_query(_rows_of(call), token)
    if place is None:
        raise refusals.invalid_argument("continuation-token", token, "The continuation token provided is incorrect")
    return place


def _rows_of(call: Call) -> dict[str, str]:
    """The query as S3's rows depend on it. The region that a client signs for is none of it: a bucket has its own."""
    return {"operation": call.operation, **{name: call.params.get(name) or "" for name in _CHOOSE_ROWS}}


def _no_size(member: str, asked: int, least: int, most: int) -> ServiceRefusal:
    return refusals.invalid_argument(
        member, str(asked), f"Argument {member} must be an integer between {least} and {most}"
    )
