"""KMS: rotation of keys."""

from typing import Any

from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.kms.named import key_named
from outcrop.api.kms.paging import page_of_list
from outcrop.house import House
from outcrop.keys import refusals
from outcrop.keys.key import KeyState, KmsKey
from outcrop.keys.keys import ROTATION_DAYS, check_rotates
from outcrop.keys.records import KeyMaterial


def enable_key_rotation(house: House, call: Call) -> Answered:
    days = call.params.get("RotationPeriodInDays", ROTATION_DAYS)
    house.keys.set_rotation(key_named(house, call).arn, days)
    return {}


def disable_key_rotation(house: House, call: Call) -> Answered:
    house.keys.set_rotation(key_named(house, call).arn, None)
    return {}


def get_key_rotation_status(house: House, call: Call) -> Answered:
    key = _rotating(house, call)
    return {
        "KeyId": key.arn,
        "KeyRotationEnabled": key.rotation_days is not None,
        "RotationPeriodInDays": key.rotation_days,
        "NextRotationDate": key.next_rotation,
    }


def rotate_key_on_demand(house: House, call: Call) -> Answered:
    key = key_named(house, call)
    house.keys.rotate(key.arn)
    return {"KeyId": key.id}


def list_key_rotations(house: House, call: Call) -> Answered:
    key = _rotating(house, call)
    everything = call.params.get("IncludeKeyMaterial") == "ALL_KEY_MATERIAL"
    materials = house.keys.records.materials(key.arn)
    rows = [_shown(key, each) for each in materials if everything or each.made_by]
    answer = page_of_list(call, "Rotations", rows, "place")
    return {**answer, "Rotations": [_without_place(row) for row in answer["Rotations"]]}


def _without_place(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "place"}


def _shown(key: KmsKey, material: KeyMaterial) -> dict[str, Any]:
    return {
        "place": f"{material.number:09d}",
        "KeyId": key.id,
        "KeyMaterialId": material.id,
        "KeyMaterialState": "CURRENT" if material.id == key.material_id else "NON_CURRENT",
        "RotationDate": material.created if material.made_by else None,
        "RotationType": material.made_by or None,
    }


def _rotating(house: House, call: Call) -> KmsKey:
    key = key_named(house, call)
    check_rotates(key)
    if key.state is KeyState.PENDING_DELETION:
        raise refusals.pending_deletion(key.arn)
    return key


OPERATIONS: dict[str, Handler] = {
    "EnableKeyRotation": enable_key_rotation,
    "DisableKeyRotation": disable_key_rotation,
    "GetKeyRotationStatus": get_key_rotation_status,
    "RotateKeyOnDemand": rotate_key_on_demand,
    "ListKeyRotations": list_key_rotations,
}
