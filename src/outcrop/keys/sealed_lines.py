"""Sealed lines: a file that grows line by line, each of which is sealed by itself.

A line is base64 of a random nonce and AES-256-GCM, authenticated with its place in the file, so none can be changed,
moved or left out before another. What was cut off at the end is not noticed, as with any file that grows.
"""

import base64
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from outcrop.keys.sealed_content import SealBroken

_NONCE_BYTES = 12


class SealedLines:
    """A seal of the lines of one file, called `name`: no other file opens with it."""

    def __init__(self, data_key: bytes, *, name: str) -> None:
        purpose = f"outcrop sealed lines 1 {name}".encode()
        self._cipher = AESGCM(HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(data_key))
        self._name = name

    def seal(self, line: bytes, number: int) -> bytes:
        """The line with this number, sealed, without an end of line."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return base64.b64encode(nonce + self._cipher.encrypt(nonce, line, str(number).encode()))

    def open(self, sealed: bytes, number: int) -> bytes:
        """The line again. Raises SealBroken."""
        try:
            packed = base64.b64decode(sealed, validate=True)
            return self._cipher.decrypt(packed[:_NONCE_BYTES], packed[_NONCE_BYTES:], str(number).encode())
        except (InvalidTag, ValueError) as error:
            raise SealBroken(
                f"{self._name}: line {number + 1} was changed, or belongs to another key. Remove the file; the bucket "
                "has a copy."
            ) from error
