"""Rows of Parquet, Arrow and Arrow stream files, in batches, through pyarrow.

A cell that is null is none: a column cannot say that a row is without it.
"""

from collections.abc import Generator, Iterator
from contextlib import closing
from typing import IO, Any

from outcrop.datasets.containers.trouble import ContainerError, needs_extra

PARQUET, ARROW, STREAM = "a Parquet table", "an Arrow table", "an Arrow stream"
_MOST_ROWS, _MOST_BYTES = 256, 4 * 2**20
"Made into Python's values at once: cells may be megabytes long."


class ColumnarTable:
    """A table of one of the three kinds, whose columns are known when it is opened. Raises ContainerError."""

    def __init__(self, file: IO[bytes], kind: str) -> None:
        self._kind = kind
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError as error:
            raise needs_extra(kind) from error
        self._arrow: Any = pyarrow
        self._file = file
        self._source = self._told(self._open)
        schema = self._source.schema_arrow if kind == PARQUET else self._source.schema
        self.columns: list[str] = list(schema.names)
        twice = next((name for name in self.columns if self.columns.count(name) > 1), None)
        if twice is not None:
            raise ContainerError(f"{kind}, and two columns are named {twice!r}", "Name each column once.")

    def rows(self, columns: list[str]) -> Iterator[dict[str, Any]]:
        """The rows with those of their `columns` that are not null. Raises ContainerError where they are damaged."""
        with closing(self._batches(columns)) as batches:
            number = 0
            while (batch := self._told(lambda: next(batches, None), number)) is not None:
                # Damaged lengths would be read beyond the end of what is there, which ends the process.
                self._told(lambda: batch.validate(full=True), number)
                at_once = _at_once(batch.num_rows, batch.nbytes)
                for start in range(0, batch.num_rows, at_once):
                    part = batch.slice(start, at_once)
                    for row in self._told(part.to_pylist, number):
                        number += 1
                        yield _without_nulls(row)

    def _open(self) -> Any:
        if self._kind == PARQUET:
            # Without a buffer before it a row group is read page by page: one may be as large as the file.
            return self._arrow.parquet.ParquetFile(self._file, pre_buffer=False, buffer_size=2**20)
        if self._kind == ARROW:
            return self._arrow.ipc.open_file(self._file)
        return self._arrow.ipc.open_stream(self._file)

    def _batches(self, columns: list[str]) -> Generator[Any, None, None]:
        if self._kind == PARQUET:
            groups = [self._source.metadata.row_group(index) for index in range(self._source.num_row_groups)]
            at_once = min((_at_once(group.num_rows, group.total_byte_size) for group in groups), default=1)
            yield from self._source.iter_batches(batch_size=at_once, columns=columns)
        elif self._kind == ARROW:
            for index in range(self._source.num_record_batches):
                yield self._source.get_batch(index).select(columns)
        else:
            for batch in self._source:
                yield batch.select(columns)

    def _told(self, read: Any, number: int | None = None) -> Any:
        try:
            return read()
        except UnicodeDecodeError as error:
            at = f" behind row {number:,}" if number else ""
            raise ContainerError(f"{self._kind}, and a text{at} is not UTF-8", "Write its columns as UTF-8.") from error
        except (self._arrow.ArrowException, OSError, ValueError, NotImplementedError) as error:
            where = f" behind row {number:,}" if number else ""
            why = " ".join(str(error).split())[:200].rstrip(".")
            raise ContainerError(
                f"{self._kind} that cannot be read{where} ({why})", "Fetch or write it again."
            ) from error


def _at_once(num_rows: int, num_bytes: int) -> int:
    """Rows that are worth reading together, and small enough."""
    return max(1, min(_MOST_ROWS, _MOST_BYTES * num_rows // max(1, num_bytes)))


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(inside) for name, inside in value.items() if inside is not None}
    if isinstance(value, list):
        return [_without_nulls(inside) for inside in value]
    return value
