"""Asymmetric keys and codes: RSA encryption, signatures by RSA and elliptic curves, HMAC. Keys come as bytes."""

import hmac
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from outcrop.keys import refusals
from outcrop.keys.specs import public_key_bytes

_HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "1": hashes.SHA1,
    "224": hashes.SHA224,
    "256": hashes.SHA256,
    "384": hashes.SHA384,
    "512": hashes.SHA512,
}
LONGEST_MESSAGE = 4096


def encrypt(private_key: bytes, plaintext: bytes, algorithm: str, spec: str) -> bytes:
    """RSAES-OAEP with the public half. Raises ValidationException for a plaintext that does not fit in."""
    key = _private(private_key)
    assert isinstance(key, rsa.RSAPrivateKey), "elliptic curves encrypt nothing"
    most = key.key_size // 8 - 2 * _hash_of(algorithm).digest_size - 2
    if len(plaintext) > most:
        raise refusals.invalid(
            f"Algorithm {algorithm} and key spec {spec} cannot encrypt data larger than {most} bytes."
        )
    return key.public_key().encrypt(plaintext, _oaep(algorithm))


def decrypt(private_key: bytes, blob: bytes, algorithm: str) -> bytes | None:
    """The plaintext; None for what was not encrypted so for this key."""
    key = _private(private_key)
    assert isinstance(key, rsa.RSAPrivateKey), "elliptic curves decrypt nothing"
    try:
        return key.decrypt(blob, _oaep(algorithm))
    except ValueError:
        return None


def sign(private_key: bytes, message: bytes, algorithm: str, *, is_digest: bool) -> bytes:
    """The signature of a message, or of one whose digest is given. Raises ValidationException."""
    key, hashed = _private(private_key), _hashing(message, algorithm, is_digest)
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(message, _padding(algorithm), hashed)
    return key.sign(message, ec.ECDSA(hashed))


def verify(private_key: bytes, message: bytes, signature: bytes, algorithm: str, *, is_digest: bool) -> bool:
    """Whether a signature is that of the message by this key. Raises ValidationException for a wrong digest."""
    key, hashed = _private(private_key), _hashing(message, algorithm, is_digest)
    try:
        if isinstance(key, rsa.RSAPrivateKey):
            key.public_key().verify(signature, message, _padding(algorithm), hashed)
        else:
            key.public_key().verify(signature, message, ec.ECDSA(hashed))
    except InvalidSignature:
        return False
    return True


def mac(material: bytes, message: bytes, algorithm: str) -> bytes:
    """The HMAC of a message; `algorithm` is one of KMS's, e.g. HMAC_SHA_256."""
    return hmac.digest(material, message, f"sha{_bits(algorithm)}")


def same(first: bytes, second: bytes) -> bool:
    """Whether two codes are equal, told in a time that does not depend on where they differ."""
    return hmac.compare_digest(first, second)


def public_key(private_key: bytes) -> bytes:
    """The public half as SubjectPublicKeyInfo in DER."""
    return public_key_bytes(_private(private_key))


def _private(content: bytes) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    key = serialization.load_der_private_key(content, None)
    assert isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey), "no other kind is made"
    return key


def _hashing(message: bytes, algorithm: str, is_digest: bool) -> Any:
    hashed = _hash_of(algorithm)
    if not is_digest:
        return hashed
    if len(message) != hashed.digest_size:
        raise refusals.invalid(f"Digest is invalid length for algorithm {algorithm}.")
    return utils.Prehashed(hashed)


def _padding(algorithm: str) -> padding.AsymmetricPadding:
    if "_PSS_" not in algorithm:
        return padding.PKCS1v15()
    hashed = _hash_of(algorithm)
    return padding.PSS(padding.MGF1(hashed), hashed.digest_size)


def _oaep(algorithm: str) -> padding.OAEP:
    return padding.OAEP(padding.MGF1(_hash_of(algorithm)), _hash_of(algorithm), None)


def _hash_of(algorithm: str) -> hashes.HashAlgorithm:
    return _HASHES[_bits(algorithm)]()


def _bits(algorithm: str) -> str:
    return algorithm.rpartition("_")[2]
