"""Checksums that S3 clients ask for: five algorithms, over a whole object or over the checksums of its parts."""

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

from outcrop.buckets import crc, refusals


class Algorithm(StrEnum):
    """The checksum algorithms built here, out of the service model's ChecksumAlgorithm."""

    CRC32 = "CRC32"
    CRC32C = "CRC32C"
    CRC64NVME = "CRC64NVME"
    SHA1 = "SHA1"
    SHA256 = "SHA256"


class ChecksumType(StrEnum):
    """Whether a checksum covers the bytes of an object, or the checksums of its parts."""

    FULL_OBJECT = "FULL_OBJECT"
    COMPOSITE = "COMPOSITE"


@dataclass(frozen=True, kw_only=True)
class Checksum:
    """A checksum as a client sees it: base64, with `-<parts>` behind it when it is composite."""

    algorithm: Algorithm
    value: str
    type: ChecksumType = ChecksumType.FULL_OBJECT


class Running(Protocol):
    """A checksum of what was seen so far."""

    def update(self, data: bytes, /) -> None: ...
    def digest(self) -> bytes: ...


class _Crc(NamedTuple):
    """A cyclic redundancy check, and how many bytes it has."""

    model: crc.Model
    size: int


_CRCS = {
    Algorithm.CRC32: _Crc(crc.CRC32, 4),
    Algorithm.CRC32C: _Crc(crc.CRC32C, 4),
    Algorithm.CRC64NVME: _Crc(crc.CRC64NVME, 8),
}


class _RunningCrc:
    def __init__(self, of: _Crc) -> None:
        self._of = of
        self._value = 0

    def update(self, data: bytes) -> None:
        self._value = self._of.model.calc(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._of.size, "big")


def running(algorithm: Algorithm) -> Running:
    """A new checksum to feed."""
    match algorithm:
        case Algorithm.SHA1:
            return hashlib.sha1(usedforsecurity=False)
        case Algorithm.SHA256:
            return hashlib.sha256()
        case Algorithm.CRC32 | Algorithm.CRC32C | Algorithm.CRC64NVME:
            return _RunningCrc(_CRCS[algorithm])


def parse_algorithm(name: str) -> Algorithm:
    """Raises InvalidRequest for an algorithm that is not built."""
    try:
        return Algorithm(name.upper())
    except ValueError:
        built = ", ".join(Algorithm)
        raise refusals.invalid_request(f"Checksum algorithm {name} is not supported. Use one of {built}.") from None


def encoded(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def of_blocks(algorithm: Algorithm, blocks: Iterable[bytes]) -> Checksum:
    """The checksum of all these bytes."""
    taken = running(algorithm)
    for block in blocks:
        taken.update(block)
    return Checksum(algorithm=algorithm, value=encoded(taken.digest()))


def etag_of_parts(etags: Iterable[str]) -> str:
    """S3's entity tag of an object made of parts: the MD5 of their MD5s in a row, and how many."""
    digests = [bytes.fromhex(etag) for etag in etags]
    return f"{hashlib.md5(b''.join(digests), usedforsecurity=False).hexdigest()}-{len(digests)}"


def of_parts(algorithm: Algorithm, values: Iterable[str]) -> Checksum:
    """The composite checksum of parts with these checksums: that of their digests in a row, and how many."""
    digests = [base64.b64decode(value) for value in values]
    whole = running(algorithm)
    whole.update(b"".join(digests))
    return Checksum(algorithm=algorithm, value=f"{encoded(whole.digest())}-{len(digests)}", type=ChecksumType.COMPOSITE)


def joined(algorithm: Algorithm, parts: Iterable[tuple[str, int]]) -> Checksum:
    """The checksum of all bytes from the (checksum, size) of their parts, which only the CRCs allow."""
    of = _CRCS[algorithm]
    whole = 0
    for value, size in parts:
        whole = of.model.combine(whole, int.from_bytes(base64.b64decode(value)), size)
    return Checksum(algorithm=algorithm, value=encoded(whole.to_bytes(of.size, "big")))


def default_type(algorithm: Algorithm) -> ChecksumType:
    """The checksum type that a multipart upload keeps when its creator does not say."""
    return ChecksumType.FULL_OBJECT if algorithm is Algorithm.CRC64NVME else ChecksumType.COMPOSITE


def check_type(algorithm: Algorithm, kind: ChecksumType) -> None:
    """Raises InvalidRequest for the pairs that S3 does not offer: SHA of a whole object, CRC64NVME of its parts."""
    sha = algorithm in (Algorithm.SHA1, Algorithm.SHA256)
    if (kind is ChecksumType.FULL_OBJECT and sha) or (kind is ChecksumType.COMPOSITE and algorithm == "CRC64NVME"):
        raise refusals.invalid_request(
            f"The {kind} checksum type cannot be used with the {algorithm.lower()} checksum algorithm."
        )


def check_md5(content_md5: str | None, md5: bytes) -> None:
    """Raises InvalidDigest when the header is no MD5, BadDigest when it is another's."""
    if content_md5 is None:
        return
    try:
        expected = base64.b64decode(content_md5, validate=True)
    except (binascii.Error, ValueError):
        raise refusals.invalid_digest() from None
    if len(expected) != 16:
        raise refusals.invalid_digest()
    if expected != md5:
        raise refusals.bad_digest("Content-MD5")


def check_value(checksum: Checksum, promised: str | None) -> None:
    """Raises InvalidRequest when `promised` is no checksum of this kind, BadDigest when it is another's."""
    if promised is None or promised == checksum.value:
        return
    try:
        size = len(base64.b64decode(promised.partition("-")[0], validate=True))
    except (binascii.Error, ValueError):
        size = 0
    if size != len(running(checksum.algorithm).digest()):
        raise refusals.invalid_request(f"Value for x-amz-checksum-{checksum.algorithm.lower()} header is invalid.")
    raise refusals.bad_digest(checksum.algorithm)
