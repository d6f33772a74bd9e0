"""A key of every kind, an alias and a grant, and a request about them for each operation of KMS."""

from contextlib import suppress
from typing import Any

from outcrop.access.policies.key_policy import default_key_policy
from outcrop.errors import Refusal
from outcrop.house import House
from outcrop.keys import signing
from outcrop.keys.grants import GrantConstraints
from outcrop.keys.key import KmsKey
from outcrop.keys.specs import SPECS, KeyUsage

REGION, ALIAS, MESSAGE = "us-east-1", "alias/members", b"a message"
_USAGES = {
    "SYMMETRIC_DEFAULT": KeyUsage.ENCRYPT_DECRYPT,
    "ECC_NIST_P256": KeyUsage.SIGN_VERIFY,
    "HMAC_256": KeyUsage.GENERATE_VERIFY_MAC,
}


def requests(house: House, operations: list[str]) -> dict[str, dict[str, Any]]:
    """New keys, and by `kms:Operation` what each operation needs to succeed."""
    symmetric, signer, coder = (_made(house, spec) for spec in _USAGES)
    with suppress(Refusal):
        house.key_aliases.delete(REGION, ALIAS)
    house.key_aliases.create(ALIAS, symmetric)
    admin = f"arn:aws:iam::{house.account}:user/admin"
    grant = house.key_grants.create(
        symmetric, grantee=admin, retiring=admin, operations=["Encrypt"], constraints=GrantConstraints(), name=""
    )
    blob = house.keys.encrypt(symmetric, b"secret", context={})
    signed = {"KeyId": signer.id, "Message": MESSAGE, "SigningAlgorithm": "ECDSA_SHA_256"}
    private, _ = house.keys.private_key(signer, KeyUsage.SIGN_VERIFY, "Sign", "ECDSA_SHA_256")
    coded = {"KeyId": coder.id, "Message": MESSAGE, "MacAlgorithm": "HMAC_SHA_256"}
    material, _ = house.keys.private_key(coder, KeyUsage.GENERATE_VERIFY_MAC, "GenerateMac", "HMAC_SHA_256")
    own: dict[str, dict[str, Any]] = {
        "CreateKey": {"Policy": default_key_policy(house.account)},
        "CreateAlias": {"AliasName": "alias/another", "TargetKeyId": symmetric.id},
        "UpdateAlias": {"AliasName": ALIAS, "TargetKeyId": symmetric.id},
        "DeleteAlias": {"AliasName": ALIAS},
        "CreateGrant": {"GranteePrincipal": admin, "Operations": ["Encrypt"]},
        # Dry, or the second request would find no grant.
        "RevokeGrant": {"GrantId": grant.id, "DryRun": True},
        "RetireGrant": {"GrantId": grant.id, "KeyId": symmetric.arn, "DryRun": True},
        "ListRetirableGrants": {"RetiringPrincipal": admin},
        "PutKeyPolicy": {"Policy": default_key_policy(house.account)},
        "TagResource": {"Tags": [{"TagKey": "value", "TagValue": "value"}]},
        "Encrypt": {"Plaintext": b"secret"},
        "Decrypt": {"CiphertextBlob": blob},
        "ReEncrypt": {"CiphertextBlob": blob, "DestinationKeyId": symmetric.id},
        "Sign": signed,
        "Verify": {**signed, "Signature": signing.sign(private, MESSAGE, "ECDSA_SHA_256", is_digest=False)},
        "GetPublicKey": {"KeyId": signer.id},
        "GenerateMac": coded,
        "VerifyMac": {**coded, "Mac": signing.mac(material, MESSAGE, "HMAC_SHA_256")},
        "GenerateDataKey": {"KeySpec": "AES_256"},
        "GenerateDataKeyWithoutPlaintext": {"KeySpec": "AES_256"},
        "GenerateDataKeyPair": {"KeyPairSpec": "ECC_NIST_P256"},
        "GenerateDataKeyPairWithoutPlaintext": {"KeyPairSpec": "ECC_NIST_P256"},
    }
    named = {"KeyId": symmetric.id}
    unnamed = ("CreateAlias", "UpdateAlias", "DeleteAlias", "ListRetirableGrants", "Decrypt", "ReEncrypt", "CreateKey")
    return {
        f"kms:{operation}": {**({} if operation in unnamed else named), **own.get(operation, {})}
        for operation in operations
    }


def _made(house: House, spec: str) -> KmsKey:
    policy = default_key_policy(house.account)
    return house.keys.create(
        region=REGION, spec=SPECS[spec], usage=_USAGES[spec], description="", policy=policy, tags={}
    )
