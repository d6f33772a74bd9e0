"""Passages in Redis: each change is one MULTI, each document a few keys. No module of Redis is needed.

How long a change outlives a fall of the server is the server's own setting (`appendfsync`).
"""

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any, TypeAlias

import redis

from outcrop.knowledge.index.prepared import PreparedDocument, PreparedPassage, check_width
from outcrop.knowledge.index.storage import ChangedDocument, MomentPassed, SearchedPassage
from outcrop.knowledge.passages import DocumentKey, DocumentRecord, DocumentState, Passage

_PLACES = 1 << 24
"Passages that a document may have: the number of a passage is its document's and its place there."

# What the client returns is untyped: bytes, or a promise of them where the client is asynchronous.
_Client: TypeAlias = Any
_Pipe: TypeAlias = Any


class RedisStorage:
    """A `PassageStorage` under one prefix of keys."""

    def __init__(self, server: "redis.Redis", *, namespace: str, dimensions: int | None) -> None:
        """`server`: a client that returns bytes. Raises Invalid where the keys hold an index of another width."""
        self._redis: _Client = server
        self._keys = _Keys(namespace)
        self.dimensions = dimensions
        self._redis.setnx(self._keys.of("dimensions"), json.dumps(dimensions))
        stored: _Client = self._redis.get(self._keys.of("dimensions"))
        check_width(json.loads(stored), dimensions)

    def put(self, document: PreparedDocument) -> None:
        def change(pipe: _Pipe, generation: int) -> None:
            of, before = self._held(pipe, document.record.key)
            pipe.multi()
            self._write_record(pipe, of, document.record, before | _sizes(document, generation))
            self._count_up(pipe, generation, changed=[of], more=len(document.passages) - before["passages"])
            pipe.delete(*self._keys.of_passages(of))
            for place, each in enumerate(document.passages):
                pipe.hset(self._keys.of("searched", of), str(place), _searched_bytes(each))
                pipe.hset(self._keys.of("texts", of), str(place), json.dumps(dataclasses.asdict(each.passage)))
            for place, text in enumerate(document.parents):
                pipe.hset(self._keys.of("parents", of), str(place), text)

        self._change(change)

    def note(self, records: Sequence[DocumentRecord]) -> None:
        def change(pipe: _Pipe, generation: int) -> None:
            held = [(record, *self._held(pipe, record.key)) for record in records]
            pipe.multi()
            changed = []
            for record, of, before in held:
                self._write_record(pipe, of, record, before)
                if before["passages_changed_in"] and before["metadata"] != _told(record)["metadata"]:
                    changed.append(of)
            if changed:
                self._count_up(pipe, generation, changed=changed, more=0)

        self._change(change)

    def remove(self, keys: Sequence[DocumentKey]) -> None:
        def change(pipe: _Pipe, generation: int) -> None:
            wanted = {key: number for key in keys if (number := self._number(pipe, key)) is not None}
            num_passages = sum(_document(pipe, self._keys, number)["passages"] for number in wanted.values())
            pipe.multi()
            if not wanted:
                return
            for key, number in wanted.items():
                pipe.hdel(self._keys.of("numbers"), _name(key))
                pipe.zrem(self._keys.of("names", key.data_source_id), key.identifier)
                pipe.zrem(self._keys.of("changed"), str(number))
                pipe.zadd(self._keys.of("removed"), {str(number): generation})
                pipe.delete(self._keys.of("document", number), *self._keys.of_passages(number))
            self._count_up(pipe, generation, changed=[], more=-num_passages)

        self._change(change)

    def record(self, key: DocumentKey) -> DocumentRecord | None:
        number = self._number(self._redis, key)
        found = None if number is None else self._redis.get(self._keys.of("document", number))
        return None if found is None else _record(json.loads(found))

    def records(self, data_source_id: str, *, after: str, most: int) -> list[DocumentRecord]:
        names = self._keys.of("names", data_source_id)
        least = b"(" + after.encode() if after else b"-"
        page = self._redis.zrangebylex(names, least, b"+", start=0, num=most)
        found = [self.record(DocumentKey(data_source_id, name.decode())) for name in page]
        return [record for record in found if record is not None]

    def passages_of(self, key: DocumentKey) -> list[tuple[Passage, bytes | None]]:
        while True:
            with suppress(MomentPassed), self.moment():
                return self._passages_of(key)

    def count_passages(self) -> int:
        return int(self._redis.get(self._keys.of("count")) or 0)

    @contextmanager
    def moment(self) -> Iterator["RedisMoment"]:
        moment = RedisMoment(self._redis, self._keys)
        yield moment
        if moment.generation() != RedisMoment(self._redis, self._keys).generation():
            raise MomentPassed

    def close(self) -> None:
        self._redis.close()

    def _passages_of(self, key: DocumentKey) -> list[tuple[Passage, bytes | None]]:
        number = self._number(self._redis, key)
        if number is None:
            return []
        searched = self._redis.hgetall(self._keys.of("searched", number))
        found = []
        for place, told in sorted(
            self._redis.hgetall(self._keys.of("texts", number)).items(), key=lambda pair: int(pair[0])
        ):
            if place not in searched:
                raise MomentPassed
            found.append((_passage(json.loads(told)), _searched(number, int(place), searched[place]).vector))
        return found

    def _change(self, change: Callable[[_Pipe, int], None]) -> None:
        """Make a change with its generation in one MULTI; from anew where somebody else changed something first."""
        with self._redis.pipeline() as pipe:
            while True:
                try:
                    pipe.watch(self._keys.of("generation"))
                    change(pipe, int(pipe.get(self._keys.of("generation")) or 0) + 1)
                    pipe.execute()
                except redis.WatchError:
                    continue
                return

    def _count_up(self, pipe: _Pipe, generation: int, *, changed: Sequence[int], more: int) -> None:
        pipe.set(self._keys.of("generation"), generation)
        pipe.incrby(self._keys.of("count"), more)
        if changed:
            pipe.zadd(self._keys.of("changed"), {str(number): generation for number in changed})

    def _held(self, pipe: _Pipe, key: DocumentKey) -> tuple[int, dict[str, Any]]:
        """The number of a document and what is on record of it; a new number where there is none."""
        number = self._number(pipe, key)
        if number is None:
            return int(pipe.incr(self._keys.of("last"))), {"passages": 0, "passages_changed_in": 0}
        return number, _document(pipe, self._keys, number)

    def _number(self, pipe: _Pipe, key: DocumentKey) -> int | None:
        found = pipe.hget(self._keys.of("numbers"), _name(key))
        return None if found is None else int(found)

    def _write_record(self, pipe: _Pipe, of: int, record: DocumentRecord, more: dict[str, Any]) -> None:
        pipe.hset(self._keys.of("numbers"), _name(record.key), str(of))
        pipe.zadd(self._keys.of("names", record.key.data_source_id), {record.key.identifier: 0})
        pipe.set(self._keys.of("document", of), json.dumps(more | _told(record)))


class RedisMoment:
    """A `StoredMoment`, as far as nobody changes anything: the storage tells at its end."""

    def __init__(self, server: Any, keys: "_Keys") -> None:
        self._redis = server
        self._keys = keys

    def generation(self) -> int:
        return self._generation

    @cached_property
    def _generation(self) -> int:
        return int(self._redis.get(self._keys.of("generation")) or 0)

    @cached_property
    def _changed_in(self) -> dict[int, int]:
        """Generations in which documents changed last, by number; read once, so that all agree on who is there."""
        found = self._redis.zrange(self._keys.of("changed"), 0, -1, withscores=True)
        return {int(number): int(generation) for number, generation in sorted(found, key=lambda pair: int(pair[0]))}

    def changed_documents(self, since: int) -> Iterator[ChangedDocument]:
        for number, changed_in in self._changed_in.items():
            found = self._redis.get(self._keys.of("document", number)) if changed_in > since else None
            if found is not None:
                told = json.loads(found)
                yield ChangedDocument(number, _key(told), told["metadata"], told["passages_changed_in"] > since)

    def removed_documents(self, since: int) -> list[int]:
        return [int(number) for number in self._redis.zrangebyscore(self._keys.of("removed"), f"({since}", "+inf")]

    def searched_passages(self, of: Sequence[int] | None) -> Iterator[SearchedPassage]:
        for number in self._changed_in if of is None else of:
            found = self._redis.hgetall(self._keys.of("searched", number))
            for place, blob in sorted(found.items(), key=lambda pair: int(pair[0])):
                yield _searched(number, int(place), blob)

    def passages(self, numbers: Sequence[int]) -> dict[int, tuple[Passage, str]]:
        found = {}
        for number in numbers:
            of, place = divmod(number, _PLACES)
            told = self._redis.hget(self._keys.of("texts", of), str(place))
            if told is None:
                raise MomentPassed
            passage = _passage(json.loads(told))
            parent = None if passage.parent is None else self._redis.hget(self._keys.of("parents", of), passage.parent)
            found[number] = passage, passage.text if parent is None else parent.decode()
        return found


class _Keys:
    """The names of the keys of one index."""

    def __init__(self, namespace: str) -> None:
        self._prefix = f"outcrop:knowledge:{namespace}:"

    def of(self, *parts: object) -> str:
        return self._prefix + ":".join(map(str, parts))

    def of_passages(self, number: int) -> list[str]:
        return [self.of(kind, number) for kind in ("searched", "texts", "parents")]


def _sizes(document: PreparedDocument, generation: int) -> dict[str, Any]:
    assert len(document.passages) < _PLACES, "a document of that many passages has no numbers for them"
    return {"passages": len(document.passages), "passages_changed_in": generation}


def _name(key: DocumentKey) -> str:
    return json.dumps([key.data_source_id, key.identifier])


def _key(told: dict[str, Any]) -> DocumentKey:
    return DocumentKey(told["data_source_id"], told["identifier"])


def _document(pipe: _Pipe, keys: _Keys, number: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(pipe.get(keys.of("document", number)))
    return found


def _told(record: DocumentRecord) -> dict[str, Any]:
    plain = dataclasses.asdict(record) | {"metadata": json.loads(json.dumps(dict(record.metadata)))}
    key: dict[str, Any] = plain.pop("key")
    return key | plain


def _record(told: dict[str, Any]) -> DocumentRecord:
    names = [each.name for each in dataclasses.fields(DocumentRecord) if each.name not in ("key", "state")]
    return DocumentRecord(key=_key(told), state=DocumentState(told["state"]), **{name: told[name] for name in names})


def _passage(told: dict[str, Any]) -> Passage:
    return Passage(**told | {"headings": tuple(told["headings"])})


def _searched_bytes(each: PreparedPassage) -> bytes:
    about = [each.passage.chunk_id, each.passage.page, each.passage.parent, len(each.terms)]
    return json.dumps(about).encode() + b"\n" + each.terms + (each.vector or b"")


def _searched(document: int, place: int, blob: bytes) -> SearchedPassage:
    about, _, arrays = blob.partition(b"\n")
    chunk_id, page, parent, size = json.loads(about)
    vector = arrays[size:] or None
    return SearchedPassage(document * _PLACES + place, document, chunk_id, page, parent, arrays[:size], vector)
