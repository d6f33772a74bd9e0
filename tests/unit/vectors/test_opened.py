"""Open indexes of a process: what stays in memory, what is let go, and how many files are open."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from outcrop.errors import NotFound
from outcrop.vectors.index_file import IndexFile, remove_file
from outcrop.vectors.opened import MOST_OPEN, OpenIndexes
from outcrop.vectors.records import DistanceMetric, PutVector, VectorIndex

ONE = np.array([1.0, 0.0], dtype=np.float32).tobytes()


def made(folder: Path, name: str, num_vectors: int = 4) -> VectorIndex:
    index = VectorIndex(
        arn=f"arn:{name}", bucket="b", name=name, region="us-east-1", created=datetime(2026, 1, 1, tzinfo=UTC),
        dimension=2, metric=DistanceMetric.COSINE, data_type="float32", unfilterable=(), file=f"{name}.sqlite",
    )  # fmt: skip
    file = IndexFile.make(folder / index.file, index.arn)
    file.put([PutVector(f"{number}", ONE, "") for number in range(num_vectors)])
    file.close()
    return index


def test_what_was_used_longest_ago_goes_from_memory_first(tmp_path: Path) -> None:
    indexes = [made(tmp_path, name) for name in "abc"]
    opened = OpenIndexes(tmp_path, most_bytes=2 * 4 * 8)
    for index in indexes:
        assert len(opened.get(index).nearest(ONE, 9, None)) == 4
        opened.spare()
    assert [opened.get(index).num_bytes for index in indexes] == [0, 32, 32]
    assert len(opened.get(indexes[0]).nearest(ONE, 9, None)) == 4


def test_an_index_that_grows_beyond_all_memory_is_read_from_its_file(tmp_path: Path) -> None:
    index = made(tmp_path, "a")
    opened = OpenIndexes(tmp_path, most_bytes=32).get(index)
    before = opened.nearest(ONE, 3, None)
    assert opened.num_bytes == 32
    opened.file.put([PutVector("more", ONE, "")])
    assert opened.nearest(ONE, 3, None) == before
    assert opened.num_bytes == 0


def test_no_more_files_than_so_many_stay_open(tmp_path: Path) -> None:
    indexes = [made(tmp_path, f"{number}", 1) for number in range(MOST_OPEN + 1)]
    opened = OpenIndexes(tmp_path)
    first = opened.get(indexes[0])
    for index in indexes:
        opened.get(index).file.get(["0"], data=False, metadata=False)
    assert opened.get(indexes[-1]) is opened.get(indexes[-1])
    assert opened.get(indexes[0]) is not first
    assert len(first.file.get(["0"], data=False, metadata=False)) == 1  # who has it goes on


def test_the_vectors_of_a_deleted_index_are_not_found(tmp_path: Path) -> None:
    index = made(tmp_path, "a")
    remove_file(tmp_path / index.file)
    with pytest.raises(NotFound, match="arn:a: its vectors are gone"):
        OpenIndexes(tmp_path).get(index).nearest(ONE, 1, None)
    assert list(tmp_path.iterdir()) == []
