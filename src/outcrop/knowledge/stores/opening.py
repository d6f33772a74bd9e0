"""Stores behind knowledge bases, opened and left: each place leads to an index, and to copies where Bedrock has them.

The drivers of databases, and numpy, are imported when a store of that kind is first opened.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from outcrop.errors import Invalid, MachineTrouble, NotFound
from outcrop.knowledge.passage_index import PassageIndex
from outcrop.knowledge.stores.configuration import PostgresPlace, RedisPlace, StorePlace, VectorIndexPlace

if TYPE_CHECKING:
    from outcrop.vectors.indexes import VectorIndexes


@dataclass(frozen=True, kw_only=True)
class Stores:
    """The places in which an installation keeps passages."""

    home: Path
    vector_indexes: "Callable[[], VectorIndexes]"

    def check(self, place: StorePlace | None, *, dimensions: int | None) -> None:
        """Raises Invalid, as Bedrock begins it, for a place that cannot hold a knowledge base with such vectors."""
        try:
            if isinstance(place, PostgresPlace):
                from outcrop.knowledge.stores import postgres_store

                postgres_store.check(self.home, place, dimensions=dimensions)
            elif isinstance(place, RedisPlace):
                from outcrop.knowledge.stores import redis_store

                redis_store.check(self.home, place)
            elif isinstance(place, VectorIndexPlace):
                from outcrop.knowledge.stores.vector_copy import check_index

                check_index(self.vector_indexes().find(place.arn), dimensions=dimensions)
        except (Invalid, NotFound, MachineTrouble) as refused:
            raise Invalid(
                f"The knowledge base storage configuration provided is invalid... Request failed: {refused.message}"
            ) from refused

    def open(self, place: StorePlace | None, folder: Path, *, name: str, dimensions: int | None) -> PassageIndex:
        """The index of a knowledge base, made if new. `folder` is its own in the home, `name` its id.

        Raises Invalid, and MachineTrouble for a store that does not answer.
        """
        if isinstance(place, PostgresPlace):
            from outcrop.knowledge.stores import postgres_store

            return postgres_store.open_index(self.home, place, name=name, dimensions=dimensions)
        if isinstance(place, RedisPlace):
            from outcrop.knowledge.stores import redis_store

            return redis_store.open_index(self.home, place, name=name, dimensions=dimensions)
        from outcrop.knowledge.index.embedded import EmbeddedIndex

        embedded = EmbeddedIndex(folder, dimensions=dimensions)
        if place is None or dimensions is None:
            return embedded
        from outcrop.knowledge.stores.copied_index import CopiedIndex
        from outcrop.knowledge.stores.vector_copy import VectorIndexCopy

        return CopiedIndex(embedded, VectorIndexCopy(self.vector_indexes(), place), lambda error: error)

    def drop(self, place: StorePlace | None, *, name: str) -> None:
        """Take out of a database what was made there for a knowledge base alone."""
        if isinstance(place, PostgresPlace):
            from outcrop.knowledge.stores import postgres_store

            postgres_store.drop(self.home, place, name=name)
        elif isinstance(place, RedisPlace):
            from outcrop.knowledge.stores import redis_store

            redis_store.drop(self.home, place, name=name)
