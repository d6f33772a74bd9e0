"""KMS: keys created, described, listed, enabled, disabled, and deleted after their days of waiting."""

from typing import Any

from outcrop.access.policies.key_policy import default_key_policy
from outcrop.api.bedrock.listing import summaries
from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.kms.named import check_tokens, key_named
from outcrop.api.kms.paging import most_of, paged, place_of
from outcrop.api.kms.policies import check_policy
from outcrop.api.kms.tags import tags_of_request
from outcrop.house import House
from outcrop.keys import refusals
from outcrop.keys.key import KeyState, KmsKey
from outcrop.keys.keys import WAITING_DAYS
from outcrop.keys.specs import SYMMETRIC, KeyUsage, spec_named, usage_of
from outcrop.store.resources import Resource

_ALGORITHMS = {
    KeyUsage.ENCRYPT_DECRYPT: "EncryptionAlgorithms",
    KeyUsage.SIGN_VERIFY: "SigningAlgorithms",
    KeyUsage.GENERATE_VERIFY_MAC: "MacAlgorithms",
}
_ELSEWHERE = {
    "CustomKeyStoreId": "custom key stores are not built in Outcrop; its root key can come from a command instead",
    "XksKeyId": "external key stores are not built in Outcrop; its root key can come from a command instead",
}


def create_key(house: House, call: Call) -> Answered:
    params = call.params
    _check_built(call)
    spec = spec_named(params.get("KeySpec") or params.get("CustomerMasterKeySpec") or SYMMETRIC)
    usage = usage_of(spec, params.get("KeyUsage"))
    policy = params.get("Policy")
    if policy is None:
        policy = default_key_policy(house.account)
    else:
        check_policy(house, call, policy)
    key = house.keys.create(
        region=call.region,
        spec=spec,
        usage=usage,
        description=params.get("Description", ""),
        policy=policy,
        tags=tags_of_request(call),
    )
    return {"KeyMetadata": metadata(key)}


def describe_key(house: House, call: Call) -> Answered:
    key = key_named(house, call, by_alias=True)
    check_tokens(house, call)
    return {"KeyMetadata": metadata(key)}


def list_keys(house: House, call: Call) -> Answered:
    found = house.keys.page(region=call.region, most=most_of(call), token=place_of(call))
    return paged(call, "Keys", summaries(found, _summary), found.next_token)


def enable_key(house: House, call: Call) -> Answered:
    house.keys.set_enabled(key_named(house, call).arn, enabled=True)
    return {}


def disable_key(house: House, call: Call) -> Answered:
    house.keys.set_enabled(key_named(house, call).arn, enabled=False)
    return {}


def update_key_description(house: House, call: Call) -> Answered:
    house.keys.describe(key_named(house, call).arn, call.params["Description"])
    return {}


def schedule_key_deletion(house: House, call: Call) -> Answered:
    key = key_named(house, call)
    key = house.keys.schedule_deletion(key.arn, call.params.get("PendingWindowInDays", WAITING_DAYS))
    return {
        "KeyId": key.arn,
        "DeletionDate": key.deletion_at,
        "KeyState": key.state,
        "PendingWindowInDays": key.waiting_days,
    }


def cancel_key_deletion(house: House, call: Call) -> Answered:
    key = key_named(house, call)
    house.keys.cancel_deletion(key.arn)
    return {"KeyId": key.arn}


def metadata(key: KmsKey) -> dict[str, Any]:
    """The members that describe a key."""
    return {
        "AWSAccountId": key.account,
        "KeyId": key.id,
        "Arn": key.arn,
        "CreationDate": key.created,
        "Enabled": key.state is KeyState.ENABLED,
        "Description": key.description,
        "KeyUsage": key.usage,
        "KeyState": key.state,
        "DeletionDate": key.deletion_at,
        "Origin": "AWS_KMS",
        "KeyManager": key.manager,
        "CustomerMasterKeySpec": key.spec.name,
        "KeySpec": key.spec.name,
        _ALGORITHMS[key.usage]: list(key.spec.algorithms[key.usage]),
        "MultiRegion": False,
        "CurrentKeyMaterialId": key.material_id if key.spec.is_symmetric else None,
    }


def _summary(row: Resource) -> dict[str, Any]:
    return {"KeyId": row.name, "KeyArn": row.arn}


def _check_built(call: Call) -> None:
    params = call.params
    for member, why in _ELSEWHERE.items():
        if member in params:
            raise refusals.unsupported(f"{member}: {why}. Leave it out.")
    if params.get("Origin", "AWS_KMS") != "AWS_KMS":
        raise refusals.unsupported(
            f"Origin: {params['Origin']} is not built in Outcrop: material is neither imported nor kept elsewhere. "
            "Leave it out, and give the root key of the installation from outside (docs/keys.md)."
        )
    if params.get("MultiRegion"):
        raise refusals.unsupported(
            "MultiRegion: multi-Region keys are not built in Outcrop, whose regions are names on one machine. Make a "
            "key in each region."
        )


OPERATIONS: dict[str, Handler] = {
    "CreateKey": create_key,
    "DescribeKey": describe_key,
    "ListKeys": list_keys,
    "EnableKey": enable_key,
    "DisableKey": disable_key,
    "UpdateKeyDescription": update_key_description,
    "ScheduleKeyDeletion": schedule_key_deletion,
    "CancelKeyDeletion": cancel_key_deletion,
}
