"""What a database keeps of a passage index: each change is one transaction, each reading one moment."""

import dataclasses
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sql
from sqlalchemy.engine import Connection, Engine

from outcrop.errors import Invalid
from outcrop.knowledge.index.tables import documents, generation, parents, passages, removed, schema, searched
from outcrop.knowledge.index.term_blob import pack
from outcrop.knowledge.index.terms import count_terms
from outcrop.knowledge.passages import DocumentKey, DocumentRecord, DocumentState, IndexedDocument, Metadata, Passage
from outcrop.store.database import alone, create_tables, reading, writing

_SURROGATE = re.compile(r"[\ud800-\udfff]")
_AT_ONCE = 500
"Rows that one statement names; databases limit how many."


class ChangedDocument(NamedTuple):
    """A document that has changed: its number, and whether its passages have."""

    number: int
    key: DocumentKey
    metadata: Metadata
    has_new_passages: bool


class SearchedPassage(NamedTuple):
    """The parts of a passage that are searched."""

    passage: int
    document: int
    chunk_id: str
    page: int | None
    parent: int | None
    terms: bytes
    vector: bytes | None


class StoredPassages:
    """The tables of one passage index. Safe in several threads and processes."""

    def __init__(self, engine: Engine, *, dimensions: int | None) -> None:
        """Raises Invalid where the index was made for vectors of another width."""
        self.engine = engine
        # SQLite reads one moment throughout a transaction, PostgreSQL when it is told to.
        moments = {} if engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"}
        self.snapshots = engine.execution_options(**moments)
        create_tables(engine, schema)
        with writing(engine) as connection:
            alone(connection, "knowledge generation")
            row = connection.execute(sql.select(generation)).first()
            if row is None:
                connection.execute(sql.insert(generation).values(id=1, number=0, dimensions=dimensions))
            elif row.dimensions != dimensions:
                raise Invalid(
                    f"This index holds {_width(row.dimensions)}, and is opened for {_width(dimensions)}. "
                    "Make a new knowledge base for another embedding model."
                )
        self._dimensions = dimensions

    def put(self, document: IndexedDocument) -> None:
        """Let this be the document, in one transaction."""
        _check_texts(document)
        # Counting is most of the work: it is done before anybody has to wait for it.
        blobs = [pack(count_terms(passage.searched_text)) for passage in document.passages]
        vectors = self._vectors(document)
        with writing(self.engine) as connection:
            number = _next_generation(connection)
            record = _row(document.record) | {"changed_in": number, "passages_changed_in": number}
            of = _upsert(connection, record)
            _take_passages(connection, [of])
            if document.parents:
                texts = [{"document": of, "number": at, "text": text} for at, text in enumerate(document.parents)]
                connection.execute(sql.insert(parents), texts)
            if document.passages:
                self._add_passages(connection, of, document.passages, blobs, vectors)

    def note(self, records: Sequence[DocumentRecord]) -> None:
        """Write records and leave passages as they are, in one transaction."""
        with writing(self.engine) as connection:
            number: int | None = None
            for record in records:
                before = _find(connection, record.key)
                row = _row(record)
                if before is not None and before.passages_changed_in and before.metadata != row["metadata"]:
                    number = number or _next_generation(connection)
                    row["changed_in"] = number
                _upsert(connection, row)

    def remove(self, keys: Sequence[DocumentKey]) -> None:
        """Take documents out, in one transaction."""
        with writing(self.engine) as connection:
            found = [row.id for key in keys if (row := _find(connection, key)) is not None]
            if not found:
                return
            number = _next_generation(connection)
            _take_passages(connection, found)
            for some in _slices(found):
                connection.execute(sql.delete(documents).where(documents.c.id.in_(some)))
            connection.execute(sql.insert(removed), [{"document": each, "changed_in": number} for each in set(found)])

    def record(self, key: DocumentKey) -> DocumentRecord | None:
        """What is on record of a document."""
        with reading(self.engine) as connection:
            row = _find(connection, key)
        return None if row is None else _record(row)

    def records(self, data_source_id: str, *, after: str, most: int) -> list[DocumentRecord]:
        """Records of a data source in the order of their identifiers."""
        query = (
            sql.select(documents)
            .where(documents.c.data_source_id == data_source_id, documents.c.identifier > after)
            .order_by(documents.c.identifier)
            .limit(most)
        )
        with reading(self.engine) as connection:
            return [_record(row) for row in connection.execute(query)]

    def count_passages(self) -> int:
        """The number of passages."""
        with reading(self.engine) as connection:
            return int(connection.execute(sql.select(sql.func.count()).select_from(searched)).scalar_one())

    def _add_passages(
        self,
        connection: Connection,
        of: int,
        added: Sequence[Passage],
        blobs: Sequence[bytes],
        vectors: Sequence[bytes | None],
    ) -> None:
        rows = [
            {
                "document": of, "chunk_id": each.chunk_id, "text": each.text, "headings": list(each.headings),
                "rule_number": each.rule_number, "page": each.page, "start": each.start, "end": each.end,
                "parent": each.parent,
            }
            for each in added
        ]  # fmt: skip
        connection.execute(sql.insert(passages), rows)
        numbers = connection.scalars(sql.select(passages.c.id).where(passages.c.document == of).order_by(passages.c.id))
        columns = [
            {
                "passage": number, "document": of, "chunk_id": each.chunk_id, "page": each.page,
                "parent": each.parent, "terms": blob, "vector": vector,
            }
            for number, each, blob, vector in zip(numbers.all(), added, blobs, vectors, strict=True)
        ]  # fmt: skip
        connection.execute(sql.insert(searched), columns)

    def _vectors(self, document: IndexedDocument) -> list[bytes | None]:
        """The bytes of a document's vectors, each of length 1, so that a product of two is their cosine."""
        if document.vectors is None:
            return [None] * len(document.passages)
        name = document.record.key.identifier
        if len(document.vectors) != len(document.passages):
            raise Invalid(
                f"{name}: {len(document.passages)} passages and {len(document.vectors)} vectors. Give as many."
            )
        return [unit(vector, self._dimensions, at=name).tobytes() for vector in document.vectors]


def _check_texts(document: IndexedDocument) -> None:
    """Raises Invalid for a text that no database keeps as it is."""
    passages_texts = (part for each in document.passages for part in (each.text, *each.headings))
    for text in itertools.chain(passages_texts, document.parents):
        if "\0" in text or _SURROGATE.search(text):
            name = document.record.key.identifier
            raise Invalid(f"{name}: a text with characters that are none (NUL, half of a pair). Take them out.")


def unit(vector: Sequence[float], dimensions: int | None, *, at: str) -> "np.ndarray[Any, np.dtype[np.float32]]":
    """A vector at length 1, or 0 where it has none. Raises Invalid for one that does not fit the index."""
    values = np.asarray(vector, np.float64)
    if dimensions is None or values.shape != (dimensions,):
        raise Invalid(
            f"{at}: a vector of {len(vector)} numbers, and the index holds {_width(dimensions)}. "
            "Use the embedding model that the knowledge base was made with."
        )
    if not np.isfinite(values).all():
        raise Invalid(f"{at}: a vector with a number that is infinite or none. Embed the text again.")
    length = np.linalg.norm(values)
    return (values / length if length else values).astype(np.float32)


def generation_number(connection: Connection) -> int:
    """How often the index has changed."""
    return int(connection.execute(sql.select(generation.c.number)).scalar_one())


def changed_documents(connection: Connection, *, since: int) -> Iterator[ChangedDocument]:
    """Documents that were put, or have other metadata, since a generation."""
    columns = documents.c
    query = sql.select(
        columns.id, columns.data_source_id, columns.identifier, columns.metadata, columns.passages_changed_in
    ).where(columns.changed_in > since)
    for row in connection.execute(query.order_by(columns.id)):
        key = DocumentKey(row.data_source_id, row.identifier)
        yield ChangedDocument(row.id, key, row.metadata, row.passages_changed_in > since)


def removed_documents(connection: Connection, *, since: int) -> list[int]:
    """Numbers of documents that were taken out since a generation."""
    return list(connection.scalars(sql.select(removed.c.document).where(removed.c.changed_in > since)))


def searched_passages(connection: Connection, of: Sequence[int] | None) -> Iterator[SearchedPassage]:
    """The searched parts of these documents' passages, or of all, in the order of their numbers."""
    columns = searched.c
    query = sql.select(
        columns.passage, columns.document, columns.chunk_id, columns.page, columns.parent, columns.terms, columns.vector
    )
    if of is None:
        yield from map(SearchedPassage._make, connection.execute(query.order_by(columns.passage)))
        return
    for some in _slices(of):
        chosen = query.where(columns.document.in_(some)).order_by(columns.passage)
        yield from map(SearchedPassage._make, connection.execute(chosen))


def read_passages(connection: Connection, numbers: Sequence[int]) -> dict[int, tuple[Passage, str]]:
    """Passages with the text that is returned of each, by their numbers."""
    query = sql.select(passages, parents.c.text.label("parent_text")).outerjoin(
        parents, sql.and_(parents.c.document == passages.c.document, parents.c.number == passages.c.parent)
    )
    found = {}
    for some in _slices(numbers):
        for row in connection.execute(query.where(passages.c.id.in_(some))):
            found[row.id] = _passage(row), row.text if row.parent_text is None else row.parent_text
    return found


def _next_generation(connection: Connection) -> int:
    # The update is also a lock: of two writers on PostgreSQL, the second counts on when the first has ended.
    connection.execute(sql.update(generation).values(number=generation.c.number + 1))
    return generation_number(connection)


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


def _width(dimensions: int | None) -> str:
    return "no vectors" if dimensions is None else f"vectors of {dimensions} numbers"
