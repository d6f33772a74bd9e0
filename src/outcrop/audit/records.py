"""The tables of the audit: entries chained by digests, the resources that each names, and where the chain begins.

Entries are added at the end, and whole ranges removed from the beginning. Nothing changes or removes a single one.
Digests are made with a key, which lies in the database sealed by the root key: who can write the database alone makes
no digest that holds. Entries of versions before there was that key have digests without one.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import orjson
import sqlalchemy as sql
from sqlalchemy.engine import Connection, Engine

from outcrop.audit.entry import COLUMNS, Entry, canonical, entry_of, rest
from outcrop.errors import MachineTrouble
from outcrop.keys.root_key import Sealer
from outcrop.store.database import UtcTime, alone, create_tables, reading, writing

_NUMBER = sql.BigInteger().with_variant(sql.Integer, "sqlite")  # where it is the row's own number then
_BEGINNING = b"\0" * 32
_PIECE = 5000
"Entries that are read or removed at once: whoever else writes comes between."
_FEW = 500
"Values in one condition: SQLite takes some thousands."
_schema = sql.MetaData()
_entries = sql.Table(
    "audit_entries",
    _schema,
    sql.Column("number", _NUMBER, primary_key=True, autoincrement=False),
    sql.Column("at", UtcTime, nullable=False),
    sql.Column("service", sql.String, nullable=False),
    sql.Column("operation", sql.String, nullable=False),
    sql.Column("caller", sql.String, nullable=False),
    sql.Column("request_id", sql.String, nullable=False),
    sql.Column("rest", sql.String, nullable=False),
    sql.Column("digest", sql.LargeBinary(32), nullable=False),
    sql.Index("audit_entries_at", "at", "number"),
    sql.Index("audit_entries_caller", "caller", "at", "number"),
    sql.Index("audit_entries_operation", "operation", "at", "number"),
    sql.Index("audit_entries_request", "request_id"),
)
_resources = sql.Table(
    "audit_resources",
    _schema,
    sql.Column("resource", sql.String, nullable=False),
    sql.Column("at", UtcTime, nullable=False),
    sql.Column("number", sql.BigInteger, nullable=False),
    # Of none of them is anything unique: what somebody left here by cutting entries off must not stop further ones.
    sql.Index("audit_resources_named", "resource", "at", "number"),
    sql.Index("audit_resources_number", "number"),
)
_begins = sql.Table(
    "audit_begins",
    _schema,
    sql.Column("id", sql.Integer, primary_key=True),
    sql.Column("number", sql.BigInteger, nullable=False),
    sql.Column("digest", sql.LargeBinary(32), nullable=False),
)
_keys = sql.Table(
    "audit_keys",
    _schema,
    sql.Column("id", sql.Integer, primary_key=True),
    sql.Column("since", sql.BigInteger, nullable=False),
    sql.Column("sealed", sql.LargeBinary, nullable=False),
)
_KEY_BYTES = 32
_COLUMNS = [_entries.c[name] for name in ("number", *COLUMNS, "rest", "digest")]


class Link(NamedTuple):
    """A place in the chain: the number of an entry, and the digest of it and all before it."""

    number: int
    digest: bytes


START = Link(0, _BEGINNING)


@dataclass(frozen=True, kw_only=True)
class Search:
    """A question about entries; what is None or empty asks nothing."""

    since: datetime | None = None
    until: datetime | None = None
    services: tuple[str, ...] = ()
    operation: str | None = None
    callers: tuple[str, ...] | None = None
    "Any of these; an empty tuple is nobody."
    resources: tuple[str, ...] = ()
    "Any of these ARNs."
    request_id: str | None = None
    request_prefix: str | None = None
    "How the request's id begins."
    region: str | None = None
    key_id: str | None = None
    read_only: bool | None = None
    data: bool | None = None
    failed: bool | None = None
    code: str | None = None
    resource_like: str | None = None
    "A pattern of LIKE that one of the resources fits."


class Recorded(NamedTuple):
    """An entry with its place in the chain."""

    link: Link
    entry: Entry


class ChainKey(NamedTuple):
    """The key of the digests, and the number of the first entry that has one of it."""

    since: int
    key: bytes


class KeyLost(MachineTrouble):
    """The key of the digests cannot be opened: it was touched, or the root key is another."""


def next_digest(before: bytes, number: int, entry: Entry, key: ChainKey | None) -> bytes:
    """The digest of an entry, and by the one before it of all that came before."""
    content = before + canonical(entry)
    if key is None or number < key.since:
        return hashlib.sha256(content).digest()
    return hmac.digest(key.key, content, "sha256")


class AuditRecords:
    """The rows of one database."""

    def __init__(self, engine: Engine, sealer: Sealer | None = None) -> None:
        """`sealer`: seals the key of the digests; without one they are made without a key."""
        self._engine = engine
        self._sealer = sealer
        self._key: ChainKey | None = None
        create_tables(engine, _schema)

    def key(self) -> ChainKey | None:
        """The key of the digests, None where none was made yet. Raises KeyLost."""
        with reading(self._engine) as connection:
            return self._read_key(connection)

    def reseal(self, new: Sealer) -> None:
        """Seal the key with another root key. The caller has a transaction open. Raises KeyLost."""
        with writing(self._engine) as connection:
            found = self._read_key(connection)
            if found is not None:
                sealed = new.seal_bytes(found.key, about=_about(found.since))
                connection.execute(sql.update(_keys).values(sealed=sealed))

    def _read_key(self, connection: Connection) -> ChainKey | None:
        row = connection.execute(sql.select(_keys.c.since, _keys.c.sealed)).first()
        if row is None or self._sealer is None:
            return None
        opened = self._sealer.open_bytes(row.sealed, about=_about(row.since))
        if opened is None:
            raise KeyLost(
                "The key of the record of calls cannot be opened: it was changed in the database, or sealed with "
                "another root key. Give the root key of this home, or put the database back from a backup."
            )
        return ChainKey(row.since, opened)

    def _key_for_appending(self, connection: Connection, last: int) -> ChainKey | None:
        """The key, made where there is none. It is not remembered before it is on the disk."""
        if self._sealer is None or self._key is not None:
            return self._key
        found = self._read_key(connection)
        if found is None:
            found = ChainKey(last + 1, secrets.token_bytes(_KEY_BYTES))
            sealed = self._sealer.seal_bytes(found.key, about=_about(found.since))
            connection.execute(sql.insert(_keys).values(id=1, since=found.since, sealed=sealed))
        return found

    def append(self, entries: Sequence[Entry], *, again: bool = False) -> Link:
        """Add entries at the end, in one transaction; returns the last one's place.

        `again`: an earlier try failed, and nobody knows whether it came to the disk. What is there is not added twice.
        """
        with writing(self._engine) as connection:
            alone(connection, "audit")
            number, digest = _last(connection)
            key = self._key_for_appending(connection, number)
            if again:
                entries = _missing(connection, entries)
                if not entries:
                    return Link(number, digest)
            rows, named = [], []
            for entry in entries:
                number += 1
                digest = next_digest(digest, number, entry, key)
                rows.append({**_columns(entry), "number": number, "rest": rest(entry), "digest": digest})
                resources = dict.fromkeys(entry.resources)
                named += [{"resource": each, "at": entry.at, "number": number} for each in resources]
            connection.execute(sql.insert(_entries), rows)
            if named:
                connection.execute(sql.insert(_resources), named)
        self._key = key
        return Link(number, digest)

    def last(self) -> Link:
        """The end of the chain."""
        with reading(self._engine) as connection:
            return _last(connection)

    def begins(self) -> Link:
        """The last place that was removed, after which the chain goes on; START if none was."""
        with reading(self._engine) as connection:
            return _begin(connection)

    def chain(self, after: int) -> Iterator[tuple[Link, Entry | None]]:
        """Every entry after a number, in order; None for one that cannot be read."""
        while True:
            query = sql.select(*_COLUMNS).where(_entries.c.number > after).order_by(_entries.c.number).limit(_PIECE)
            with reading(self._engine) as connection:
                rows = connection.execute(query).all()
            if not rows:
                return
            yield from map(_read, rows)
            after = rows[-1].number

    def search(self, asked: Search, *, before: Recorded | None, most: int) -> list[Recorded]:
        """Entries that have all that is asked for, newest first; `before` continues after a page."""
        query = sql.select(*_COLUMNS).where(*_conditions(asked))
        # Walked in the order of the answer along an index: of the entries, or of those that name a resource.
        walked = _resources if len(asked.resources) == 1 else _entries
        at, number = walked.c.at, walked.c.number
        same = (_resources.c.number == _entries.c.number) & (_resources.c.at == _entries.c.at)
        if len(asked.resources) == 1:
            query = query.join(_resources, same).where(_resources.c.resource == asked.resources[0])
        elif asked.resources:  # an entry may name several of them, and comes once
            query = query.where(sql.exists().where(same, _resources.c.resource.in_(asked.resources)))
        if asked.since is not None:
            query = query.where(at >= asked.since)
        if asked.until is not None:
            query = query.where(at < asked.until)
        if before is not None:
            same_moment = (at == before.entry.at) & (number < before.link.number)
            query = query.where((at < before.entry.at) | same_moment)
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(at.desc(), number.desc()).limit(most)).all()
        return [Recorded(link, entry) for link, entry in map(_read, rows) if entry is not None]

    def at(self, number: int) -> Recorded | None:
        """The entry with this number."""
        with reading(self._engine) as connection:
            row = connection.execute(sql.select(*_COLUMNS).where(_entries.c.number == number)).first()
        link, entry = (None, None) if row is None else _read(row)
        return None if link is None or entry is None else Recorded(link, entry)

    def callers(self) -> list[str]:
        """Every caller in the record, each once."""
        # From one key of the index to the next: a DISTINCT would go along all of it.
        found, column = [""], _entries.c.caller
        with reading(self._engine) as connection:
            while found[-1] is not None:
                query = sql.select(sql.func.min(column)).where(column > found[-1])
                found.append(connection.execute(query).scalar_one())
        return found[1:-1]

    def named_resources(self, name: str) -> list[str]:
        """The resources in the record that have this ARN, or end in this name."""
        if name.startswith("arn:"):
            return [name]
        column = _resources.c.resource
        ends = [column.endswith(f"{sign}{name}", autoescape=True) for sign in "/:"]
        with reading(self._engine) as connection:  # along an index that has all of it; SQLite compares without case
            found = connection.execute(sql.select(column).where(sql.or_(*ends)).distinct()).scalars()
            return [each for each in found if each.endswith((f"/{name}", f":{name}"))]

    def first_since(self, moment: datetime) -> int:
        """The number of the first entry that is not before a moment; one past the end if there is none."""
        # In order of numbers, not of times: a clock may have been set back between two entries.
        query = sql.select(sql.func.min(_entries.c.number)).where(_entries.c.at >= moment)
        with reading(self._engine) as connection:
            number = connection.execute(query).scalar()
            return _last(connection).number + 1 if number is None else int(number)

    def size_of_newest(self, most: int) -> tuple[int, int]:
        """How many of the newest entries were looked at, `most` of them if there are so many, and their letters."""
        letters = sql.func.length(_entries.c.rest) + sql.func.length(_entries.c.caller)
        newest = sql.select(letters.label("letters")).order_by(_entries.c.number.desc()).limit(most).subquery()
        query = sql.select(sql.func.count(), sql.func.sum(newest.c.letters)).select_from(newest)
        with reading(self._engine) as connection:
            number, sum_of_letters = connection.execute(query).one()
        return int(number), int(sum_of_letters or 0)

    def remove_through(self, number: int) -> int:
        """Forget every entry up to a number, and note where the chain begins now; returns how many went."""
        removed = 0
        while True:
            with writing(self._engine) as connection:
                alone(connection, "audit")
                begin = _begin(connection)
                upto = min(begin.number + _PIECE, number)
                query = sql.select(_entries.c.number, _entries.c.digest).where(_entries.c.number <= upto)
                found = connection.execute(query.order_by(_entries.c.number.desc()).limit(1)).first()
                if found is None:
                    return removed
                removed += connection.execute(sql.delete(_entries).where(_entries.c.number <= upto)).rowcount
                connection.execute(sql.delete(_resources).where(_resources.c.number <= upto))
                connection.execute(sql.delete(_begins))
                connection.execute(sql.insert(_begins).values(id=1, number=found.number, digest=found.digest))


def _missing(connection: Connection, entries: Sequence[Entry]) -> list[Entry]:
    """The entries that are not on record yet."""
    ids = [entry.request_id for entry in entries if entry.request_id]
    written = set[tuple[str, str, datetime]]()
    for place in range(0, len(ids), _FEW):
        query = sql.select(_entries.c.request_id, _entries.c.operation, _entries.c.at)
        query = query.where(_entries.c.request_id.in_(ids[place : place + _FEW]))
        written |= {(row.request_id, row.operation, row.at) for row in connection.execute(query)}
    return [entry for entry in entries if (entry.request_id, entry.operation, entry.at) not in written]


def _conditions(asked: Search) -> Iterator[sql.ColumnElement[bool]]:
    columns = _entries.c
    for column, value in ((columns.operation, asked.operation), (columns.request_id, asked.request_id)):
        if value is not None:
            yield column == value
    if asked.services:
        yield columns.service.in_(asked.services)
    if asked.callers is not None:
        yield columns.caller.in_(asked.callers)
    if asked.request_prefix is not None:
        yield columns.request_id >= asked.request_prefix
        yield columns.request_id < asked.request_prefix + "g"  # behind every hexadecimal digit
    for member, text in (("region", asked.region), ("key_id", asked.key_id), ("code", asked.code)):
        if text is not None:
            yield _has(f'"{member}":{orjson.dumps(text).decode()}')
    for member, flag in (("read_only", asked.read_only), ("data", asked.data)):
        if flag is not None:
            yield _has(f'"{member}":{"true" if flag else "false"}')
    if asked.failed is not None:
        succeeded = _has('"code":""')
        yield ~succeeded if asked.failed else succeeded
    if asked.resource_like is not None:
        fits = _resources.c.resource.like(asked.resource_like)
        yield sql.exists().where(_resources.c.number == columns.number, fits)


def _has(text: str) -> sql.ColumnElement[bool]:
    """Whether the rest of an entry has this member. Texts of requests stand there with their quotes escaped."""
    return _entries.c.rest.contains(text, autoescape=True)


def _about(since: int) -> str:
    return f"key of the record since entry {since}"


def _columns(entry: Entry) -> dict[str, object]:
    return {name: getattr(entry, name) for name in COLUMNS}


def _last(connection: Connection) -> Link:
    query = sql.select(_entries.c.number, _entries.c.digest).order_by(_entries.c.number.desc()).limit(1)
    row = connection.execute(query).first()
    return _begin(connection) if row is None else Link(row.number, row.digest)


def _begin(connection: Connection) -> Link:
    row = connection.execute(sql.select(_begins.c.number, _begins.c.digest)).first()
    return START if row is None else Link(row.number, row.digest)


def _read(row: sql.Row[tuple[object, ...]]) -> tuple[Link, Entry | None]:
    columns = row._asdict()
    link = Link(columns["number"], columns["digest"])
    try:
        return link, entry_of(columns, columns["rest"])
    except (ValueError, TypeError, KeyError, AttributeError):
        return link, None
