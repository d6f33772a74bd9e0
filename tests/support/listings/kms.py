"""Listings of KMS: keys, aliases, grants, tags, and the policies and rotations of a key."""

from functools import partial
from typing import Any

from tests.support.listings.listing import Listing, client_of
from tests.support.servers import Running

ALIAS = "alias/listed"
PRINCIPAL = "arn:aws:iam::{account}:user/admin"
_keys: dict[str, str] = {}


def listed_key(house: Running) -> str:
    """The key whose aliases, grants and tags are listed."""
    if house.endpoint not in _keys:
        _keys[house.endpoint] = client_of(house, "kms").create_key()["KeyMetadata"]["KeyId"]
    return _keys[house.endpoint]


def prepare(house: Running) -> None:
    client_of(house, "kms").list_aliases(KeyId=listed_key(house))


def principal(house: Running) -> str:
    return PRINCIPAL.format(account=house.platform.account)


def add_key(house: Running, number: int) -> str:
    made: str = client_of(house, "kms").create_key(Description=str(number))["KeyMetadata"]["KeyId"]
    return made


def remove_key(house: Running, name: str) -> None:
    key = house.platform.keys.row("us-east-1", name)
    assert key is not None
    house.platform.store.resources.remove(key.arn)


def add_alias(house: Running, number: int) -> str:
    name = f"{ALIAS}-{number}"
    client_of(house, "kms").create_alias(AliasName=name, TargetKeyId=listed_key(house))
    return name


def add_foreign_alias(house: Running) -> None:
    """Another key's alias, which the filter leaves out."""
    client = client_of(house, "kms")
    if not client.list_aliases(Limit=100)["Aliases"]:
        client.create_alias(AliasName="alias/of-another", TargetKeyId=add_key(house, 0))


def remove_alias(house: Running, name: str) -> None:
    client_of(house, "kms").delete_alias(AliasName=name)


def add_grant(house: Running, number: int, retiring: str = "") -> str:
    client = client_of(house, "kms")
    who: dict[str, Any] = {"GranteePrincipal": principal(house)} | ({"RetiringPrincipal": retiring} if retiring else {})
    if number % 2:
        who["GranteePrincipal"] = f"arn:aws:iam::{house.platform.account}:root"
    made: str = client.create_grant(KeyId=listed_key(house), Operations=["Encrypt"], **who)["GrantId"]
    return made


def add_retirable(house: Running, number: int) -> str:
    return add_grant(house, number, retiring=principal(house))


def remove_grant(house: Running, name: str) -> None:
    client_of(house, "kms").revoke_grant(KeyId=listed_key(house), GrantId=name)


def add_tag(house: Running, number: int) -> str:
    tag = f"row-{number}"
    client_of(house, "kms").tag_resource(KeyId=listed_key(house), Tags=[{"TagKey": tag, "TagValue": ""}])
    return tag


def remove_tag(house: Running, key: str) -> None:
    client_of(house, "kms").untag_resource(KeyId=listed_key(house), TagKeys=[key])


def listing(operation: str, rows: str, name: str, **fields: Any) -> Listing:
    given: dict[str, Any] = {
        "rows": lambda answer: answer[rows],
        "name_of": lambda row: str(row[name]),
        "size": "Limit",
        "tokens": {"Marker": "NextMarker"},
        "token_refusal": "InvalidMarkerException",
        "wrong_sizes": (0, 1001),
    }
    return Listing(service="kms", operation=operation, **(given | fields))


def of_key(house: Running) -> dict[str, Any]:
    return {"KeyId": listed_key(house)}


_a_hundred = partial(listing, largest=100, wrong_sizes=(0, 101))

LISTINGS = [
    listing("ListKeys", "Keys", "KeyId", add=add_key, remove=remove_key),
    _a_hundred(
        "ListAliases",
        "Aliases",
        "AliasName",
        prepare=add_foreign_alias,
        add=add_alias,
        remove=remove_alias,
        refused={"KeyId": ALIAS},
    ),
    _a_hundred(
        "ListGrants",
        "Grants",
        "GrantId",
        prepare=prepare,
        add=add_grant,
        remove=remove_grant,
        asked=of_key,
        refused={"GrantId": "0" * 64},
        not_filters=frozenset({"GranteePrincipal"}),
    ),
    _a_hundred(
        "ListRetirableGrants",
        "Grants",
        "GrantId",
        prepare=prepare,
        add=add_retirable,
        remove=remove_grant,
        asked=lambda house: {"RetiringPrincipal": principal(house)},
    ),
    listing("ListResourceTags", "Tags", "TagKey", prepare=prepare, add=add_tag, remove=remove_tag, asked=of_key),
    Listing(
        service="kms",
        operation="ListKeyPolicies",
        rows=lambda answer: answer["PolicyNames"],
        name_of=str,
        prepare=prepare,
        most=1,
        asked=of_key,
        size="Limit",
        tokens={"Marker": "NextMarker"},
        token_refusal="InvalidMarkerException",
    ),
    listing(
        "ListKeyRotations",
        "Rotations",
        "KeyMaterialId",
        prepare=prepare,
        most=0,
        asked=of_key,
        not_filters=frozenset({"IncludeKeyMaterial"}),
    ),
]
