"""KMS: signatures and codes made and verified with keys that stay here."""

from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.kms.named import end_dry_run, usable_key
from outcrop.house import House
from outcrop.keys import refusals, signing
from outcrop.keys.specs import KeyUsage

_MEMBERS = {
    KeyUsage.ENCRYPT_DECRYPT: "EncryptionAlgorithms",
    KeyUsage.SIGN_VERIFY: "SigningAlgorithms",
}


def sign(house: House, call: Call) -> Answered:
    params, key = call.params, usable_key(house, call)
    private, algorithm = house.keys.private_key(key, KeyUsage.SIGN_VERIFY, "Sign", params["SigningAlgorithm"])
    signature = signing.sign(private, params["Message"], algorithm, is_digest=_is_digest(call))
    end_dry_run(call)
    return {"KeyId": key.arn, "Signature": signature, "SigningAlgorithm": algorithm}


def verify(house: House, call: Call) -> Answered:
    params, key = call.params, usable_key(house, call)
    private, algorithm = house.keys.private_key(key, KeyUsage.SIGN_VERIFY, "Verify", params["SigningAlgorithm"])
    given = params["Message"], params["Signature"]
    if not signing.verify(private, *given, algorithm, is_digest=_is_digest(call)):
        sentence = "The signature is not that of the message by this key."
        raise refusals.refusal("KMSInvalidSignatureException", sentence)
    end_dry_run(call)
    return {"KeyId": key.arn, "SignatureValid": True, "SigningAlgorithm": algorithm}


def get_public_key(house: House, call: Call) -> Answered:
    key = usable_key(house, call)
    return {
        "KeyId": key.arn,
        "PublicKey": house.keys.public_key(key),
        "CustomerMasterKeySpec": key.spec.name,
        "KeySpec": key.spec.name,
        "KeyUsage": key.usage,
        _MEMBERS[key.usage]: list(key.spec.algorithms[key.usage]),
    }


def generate_mac(house: House, call: Call) -> Answered:
    params, key = call.params, usable_key(house, call)
    code = _mac(house, call)
    end_dry_run(call)
    return {"Mac": code, "MacAlgorithm": params["MacAlgorithm"], "KeyId": key.arn}


def verify_mac(house: House, call: Call) -> Answered:
    params, key = call.params, usable_key(house, call)
    if not signing.same(_mac(house, call), params["Mac"]):
        raise refusals.refusal("KMSInvalidMacException", "The code is not that of the message by this key.")
    end_dry_run(call)
    return {"KeyId": key.arn, "MacValid": True, "MacAlgorithm": params["MacAlgorithm"]}


def _mac(house: House, call: Call) -> bytes:
    params, key = call.params, usable_key(house, call)
    usage = KeyUsage.GENERATE_VERIFY_MAC
    material, algorithm = house.keys.private_key(key, usage, call.operation, params["MacAlgorithm"])
    return signing.mac(material, params["Message"], algorithm)


def _is_digest(call: Call) -> bool:
    kind = call.params.get("MessageType", "RAW")
    if kind not in ("RAW", "DIGEST"):
        raise refusals.unsupported(f"MessageType: {kind} is not built in Outcrop. Choose RAW or DIGEST.")
    if kind == "RAW" and len(call.params["Message"]) > signing.LONGEST_MESSAGE:
        raise refusals.invalid(f"Message: longer than {signing.LONGEST_MESSAGE} bytes. Hash it, and send the DIGEST.")
    return bool(kind == "DIGEST")


OPERATIONS: dict[str, Handler] = {
    "Sign": sign,
    "Verify": verify,
    "GetPublicKey": get_public_key,
    "GenerateMac": generate_mac,
    "VerifyMac": verify_mac,
}
