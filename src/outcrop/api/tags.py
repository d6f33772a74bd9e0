"""Tags of Bedrock's resources: by ARN in the body."""

from outcrop.api.call import Answered, Call, Handler
from outcrop.api.named import row_of
from outcrop.api.platform import Platform
from outcrop.store.tags import tags_of


def tag_resource(platform: Platform, call: Call) -> Answered:
    tags = tags_of("tags", call.params["tags"])
    with platform.store.transaction():  # no tags are left of a resource that is deleted at this moment
        platform.store.tags.put(_existing(platform, call), tags)
    return {}


def untag_resource(platform: Platform, call: Call) -> Answered:
    platform.store.tags.remove(_existing(platform, call), call.params["tagKeys"])
    return {}


def list_tags_for_resource(platform: Platform, call: Call) -> Answered:
    tags = platform.store.tags.get(_existing(platform, call))
    return {"tags": [{"key": key, "value": value} for key, value in tags.items()]}


def _existing(platform: Platform, call: Call) -> str:
    return row_of(platform, call, "resourceARN", "resource").arn


OPERATIONS: dict[str, Handler] = {
    "TagResource": tag_resource,
    "UntagResource": untag_resource,
    "ListTagsForResource": list_tags_for_resource,
}
