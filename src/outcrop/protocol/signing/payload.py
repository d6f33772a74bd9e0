"""The body of an S3 request as it flows: chunk framing taken off, every promise checked on the way.

What the signature says of the body is its SHA-256, or UNSIGNED-PAYLOAD, or one of the STREAMING words: then the body
comes in chunks (`<hex size>[;chunk-signature=<signature>]`), perhaps followed by trailers. A broken promise is raised
when it shows, at the latest after the last byte; so whoever stores the bytes lets them count only after that.
"""

import hashlib
import hmac
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from outcrop.errors import ServiceRefusal
from outcrop.protocol.signing import signature
from outcrop.protocol.signing.proof import (
    SIGNED_CHUNKS,
    SIGNED_CHUNKS_TRAILER,
    UNSIGNED_PAYLOAD,
    UNSIGNED_TRAILER,
    ChunkSeal,
    Verified,
)
from outcrop.protocol.signing.refusals import Case, refusal

_SHA256 = re.compile(r"[0-9a-f]{64}")
_CHUNK = re.compile(rb"([0-9a-fA-F]{1,16})(?:;chunk-signature=([0-9a-f]{64}))?")
_EMPTY = hashlib.sha256(b"").hexdigest()
_LONGEST_LINE = 4096
_LINE_END = b"\r\n"
_ENDED = "The request body terminated unexpectedly"
_MAX_TRAILERS = 20


def promised_sha256(verified: Verified) -> str | None:
    """The SHA-256 that the signature promises of the whole body, if it is of that kind."""
    stated = verified.payload_hash.lower()
    return stated if _SHA256.fullmatch(stated) else None


def plain(
    stream: AsyncIterator[bytes],
    verified: Verified,
    headers: Mapping[str, str],
    trailers: dict[str, str],
    *,
    hashed: bool = True,
) -> AsyncIterator[bytes]:
    """The bytes the client meant. What follows them is put into `trailers` before the iteration ends.

    `hashed=False`: whoever takes the bytes holds them to `promised_sha256` himself, since he hashes them anyway.
    """
    stated = verified.payload_hash
    if stated == UNSIGNED_PAYLOAD:
        return stream
    if _SHA256.fullmatch(stated.lower()):
        return _hashed(stream, stated.lower()) if hashed else stream
    if stated not in (UNSIGNED_TRAILER, SIGNED_CHUNKS, SIGNED_CHUNKS_TRAILER):
        text = f"x-amz-content-sha256 must be UNSIGNED-PAYLOAD, a SHA-256 or a STREAMING method, not {stated!r}"
        raise _invalid(text)
    declared = headers.get("x-amz-trailer", "").lower().split(",")
    names = frozenset(name.strip() for name in declared if name.strip())
    return _counted(_Chunks(stream, verified, names, trailers).read(), headers)


async def _hashed(stream: AsyncIterator[bytes], stated: str) -> AsyncIterator[bytes]:
    digest = hashlib.sha256()
    async for piece in stream:
        digest.update(piece)
        yield piece
    if digest.hexdigest() != stated:
        raise ServiceRefusal(
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
            http_status=400,
            ClientComputedContentSHA256=stated,
            S3ComputedContentSHA256=digest.hexdigest(),
        )


async def _counted(stream: AsyncIterator[bytes], headers: Mapping[str, str]) -> AsyncIterator[bytes]:
    stated = headers.get("x-amz-decoded-content-length", "")
    if not (stated.isascii() and stated.isdecimal()):
        text = "You must provide the x-amz-decoded-content-length HTTP header."
        raise ServiceRefusal("MissingContentLength", text, http_status=411)
    size = 0
    async for piece in stream:
        size += len(piece)
        if size > int(stated):
            break
        yield piece
    if size != int(stated):
        text = "You did not provide the number of bytes specified by the x-amz-decoded-content-length HTTP header"
        raise _incomplete(text)


@dataclass
class _Signatures:
    """The chain of signatures: each chunk's covers the one before, the first that of the headers."""

    seal: ChunkSeal
    previous: str

    def check_chunk(self, given: str, digest: str) -> None:
        self._check("AWS4-HMAC-SHA256-PAYLOAD", given, f"{_EMPTY}\n{digest}")

    def check_trailers(self, given: str, digest: str) -> None:
        self._check("AWS4-HMAC-SHA256-TRAILER", given, digest)

    def _check(self, kind: str, given: str, rest: str) -> None:
        signed = self.seal.signed
        text = f"{kind}\n{signed.stamp}\n{signed.scope}\n{self.previous}\n{rest}"
        expected = signature.sign(self.seal.key, text)
        if not hmac.compare_digest(expected.encode(), given.encode("latin-1")):
            raise refusal(Case.MISMATCH, "rest-xml", AWSAccessKeyId=signed.key_id, StringToSign=text)
        self.previous = expected


class _Chunks:
    """Takes the chunk framing off a stream, holding no more than the piece that just came in."""

    def __init__(
        self, stream: AsyncIterator[bytes], verified: Verified, declared: frozenset[str], trailers: dict[str, str]
    ) -> None:
        self._stream = stream
        self._buffer, self._at = b"", 0
        self._signatures: _Signatures | None = None
        if verified.payload_hash != UNSIGNED_TRAILER:
            if verified.seal is None:
                raise _invalid("Signed chunks need a request that is signed with AWS4-HMAC-SHA256.")
            self._signatures = _Signatures(seal=verified.seal, previous=verified.seal.signed.signature)
        self._signs_trailers = verified.payload_hash == SIGNED_CHUNKS_TRAILER
        self._declared = declared
        self._trailers = trailers

    async def read(self) -> AsyncIterator[bytes]:
        while True:
            size, given = await self._chunk_head()
            digest = hashlib.sha256()
            left = size
            while left:
                piece = await self._piece(left)
                left -= len(piece)
                if self._signatures is not None:
                    digest.update(piece)
                yield piece
            if self._signatures is not None:
                self._signatures.check_chunk(given, digest.hexdigest())
            if size == 0:
                break
            if await self._line():
                raise _incomplete("A chunk is longer than its stated size.")
        await self._read_trailers()
        await self._check_end()

    async def _chunk_head(self) -> tuple[int, str]:
        found = _CHUNK.fullmatch(await self._line())
        if found is None or (self._signatures is not None and not found[2]):
            raise _incomplete("A chunk must begin with its size in hexadecimal digits, then its signature if signed.")
        return int(found[1], 16), (found[2] or b"").decode()

    async def _read_trailers(self) -> None:
        lines: list[str] = []
        given = ""
        while line := (await self._line(at_end=True)).decode("latin-1"):
            name, _, value = line.partition(":")
            if name.strip().lower() == "x-amz-trailer-signature":
                given = value.strip()
            else:
                lines.append(f"{name.strip().lower()}:{value.strip()}\n")
            if len(lines) > _MAX_TRAILERS:
                raise _malformed_trailer()
        if self._signatures is not None and self._signs_trailers:
            digest = hashlib.sha256("".join(lines).encode("latin-1")).hexdigest()
            self._signatures.check_trailers(given, digest)
        pairs = [line.rstrip("\n").partition(":") for line in lines]
        if frozenset(name for name, _, _ in pairs) != self._declared or len(pairs) != len(self._declared):
            raise _malformed_trailer()
        self._trailers.update((name, value) for name, _, value in pairs)

    async def _check_end(self) -> None:
        """Nothing may follow but the end of a line: bytes that nobody reads could mean something to somebody else."""
        rest = self._buffer[self._at :]
        while len(rest) <= len(_LINE_END) and (more := await self._next()):
            rest += more
        if rest not in (b"", _LINE_END):
            raise _incomplete("The body goes on after its last chunk.")

    async def _piece(self, limit: int) -> bytes:
        if self._at >= len(self._buffer):
            self._buffer, self._at = await self._next(), 0
            if not self._buffer:
                raise _incomplete(_ENDED)
        piece = self._buffer[self._at : self._at + limit]
        self._at += len(piece)
        return piece

    async def _line(self, *, at_end: bool = False) -> bytes:
        """The next line without its end. `at_end`: the stream may stop instead, which reads as an empty line."""
        while (end := self._buffer.find(_LINE_END, self._at)) < 0:
            rest = self._buffer[self._at :]
            more = await self._next()
            if not more and at_end and not rest:
                return b""
            if not more or len(rest) > _LONGEST_LINE:
                raise _incomplete(_ENDED)
            self._buffer, self._at = rest + more, 0
        line = self._buffer[self._at : end]
        self._at = end + len(_LINE_END)
        return line

    async def _next(self) -> bytes:
        async for piece in self._stream:
            if piece:
                return piece
        return b""


def _incomplete(message: str) -> ServiceRefusal:
    return ServiceRefusal("IncompleteBody", message, http_status=400)


def _invalid(message: str) -> ServiceRefusal:
    return ServiceRefusal("InvalidRequest", message, http_status=400)


def _malformed_trailer() -> ServiceRefusal:
    text = (
        "The request contained trailing data that was not well-formed or did not conform to our published schema. "
        "Send exactly the trailers that x-amz-trailer names."
    )
    return ServiceRefusal("MalformedTrailerError", text, http_status=400)
