"""Contents of hubs: import, describe, list, update, delete; references to models of the public hub; presigned URLs."""

from typing import Any
from urllib.parse import urlsplit

from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.sagemaker.hub_pages import ListingPlace, is_named, is_within, page
from outcrop.errors import Invalid
from outcrop.house import House
from outcrop.sagemaker.hub.contents import HubContent
from outcrop.sagemaker.hub.places import ContentType, HubPlace, version_key
from outcrop.sagemaker.hub.presigned import presigned_url
from outcrop.sagemaker.jumpstart.specification import artifact_prefix, bucket
from outcrop.store.tags import check_number, tags_of

_TOLD_IN_LISTS = ("HubContentDisplayName", "HubContentDescription", "SupportStatus", "HubContentSearchKeywords")


def import_hub_content(house: House, call: Call) -> Answered:
    hub = house.hubs.writable(call.params["HubName"], call.region)
    content = house.hubs.contents.add(hub, call.params, tags=_tags(call))
    return _named(content)


def create_hub_content_reference(house: House, call: Call) -> Answered:
    params = call.params
    content = house.hubs.contents.refer(
        house.hubs.writable(params["HubName"], call.region),
        params["SageMakerPublicHubContentArn"],
        name=params.get("HubContentName"),
        min_version=params.get("MinVersion"),
        tags=_tags(call),
    )
    return _named(content)


def describe_hub_content(house: House, call: Call) -> Answered:
    content = _found(house, call)
    return {
        **_told(content),
        **content.members,
        "HubName": content.hub.name,
        "HubArn": content.hub.arn,
        "HubContentDocument": content.document,
        "ReferenceMinVersion": content.min_version,
        "HubContentDependencies": [],
        "LastModifiedTime": content.updated,
    }


def list_hub_contents(house: House, call: Call) -> Answered:
    hub = house.hubs.place(call.params["HubName"], call.region)
    found = house.hubs.contents.latest(hub, ContentType(call.params["HubContentType"]))
    return _listed(call, [content for content in found if is_named(content.name, call)])


def list_hub_content_versions(house: House, call: Call) -> Answered:
    params = call.params
    hub, kind = house.hubs.place(params["HubName"], call.region), ContentType(params["HubContentType"])
    house.hubs.contents.find(hub, kind, params["HubContentName"], None)  # refuses what is not there
    least = version_key(params["MinVersion"]) if "MinVersion" in params else (0, 0, 0)
    found = [
        content
        for content in house.hubs.contents.versions(hub, kind)
        if content.name == params["HubContentName"] and version_key(content.version) >= least
    ]
    return _listed(call, found)


def update_hub_content(house: House, call: Call) -> Answered:
    house.hubs.writable(call.params["HubName"], call.region)
    content = _found(house, call)
    house.hubs.contents.change(content, call.params)
    return _named(content)


def update_hub_content_reference(house: House, call: Call) -> Answered:
    hub = _reference_hub(house, call)
    return _named(
        house.hubs.contents.change_reference(hub, call.params["HubContentName"], call.params.get("MinVersion"))
    )


def delete_hub_content(house: House, call: Call) -> Answered:
    params = call.params
    hub = house.hubs.writable(params["HubName"], call.region)
    kind = ContentType(params["HubContentType"])
    house.hubs.contents.remove(hub, kind, params["HubContentName"], params["HubContentVersion"])
    return {}


def delete_hub_content_reference(house: House, call: Call) -> Answered:
    house.hubs.contents.remove_reference(_reference_hub(house, call), call.params["HubContentName"])
    return {}


def create_hub_content_presigned_urls(house: House, call: Call) -> Answered:
    content = _found(house, call)
    if content.model is None:
        raise Invalid(
            f"HubContentName: {content.name} keeps its artifacts elsewhere. Only models of the public hub, and "
            "references to them, have artifacts here; sign URLs of your own bucket with its own tools."
        )
    place, prefix = bucket(call.region), artifact_prefix(content.model)
    expected = call.params.get("AccessConfig", {}).get("ExpectedS3Url")
    if expected is not None and expected.rstrip("/") != f"s3://{place}/{prefix}".rstrip("/"):
        raise Invalid(
            f"AccessConfig.ExpectedS3Url: the artifacts are at s3://{place}/{prefix}. Correct it, or leave it out."
        )
    keys = [record.key for record in house.buckets.under(place, prefix)]
    shown, token = page(call, keys, lambda key: ListingPlace(key, ""), descending=False)
    credential = house.access.credentials.find(call.caller.key_id)
    if credential is None:
        raise Invalid("The access key of this request is gone. Sign the request with another one.")
    host = call.headers.get("host") or urlsplit(house.settings.endpoint).netloc
    endpoint = f"{'https' if call.secure else 'http'}://{host}"
    return {
        "AuthorizedUrlConfigs": [
            {
                "Url": presigned_url(credential, endpoint=endpoint, region=call.region, bucket=place, key=key),
                "LocalPath": f"/{key.removeprefix(prefix)}",
            }
            for key in shown
        ],
        "NextToken": token,
    }


def _found(house: House, call: Call) -> HubContent:
    hub = house.hubs.place(call.params["HubName"], call.region)
    kind = ContentType(call.params["HubContentType"])
    return house.hubs.contents.find(hub, kind, call.params["HubContentName"], call.params.get("HubContentVersion"))


def _reference_hub(house: House, call: Call) -> HubPlace:
    """The hub of the reference that a request is about. Raises Invalid for a content of another kind."""
    if call.params["HubContentType"] != ContentType.REFERENCE:
        raise Invalid("HubContentType: this operation is for references. Choose ModelReference.")
    return house.hubs.writable(call.params["HubName"], call.region)


def _listed(call: Call, found: list[HubContent]) -> dict[str, Any]:
    newest = version_key(call.params["MaxSchemaVersion"]) if "MaxSchemaVersion" in call.params else None
    kept = [
        content
        for content in found
        if is_within(content.created, call, after="CreationTimeAfter", before="CreationTimeBefore")
        and (newest is None or version_key(content.schema_version) <= newest)
    ]
    shown, token = page(
        call,
        kept,
        lambda content: ListingPlace(_key(content, call.params.get("SortBy", "CreationTime")), _name(content)),
        descending=call.params.get("SortOrder", "Descending") == "Descending",
    )
    return {"HubContentSummaries": [_summary(content) for content in shown], "NextToken": token}


def _key(content: HubContent, sort_by: str) -> str:
    keys = {
        "HubContentName": content.name,
        "CreationTime": content.created.isoformat(),
        "HubContentStatus": content.status,
    }
    return keys[sort_by]


def _name(content: HubContent) -> str:
    """The name among contents that are sorted by something else, with the version in an order of its own."""
    return " ".join([content.name, *(f"{number:04d}" for number in version_key(content.version))])


def _summary(content: HubContent) -> dict[str, Any]:
    told = {member: content.members.get(member) for member in _TOLD_IN_LISTS}
    return {**_told(content), **told, "OriginalCreationTime": content.created}


def _told(content: HubContent) -> dict[str, Any]:
    return {
        "HubContentName": content.name,
        "HubContentArn": content.arn,
        "HubContentVersion": content.version,
        "HubContentType": content.kind,
        "DocumentSchemaVersion": content.schema_version,
        "SageMakerPublicHubContentArn": content.public_arn,
        "HubContentStatus": content.status,
        "CreationTime": content.created,
    }


def _named(content: HubContent) -> dict[str, Any]:
    return {"HubArn": content.hub.arn, "HubContentArn": content.arn}


def _tags(call: Call) -> dict[str, str]:
    tags = tags_of("Tags", [{"key": tag["Key"], "value": tag["Value"]} for tag in call.params.get("Tags", [])])
    check_number(str(call.params.get("HubContentName", "the content")), tags)
    return tags


OPERATIONS: dict[str, Handler] = {
    "ImportHubContent": import_hub_content,
    "CreateHubContentReference": create_hub_content_reference,
    "DescribeHubContent": describe_hub_content,
    "ListHubContents": list_hub_contents,
    "ListHubContentVersions": list_hub_content_versions,
    "UpdateHubContent": update_hub_content,
    "UpdateHubContentReference": update_hub_content_reference,
    "DeleteHubContent": delete_hub_content,
    "DeleteHubContentReference": delete_hub_content_reference,
    "CreateHubContentPresignedUrls": create_hub_content_presigned_urls,
}
