"""CloudTrail: tags of trails, by their ARN."""

from collections.abc import Iterable, Mapping

from outcrop import arn as arns
from outcrop.api.door.call import Answered, Call, Handler
from outcrop.errors import Invalid
from outcrop.house import House
from outcrop.store.tags import MAX_TAGS, tags_of
from outcrop.trails.refusals import refusal
from outcrop.trails.trail import KIND


def add_tags(house: House, call: Call) -> Answered:
    tags = tags_of_request(call.params["TagsList"])
    with house.store.transaction():  # no tags are left of a trail that is deleted at this moment
        arn = _existing(house, call.params["ResourceId"])
        _check_number({**house.store.tags.get(arn), **tags})
        house.store.tags.put(arn, tags)
    return {}


def remove_tags(house: House, call: Call) -> Answered:
    keys = [tag["Key"] for tag in call.params["TagsList"]]
    house.store.tags.remove(_existing(house, call.params["ResourceId"]), keys)
    return {}


def list_tags(house: House, call: Call) -> Answered:
    if "NextToken" in call.params:
        raise refusal("InvalidTokenException", "NextToken: all tags come at once. Leave it out.")
    found = []
    for given in call.params["ResourceIdList"]:
        tags = house.store.tags.get(_existing(house, given))
        found.append({"ResourceId": given, "TagsList": [{"Key": key, "Value": value} for key, value in tags.items()]})
    return {"ResourceTagList": found}


def tags_of_request(given: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    """The tags of a request. Raises InvalidTagParameterException and TagsLimitExceededException."""
    try:
        tags = tags_of("TagsList", [{"key": tag["Key"], "value": tag.get("Value", "")} for tag in given or ()])
    except Invalid as error:
        raise refusal("InvalidTagParameterException", error.message) from error
    _check_number(tags)
    return tags


def _check_number(tags: Mapping[str, str]) -> None:
    if len(tags) > MAX_TAGS:
        raise refusal(
            "TagsLimitExceededException", f"The trail would have {len(tags)} tags; at most {MAX_TAGS} are allowed."
        )


def _existing(house: House, arn: str) -> str:
    parsed = arns.parse(arn)
    if parsed is None or parsed.service != "cloudtrail":
        raise refusal("CloudTrailARNInvalidException", f"ResourceId: {arn[:200]} is no ARN of a trail.")
    if parsed.kind != "trail":
        raise refusal(
            "ResourceTypeNotSupportedException", f"ResourceId: {arn[:200]}: only trails are built in Outcrop."
        )
    row = house.store.resources.row(arn)
    if row is None or row.kind != KIND:
        raise refusal("ResourceNotFoundException", f"ResourceId: there is no trail {arn[:200]}.")
    return arn


OPERATIONS: dict[str, Handler] = {"AddTags": add_tags, "ListTags": list_tags, "RemoveTags": remove_tags}
