"""Vector indexes: made in a bucket, found by ARN, searched, and deleted with their vectors.

    index = house.vector_indexes.find("arn:aws:s3vectors:us-east-1:123456789012:bucket/b/index/i")
    index.dimension, index.metric, index.data_type, index.unfilterable
    house.vector_indexes.put(index, [{"key": "a", "data": {"float32": [...]}, "metadata": {"page": 3}}])
    house.vector_indexes.nearest(index, {"float32": [...]}, most=10, metadata_filter={"page": {"$lt": 9}})

Who may do so is asked elsewhere.
"""

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from outcrop import arn as arns
from outcrop.clock import Clock
from outcrop.errors import Conflict, Invalid, NotFound, QuotaExceeded
from outcrop.store.damage import Damaged
from outcrop.store.listing import Filters
from outcrop.store.resources import NameTaken, Page, Resource, Row
from outcrop.store.store import Store
from outcrop.vectors import filters
from outcrop.vectors.buckets import no_bucket
from outcrop.vectors.checking import check_vectors, float32_of
from outcrop.vectors.index_file import IndexFile, arn_in, remove_file
from outcrop.vectors.opened import MOST_BYTES, OpenIndexes
from outcrop.vectors.records import (
    ACTIVE,
    BUCKET,
    INDEX,
    MOST_INDEXES,
    DistanceMetric,
    Neighbour,
    StoredVector,
    VectorIndex,
)

MOST_NEIGHBOURS = 100
"TopK of a query, at the most."
_PAGE_BYTES = 1_000_000
"A page of vectors ends with the first that goes beyond, as S3 Vectors says of ListVectors."
_SUFFIX = ".sqlite"
_LEFT_OVER_S = 3600
"A file without a row is older than any index that is just being made."
_log = logging.getLogger("outcrop.vectors")


class VectorIndexes:
    """The vector indexes of an installation with their vectors, in every region."""

    def __init__(self, store: Store, clock: Clock, account: str, folder: Path, *, most_bytes: int = MOST_BYTES) -> None:
        """`folder` holds the files; `most_bytes`: vectors in memory."""
        self._store = store
        self._clock = clock
        self._account = account
        self._folder = folder
        self._open = OpenIndexes(folder, most_bytes=most_bytes)
        self._sweep()

    def create(
        self,
        bucket_arn: str,
        name: str,
        *,
        dimension: int,
        metric: DistanceMetric,
        data_type: str = "float32",
        unfilterable: Sequence[str] = (),
        tags: Mapping[str, str] | None = None,
    ) -> VectorIndex:
        """Raises NotFound where there is no such bucket, Conflict when the name is in use in it, QuotaExceeded."""
        bucket = self._store.resources.row(bucket_arn)
        if bucket is None or bucket.kind != BUCKET or bucket.name is None:
            raise no_bucket(bucket_arn)
        now, arn = self._clock.now(), arns.s3vectors(bucket.region, self._account, bucket.name, name)
        document = {
            "bucket": bucket.name, "index": name, "dimension": dimension, "metric": metric, "dataType": data_type,
            "unfilterable": list(unfilterable), "file": f"{arns.new_id(24)}{_SUFFIX}",
        }  # fmt: skip
        row = Resource(
            arn=arn, kind=INDEX, region=bucket.region, name=f"{bucket.name}/{name}", status=ACTIVE, created=now,
            updated=now, document=document,
        )  # fmt: skip
        index = VectorIndex.of(row)
        IndexFile.make(self._folder / index.file, arn)  # the file first: a row without one would be a lie
        try:
            self._add(row, bucket_arn, dict(tags or {}))
        except BaseException:
            remove_file(self._folder / index.file)
            raise
        return index

    def find(self, arn: str) -> VectorIndex:
        """Raises NotFound."""
        row = self._store.resources.get(arn)
        if row is None or row.kind != INDEX:
            raise NotFound(f"The specified index could not be found: {arn}")
        return VectorIndex.of(row)

    def page(self, *, bucket_arn: str, prefix: str, most: int, token: str | None) -> Page:
        """Rows of a bucket's indexes by their names. Raises NotFound where there is no such bucket."""
        bucket = self._store.resources.row(bucket_arn)
        if bucket is None or bucket.kind != BUCKET:
            raise no_bucket(bucket_arn)
        inside = Filters(name_prefix=f"{bucket.name}/{prefix}")
        return self._store.resources.list(
            INDEX, bucket.region, filters=inside, sort_by="name", descending=False, max_results=most, token=token
        )

    def delete(self, arn: str) -> None:
        """Delete an index with its vectors, damaged or not. Raises NotFound."""
        with self._store.transaction():
            row = self._store.resources.row(arn)
            if row is None or row.kind != INDEX:
                raise NotFound(f"The specified index could not be found: {arn}")
            file = _file_of(row)
            self._store.resources.remove(arn)
            self._store.tags.clear(arn)
        if file is not None:  # that of a damaged row is swept away at the next start
            self._open.close(file)
            remove_file(self._folder / file)

    def put(self, index: VectorIndex, vectors: Iterable[Mapping[str, Any]]) -> None:
        """Put vectors in the form of PutVectors: all of them, or none. Raises Invalid."""
        self._open.get(index).file.put(check_vectors(index, vectors))

    def remove(self, index: VectorIndex, keys: Sequence[str]) -> None:
        """Take vectors out; keys that are not there are no error."""
        self._open.get(index).file.remove(keys)

    def get(self, index: VectorIndex, keys: Sequence[str], *, data: bool, metadata: bool) -> list[StoredVector]:
        """The vectors with these keys; those that are not there are left out."""
        return self._open.get(index).file.get(keys, data=data, metadata=metadata)

    def vectors(
        self, index: VectorIndex, *, after: int, most: int, segment: tuple[int, int], data: bool, metadata: bool
    ) -> tuple[list[StoredVector], bool]:
        """A page of vectors behind an id, and whether there are more. `segment`: of how many, and which."""
        file = self._open.get(index).file
        return file.page(after=after, most=most, most_bytes=_PAGE_BYTES, segment=segment, data=data, metadata=metadata)

    def nearest(
        self, index: VectorIndex, query: Mapping[str, Any], *, most: int, metadata_filter: Any = None
    ) -> list[Neighbour]:
        """The nearest vectors that the filter keeps, the nearest first. Exact; equally far ones by their keys.

        Raises Invalid for a query that does not fit the index, and for what is no filter of its metadata.
        """
        if most > MOST_NEIGHBOURS:
            raise Invalid(f"topK: {most} is more than the {MOST_NEIGHBOURS} that a query may ask for. Choose fewer.")
        clause = None if metadata_filter is None else filters.read(metadata_filter, unfilterable=index.unfilterable)
        values = float32_of(index, query, "queryVector")
        found = self._open.get(index).nearest(values, most, clause)
        self._open.spare()
        return found

    def close(self) -> None:
        """Give files and memory back."""
        self._open.close_all()

    def _add(self, row: Resource, bucket_arn: str, tags: Mapping[str, str]) -> None:
        bucket = row.document["bucket"]
        with self._store.transaction():
            if self._store.resources.row(bucket_arn) is None:  # deleted meanwhile
                raise no_bucket(bucket_arn)
            inside = Filters(name_prefix=f"{bucket}/")
            if self._store.resources.count_in(INDEX, row.region, inside) >= MOST_INDEXES:
                raise QuotaExceeded(f"There are {MOST_INDEXES:,} indexes in {bucket} already. Delete some.")
            try:
                self._store.resources.add(row)
            except NameTaken as error:
                raise Conflict("An index with the specified name already exists") from error
            self._store.tags.put(row.arn, tags)

    def _sweep(self) -> None:
        """Remove files that no index on record has: of what was killed between the file and its row."""
        if not self._folder.is_dir():
            return
        on_record = {_file_of(row) for row in self._store.resources.all(INDEX)}
        for path in self._folder.glob(f"*{_SUFFIX}"):
            if path.name not in on_record and self._is_left_over(path):
                _log.warning("%s: no index on record has these vectors; removed", path)
                remove_file(path)

    def _is_left_over(self, path: Path) -> bool:
        """Whether nobody makes it now, and it is not that of an index whose record is damaged."""
        if time.time() - path.stat().st_mtime < _LEFT_OVER_S:
            return False
        arn = arn_in(path)
        row = None if arn is None else self._store.resources.row(arn)
        return row is None or _file_of(row) not in (None, path.name)


def _file_of(row: Row | Resource) -> str | None:
    """The name of an index's file; None where its record is damaged."""
    try:
        return VectorIndex.of(row.resource() if isinstance(row, Row) else row).file
    except Damaged:
        return None
