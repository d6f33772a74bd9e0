"""How objects are encrypted: what stands in their rows about it, and how their bytes are sealed and opened.

    seal = encryption.seal(asked, place)                  # for bytes that arrive; None where nobody asked
    encryption.opener(record)                             # for those of an object, or its refusal

Every content gets a data key of its own (`keys/envelopes.py`), so nothing of a sealed object is named by what is in it:
its content has a name drawn at random, is kept once for each object, and is encrypted anew by a copy. The entity tag is
S3's: the MD5 of the plaintext under the installation's key (SSE-S3), 32 random digits under a key of KMS or the caller.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Self

from outcrop import logs
from outcrop.buckets import refusals
from outcrop.buckets.names import Place
from outcrop.errors import MachineTrouble, ServiceRefusal
from outcrop.keys.envelopes import INSTALLATION, DataKey, Envelopes, WrappedKey
from outcrop.keys.sealed_content import OpenKey, SealBroken

_log = logging.getLogger("outcrop.buckets")
ARN_PAIR = "aws:s3:arn"
"The pair of the encryption context that S3 adds: the ARN of the object, or with a bucket key that of its bucket."


class EncryptionMethod(StrEnum):
    """Whose key encrypts an object, as S3 names it."""

    S3 = "AES256"
    KMS = "aws:kms"
    CUSTOMER = "customer"
    "SSE-C: the key comes with each request, and is nowhere here."


@dataclass(frozen=True, kw_only=True)
class ObjectEncryption:
    """How an object or an upload is encrypted; kept in its row."""

    method: EncryptionMethod
    key_arn: str = INSTALLATION
    "Of the KMS key."
    pairs: Mapping[str, str] = field(default_factory=dict)
    "Of the encryption context, as far as whoever put the object gave them."
    has_bucket_key: bool = False
    customer_md5: str = ""
    "Of the caller's key, base64; told to whoever proves to have it."
    customer_key: bytes = field(default=b"", repr=False, compare=False)
    "The caller's key, as long as its request lasts; in no row."

    @property
    def hides_digests(self) -> bool:
        """Whether the entity tag says nothing about the plaintext."""
        return self.method is not EncryptionMethod.S3

    def context(self, place: Place) -> dict[str, str]:
        """The encryption context of a content at this place; only a key of KMS has one."""
        if self.method is not EncryptionMethod.KMS:
            return {}
        return {**self.pairs, ARN_PAIR: bucket_arn(place) if self.has_bucket_key else object_arn(place)}

    def document(self) -> dict[str, Any]:
        """The columns that a row keeps."""
        return {
            "method": self.method, "key": self.key_arn, "pairs": dict(self.pairs), "bucketKey": self.has_bucket_key,
            "customerMd5": self.customer_md5,
        }  # fmt: skip

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        return cls(
            method=EncryptionMethod(document["method"]),
            key_arn=document["key"],
            pairs=document["pairs"],
            has_bucket_key=document["bucketKey"],
            customer_md5=document["customerMd5"],
        )


def encryption_of(document: Mapping[str, Any]) -> ObjectEncryption:
    """The encryption that the setting of a bucket gives to its objects. Its key is named as the setting names it."""
    method = EncryptionMethod(document["method"])
    return ObjectEncryption(method=method, key_arn=document["key"], has_bucket_key=document["bucketKey"])


SSE_S3 = ObjectEncryption(method=EncryptionMethod.S3)


@dataclass(frozen=True, kw_only=True)
class ContentSeal:
    """The data key that bytes on their way are sealed with."""

    data_key: DataKey
    hides_digests: bool


class ContentSealing:
    """Seals and openers of contents, refused in S3's codes."""

    def __init__(self, envelopes: Callable[[], Envelopes]) -> None:
        """`envelopes` is asked at the first use: most buckets hold nothing sealed."""
        self._envelopes = envelopes

    def seal(self, asked: ObjectEncryption | None, place: Place) -> ContentSeal | None:
        """The seal of one content: each has its own. Raises KMS.DisabledException and its like."""
        if asked is None:
            return None
        if asked.method is EncryptionMethod.CUSTOMER:
            assert asked.customer_key, "an upload by a key of the caller brings it"
            data_key = DataKey(plaintext=asked.customer_key, wrapped=WrappedKey(key_arn=EncryptionMethod.CUSTOMER))
        else:
            with refusals.key_refused():
                data_key = self._envelopes().make(asked.key_arn, asked.context(place))
        return ContentSeal(data_key=data_key, hides_digests=asked.hides_digests)

    def named(self, asked: ObjectEncryption, region: str) -> ObjectEncryption:
        """The encryption with the ARN of the key that it names. Raises KMS.NotFoundException."""
        if asked.method is not EncryptionMethod.KMS:
            return asked
        with refusals.key_refused():
            return replace(asked, key_arn=self._envelopes().key_arn("s3", region, asked.key_arn))

    def opener(self, encryption: ObjectEncryption) -> OpenKey:
        """The function that turns the wrapped key of a content into its data key, or refuses to."""
        if encryption.method is EncryptionMethod.CUSTOMER:
            if not encryption.customer_key:
                raise customer_key_missing()
            return lambda _wrapped: encryption.customer_key

        def opened(wrapped: WrappedKey) -> bytes:
            with refusals.key_refused():
                return self._envelopes().open(wrapped)

        return opened


@contextmanager
def seal_told(encryption: ObjectEncryption) -> Iterator[None]:
    """Turn a broken seal into S3's refusal: of a wrong key where the key is the caller's, else of damage."""
    try:
        yield
    except SealBroken as broken:
        if encryption.method is EncryptionMethod.CUSTOMER:
            raise wrong_customer_key() from broken
        logs.tell(_log, "sealed content is damaged", level=logging.ERROR, problem=broken.message)
        raise ServiceRefusal("InternalError", broken.message, http_status=500) from broken


def bucket_arn(place: Place) -> str:
    return f"arn:aws:s3:::{place.bucket}"


def object_arn(place: Place) -> str:
    return f"{bucket_arn(place)}/{place.key}"


def customer_key_missing() -> ServiceRefusal:
    return refusals.invalid_request(
        "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to "
        "retrieve the object."
    )


def wrong_customer_key() -> ServiceRefusal:
    """The refusal of a key of the caller's that does not open the object."""
    text = "Access Denied: the object was not encrypted with this key, or its bytes were changed."
    return ServiceRefusal("AccessDenied", text, http_status=403)


def no_envelopes() -> Envelopes:
    """The provider of data keys for buckets without any: nothing in them can be sealed."""
    raise MachineTrouble(
        "These buckets were opened without keys, and an object in them is sealed. Open the whole house."
    )
