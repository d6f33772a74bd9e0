"""Passages copied into hashes of Redis, one for each, with the fields that the knowledge base maps."""

import json
from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from outcrop.knowledge.stores.configuration import RedisPlace
from outcrop.knowledge.stores.copies import CopiedPassage, in_batches

if TYPE_CHECKING:
    import redis


_Key: TypeAlias = bytes | bytearray | memoryview | str | int | float
"What the client takes for a field, and for its value."


class RedisHashes:
    """A `PassageCopy` under the keys INDEX:CHUNK. An index of RediSearch over that prefix finds them."""

    def __init__(self, server: "redis.Redis", place: RedisPlace) -> None:
        self._redis = server
        self._place = place

    def put(self, passages: Sequence[CopiedPassage]) -> None:
        for some in in_batches(passages):
            with self._redis.pipeline() as pipe:
                for each in some:
                    pipe.delete(self._key(each.chunk_id))
                    pipe.hset(self._key(each.chunk_id), mapping=self._fields(each))
                pipe.execute()

    def remove(self, chunk_ids: Sequence[str]) -> None:
        for some in in_batches(chunk_ids):
            self._redis.delete(*map(self._key, some))

    def close(self) -> None:
        self._redis.close()

    def _key(self, chunk_id: str) -> str:
        return f"{self._place.index_name}:{chunk_id}"

    def _fields(self, each: CopiedPassage) -> "dict[_Key, _Key]":
        place = self._place
        metadata = {**each.custom, **each.reserved, **json.loads(each.about)}
        fields: dict[_Key, _Key] = {
            place.text_field: each.text,
            place.metadata_field: json.dumps(metadata, ensure_ascii=False),
        }
        if each.vector is not None:
            fields[place.vector_field] = array("f", each.vector).tobytes()
        return fields
