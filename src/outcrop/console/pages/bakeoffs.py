"""Bake-offs: the result that `outcrop bakeoff --json` printed, opened from a bucket."""

import json

from botocore.exceptions import ClientError
from starlette.responses import Response

from outcrop.console.user_client import DENIED
from outcrop.console.views.bakeoff_view import BakeoffPage, bakeoff_page
from outcrop.console.visit import ConsoleVisit
from outcrop.errors import Invalid

_MOST_BUCKETS, _MOST_OBJECTS, _MOST_BYTES = 20, 200, 16 << 20
_GONE = frozenset({"NoSuchBucket", "NoSuchKey", "InvalidBucketName"})


def show(visit: ConsoleVisit) -> Response:
    """The result that the address names, and where others lie."""
    uri, page, problem = visit.asked("uri").strip(), None, ""
    if uri:
        try:
            page = _page(visit, uri)
        except (Invalid, ValueError) as wrong:
            problem = str(wrong)
        except ClientError as refusal:
            if refusal.response["Error"]["Code"] not in DENIED | _GONE:
                raise
            problem = refusal.response["Error"]["Message"]
    return visit.page(
        "bakeoffs.html", status=400 if problem else 200, uri=uri, page=page, problem=problem, uris=_results(visit)
    )


def _page(visit: ConsoleVisit, uri: str) -> BakeoffPage:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket or not key:
        raise Invalid(f"{uri}: write s3://BUCKET/KEY.")
    found = visit.api.client("s3").get_object(Bucket=bucket, Key=key)
    if found["ContentLength"] > _MOST_BYTES:
        raise Invalid(f"{uri}: {found['ContentLength'] // 10**6:,} MB; a result is smaller.")
    try:
        told = json.loads(found["Body"].read(), parse_constant=_no_number)
    except ValueError as wrong:
        raise Invalid(f"{uri}: not JSON: {wrong}. `outcrop bakeoff PLAN --json` prints a result.") from wrong
    return bakeoff_page(told, visit.language)


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no number")


def _results(visit: ConsoleVisit) -> list[str]:
    """Objects of JSON, of which one may be a result."""
    uris = []
    for bucket in visit.api.listed("s3", "list_buckets", "Buckets").items[:_MOST_BUCKETS]:
        found = visit.api.listed("s3", "list_objects_v2", "Contents", Bucket=bucket["Name"], MaxKeys=_MOST_OBJECTS)
        uris += [f"s3://{bucket['Name']}/{each['Key']}" for each in found.items if each["Key"].endswith(".json")]
    return uris
