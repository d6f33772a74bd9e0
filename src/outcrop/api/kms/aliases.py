"""KMS: aliases of keys."""

from typing import Any

from outcrop.api.bedrock.listing import summaries
from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.kms.named import key_named
from outcrop.api.kms.paging import most_of, paged, place_of
from outcrop.house import House
from outcrop.keys import refusals
from outcrop.keys.key import KmsAlias, KmsKey, alias_in
from outcrop.store.resources import Resource

_MOST = 50


def create_alias(house: House, call: Call) -> Answered:
    house.key_aliases.create(call.params["AliasName"], _target(house, call))
    return {}


def update_alias(house: House, call: Call) -> Answered:
    house.key_aliases.update(call.params["AliasName"], _target(house, call))
    return {}


def delete_alias(house: House, call: Call) -> Answered:
    house.key_aliases.delete(call.region, call.params["AliasName"])
    return {}


def list_aliases(house: House, call: Call) -> Answered:
    key_id = key_named(house, call).id if "KeyId" in call.params else None
    most = most_of(call, _MOST, largest=100)
    found = house.key_aliases.page(region=call.region, key_id=key_id, most=most, token=place_of(call))
    return paged(call, "Aliases", summaries(found, _shown), found.next_token)


def _target(house: House, call: Call) -> KmsKey:
    if alias_in(call.params["TargetKeyId"]) is not None:
        raise refusals.invalid("Aliases must refer to keys. Not aliases")
    return key_named(house, call, "TargetKeyId")


def _shown(row: Resource) -> dict[str, Any]:
    alias = KmsAlias.of(row)
    return {
        "AliasName": alias.name,
        "AliasArn": alias.arn,
        "TargetKeyId": alias.key_id,
        "CreationDate": alias.created,
        "LastUpdatedDate": alias.updated,
    }


OPERATIONS: dict[str, Handler] = {
    "CreateAlias": create_alias,
    "UpdateAlias": update_alias,
    "DeleteAlias": delete_alias,
    "ListAliases": list_aliases,
}
