"""An index in Redis, for processes on several machines that share a server of it."""

import redis

from outcrop.knowledge.index.redis_storage import RedisStorage
from outcrop.knowledge.index.stored_index import StoredIndex


class RedisIndex(StoredIndex):
    """A `PassageIndex` under one prefix of a Redis server's keys."""

    def __init__(self, server: "redis.Redis", *, namespace: str, dimensions: int | None) -> None:
        """`server`: a client that returns bytes; `namespace`: the name of the index there.

        Raises Invalid where the index has another width.
        """
        super().__init__(RedisStorage(server, namespace=namespace, dimensions=dimensions))


def drop(server: "redis.Redis", *, namespace: str) -> None:
    """Take an index out with all that is in it."""
    for key in server.scan_iter(f"outcrop:knowledge:{namespace}:*"):
        server.delete(key)
