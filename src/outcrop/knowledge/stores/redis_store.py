"""Knowledge bases in Redis: the index under keys of Outcrop's own, and copies in the hashes that Bedrock fills."""

from pathlib import Path
from typing import TYPE_CHECKING

from outcrop.errors import MachineTrouble
from outcrop.knowledge.stores.addresses import redis_url
from outcrop.knowledge.stores.configuration import RedisPlace
from outcrop.knowledge.stores.copied_index import CopiedIndex, StoreUnreachable, telling
from outcrop.knowledge.stores.redis_hashes import RedisHashes

if TYPE_CHECKING:
    import redis

_PATIENCE_S = 10.0
"For a server that does not answer."


def check(home: Path, place: RedisPlace) -> None:
    """Raises Invalid or MachineTrouble for a place that holds no knowledge base."""
    with telling(lambda error: _told(error, place)):
        client = _client(home, place)
        client.ping()
        client.close()


def open_index(home: Path, place: RedisPlace, *, name: str, dimensions: int | None) -> CopiedIndex:
    """The index of the knowledge base with this id. Raises Invalid, MachineTrouble."""
    with telling(lambda error: _told(error, place)):
        from outcrop.knowledge.index.redis_index import RedisIndex

        client = _client(home, place)
        index = RedisIndex(client, namespace=name, dimensions=dimensions)
    return CopiedIndex(index, RedisHashes(client, place), lambda error: _told(error, place))


def drop(home: Path, place: RedisPlace, *, name: str) -> None:
    """Take out the keys of a knowledge base. Raises MachineTrouble."""
    with telling(lambda error: _told(error, place)):
        from outcrop.knowledge.index import redis_index

        client = _client(home, place)
        redis_index.drop(client, namespace=name)
        client.close()


def _client(home: Path, place: RedisPlace) -> "redis.Redis":
    import redis

    url = redis_url(home, place)
    try:
        return redis.Redis.from_url(url, socket_timeout=_PATIENCE_S, socket_connect_timeout=_PATIENCE_S)
    except ValueError:  # it may repeat the address, and with it the password
        raise MachineTrouble(f'stores.toml: the url of ["{place.endpoint}"] is none of Redis. Mend the file.') from None


def _told(error: Exception, place: RedisPlace) -> Exception:
    """An error of the server for its user, who need not know its host and login."""
    if isinstance(error, ImportError):
        return MachineTrouble(f"{place.endpoint}: Redis needs a client that is not installed. Install outcrop[redis].")
    import redis

    if isinstance(error, redis.ConnectionError | redis.TimeoutError):
        return StoreUnreachable(
            f"{place.endpoint}: Redis does not answer, or lets Outcrop not in. See that it runs and that its address "
            "is right, and send the request again; the log has what the client said."
        )
    if isinstance(error, redis.RedisError):
        return StoreUnreachable(f"{place.endpoint}: Redis refuses what it is asked ({error}). Mend its settings.")
    return error
