"""KMS: data keys, pairs of keys and random bytes, made here and used elsewhere."""

import secrets
from typing import Any

from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.kms.named import check_tokens, context_of, end_dry_run, usable_key
from outcrop.house import House
from outcrop.keys import refusals
from outcrop.keys.ciphertext import read_head
from outcrop.keys.key import KmsKey
from outcrop.keys.keys import check_enabled
from outcrop.keys.signing import public_key
from outcrop.keys.specs import SYMMETRIC, KeyUsage, spec_named

_BYTES = {"AES_256": 32, "AES_128": 16}


def generate_data_key(house: House, call: Call) -> Answered:
    made, members = _data_key(house, call)
    return {**members, "Plaintext": made}


def generate_data_key_without_plaintext(house: House, call: Call) -> Answered:
    return _data_key(house, call)[1]


def generate_data_key_pair(house: House, call: Call) -> Answered:
    made, members = _data_key_pair(house, call)
    return {**members, "PrivateKeyPlaintext": made}


def generate_data_key_pair_without_plaintext(house: House, call: Call) -> Answered:
    return _data_key_pair(house, call)[1]


def generate_random(house: House, call: Call) -> Answered:
    if "CustomKeyStoreId" in call.params:
        raise refusals.unsupported("CustomKeyStoreId: custom key stores are not built in Outcrop. Leave it out.")
    check_tokens(house, call)
    number = call.params.get("NumberOfBytes")
    if number is None:
        raise refusals.invalid("NumberOfBytes: missing. Give a number from 1 to 1024.")
    return {"Plaintext": secrets.token_bytes(number)}


def _data_key(house: House, call: Call) -> tuple[bytes, dict[str, Any]]:
    key = _symmetric_key(house, call)
    number, spec = call.params.get("NumberOfBytes"), call.params.get("KeySpec")
    if (number is None) == (spec is None):
        raise refusals.invalid("Please specify either number of bytes or key spec.")
    made = secrets.token_bytes(number if number is not None else _BYTES[spec or ""])
    blob = house.keys.encrypt(key, made, context=context_of(call))
    end_dry_run(call)
    return made, {"CiphertextBlob": blob, "KeyId": key.arn, "KeyMaterialId": _material_id(blob)}


def _data_key_pair(house: House, call: Call) -> tuple[bytes, dict[str, Any]]:
    key, spec = _symmetric_key(house, call), spec_named(call.params["KeyPairSpec"])
    check_enabled(key)
    made = spec.make()
    blob = house.keys.encrypt(key, made, context=context_of(call))
    end_dry_run(call)
    return made, {
        "PrivateKeyCiphertextBlob": blob,
        "PublicKey": public_key(made),
        "KeyId": key.arn,
        "KeyPairSpec": spec.name,
        "KeyMaterialId": _material_id(blob),
    }


def _symmetric_key(house: House, call: Call) -> KmsKey:
    key = usable_key(house, call)
    if key.spec.name != SYMMETRIC:
        usage = key.usage if key.usage is not KeyUsage.ENCRYPT_DECRYPT else key.spec.name
        raise refusals.wrong_usage(key.arn, usage, call.operation)
    return key


def _material_id(blob: bytes) -> str | None:
    head = read_head(blob)
    return head and head.material_id


OPERATIONS: dict[str, Handler] = {
    "GenerateDataKey": generate_data_key,
    "GenerateDataKeyWithoutPlaintext": generate_data_key_without_plaintext,
    "GenerateDataKeyPair": generate_data_key_pair,
    "GenerateDataKeyPairWithoutPlaintext": generate_data_key_pair_without_plaintext,
    "GenerateRandom": generate_random,
}
