"""Tags of knowledge bases: by ARN in the path."""

from outcrop.api.bedrock.named import row_of
from outcrop.api.door.call import Answered, Call, Handler
from outcrop.house import House
from outcrop.store.tags import tags_of


def tag_resource(house: House, call: Call) -> Answered:
    tags = tags_of("tags", [{"key": key, "value": value} for key, value in call.params["tags"].items()])
    with house.store.transaction():  # no tags are left of a resource that is deleted at this moment
        house.store.tags.put(_existing(house, call), tags)
    return {}


def untag_resource(house: House, call: Call) -> Answered:
    house.store.tags.remove(_existing(house, call), call.params["tagKeys"])
    return {}


def list_tags_for_resource(house: House, call: Call) -> Answered:
    return {"tags": house.store.tags.get(_existing(house, call))}


def _existing(house: House, call: Call) -> str:
    return row_of(house, call, "resourceArn", "resource").arn


OPERATIONS: dict[str, Handler] = {
    "TagResource": tag_resource,
    "UntagResource": untag_resource,
    "ListTagsForResource": list_tags_for_resource,
}
