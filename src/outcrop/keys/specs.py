"""Key specs of KMS: what each can be used for, with which algorithms, and the material made for it.

https://docs.aws.amazon.com/kms/latest/developerguide/symm-asymm-choose-key-spec.html
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from outcrop.keys import refusals


class KeyUsage(StrEnum):
    """The operations that a key is for; set when it is made, never changed."""

    ENCRYPT_DECRYPT = "ENCRYPT_DECRYPT"
    SIGN_VERIFY = "SIGN_VERIFY"
    GENERATE_VERIFY_MAC = "GENERATE_VERIFY_MAC"


SYMMETRIC = "SYMMETRIC_DEFAULT"
_PUBLIC_EXPONENT = 65537
_OAEP = ("RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256")
_RSA_SIGNING = tuple(f"RSASSA_{scheme}_SHA_{bits}" for scheme in ("PKCS1_V1_5", "PSS") for bits in (256, 384, 512))


@dataclass(frozen=True, kw_only=True)
class KeySpec:
    """The kind of a key: its length or curve, and what can be done with it."""

    name: str
    algorithms: Mapping[KeyUsage, tuple[str, ...]]
    make: Callable[[], bytes]
    "New material: the bytes of a symmetric key, or a private key as PKCS #8 in DER."

    @property
    def is_symmetric(self) -> bool:
        return self.name == SYMMETRIC

    @property
    def is_asymmetric(self) -> bool:
        return self.name.startswith(("RSA_", "ECC_"))


def private_key_bytes(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    """A private key as PKCS #8 in DER."""
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_key_bytes(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    """The public half of a key as SubjectPublicKeyInfo in DER."""
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _random(length: int) -> Callable[[], bytes]:
    return lambda: secrets.token_bytes(length)


def _rsa(bits: int) -> KeySpec:
    return KeySpec(
        name=f"RSA_{bits}",
        algorithms={KeyUsage.ENCRYPT_DECRYPT: _OAEP, KeyUsage.SIGN_VERIFY: _RSA_SIGNING},
        make=lambda: private_key_bytes(rsa.generate_private_key(_PUBLIC_EXPONENT, bits)),
    )


def _ecc(name: str, curve: ec.EllipticCurve, bits: int) -> KeySpec:
    return KeySpec(
        name=name,
        algorithms={KeyUsage.SIGN_VERIFY: (f"ECDSA_SHA_{bits}",)},
        make=lambda: private_key_bytes(ec.generate_private_key(curve)),
    )


def _hmac(bits: int, length: int) -> KeySpec:
    algorithms = {KeyUsage.GENERATE_VERIFY_MAC: (f"HMAC_SHA_{bits}",)}
    return KeySpec(name=f"HMAC_{bits}", algorithms=algorithms, make=_random(length))


SPECS: dict[str, KeySpec] = {
    spec.name: spec
    for spec in (
        KeySpec(name=SYMMETRIC, algorithms={KeyUsage.ENCRYPT_DECRYPT: (SYMMETRIC,)}, make=_random(32)),
        _rsa(2048),
        _rsa(3072),
        _rsa(4096),
        _ecc("ECC_NIST_P256", ec.SECP256R1(), 256),
        _ecc("ECC_NIST_P384", ec.SECP384R1(), 384),
        _ecc("ECC_NIST_P521", ec.SECP521R1(), 512),
        _ecc("ECC_SECG_P256K1", ec.SECP256K1(), 256),
        _hmac(224, 28),
        _hmac(256, 32),
        _hmac(384, 48),
        _hmac(512, 64),
    )
}


def spec_named(name: str) -> KeySpec:
    """Raises UnsupportedOperationException for a spec of AWS that is not built here."""
    spec = SPECS.get(name)
    if spec is None:
        raise refusals.unsupported(
            f"KeySpec: keys of the spec {name} are not built in Outcrop. Choose one of {', '.join(SPECS)}."
        )
    return spec


def usage_of(spec: KeySpec, asked: str | None) -> KeyUsage:
    """The usage of a new key. Raises ValidationException where the spec cannot have it, or has to be told which."""
    if asked is None:
        # KMS takes ENCRYPT_DECRYPT where nothing is said, so that only symmetric keys and RSA need not say more.
        asked = KeyUsage.ENCRYPT_DECRYPT if spec.is_symmetric else ""
    if asked == "KEY_AGREEMENT":
        raise refusals.unsupported("KeyUsage: KEY_AGREEMENT is not built in Outcrop. Choose SIGN_VERIFY.")
    usage = next((each for each in spec.algorithms if each == asked), None)
    if usage is None and not asked:
        raise refusals.invalid(
            "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys."
        )
    if usage is None:
        raise refusals.invalid(f"KeyUsage {asked} is not compatible with KeySpec {spec.name}")
    return usage
