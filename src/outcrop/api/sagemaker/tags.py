"""Tags of SageMaker's resources, by ARN."""

from outcrop.api.door.call import Answered, Call, Handler
from outcrop.errors import Invalid
from outcrop.house import House
from outcrop.store.tags import check_number, tags_of


def add_tags(house: House, call: Call) -> Answered:
    tags = tags_of("Tags", [{"key": tag["Key"], "value": tag["Value"]} for tag in call.params["Tags"]])
    with house.store.transaction():  # no tags are left of a resource that is deleted at this moment
        arn = _existing(house, call)
        check_number(arn, {**house.store.tags.get(arn), **tags})
        house.store.tags.put(arn, tags)
        return {"Tags": _told(house.store.tags.get(arn))}


def delete_tags(house: House, call: Call) -> Answered:
    house.store.tags.remove(_existing(house, call), call.params["TagKeys"])
    return {}


def list_tags(house: House, call: Call) -> Answered:
    if "NextToken" in call.params:
        raise Invalid("NextToken: all tags of a resource come at once. Leave it out.")
    return {"Tags": _told(house.store.tags.get(_existing(house, call)))}


def _told(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _existing(house: House, call: Call) -> str:
    arn: str = call.params["ResourceArn"]
    if house.store.resources.row(arn) is None:
        raise Invalid("Requested resource not found.")
    return arn


OPERATIONS: dict[str, Handler] = {
    "AddTags": add_tags,
    "DeleteTags": delete_tags,
    "ListTags": list_tags,
}
