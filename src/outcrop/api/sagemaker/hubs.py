"""Hubs: create, describe, list, update, delete."""

from typing import Any

from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.sagemaker.hub_pages import ListingPlace, is_named, is_within, page
from outcrop.house import House
from outcrop.sagemaker.hub.hubs import IN_SERVICE, HubRecord
from outcrop.store.tags import check_number, tags_of

_TOLD_IN_LISTS = ("HubDisplayName", "HubDescription", "HubSearchKeywords")


def create_hub(house: House, call: Call) -> Answered:
    tags = tags_of("Tags", [{"key": tag["Key"], "value": tag["Value"]} for tag in call.params.get("Tags", [])])
    check_number(call.params["HubName"], tags)
    return {"HubArn": house.hubs.create(call.params, region=call.region, tags=tags)}


def describe_hub(house: House, call: Call) -> Answered:
    hub = house.hubs.find(call.params["HubName"], call.region)
    return {**_summary(hub), **hub.members}


def list_hubs(house: House, call: Call) -> Answered:
    found = [
        hub
        for hub in house.hubs.all(call.region)
        if is_named(hub.place.name, call)
        and is_within(hub.created, call, after="CreationTimeAfter", before="CreationTimeBefore")
        and is_within(hub.updated, call, after="LastModifiedTimeAfter", before="LastModifiedTimeBefore")
    ]
    shown, token = page(
        call,
        found,
        lambda hub: ListingPlace(_key(hub, call.params.get("SortBy", "CreationTime")), hub.place.name),
        descending=call.params.get("SortOrder", "Descending") == "Descending",
    )
    return {"HubSummaries": [_summary(hub) for hub in shown], "NextToken": token}


def update_hub(house: House, call: Call) -> Answered:
    hub = house.hubs.writable(call.params["HubName"], call.region)
    house.hubs.change(hub, call.params)
    return {"HubArn": hub.arn}


def delete_hub(house: House, call: Call) -> Answered:
    house.hubs.remove(house.hubs.writable(call.params["HubName"], call.region))
    return {}


def _key(hub: HubRecord, sort_by: str) -> str:
    keys = {
        "HubName": hub.place.name,
        "CreationTime": hub.created.isoformat(),
        "HubStatus": IN_SERVICE,
        "AccountIdOwner": "" if hub.place.is_public else hub.place.account,
    }
    return keys[sort_by]


def _summary(hub: HubRecord) -> dict[str, Any]:
    return {
        "HubName": hub.place.name,
        "HubArn": hub.place.arn,
        **{member: hub.members.get(member) for member in _TOLD_IN_LISTS},
        "HubStatus": IN_SERVICE,
        "CreationTime": hub.created,
        "LastModifiedTime": hub.updated,
    }


OPERATIONS: dict[str, Handler] = {
    "CreateHub": create_hub,
    "DescribeHub": describe_hub,
    "ListHubs": list_hubs,
    "UpdateHub": update_hub,
    "DeleteHub": delete_hub,
}
