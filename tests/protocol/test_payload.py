"""Bodies of S3 uploads as they flow: framing off, signatures checked. The signed examples are those of AWS's own pages.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html and sigv4-streaming-trailers.html
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outcrop.errors import ServiceRefusal
from outcrop.protocol.http import HttpRequest
from outcrop.protocol.signing import payload, proof, sigv4
from outcrop.protocol.signing.proof import Verified

SCOPE = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"
NOW = datetime(2013, 5, 24, tzinfo=UTC)
CHUNKS = [b"a" * 65536, b"a" * 1024, b""]


@dataclass(frozen=True)
class Key:
    secret: str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    session_token: str | None = None
    expires: datetime | None = None


def verified(kind: str, headers: dict[str, str], signature: str) -> Verified:
    headers = {
        "host": "s3.amazonaws.com",
        "x-amz-date": "20130524T000000Z",
        "x-amz-storage-class": "REDUCED_REDUNDANCY",
        "x-amz-content-sha256": kind,
        "content-encoding": "aws-chunked",
        "x-amz-decoded-content-length": "66560",
        **headers,
    }
    names = ";".join(sorted(headers))
    headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={SCOPE},SignedHeaders={names},Signature={signature}"
    request = HttpRequest(method="PUT", raw_path="/examplebucket/chunkObject.txt", raw_query="", headers=headers)
    stated = sigv4.read(request, protocol="rest-xml")
    return sigv4.verify(stated, Key(), request, protocol="rest-xml", service="s3", now=NOW)


def plainly(kind: str) -> Verified:
    """A request whose signature is not in question."""
    return Verified(region="us-east-1", payload_hash=kind)


def framed(signatures: list[str], trailers: str = "") -> bytes:
    frames = b""
    for data, signature in zip(CHUNKS, signatures, strict=True):
        frames += f"{len(data):x};chunk-signature={signature}\r\n".encode() + data + (b"\r\n" if data else b"")
    return frames + (trailers or "\r\n").encode()


def read(
    data: bytes, known: Verified, length: int | None = None, cut: int = 1000, trailer: str = ""
) -> tuple[bytes, dict[str, str]]:
    """What comes out when `data` comes in by pieces of `cut` bytes, and its head names `trailer`."""
    trailers: dict[str, str] = {}
    headers = {"x-amz-trailer": trailer} | ({} if length is None else {"x-amz-decoded-content-length": str(length)})

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(data), cut):
            yield data[start : start + cut]

    async def collect() -> bytes:
        return b"".join([piece async for piece in payload.plain(pieces(), known, headers, trailers)])

    return asyncio.run(collect()), trailers


def refused(data: bytes, known: Verified, length: int | None = None, trailer: str = "") -> str:
    with pytest.raises(ServiceRefusal) as raised:
        read(data, known, length, trailer=trailer)
    return raised.value.code


SIGNED = [
    "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
    "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
    "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
]
SIGNED_WITH_TRAILER = [
    "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
    "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
    "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
]
TRAILERS = (
    "x-amz-checksum-crc32c:sOO8/Q==\r\n"
    "x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n"
)


def signed_chunks() -> Verified:
    return verified(
        proof.SIGNED_CHUNKS,
        {"content-length": "66824"},
        "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
    )


def signed_chunks_with_trailer() -> Verified:
    return verified(
        proof.SIGNED_CHUNKS_TRAILER,
        {"x-amz-trailer": "x-amz-checksum-crc32c"},
        "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
    )


@pytest.mark.parametrize("cut", [1, 77, 65536, 10**6])
def test_signed_chunks_are_read_however_the_network_cuts_them(cut: int) -> None:
    assert read(framed(SIGNED), signed_chunks(), 66560, cut) == (b"a" * 66560, {})


def test_signed_chunks_with_a_signed_trailer_are_read() -> None:
    data = framed(SIGNED_WITH_TRAILER, TRAILERS)
    body, trailers = read(data, signed_chunks_with_trailer(), 66560, trailer="x-amz-checksum-crc32c")
    assert (body, trailers) == (b"a" * 66560, {"x-amz-checksum-crc32c": "sOO8/Q=="})


def test_a_changed_chunk_is_refused() -> None:
    changed = framed(SIGNED).replace(b"aaaa\r\n400;", b"aaab\r\n400;")
    assert refused(changed, signed_chunks(), 66560) == "SignatureDoesNotMatch"


def test_a_changed_trailer_is_refused() -> None:
    changed = framed(SIGNED_WITH_TRAILER, TRAILERS.replace("sOO8", "sOO9"))
    assert refused(changed, signed_chunks_with_trailer(), 66560) == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    "broken",
    [
        framed(SIGNED)[:-90],  # without its last chunk
        framed(SIGNED).replace(b"400;chunk-signature=", b"400;x="),
        framed(SIGNED)[:1000],
        b"zz\r\n",
        b"",
    ],
)
def test_broken_framing_is_refused(broken: bytes) -> None:
    assert refused(broken, signed_chunks(), 66560) == "IncompleteBody"


def test_unsigned_chunks_with_a_trailer_are_read() -> None:
    known = plainly(proof.UNSIGNED_TRAILER)
    data = b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"
    assert read(data, known, 5, trailer="x-amz-checksum-crc32") == (b"hello", {"x-amz-checksum-crc32": "NhCmhg=="})


@given(chunks=st.lists(st.binary(min_size=1, max_size=50), max_size=5), cut=st.integers(1, 60))
def test_framing_neither_loses_nor_invents_a_byte(chunks: list[bytes], cut: int) -> None:
    data = b"".join(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n" for chunk in chunks) + b"0\r\n\r\n"
    whole = b"".join(chunks)
    assert read(data, plainly(proof.UNSIGNED_TRAILER), len(whole), cut) == (whole, {})


@pytest.mark.parametrize(
    ("length", "code"), [(4, "IncompleteBody"), (6, "IncompleteBody"), (None, "MissingContentLength")]
)
def test_the_stated_length_must_be_the_length(length: int | None, code: str) -> None:
    assert refused(b"5\r\nhello\r\n0\r\n\r\n", plainly(proof.UNSIGNED_TRAILER), length) == code


def test_a_body_must_have_the_hash_that_was_signed() -> None:
    stated = hashlib.sha256(b"hello").hexdigest()
    assert read(b"hello", plainly(stated)) == (b"hello", {})
    assert refused(b"hullo", plainly(stated)) == "XAmzContentSHA256Mismatch"


def test_an_unsigned_payload_is_taken_as_it_is() -> None:
    assert read(b"hello", plainly(proof.UNSIGNED_PAYLOAD)) == (b"hello", {})


def test_an_unknown_word_for_the_payload_is_refused() -> None:
    assert refused(b"", plainly("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD")) == "InvalidRequest"


@pytest.mark.parametrize(
    ("after", "declared", "code"),
    [
        ("", "x-amz-checksum-crc32", "MalformedTrailerError"),  # promised and not sent
        ("x-amz-checksum-crc32:NhCmhg==\r\n", "", "MalformedTrailerError"),  # sent and not promised
        ("x-amz-checksum-crc32:NhCmhg==\r\n" * 2, "x-amz-checksum-crc32", "MalformedTrailerError"),
        ("".join(f"a{n}:b\r\n" for n in range(30)), ",".join(f"a{n}" for n in range(30)), "MalformedTrailerError"),
        ("\r\nGET / HTTP/1.1\r\n", "", "IncompleteBody"),  # a second request behind the body's end
    ],
)
def test_what_follows_the_last_chunk_is_what_was_announced(after: str, declared: str, code: str) -> None:
    data = f"5\r\nhello\r\n0\r\n{after}\r\n".encode()
    assert refused(data, plainly(proof.UNSIGNED_TRAILER), 5, declared) == code


def test_signed_chunks_need_a_signature_that_begins_their_chain() -> None:
    assert refused(framed(SIGNED), plainly(proof.SIGNED_CHUNKS), 66560) == "InvalidRequest"
