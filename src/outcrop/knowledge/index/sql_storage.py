"""Passages in the tables of SQLite or PostgreSQL: each change is one transaction, each reading one moment."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sql
from sqlalchemy.engine import Connection, Engine

from outcrop.knowledge.index.prepared import PreparedDocument, PreparedPassage, check_width
from outcrop.knowledge.index.storage import ChangedDocument, SearchedPassage
from outcrop.knowledge.index.tables import (
    documents,
    generation,
    parents,
    passages,
    removed,
    schema,
    searched,
    snapshots,
)
from outcrop.knowledge.passages import DocumentKey, DocumentRecord, DocumentState, Passage
from outcrop.store.database import alone, create_tables, reading, writing

_SNAPSHOTS = 4
"That are known."
_AT_ONCE = 500
"Rows that one statement names; databases limit how many."


class SqlStorage:
    """A `PassageStorage` in one database."""

    def __init__(self, engine: Engine, *, dimensions: int | None) -> None:
        """Raises Invalid where the index was made for vectors of another width."""
        self._engine = engine
        # SQLite reads one moment throughout a transaction, PostgreSQL when it is told to.
        moments = {} if engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"}
        self._snapshots = engine.execution_options(**moments)
        create_tables(engine, schema)
        with writing(engine) as connection:
            alone(connection, "knowledge generation")
            row = connection.execute(sql.select(generation)).first()
            if row is None:
                connection.execute(sql.insert(generation).values(id=1, number=0, dimensions=dimensions))
            else:
                check_width(row.dimensions, dimensions)
        self.dimensions = dimensions

    def put(self, document: PreparedDocument) -> None:
        with writing(self._engine) as connection:
            number = _next_generation(connection)
            record = _row(document.record) | {"changed_in": number, "passages_changed_in": number}
            of = _upsert(connection, record)
            _take_passages(connection, [of])
            if document.parents:
                texts = [{"document": of, "number": at, "text": text} for at, text in enumerate(document.parents)]
                connection.execute(sql.insert(parents), texts)
            if document.passages:
                _add_passages(connection, of, document.passages)

    def note(self, records: Sequence[DocumentRecord]) -> None:
        with writing(self._engine) as connection:
            number: int | None = None
            for record in records:
                before = _find(connection, record.key)
                row = _row(record)
                if before is not None and before.passages_changed_in and before.metadata != row["metadata"]:
                    number = number or _next_generation(connection)
                    row["changed_in"] = number
                _upsert(connection, row)

    def remove(self, keys: Sequence[DocumentKey]) -> None:
        with writing(self._engine) as connection:
            found = [row.id for key in keys if (row := _find(connection, key)) is not None]
            if not found:
                return
            number = _next_generation(connection)
            _take_passages(connection, found)
            for some in _slices(found):
                connection.execute(sql.delete(documents).where(documents.c.id.in_(some)))
            connection.execute(sql.insert(removed), [{"document": each, "changed_in": number} for each in set(found)])

    def record(self, key: DocumentKey) -> DocumentRecord | None:
        with reading(self._engine) as connection:
            row = _find(connection, key)
        return None if row is None else _record(row)

    def records(self, data_source_id: str, *, after: str, most: int) -> list[DocumentRecord]:
        query = (
            sql.select(documents)
            .where(documents.c.data_source_id == data_source_id, documents.c.identifier > after)
            .order_by(documents.c.identifier)
            .limit(most)
        )
        with reading(self._engine) as connection:
            return [_record(row) for row in connection.execute(query)]

    def passages_of(self, key: DocumentKey) -> list[tuple[Passage, bytes | None]]:
        query = (
            sql.select(passages, searched.c.vector)
            .join(searched, searched.c.passage == passages.c.id)
            .join(documents, documents.c.id == passages.c.document)
            .where(documents.c.data_source_id == key.data_source_id, documents.c.identifier == key.identifier)
            .order_by(passages.c.id)
        )
        with reading(self._engine) as connection:
            return [(_passage(row), row.vector) for row in connection.execute(query)]

    def count_passages(self) -> int:
        with reading(self._engine) as connection:
            return int(connection.execute(sql.select(sql.func.count()).select_from(searched)).scalar_one())

    @contextmanager
    def moment(self) -> Iterator["SqlMoment"]:
        with reading(self._snapshots) as connection:
            yield SqlMoment(connection)

    def note_snapshot(self, token: str) -> None:
        """Remember that a snapshot was taken of this storage; the last few are known."""
        with writing(self._engine) as connection:
            connection.execute(sql.insert(snapshots).values(token=token))
            newest = sql.select(snapshots.c.id).order_by(snapshots.c.id.desc()).limit(_SNAPSHOTS)
            connection.execute(sql.delete(snapshots).where(snapshots.c.id.not_in(newest)))

    def knows_snapshot(self, token: str) -> bool:
        """Whether a snapshot was taken of this storage, and not of what a backup has replaced since."""
        with reading(self._engine) as connection:
            found = connection.execute(sql.select(snapshots.c.id).where(snapshots.c.token == token)).first()
        return found is not None

    def close(self) -> None:
        self._engine.dispose()


class SqlMoment:
    """A `StoredMoment`: one transaction that reads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def generation(self) -> int:
        return _generation(self._connection)

    def changed_documents(self, since: int) -> Iterator[ChangedDocument]:
        columns = documents.c
        query = sql.select(
            columns.id, columns.data_source_id, columns.identifier, columns.metadata, columns.passages_changed_in
        ).where(columns.changed_in > since)
        for row in self._connection.execute(query.order_by(columns.id)):
            key = DocumentKey(row.data_source_id, row.identifier)
            yield ChangedDocument(row.id, key, row.metadata, row.passages_changed_in > since)

    def removed_documents(self, since: int) -> list[int]:
        return list(self._connection.scalars(sql.select(removed.c.document).where(removed.c.changed_in > since)))

    def searched_passages(self, of: Sequence[int] | None) -> Iterator[SearchedPassage]:
        query = sql.select(*(searched.c[name] for name in SearchedPassage._fields)).order_by(searched.c.passage)
        chosen = [query] if of is None else [query.where(searched.c.document.in_(some)) for some in _slices(of)]
        for each in chosen:
            yield from map(SearchedPassage._make, self._connection.execute(each))

    def passages(self, numbers: Sequence[int]) -> dict[int, tuple[Passage, str]]:
        of_parent = sql.and_(parents.c.document == passages.c.document, parents.c.number == passages.c.parent)
        query = sql.select(passages, parents.c.text.label("parent_text")).outerjoin(parents, of_parent)
        found = {}
        for some in _slices(numbers):
            for row in self._connection.execute(query.where(passages.c.id.in_(some))):
                found[row.id] = _passage(row), row.text if row.parent_text is None else row.parent_text
        return found


def _generation(connection: Connection) -> int:
    return int(connection.execute(sql.select(generation.c.number)).scalar_one())


def _next_generation(connection: Connection) -> int:
    # The update is also a lock: of two writers on PostgreSQL, the second counts on when the first has ended.
    connection.execute(sql.update(generation).values(number=generation.c.number + 1))
    return _generation(connection)


def _find(connection: Connection, key: DocumentKey) -> Any:
    columns = documents.c
    return connection.execute(
        sql.select(documents).where(columns.data_source_id == key.data_source_id, columns.identifier == key.identifier)
    ).first()


def _upsert(connection: Connection, row: Mapping[str, Any]) -> int:
    columns = documents.c
    this = sql.and_(columns.data_source_id == row["data_source_id"], columns.identifier == row["identifier"])
    found: int | None = connection.execute(sql.update(documents).where(this).values(row).returning(columns.id)).scalar()
    if found is None:
        new = {"changed_in": 0, "passages_changed_in": 0} | dict(row)
        found = connection.execute(sql.insert(documents).values(new).returning(columns.id)).scalar_one()
    return found


def _add_passages(connection: Connection, of: int, added: Sequence[PreparedPassage]) -> None:
    connection.execute(sql.insert(passages), [_text_row(of, each.passage) for each in added])
    numbers = connection.scalars(sql.select(passages.c.id).where(passages.c.document == of).order_by(passages.c.id))
    columns = [
        {
            "passage": number, "document": of, "chunk_id": each.passage.chunk_id, "page": each.passage.page,
            "parent": each.passage.parent, "terms": each.terms, "vector": each.vector,
        }
        for number, each in zip(numbers.all(), added, strict=True)
    ]  # fmt: skip
    connection.execute(sql.insert(searched), columns)


def _text_row(of: int, passage: Passage) -> dict[str, Any]:
    return {
        "document": of, "chunk_id": passage.chunk_id, "text": passage.text, "headings": list(passage.headings),
        "rule_number": passage.rule_number, "page": passage.page, "start": passage.start, "end": passage.end,
        "parent": passage.parent,
    }  # fmt: skip


def _take_passages(connection: Connection, of: Sequence[int]) -> None:
    for some in _slices(of):
        connection.execute(sql.delete(passages).where(passages.c.document.in_(some)))
        connection.execute(sql.delete(parents).where(parents.c.document.in_(some)))


def _row(record: DocumentRecord) -> dict[str, Any]:
    return {
        "data_source_id": record.key.data_source_id,
        "identifier": record.key.identifier,
        "state": record.state.value,
        "reason": record.reason,
        "content_digest": record.content_digest,
        "metadata_digest": record.metadata_digest,
        "metadata": {key: _plain(value) for key, value in record.metadata.items()},
        "updated": record.updated,
    }


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _record(row: Any) -> DocumentRecord:
    return DocumentRecord(
        key=DocumentKey(row.data_source_id, row.identifier),
        state=DocumentState(row.state),
        reason=row.reason,
        content_digest=row.content_digest,
        metadata_digest=row.metadata_digest,
        metadata=row.metadata,
        updated=row.updated,
    )


def _passage(row: Any) -> Passage:
    names = [each.name for each in dataclasses.fields(Passage) if each.name != "headings"]
    return Passage(headings=tuple(row.headings), **{name: getattr(row, name) for name in names})


def _slices(numbers: Iterable[int]) -> Iterator[list[int]]:
    listed = list(numbers)
    return (listed[at : at + _AT_ONCE] for at in range(0, len(listed), _AT_ONCE))
