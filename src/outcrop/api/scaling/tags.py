"""Application Auto Scaling: tags of scalable targets, by their ARN."""

from outcrop.api.door.call import Answered, Call, Handler
from outcrop.errors import ServiceRefusal
from outcrop.house import House
from outcrop.scaling.records import TARGET
from outcrop.store.tags import MAX_TAGS, tags_of


def tag_resource(house: House, call: Call) -> Answered:
    tags = tags_of("Tags", [{"key": key, "value": value} for key, value in call.params["Tags"].items()])
    with house.store.transaction():  # no tags are left of a target that is deregistered at this moment
        arn = _existing(house, call)
        number = len({**house.store.tags.get(arn), **tags})
        if number > MAX_TAGS:
            text = f"{arn} would have {number} tags; at most {MAX_TAGS} are allowed. Remove some first."
            raise ServiceRefusal("TooManyTagsException", text, http_status=400, ResourceName=arn)
        house.store.tags.put(arn, tags)
    return {}


def untag_resource(house: House, call: Call) -> Answered:
    house.store.tags.remove(_existing(house, call), call.params["TagKeys"])
    return {}


def list_tags_for_resource(house: House, call: Call) -> Answered:
    return {"Tags": house.store.tags.get(_existing(house, call))}


def _existing(house: House, call: Call) -> str:
    arn: str = call.params["ResourceARN"]
    row = house.store.resources.row(arn)
    if row is None or row.kind != TARGET or row.region != call.region:
        text = f"There is no scalable target with the ARN {arn}."
        raise ServiceRefusal("ResourceNotFoundException", text, http_status=400, ResourceName=arn)
    return arn


OPERATIONS: dict[str, Handler] = {
    "ListTagsForResource": list_tags_for_resource,
    "TagResource": tag_resource,
    "UntagResource": untag_resource,
}
