"""Tags of Bedrock's resources: by ARN in the body."""

from outcrop.api.call import Answered, Call, Handler
from outcrop.api.listing import tags_of
from outcrop.api.platform import Platform
from outcrop.errors import NotFound


def tag_resource(platform: Platform, call: Call) -> Answered:
    platform.store.tags.put(_existing(platform, call), tags_of(call.params["tags"]))
    return {}


def untag_resource(platform: Platform, call: Call) -> Answered:
    platform.store.tags.remove(_existing(platform, call), call.params["tagKeys"])
    return {}


def list_tags_for_resource(platform: Platform, call: Call) -> Answered:
    tags = platform.store.tags.get(_existing(platform, call))
    return {"tags": [{"key": key, "value": value} for key, value in tags.items()]}


def _existing(platform: Platform, call: Call) -> str:
    wanted: str = call.params["resourceARN"]
    if platform.store.resources.get(wanted) is None:
        raise NotFound(f"The resource {wanted} was not found.")
    return wanted


OPERATIONS: dict[str, Handler] = {
    "TagResource": tag_resource,
    "UntagResource": untag_resource,
    "ListTagsForResource": list_tags_for_resource,
}
