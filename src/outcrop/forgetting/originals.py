"""The data that a custom model learned from, as it was: fetched again and held against the model's lineage.

A bucket may have changed since. What counts is that every record of the lineage is still there, in its order; records
that were added are passed over. Nothing is ever trained again on data that is only like it was.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from outcrop.buckets.names import parse_s3_uri
from outcrop.customization.output.lineage import DataSource, Lineage
from outcrop.data.fetching import names_of
from outcrop.datasets import dataset as datasets
from outcrop.datasets.record_file import TRAINING, KnownRecord
from outcrop.datasets.records import Customization, Record, digest
from outcrop.errors import Invalid
from outcrop.forgetting.family import FamilyMember


class RecordsGone(Invalid):
    """Records that a model learned are not where they were."""


@dataclass(frozen=True, kw_only=True)
class LearnedDataset:
    """The training data of a custom model, or one of its validators, on this machine."""

    part: int
    source: DataSource
    path: Path
    "A file, or a folder of files."
    lineage: Lineage
    is_unchanged: bool
    "Whether the object in the bucket is byte for byte what was learned."

    @property
    def name(self) -> str:
        return self.source.uri.rstrip("/").rsplit("/", 1)[-1]

    def name_of(self, known: KnownRecord) -> str:
        """The file in which a record stood."""
        files = self.source.files
        return files[known.file] if known.file < len(files) else self.name

    def records(self) -> Iterator[tuple[KnownRecord, Record]]:
        """The records that were learned or validated on, in their order. Raises RecordsGone where one is missing."""
        if not self.lineage.knows_records:
            for record in self._found():
                yield KnownRecord(digest(record), record.line, file=record.file, part=self.part), record
            return
        expected = self.lineage.records(self.part)
        wanted = next(expected, None)
        for record in self._found():
            if wanted is None:
                return
            if digest(record) == wanted.digest:
                yield wanted, record
                wanted = next(expected, None)
        if wanted is not None:
            where = f"{self.name_of(wanted)}:{wanted.line}"
            raise RecordsGone(self._gone(f"the record of {where} (digest {wanted.digest.hex()})"))

    def check(self) -> None:
        """Raises RecordsGone where the data is not what was learned."""
        if self.is_unchanged or datasets.digest(datasets.of_path(self.path)) == self.source.sha256:
            return
        if not self.lineage.knows_records:
            raise RecordsGone(self._gone(f"the data of SHA-256 {self.source.sha256}"))
        for _ in self.records():
            pass

    def _found(self) -> Iterator[Record]:
        kind: Customization = self.lineage.document["customization_type"]
        lines = datasets.read_dataset(datasets.of_path(self.path), customization=kind)
        return (line.record for line in lines if line.record is not None)

    def _gone(self, what: str) -> str:
        return (
            f"{self.source.uri}: {what}, which was learned from, is not there any more. Give the data as it was: "
            "--data FILE; its records are held against the lineage."
        )


class Originals:
    """Fetches datasets into a folder, each once; `given` are files that may stand in for what is gone."""

    def __init__(self, s3: Any, folder: Path, given: Sequence[Path] = ()) -> None:
        self._s3 = s3
        self._folder = folder
        self._given = given
        self._known: dict[str, list[LearnedDataset]] = {}

    def of(self, member: FamilyMember) -> list[LearnedDataset]:
        """The datasets of a member, the training data first. Raises RecordsGone."""
        if member.arn not in self._known:
            assert member.lineage is not None, "only what a job has trained has data"
            sources = enumerate(member.lineage.data, start=TRAINING)
            self._known[member.arn] = [self._dataset(member, part, source) for part, source in sources]
        return self._known[member.arn]

    def _dataset(self, member: FamilyMember, part: int, source: DataSource) -> LearnedDataset:
        def dataset(path: Path, *, is_unchanged: bool) -> LearnedDataset:
            assert member.lineage is not None
            return LearnedDataset(
                part=part, source=source, path=path, lineage=member.lineage, is_unchanged=is_unchanged
            )

        name = source.uri.rstrip("/").rsplit("/", 1)[-1]
        place = self._folder / member.arn.rsplit("/", 1)[-1] / str(part) / name
        if self._fetched(source.uri, place):
            is_unchanged = datasets.digest(datasets.of_path(place)) == source.sha256
            found = dataset(place, is_unchanged=is_unchanged)
            problem = _problem(found.check)
        else:
            problem = RecordsGone(
                f"{source.uri}: this object (SHA-256 {source.sha256}), which {member.name} learned from, is not there "
                "any more. Give the data as it was: --data FILE; its records are held against the lineage."
            )
        if problem is None:
            return found
        for path in self._given:
            found = dataset(path, is_unchanged=False)
            if _problem(found.check) is None:
                return found
        raise problem

    def _fetched(self, uri: str, place: Path) -> bool:
        bucket, key = parse_s3_uri(uri)
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            if key.endswith("/"):
                return self._fetched_all(bucket, key, place)
            self._s3.download_file(bucket, key, str(place))
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return False
            raise
        return True

    def _fetched_all(self, bucket: str, prefix: str, place: Path) -> bool:
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
        names = names_of(keys, prefix=prefix)
        for key, name in names.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            self._s3.download_file(bucket, key, str(place / name))
        return bool(names)


def _problem(check: Callable[[], None]) -> RecordsGone | None:
    try:
        check()
    except RecordsGone as gone:
        return gone
    return None
