"""Data keys: every sealed content has one, encrypted under a key that stays here.

    made = envelopes.make(key_arn, context)          # a key of KMS; "" for the installation's own
    envelopes.open(made.wrapped)                     # the data key again, as long as its key may be used

The state of the key is looked at each time, so what a key sealed is out of reach at once when it is disabled, and back
when it is enabled. Who may use a key is asked elsewhere. Neither data keys nor what they open are kept here.
"""

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from outcrop.errors import MachineTrouble
from outcrop.keys import ciphertext, refusals
from outcrop.keys.ciphertext import BlobHead

if TYPE_CHECKING:
    from outcrop.keys.keys import Keys  # buckets need it only where something is sealed, and a start waits for it

DATA_KEY_BYTES = 32
INSTALLATION = ""
"Stands for the key of the installation where the ARN of a KMS key could stand."


@dataclass(frozen=True, kw_only=True)
class WrappedKey:
    """A data key, encrypted: what lies beside the content that it sealed."""

    key_arn: str = INSTALLATION
    "Of the KMS key that wraps it; empty: the installation's own."
    context: Mapping[str, str] = field(default_factory=dict)
    blob: bytes = b""
    "The data key under that key; empty where whoever wrote the content holds the data key."

    def document(self) -> dict[str, Any]:
        blob = base64.b64encode(self.blob).decode()
        return {"key": self.key_arn, "context": dict(self.context), "dataKey": blob}

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """Raises KeyError, TypeError, ValueError for what is no such document."""
        context = {str(name): str(value) for name, value in document["context"].items()}
        blob = base64.b64decode(document["dataKey"], validate=True)
        return cls(key_arn=str(document["key"]), context=context, blob=blob)


@dataclass(frozen=True, kw_only=True)
class DataKey:
    """A data key in clear, with the wrapped form that is written beside what it seals."""

    plaintext: bytes = field(repr=False)
    wrapped: WrappedKey


class Envelopes:
    """Data keys of an installation, made and opened."""

    def __init__(self, keys: "Keys") -> None:
        self._keys = keys

    def make(self, key_arn: str = INSTALLATION, context: Mapping[str, str] | None = None) -> DataKey:
        """A new data key. Raises NotFoundException, DisabledException, KMSInvalidStateException."""
        pairs, plaintext = dict(context or {}), secrets.token_bytes(DATA_KEY_BYTES)
        if key_arn:
            blob = self._keys.encrypt(self._keys.find(key_arn), plaintext, context=pairs)
        else:
            material = self._keys.installation_material()
            assert material is not None, "the first use makes it"
            head = BlobHead(_NO_KEY, material.id)
            blob = ciphertext.encrypt(plaintext, head=head, material=material.plaintext, context=pairs)
        return DataKey(plaintext=plaintext, wrapped=WrappedKey(key_arn=key_arn, context=pairs, blob=blob))

    def key_arn(self, service: str, region: str, spelling: str) -> str:
        """The ARN of the key that a service was told to use; nothing stands for the service's own.

        Raises NotFoundException.
        """
        from outcrop.keys.managed import managed_key

        if not spelling:
            return managed_key(self._keys, service, region).arn
        row = self._keys.row(region, spelling)
        if row is None:
            raise refusals.no_key(spelling)
        return row.arn

    def check(self, wrapped: WrappedKey) -> None:
        """Raises as `open` while the KMS key is gone, disabled or waits for its deletion; opens nothing."""
        from outcrop.keys.keys import check_enabled

        if wrapped.key_arn:
            check_enabled(self._keys.find(wrapped.key_arn))

    def open(self, wrapped: WrappedKey) -> bytes:
        """The data key. Raises as `make`, InvalidCiphertextException for another context, MachineTrouble."""
        if wrapped.key_arn:
            key = self._keys.find(wrapped.key_arn)
            return self._keys.decrypt(key, wrapped.blob, context=wrapped.context).plaintext
        head = ciphertext.read_head(wrapped.blob)
        material = None if head is None else self._keys.installation_material(head.material_id)
        opened = (
            None
            if material is None
            else ciphertext.decrypt(wrapped.blob, material=material.plaintext, context=wrapped.context)
        )
        if opened is None:
            raise MachineTrouble(
                "A data key was damaged, or wrapped by the key of another installation. Restore the database and the "
                "files of this home from the same backup."
            )
        return opened


_NO_KEY = "00000000-0000-0000-0000-000000000000"
"In blobs of the installation's key, which has no id of KMS."
