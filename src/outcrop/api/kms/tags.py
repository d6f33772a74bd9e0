"""KMS: tags of keys."""

from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.kms.named import key_named
from outcrop.api.kms.paging import page_of_list
from outcrop.errors import Invalid
from outcrop.house import House
from outcrop.keys import refusals
from outcrop.keys.key import KeyState, KmsKey
from outcrop.store.tags import MAX_TAGS, tags_of

_MOST = 50


def tag_resource(house: House, call: Call) -> Answered:
    tags = tags_of_request(call)
    with house.store.transaction():
        key = _changeable(house, call)
        _check_number({**house.store.tags.get(key.arn), **tags})
        house.store.tags.put(key.arn, tags)
    return {}


def untag_resource(house: House, call: Call) -> Answered:
    house.store.tags.remove(_changeable(house, call).arn, call.params["TagKeys"])
    return {}


def list_resource_tags(house: House, call: Call) -> Answered:
    tags = house.store.tags.get(key_named(house, call).arn)
    rows = [{"TagKey": key, "TagValue": value} for key, value in tags.items()]
    return page_of_list(call, "Tags", rows, "TagKey", otherwise=_MOST)


def tags_of_request(call: Call) -> dict[str, str]:
    """The tags that a request brings. Raises TagException."""
    pairs = [{"key": tag["TagKey"], "value": tag["TagValue"]} for tag in call.params.get("Tags") or ()]
    try:
        tags = tags_of("Tags", pairs)
    except Invalid as error:
        raise refusals.refusal("TagException", error.message) from error
    _check_number(tags)
    return tags


def _check_number(tags: dict[str, str]) -> None:
    if len(tags) > MAX_TAGS:
        raise refusals.limit_exceeded(f"The key would have {len(tags)} tags; at most {MAX_TAGS} are allowed.")


def _changeable(house: House, call: Call) -> KmsKey:
    key = key_named(house, call)
    if key.state is KeyState.PENDING_DELETION:
        raise refusals.pending_deletion(key.arn)
    return key


OPERATIONS: dict[str, Handler] = {
    "TagResource": tag_resource,
    "UntagResource": untag_resource,
    "ListResourceTags": list_resource_tags,
}
