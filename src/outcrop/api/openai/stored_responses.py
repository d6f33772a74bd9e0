"""Responses that are kept: a row each, and the conversation as an object of the files' bucket, for thirty days.

Who made a response may go on from it (`previous_response_id`); whoever may read and delete the object may do so here.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from outcrop import arn as arns
from outcrop.api.door import object_keys
from outcrop.api.door.call import Call
from outcrop.api.openai import stored_files
from outcrop.buckets.names import Place
from outcrop.errors import Refusal
from outcrop.house import House
from outcrop.store.listing import Filters
from outcrop.store.resources import Resource

KIND = "openai-response"
KEPT = timedelta(days=30)
"As long as OpenAI keeps them."
_COMPLETED = "completed"
_AT_ONCE = 100


@dataclass(frozen=True, kw_only=True)
class StoredResponse:
    """A response, and all items of its conversation: those it went on from, its input, its output."""

    response: dict[str, Any]
    input_items: list[dict[str, Any]]
    earlier_items: list[dict[str, Any]]

    @property
    def conversation(self) -> list[dict[str, Any]]:
        """The items that the next response goes on from."""
        return [*self.earlier_items, *self.input_items, *self.response["output"]]


def key_of(response_id: str) -> str:
    return f"responses/{response_id}.json"


def check_keepable(house: House, call: Call) -> None:
    """Raises Denied where responses are sealed by a key of KMS that the caller may not use."""
    name = stored_files.bucket_name(house)
    if house.buckets.exists(name):
        object_keys.check_write(house, call, Place(name, key_of("")))


def keep(
    house: House,
    region: str,
    owner: str,
    response: dict[str, Any],
    *,
    input_items: Sequence[dict[str, Any]],
    earlier_items: Sequence[dict[str, Any]],
) -> None:
    """Keep a response: the object first, then its row."""
    told = {"response": response, "input_items": list(input_items), "earlier_items": list(earlier_items)}
    content = json.dumps(told, ensure_ascii=False).encode("utf-8", "replace")
    now = house.clock.now()
    house.buckets.put_bytes(stored_files.make_bucket(house), key_of(response["id"]), content, "application/json")
    row = Resource(
        arn=_arn(house, region, response["id"]),
        kind=KIND,
        region=region,
        name=response["id"],
        status=_COMPLETED,
        created=now,
        updated=now,
        document={"owner": owner},
    )
    house.store.resources.add(row)


def find(house: House, call: Call, response_id: str, *, owner: str | None = None) -> StoredResponse | None:
    """The response with this id; None where it is not kept, or is not of this owner.

    Raises Denied for one under a key of KMS that the caller may not use.
    """
    row = house.store.resources.find(KIND, call.region, response_id)
    if row is None or row.created + KEPT < house.clock.now():
        return None
    if owner is not None and row.document.get("owner") != owner:
        return None
    place = Place(stored_files.bucket_name(house), key_of(response_id))
    try:
        record = house.buckets.find(*place)
    except Refusal:
        return None  # deleted as an object of its bucket
    object_keys.check_read(house, call, record)
    content = house.buckets.read_bytes(*place)
    told = json.loads(content)
    return StoredResponse(
        response=told["response"], input_items=told["input_items"], earlier_items=told["earlier_items"]
    )


def remove(house: House, region: str, response_id: str) -> None:
    """Forget a response, row and object."""
    house.store.resources.remove(_arn(house, region, response_id))
    name = stored_files.bucket_name(house)
    if house.buckets.exists(name):
        house.buckets.remove(name, key_of(response_id))


def remove_old(house: House) -> int:
    """Forget the responses that were kept long enough; returns how many went."""
    removed = 0
    for region in house.store.resources.regions():
        filters = Filters(created_before=house.clock.now() - KEPT)
        while old := house.store.resources.list(KIND, region, filters=filters, max_results=_AT_ONCE).items:
            for row in old:
                remove(house, region, str(row.name))
            removed += len(old)
    return removed


def _arn(house: House, region: str, response_id: str) -> str:
    return arns.bedrock(region, house.account, f"{KIND}/{response_id}")
