"""S3 Vectors: tags of vector buckets and indexes, by their ARN."""

from collections.abc import Mapping

from outcrop.api.door.call import Answered, Call, Handler
from outcrop.errors import Invalid, NotFound
from outcrop.house import House
from outcrop.store.tags import MAX_TAGS, tags_of
from outcrop.vectors.records import BUCKET, INDEX


def tag_resource(house: House, call: Call) -> Answered:
    tags = tags_of_request(call)
    with house.store.transaction():  # no tags are left of a resource that is deleted at this moment
        arn = _existing(house, call)
        _check_number(arn, {**house.store.tags.get(arn), **tags})
        house.store.tags.put(arn, tags)
    return {}


def untag_resource(house: House, call: Call) -> Answered:
    house.store.tags.remove(_existing(house, call), call.params["tagKeys"])
    return {}


def list_tags_for_resource(house: House, call: Call) -> Answered:
    return {"tags": house.store.tags.get(_existing(house, call))}


def tags_of_request(call: Call) -> dict[str, str]:
    """The tags that a request brings. Raises Invalid for those that nobody may have, or more than a resource may."""
    given: Mapping[str, str] = call.params.get("tags") or {}
    tags = tags_of("tags", [{"key": key, "value": value} for key, value in given.items()])
    _check_number("tags: the resource", tags)
    return tags


def _check_number(what: str, tags: Mapping[str, str]) -> None:
    if len(tags) > MAX_TAGS:  # S3 Vectors has no error of its own for it
        raise Invalid(f"{what} would have {len(tags)} tags; at most {MAX_TAGS} are allowed. Remove some first.")


def _existing(house: House, call: Call) -> str:
    arn: str = call.params["resourceArn"]
    row = house.store.resources.row(arn)
    if row is None or row.kind not in (BUCKET, INDEX) or row.region != call.region:
        raise NotFound(f"The specified resource could not be found: {arn}")
    return arn


OPERATIONS: dict[str, Handler] = {
    "TagResource": tag_resource,
    "UntagResource": untag_resource,
    "ListTagsForResource": list_tags_for_resource,
}
