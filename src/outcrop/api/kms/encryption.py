"""KMS: encryption and decryption of up to 4 KiB under a key that stays here."""

from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.kms.named import check_tokens, context_of, end_dry_run, row_named, usable_key
from outcrop.house import House
from outcrop.keys import refusals
from outcrop.keys.ciphertext import read_head
from outcrop.keys.key import KmsKey
from outcrop.keys.specs import SYMMETRIC


def encrypt(house: House, call: Call) -> Answered:
    params, key = call.params, usable_key(house, call)
    algorithm = params.get("EncryptionAlgorithm")
    blob = house.keys.encrypt(key, params["Plaintext"], context=context_of(call), algorithm=algorithm)
    end_dry_run(call)
    return {"CiphertextBlob": blob, "KeyId": key.arn, "EncryptionAlgorithm": algorithm or SYMMETRIC}


def decrypt(house: House, call: Call) -> Answered:
    params, key = call.params, _key_of_ciphertext(house, call, "KeyId")
    algorithm = params.get("EncryptionAlgorithm")
    opened = house.keys.decrypt(key, _blob(call), context=context_of(call), algorithm=algorithm)
    end_dry_run(call)
    return {
        "KeyId": key.arn,
        "Plaintext": opened.plaintext,
        "EncryptionAlgorithm": algorithm or SYMMETRIC,
        "KeyMaterialId": opened.material_id if key.spec.is_symmetric else None,
    }


def re_encrypt(house: House, call: Call) -> Answered:
    params, source = call.params, _key_of_ciphertext(house, call, "SourceKeyId")
    destination = usable_key(house, call, "DestinationKeyId")
    old, new = params.get("SourceEncryptionAlgorithm"), params.get("DestinationEncryptionAlgorithm")
    context = context_of(call, "SourceEncryptionContext")
    opened = house.keys.decrypt(source, _blob(call), context=context, algorithm=old)
    context = context_of(call, "DestinationEncryptionContext")
    blob = house.keys.encrypt(destination, opened.plaintext, context=context, algorithm=new)
    end_dry_run(call)
    head = read_head(blob) if destination.spec.is_symmetric else None
    return {
        "CiphertextBlob": blob,
        "SourceKeyId": source.arn,
        "KeyId": destination.arn,
        "SourceEncryptionAlgorithm": old or SYMMETRIC,
        "DestinationEncryptionAlgorithm": new or SYMMETRIC,
        "SourceKeyMaterialId": opened.material_id if source.spec.is_symmetric else None,
        "DestinationKeyMaterialId": head and head.material_id,
    }


def _blob(call: Call) -> bytes:
    blob: bytes | None = call.params.get("CiphertextBlob")
    if not blob:
        raise refusals.invalid("CiphertextBlob: missing. Give the ciphertext that is to be decrypted.")
    return blob


def _key_of_ciphertext(house: House, call: Call, member: str) -> KmsKey:
    """The key that is named, or else the one that made the ciphertext."""
    if member in call.params:
        return usable_key(house, call, member)
    head = read_head(_blob(call))
    if head is None:
        raise refusals.invalid_ciphertext("The ciphertext is damaged, or was not made by this service.")
    row = row_named(house, call, head.key_id)
    key = None if row is None else house.keys.get(row.arn)
    if key is None:
        raise refusals.hidden_key()
    check_tokens(house, call)
    return key


OPERATIONS: dict[str, Handler] = {"Encrypt": encrypt, "Decrypt": decrypt, "ReEncrypt": re_encrypt}
