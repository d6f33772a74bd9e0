"""Sessions of bedrock-agent-runtime: created, read, ended, deleted, listed and tagged."""

from typing import TYPE_CHECKING, Any

from outcrop.api.bedrock import listing
from outcrop.api.door import page_tokens
from outcrop.api.door.call import Answered, Call, Handler
from outcrop.errors import Invalid, NotFound
from outcrop.knowledge.agent_sessions.sessions import KEPT, KIND, members_of
from outcrop.store.listing import Filters
from outcrop.store.resources import Resource
from outcrop.store.tags import tags_of

if TYPE_CHECKING:
    from outcrop.house import House

_PAGE = 100


def create_session(house: "House", call: Call) -> Answered:
    if call.params.get("encryptionKeyArn"):
        raise Invalid(
            "encryptionKeyArn: encryption by a key of one's own is not built in Outcrop yet; sessions lie unencrypted "
            "in its home. Leave it out, and encrypt the disk."
        )
    tags = _tags(call)
    row = house.agent_sessions.create(call.region, call.params.get("sessionMetadata", {}), tags)
    told = _told(house, row)
    return {name: told[name] for name in ("sessionId", "sessionArn", "sessionStatus", "createdAt")}


def get_session(house: "House", call: Call) -> Answered:
    row = session_of(house, call)
    return {**_told(house, row), "sessionMetadata": row.document["sessionMetadata"]}


def update_session(house: "House", call: Call) -> Answered:
    row = house.agent_sessions.update(session_of(house, call), call.params.get("sessionMetadata"))
    return _told(house, row)


def end_session(house: "House", call: Call) -> Answered:
    told = _told(house, house.agent_sessions.end(session_of(house, call)))
    return {name: told[name] for name in ("sessionId", "sessionArn", "sessionStatus")}


def delete_session(house: "House", call: Call) -> Answered:
    house.agent_sessions.delete(session_of(house, call))
    return {}


def list_sessions(house: "House", call: Call) -> Answered:
    """Sessions of the region, newest first."""
    found = house.store.resources.list(
        KIND,
        call.region,
        filters=Filters(updated_after=house.clock.now() - KEPT),
        max_results=call.params.get("maxResults", _PAGE),
        token=page_tokens.read(call),
    )
    summaries = listing.summaries(found, lambda row: _told(house, row))
    token = None if found.next_token is None else page_tokens.write(call, found.next_token)
    return {"sessionSummaries": summaries, "nextToken": token}


def tag_resource(house: "House", call: Call) -> Answered:
    tags = _tags(call)
    with house.store.transaction():  # no tags are left of a session that is deleted at this moment
        house.store.tags.put(_tagged(house, call), tags)
    return {}


def untag_resource(house: "House", call: Call) -> Answered:
    house.store.tags.remove(_tagged(house, call), call.params["tagKeys"])
    return {}


def list_tags_for_resource(house: "House", call: Call) -> Answered:
    return {"tags": house.store.tags.get(_tagged(house, call))}


def session_of(house: "House", call: Call) -> Resource:
    """The session that a request names. Raises NotFound."""
    return house.agent_sessions.find(call.region, call.params["sessionIdentifier"])


def _tagged(house: "House", call: Call) -> str:
    arn = call.params["resourceArn"]
    try:
        return house.agent_sessions.find(call.region, arn).arn
    except NotFound as absent:
        raise NotFound(f"The resource {arn} was not found.") from absent


def _tags(call: Call) -> dict[str, str]:
    pairs = [{"key": key, "value": value} for key, value in call.params.get("tags", {}).items()]
    return tags_of("tags", pairs)


def _told(house: "House", row: Resource) -> dict[str, Any]:
    return members_of(row, house.agent_sessions.status(row))


OPERATIONS: dict[str, Handler] = {
    "CreateSession": create_session,
    "GetSession": get_session,
    "UpdateSession": update_session,
    "EndSession": end_session,
    "DeleteSession": delete_session,
    "ListSessions": list_sessions,
    "TagResource": tag_resource,
    "UntagResource": untag_resource,
    "ListTagsForResource": list_tags_for_resource,
}
