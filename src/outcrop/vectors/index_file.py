"""The vectors of one index in one SQLite file: values, metadata, and the order of all changes.

A put or a removal is one transaction: whole on the disk before it returns, or not there. Readers see one state and wait
for nobody. Each change has a number, and each vector that of its last change; removed ones leave their id behind. So
whoever keeps a copy in memory follows with what changed since, whichever process changed it.
"""

import sqlite3
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from outcrop.errors import MachineTrouble, NotFound, NotReady
from outcrop.store.database import DiskFull
from outcrop.vectors.records import PutVector, StoredVector

_BUSY_S = 30.0
_MOST_REMOVED = 10_000
"Ids of removed vectors that are kept at the least; beyond them and as many as there are vectors, copies begin anew."
_ROWS = 2048
"Read at once; some megabytes."
_IDLE = 4
"Connections that are kept open."
_SCHEMA = """
CREATE TABLE about (
    arn TEXT NOT NULL, number INTEGER NOT NULL, oldest INTEGER NOT NULL, num_vectors INTEGER NOT NULL
);
CREATE TABLE vectors (
    id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, data BLOB NOT NULL, metadata TEXT NOT NULL,
    changed INTEGER NOT NULL
);
CREATE INDEX vectors_changed ON vectors (changed);
CREATE TABLE removed (id INTEGER PRIMARY KEY, changed INTEGER NOT NULL);
CREATE INDEX removed_changed ON removed (changed);
"""


WholeVector = tuple[int, str, bytes, str]
"Id, key, values and metadata."


class FileState(NamedTuple):
    """How far the changes of a file have come."""

    number: int
    "Of the last change."
    oldest: int
    "A copy that is older than this change cannot follow."
    num_vectors: int


class VectorSnapshot:
    """A state of an index file, which stays as it is whatever is written meanwhile."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def state(self) -> FileState:
        row = self._connection.execute("SELECT number, oldest, num_vectors FROM about").fetchone()
        return FileState(*row)

    def vectors_since(self, number: int) -> Iterator[list[WholeVector]]:
        """The vectors that were put after this change, some thousand at a time; 0 means all of them."""
        condition = "WHERE changed > ?" if number else "WHERE ? = 0 ORDER BY id"
        yield from self._chunks(f"SELECT id, key, data, metadata FROM vectors {condition}", (number,))

    def removed_since(self, number: int) -> list[int]:
        query = "SELECT id FROM removed WHERE changed > ?"
        return [gone for (gone,) in self._connection.execute(query, (number,))]

    def metadata_of_all(self) -> Iterator[list[tuple[int, str]]]:
        """Ids and metadata of those that have any, some thousand at a time."""
        yield from self._chunks("SELECT id, metadata FROM vectors WHERE metadata != ''", ())

    def metadata(self, vector_id: int) -> str:
        row = self._connection.execute("SELECT metadata FROM vectors WHERE id = ?", (vector_id,)).fetchone()
        assert row is not None, "the snapshot has the vector"
        found: str = row[0]
        return found

    def with_key(self, key: str, *, data: bool, metadata: bool) -> StoredVector | None:
        query = f"{_selecting(data=data, metadata=metadata)} WHERE key = ?"
        row = self._connection.execute(query, (key,)).fetchone()
        return None if row is None else StoredVector(*row)

    def behind(
        self, after: int, segment: tuple[int, int], *, data: bool, metadata: bool
    ) -> Generator[StoredVector, None, None]:
        """The vectors of a segment behind the one with this id, in the order in which their keys came."""
        query = f"{_selecting(data=data, metadata=metadata)} WHERE id > ? AND id % ? = ? ORDER BY id"
        with closing(self._connection.execute(query, (after, *segment))) as cursor:
            yield from (StoredVector(*row) for row in cursor)

    def _chunks(self, query: str, values: tuple[int, ...]) -> Iterator[list[Any]]:
        with closing(self._connection.execute(query, values)) as cursor:
            while rows := cursor.fetchmany(_ROWS):
                yield rows


class IndexFile:
    """A file of vectors, as any thread of this process uses it. Another process may do so at the same time."""

    def __init__(self, path: Path, arn: str) -> None:
        self.path = path
        self._arn = arn
        self._idle: list[sqlite3.Connection] = []
        self._closed = False

    @classmethod
    def make(cls, path: Path, arn: str) -> "IndexFile":
        """A new file without vectors, on the disk when this returns."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        made = cls(path, arn)
        with made._told(), closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
            connection.execute("INSERT INTO about VALUES (?, 0, 0, 0)", (arn,))
        return made

    def put(self, vectors: Sequence[PutVector]) -> None:
        """Add vectors, or give present keys their new values and metadata. Of one key given twice, the last holds."""
        with self._writing() as connection:
            number = self._next(connection)
            added = 0
            for key, data, metadata in vectors:
                values = (data, metadata, number, key)
                update = "UPDATE vectors SET data = ?, metadata = ?, changed = ? WHERE key = ?"
                if connection.execute(update, values).rowcount == 0:
                    insert = "INSERT INTO vectors (data, metadata, changed, key) VALUES (?, ?, ?, ?)"
                    connection.execute(insert, values)
                    added += 1
            connection.execute("UPDATE about SET num_vectors = num_vectors + ?", (added,))

    def remove(self, keys: Sequence[str]) -> None:
        """Take vectors out; a key that is not there is no error."""
        with self._writing() as connection:
            number = self._next(connection)
            gone = []
            for key in dict.fromkeys(keys):
                gone += connection.execute("DELETE FROM vectors WHERE key = ? RETURNING id", (key,)).fetchall()
            connection.executemany("INSERT INTO removed VALUES (?, ?)", [(*each, number) for each in gone])
            connection.execute("UPDATE about SET num_vectors = num_vectors - ?", (len(gone),))
            _forget_removed(connection)

    def get(self, keys: Sequence[str], *, data: bool, metadata: bool) -> list[StoredVector]:
        """The vectors with these keys, each once, in the order of the keys; a missing one is left out."""
        with self.reading() as snapshot:
            found = [snapshot.with_key(key, data=data, metadata=metadata) for key in dict.fromkeys(keys)]
        return [vector for vector in found if vector is not None]

    def page(
        self, *, after: int, most: int, most_bytes: int, segment: tuple[int, int], data: bool, metadata: bool
    ) -> tuple[list[StoredVector], bool]:
        """Vectors behind an id, in the order in which their keys came, and whether there are more.

        At most `most` of them, and no more than the first that brings them beyond `most_bytes`. `segment`: the number
        of segments and which of them is meant.
        """
        found: list[StoredVector] = []
        num_bytes = 0
        with self.reading() as snapshot, closing(snapshot.behind(after, segment, data=data, metadata=metadata)) as rows:
            for vector in rows:
                if len(found) == most or num_bytes > most_bytes:
                    return found, True
                found.append(vector)
                num_bytes += len(vector.key) + len(vector.data or b"") + len(vector.metadata or "")
        return found, False

    @contextmanager
    def reading(self) -> Iterator[VectorSnapshot]:
        """Hold a state of the file for a while."""
        with self._connected() as connection:
            connection.execute("BEGIN")
            # What is read first decides the state that is seen.
            connection.execute("SELECT number FROM about").fetchone()
            yield VectorSnapshot(connection)
            connection.execute("COMMIT")

    def close(self) -> None:
        """Close the connections that nobody uses; those in use are closed after it."""
        self._closed = True
        while self._idle:
            with suppress(IndexError):
                self._idle.pop().close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        with self._told():
            connection = self._open()
            try:
                yield connection
            except BaseException:
                connection.close()  # with what it had begun
                raise
        if self._closed or len(self._idle) >= _IDLE:
            connection.close()
        else:
            self._idle.append(connection)

    def _open(self) -> sqlite3.Connection:
        with suppress(IndexError):
            return self._idle.pop()
        # Never made here: a file that is gone is that of an index that was deleted.
        address = f"{self.path.absolute().as_uri()}?mode=rw"
        connection = sqlite3.connect(address, uri=True, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    @contextmanager
    def _told(self) -> Iterator[None]:
        """SQLite's errors in words of ours."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code == sqlite3.SQLITE_FULL:
                text = f"{self.path}: the disk is full. Make room; what was stored before is whole."
                raise DiskFull(text) from error
            if code == sqlite3.SQLITE_BUSY:
                text = f"{self._arn}: others were writing for {_BUSY_S:.0f} seconds. Send the request again."
                raise NotReady(text) from error
            if code == sqlite3.SQLITE_CANTOPEN and not self.path.exists():
                raise NotFound(f"{self._arn}: its vectors are gone. Make the index anew.") from error
            raise MachineTrouble(
                f"{self.path}: the vectors of {self._arn} cannot be used ({error}). Restore the file, or delete the "
                "index and make it anew."
            ) from error

    @staticmethod
    def _next(connection: sqlite3.Connection) -> int:
        number: int = connection.execute("UPDATE about SET number = number + 1 RETURNING number").fetchone()[0]
        return number


def arn_in(path: Path) -> str | None:
    """The ARN of the index that a file was made for; None where that cannot be read."""
    with (
        suppress(sqlite3.DatabaseError),
        closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db,
    ):
        row = db.execute("SELECT arn FROM about").fetchone()
        return None if row is None else str(row[0])
    return None


def remove_file(path: Path) -> None:
    """Take a file away with what SQLite keeps beside it. Who has it open goes on with what is no longer there."""
    for ending in ("", "-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


def _forget_removed(connection: sqlite3.Connection) -> None:
    removed: int = connection.execute("SELECT count(*) FROM removed").fetchone()[0]
    number, num_vectors = connection.execute("SELECT number, num_vectors FROM about").fetchone()
    if removed > num_vectors + _MOST_REMOVED:
        connection.execute("DELETE FROM removed")
        connection.execute("UPDATE about SET oldest = ?", (number,))


def _selecting(*, data: bool, metadata: bool) -> str:
    return f"SELECT id, key, {'data' if data else 'NULL'}, {'metadata' if metadata else 'NULL'} FROM vectors"
