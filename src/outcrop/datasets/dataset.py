"""A dataset: one file, or several that are read one after the other as if they were one.

A folder's files, or those under a prefix, come in the order of their names. Names that begin with a dot or an
underscore are no data, as for Spark and Athena (`_SUCCESS`, `.DS_Store`).
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from outcrop.datasets.problems import RecordError
from outcrop.datasets.reading import Line, read_file
from outcrop.datasets.records import Customization, Record
from outcrop.errors import Invalid


class DataFile(NamedTuple):
    """A file of a dataset, and the name by which problems call it."""

    path: Path
    name: str


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """The files of a dataset in their order. A record's origin is the index of its file, and its place in it."""

    name: str
    files: tuple[DataFile, ...]


def of_path(path: Path) -> Dataset:
    """The dataset that a file or a folder is. Raises Invalid for a folder without data."""
    if not path.is_dir():
        return Dataset(name=path.name, files=(DataFile(path, path.name),))
    inside = [each.relative_to(path) for each in path.rglob("*") if each.is_file()]
    data = sorted((each for each in inside if _is_data(each)), key=lambda each: each.as_posix().encode())
    if not data:
        raise Invalid(f"{path.name}: a folder without data files. Put some into it, or name another.")
    return Dataset(
        name=path.name,
        files=tuple(DataFile(path / each, f"{path.name}/{each.as_posix()}") for each in data),
    )


def of_paths(paths: Sequence[Path]) -> Dataset:
    """The dataset of several files and folders together, in the order of their names."""
    parts = [of_path(path) for path in paths]
    if len(parts) == 1:
        return parts[0]
    files = [file for part in parts for file in part.files]
    if len({file.name for file in files}) < len(files):
        files = [DataFile(file.path, str(file.path)) for file in files]
    files.sort(key=lambda file: file.name.encode())
    twice = next((one for one, other in pairwise(files) if one.path == other.path), None)
    if twice is not None:
        raise Invalid(f"{twice.name}: named twice. Name each file once.")
    return Dataset(name=f"{files[0].name} and {len(files) - 1} more", files=tuple(files))


def num_bytes(dataset: Dataset) -> int:
    """Bytes of all files of a dataset, those that are not there left out."""
    return sum(file.path.stat().st_size for file in dataset.files if file.path.is_file())


def read_dataset(dataset: Dataset, *, customization: Customization) -> Iterator[Line]:
    """Every record of a dataset, file after file, each with the index of its file."""
    for index in range(len(dataset.files)):
        yield from read_of(dataset, index, customization=customization)


def read_of(dataset: Dataset, index: int, *, customization: Customization) -> Iterator[Line]:
    """Every record of one of a dataset's files."""
    path, name = dataset.files[index]
    for line in read_file(path, customization=customization, name=name):
        yield in_file(line, index)


def in_file(line: Line, index: int) -> Line:
    """A line whose record knows the index of its file."""
    if line.record is None or not index:
        return line
    return replace(line, record=replace(line.record, file=index))


def digest(dataset: Dataset) -> str:
    """SHA-256 of a dataset's file, or of the names and digests of its several files."""
    digests = [_sha256(file.path) for file in dataset.files]
    if len(digests) == 1:
        return digests[0]
    told = [[file.name, each] for file, each in zip(dataset.files, digests, strict=True)]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def first_record(dataset: Dataset, *, customization: Customization) -> Record:
    """The first record of a dataset. Raises RecordError where a problem comes first."""
    for line in read_dataset(dataset, customization=customization):
        if line.record is None:
            raise RecordError(line.problems)
        return line.record
    raise RecordError([])


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_data(path: Path) -> bool:
    return not any(part.startswith((".", "_")) for part in path.parts)
