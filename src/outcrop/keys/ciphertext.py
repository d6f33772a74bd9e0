"""Ciphertext blobs of symmetric keys: they carry the ids of key and material, so Decrypt needs no KeyId.

A blob is: format (1 byte), key id (16), material id (32), salt (16), nonce (12), AES-256-GCM ciphertext with its tag.
Each is encrypted with a key of its own, derived from the material and the salt by HKDF-SHA-256, so the number of blobs
that a key may make is not bounded by the length of a nonce. Everything before the ciphertext and the whole encryption
context are authenticated: a blob opens with the context that it was made with, and no other.
"""

import secrets
import struct
import uuid
from collections.abc import Mapping
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_FORMAT = 1
_SALT_BYTES, _NONCE_BYTES, _TAG_BYTES = 16, 12, 16
_HEAD = struct.Struct(f">B16s32s{_SALT_BYTES}s{_NONCE_BYTES}s")
_PURPOSE = b"outcrop kms blob 1"


class BlobHead(NamedTuple):
    """The part of a blob that can be read without any key."""

    key_id: str
    material_id: str


def encrypt(plaintext: bytes, *, head: BlobHead, material: bytes, context: Mapping[str, str]) -> bytes:
    """The blob of a plaintext under one material of a key."""
    salt, nonce = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_NONCE_BYTES)
    key_id, material_id = uuid.UUID(head.key_id).bytes, bytes.fromhex(head.material_id)
    packed = _HEAD.pack(_FORMAT, key_id, material_id, salt, nonce)
    return packed + _cipher(material, salt).encrypt(nonce, plaintext, packed + encoded_context(context))


def read_head(blob: bytes) -> BlobHead | None:
    """The ids in a blob; None for what is none of ours."""
    if len(blob) < _HEAD.size + _TAG_BYTES or blob[0] != _FORMAT:
        return None
    _, key_id, material_id, _, _ = _HEAD.unpack_from(blob)
    return BlobHead(str(uuid.UUID(bytes=key_id)), material_id.hex())


def decrypt(blob: bytes, *, material: bytes, context: Mapping[str, str]) -> bytes | None:
    """The plaintext of a blob whose head was read; None where blob, material or context is another."""
    packed = blob[: _HEAD.size]
    *_, salt, nonce = _HEAD.unpack(packed)
    try:
        return _cipher(material, salt).decrypt(nonce, blob[_HEAD.size :], packed + encoded_context(context))
    except InvalidTag:
        return None


def encoded_context(context: Mapping[str, str]) -> bytes:
    """An encryption context as bytes: the same for equal contexts in any order, and for no two that differ."""
    parts = [part.encode("utf-8", "surrogatepass") for pair in sorted(context.items()) for part in pair]
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


def _cipher(material: bytes, salt: bytes) -> AESGCM:
    return AESGCM(HKDF(algorithm=SHA256(), length=32, salt=salt, info=_PURPOSE).derive(material))
