"""Passages copied into a table of PostgreSQL, a row for each, in the columns that the knowledge base maps."""

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sql
from sqlalchemy.engine import Engine

from outcrop.errors import Invalid
from outcrop.knowledge.stores.configuration import PostgresPlace
from outcrop.knowledge.stores.copies import CopiedPassage, in_batches
from outcrop.store.database import reading, writing

_PGVECTOR = "vector"
_ARRAYS = {"_float4": "real[]", "_float8": "double precision[]"}
"Types of PostgreSQL itself that hold a vector, where pgvector is not installed."
_TYPES: Mapping[str, Sequence[str]] = {
    "primaryKeyField": ("uuid",),
    "vectorField": (_PGVECTOR, *_ARRAYS),
    "textField": ("text", "varchar"),
    "metadataField": ("json", "jsonb"),
    "customMetadataField": ("json", "jsonb"),
}
_COLUMNS = sql.text(
    "SELECT a.attname AS name, t.typname AS type, a.atttypmod AS width FROM pg_attribute a "
    "JOIN pg_type t ON t.oid = a.atttypid WHERE a.attrelid = to_regclass(:name) AND a.attnum > 0 AND NOT a.attisdropped"
)


class _Column(NamedTuple):
    """A column of the table: its type, and of pgvector's the numbers of a vector; -1 where none is said."""

    type: str
    width: int


class PostgresTable:
    """A `PassageCopy` in a table that is there already, of an engine of its own."""

    def __init__(self, engine: Engine, place: PostgresPlace, *, dimensions: int | None) -> None:
        """Raises Invalid for a table that cannot hold the passages."""
        self._engine = engine
        quote = engine.dialect.identifier_preparer.quote
        self._name = ".".join(map(quote, place.table.split(".")))
        named = {
            "primaryKeyField": place.key_column,
            "vectorField": place.vector_column,
            "textField": place.text_column,
            "metadataField": place.metadata_column,
        }
        if place.custom_metadata_column is not None:
            named["customMetadataField"] = place.custom_metadata_column
        self._has_custom = place.custom_metadata_column is not None
        types = self._checked(named, place, dimensions)
        casts = {field: _ARRAYS.get(kind, kind) for field, kind in types.items()}
        columns = ", ".join(quote(named[field]) for field in named)
        values = ", ".join(f"CAST(:{field} AS {casts[field]})" for field in named)
        self._insert = sql.text(f"INSERT INTO {self._name} ({columns}) VALUES ({values})")
        self._delete = sql.text(f"DELETE FROM {self._name} WHERE {quote(place.key_column)} = ANY(CAST(:ids AS uuid[]))")
        self._is_array = types["vectorField"] in _ARRAYS

    def put(self, passages: Sequence[CopiedPassage]) -> None:
        for some in in_batches(passages):
            with writing(self._engine) as connection:
                connection.execute(self._delete, {"ids": [_id(each.chunk_id) for each in some]})
                connection.execute(self._insert, [self._row(each) for each in some])

    def remove(self, chunk_ids: Sequence[str]) -> None:
        for some in in_batches(chunk_ids):
            with writing(self._engine) as connection:
                connection.execute(self._delete, {"ids": list(map(_id, some))})

    def close(self) -> None:
        self._engine.dispose()

    def _checked(self, named: Mapping[str, str], place: PostgresPlace, dimensions: int | None) -> dict[str, str]:
        """The types of the columns. Raises Invalid."""
        with reading(self._engine) as connection:
            rows = connection.execute(_COLUMNS, {"name": self._name}).all()
        found = {row.name: _Column(row.type, row.width) for row in rows}
        if not found:
            raise Invalid(
                f"there is no table {place.table} in the database {place.database}. Create it: CREATE TABLE "
                f"{place.table} ({place.key_column} uuid PRIMARY KEY, {place.vector_column} "
                f"vector({dimensions or 'n'}), "
                f"{place.text_column} text, {place.metadata_column} json, …)"
            )
        for field, column in named.items():
            kind = found[column].type if column in found else "missing"
            if kind not in _TYPES[field]:
                wanted = " or ".join(_ARRAYS.get(each, each) for each in _TYPES[field])
                raise Invalid(
                    f"fieldMapping.{field}: the column {column} of {place.table} is {kind}; it must be {wanted}"
                )
        vectors = found[place.vector_column]
        if vectors.type == _PGVECTOR and dimensions is not None and vectors.width not in (-1, dimensions):
            raise Invalid(
                f"the column {place.vector_column} of {place.table} holds vectors of {vectors.width} numbers, and the "
                f"embedding model makes {dimensions}. Make it vector({dimensions})"
            )
        return {field: found[column].type for field, column in named.items()}

    def _row(self, each: CopiedPassage) -> dict[str, Any]:
        custom = json.dumps(each.custom, ensure_ascii=False)
        told = {**json.loads(each.about), **each.reserved, **({} if self._has_custom else each.custom)}
        row = {
            "primaryKeyField": _id(each.chunk_id),
            "vectorField": self._vector(each.vector),
            "textField": each.text,
            "metadataField": json.dumps(told, ensure_ascii=False),
        }
        return {**row, "customMetadataField": custom} if self._has_custom else row

    def _vector(self, vector: Sequence[float] | None) -> str | None:
        if vector is None:
            return None
        numbers = ",".join(map(repr, vector))
        return f"{{{numbers}}}" if self._is_array else f"[{numbers}]"


def _id(chunk_id: str) -> str:
    return str(uuid.UUID(chunk_id))
