"""The digest of a dataset's bytes: equal where its files are, by name and content."""

import hashlib
from pathlib import Path
from typing import NamedTuple

from outcrop.datasets.dataset import Dataset


class FileDigest(NamedTuple):
    """A file of a dataset."""

    name: str
    sha256: str


class DataDigest(NamedTuple):
    """A dataset as a whole, and its files in their order."""

    sha256: str
    "The file's own where it has one; else of all names and digests."
    files: tuple[FileDigest, ...]


def digest_of_data(dataset: Dataset) -> DataDigest:
    """The digests of a dataset. Raises OSError."""
    files = tuple(FileDigest(file.name, _sha256(file.path)) for file in dataset.files)
    if len(files) == 1:
        return DataDigest(files[0].sha256, files)
    whole = hashlib.sha256("".join(f"{file.sha256}  {file.name}\n" for file in files).encode())
    return DataDigest(whole.hexdigest(), files)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
