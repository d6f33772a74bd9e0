"""The rows about bytes: small contents, what objects made of parts consist of, and what lost its last name.

A content is known by its digest: the SHA-256 of its bytes; where nobody asked for that and it is long, 64 digits drawn
at random; or, when an upload in parts made it, `digest_of_pieces`. Equal digests are equal bytes, not the other way
round. The bytes are in one of three places: up to `SMALL_BYTES` in a row here, on the disk with the commit that makes
the object; else in a file of that name; or, as long as nobody needed them as one file, in the contents of its pieces.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache

import sqlalchemy as sql
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Connection

from outcrop.buckets.checksums import Algorithm, Checksum, ChecksumType
from outcrop.store.database import UtcTime
from outcrop.store.point_reads import PointReads
from outcrop.store.prepared import Prepared

SMALL_BYTES = 64 * 1024
JOINED = ""
"The content of a piece whose bytes are in the file of the whole now."

schema = sql.MetaData()
_contents = sql.Table(
    "small_contents",
    schema,
    sql.Column("digest", sql.String, primary_key=True),
    sql.Column("data", sql.LargeBinary, nullable=False),
)
_pieces = sql.Table(
    "pieces",
    schema,
    sql.Column("digest", sql.String, primary_key=True),
    sql.Column("number", sql.Integer, primary_key=True),
    sql.Column("content", sql.String, nullable=False, index=True),
    sql.Column("size", sql.BigInteger, nullable=False),
    sql.Column("checksum", sql.JSON),
)
_unwanted = sql.Table(
    "unwanted_files",
    schema,
    sql.Column("digest", sql.String, primary_key=True),
    sql.Column("since", UtcTime, nullable=False, index=True),
)


# These run for every object or part.
_SMALL = Prepared(sql.select(_contents.c.data).where(_contents.c.digest == sql.bindparam("named")))
_NEW_CONTENT = Prepared(sqlite.insert(_contents).on_conflict_do_nothing())
_NEW_UNWANTED = Prepared(sql.insert(_unwanted))
_NOT_UNWANTED = Prepared(sql.delete(_unwanted).where(_unwanted.c.digest == sql.bindparam("named")))


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A part of the upload that made an object: its part number, and the digest of its bytes."""

    number: int
    content: str
    size: int
    checksum: Checksum | None = None


def digest_of_pieces(pieces: list[Piece]) -> str:
    """The name of what consists of these pieces, in this order. Their bytes are not read for it."""
    lines = (f"{each.number} {each.content} {each.checksum and each.checksum.value}\n" for each in pieces)
    return hashlib.sha256("".join(["pieces\n", *lines]).encode()).hexdigest()


def put_small(connection: Connection, digest: str, data: bytes) -> None:
    """Equal content that is there already stays."""
    statement = _new_content_in_postgresql() if connection.dialect.name == "postgresql" else _NEW_CONTENT
    statement.run(connection, {"digest": digest, "data": data})


@cache
def _new_content_in_postgresql() -> Prepared:
    from sqlalchemy.dialects import postgresql  # whose code is a fifteenth of what the server reads at its start

    return Prepared(postgresql.insert(_contents).on_conflict_do_nothing())


def small(connection: Connection, digest: str) -> bytes | None:
    found = _SMALL.first(connection, {"named": digest})
    return None if found is None else found["data"]


def small_by_point(points: PointReads, digest: str) -> bytes | None:
    """The bytes of a small content, read without a connection, where `points.possible()`."""
    found = points.first(_SMALL, {"named": digest})
    return None if found is None else found["data"]


def put_pieces(connection: Connection, digest: str, pieces: list[Piece]) -> None:
    """Equal pieces that are there already stay, also when they were joined meanwhile."""
    if not pieces_of(connection, digest):
        connection.execute(sql.insert(_pieces), [{"digest": digest, **asdict(piece)} for piece in pieces])


def pieces_of(connection: Connection, digest: str) -> list[Piece]:
    """The pieces of a content, by number; empty for a content that no upload in parts made."""
    rows = connection.execute(sql.select(_pieces).where(_pieces.c.digest == digest).order_by(_pieces.c.number))
    return [
        Piece(number=row.number, content=row.content, size=row.size, checksum=checksum_stored(row.checksum))
        for row in rows
    ]


def note_joined(connection: Connection, digest: str, *, at: datetime) -> None:
    """The bytes of these pieces are one file now; those of each are wanted no more."""
    contents = {piece.content for piece in pieces_of(connection, digest)} - {JOINED}
    connection.execute(sql.update(_pieces).where(_pieces.c.digest == digest).values(content=JOINED))
    note_unwanted(connection, contents, at=at)


def is_piece(connection: Connection, digest: str) -> bool:
    """Whether something consists of this content."""
    found = sql.exists(sql.select(_pieces.c.content).where(_pieces.c.content == digest))
    return bool(connection.execute(sql.select(found)).scalar())


def remove_content(connection: Connection, digest: str, *, at: datetime) -> None:
    """The rows of a content that nobody wants; what it consists of may be unwanted now, too."""
    note_joined(connection, digest, at=at)
    connection.execute(sql.delete(_pieces).where(_pieces.c.digest == digest))
    connection.execute(sql.delete(_contents).where(_contents.c.digest == digest))


def note_unwanted(connection: Connection, digests: Iterable[str], *, at: datetime) -> None:
    """Contents that may have lost their last name. Noted without asking for another: the sweep asks when it counts."""
    for digest in set(digests):
        forget_unwanted(connection, digest)
        _NEW_UNWANTED.run(connection, {"digest": digest, "since": at})


def unwanted_since(connection: Connection, before: datetime, limit: int) -> list[str]:
    """Digests whose name went before that moment, the oldest first."""
    query = sql.select(_unwanted.c.digest).where(_unwanted.c.since < before).order_by(_unwanted.c.since).limit(limit)
    return list(connection.execute(query).scalars())


def forget_unwanted(connection: Connection, digest: str) -> None:
    _NOT_UNWANTED.run(connection, {"named": digest})


def checksum_stored(stored: dict[str, str] | None) -> Checksum | None:
    if stored is None:
        return None
    return Checksum(algorithm=Algorithm(stored["algorithm"]), value=stored["value"], type=ChecksumType(stored["type"]))
