"""A file of any size is read in the memory of a small one, whatever its form."""

import gzip
import json
import random
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from outcrop.datasets.reading import read_file

TEXT = random.Random(7).randbytes(40_000).hex()
"Longer than the window in which gzip finds repetitions: a file of very few bytes would be a bomb."
RECORD = {"prompt": TEXT, "completion": "y" * 80}
LINE = json.dumps(RECORD).encode()
MOST_BYTES = 12 * 2**20
"Beyond it the file of 24 MB and more would have to be in memory for the half."


def blocks(num_bytes: int, between: bytes) -> Iterator[bytes]:
    for number in range(num_bytes // len(LINE)):
        yield (between if number else b"") + LINE


def write_text(path: Path, num_bytes: int) -> None:
    with gzip.open(path, "wb", 1) if path.suffix == ".gz" else path.open("wb") as file:
        if ".csv" in path.name:
            file.write(b"prompt,completion\n")
            row = f'{RECORD["prompt"]},"{RECORD["completion"]}"\n'.encode()
            for _ in range(num_bytes // len(row)):
                file.write(row)
        elif ".json" in path.name and ".jsonl" not in path.name:
            file.write(b"[")
            file.writelines(blocks(num_bytes, b",\n"))
            file.write(b"]")
        else:
            file.writelines(blocks(num_bytes, b"\n"))


def write_parquet(path: Path, num_bytes: int) -> None:
    """A table of a single row group as large as the file, of pages of about a megabyte."""
    num = num_bytes // len(LINE)
    texts = {name: [f"{number}{text}" for number in range(num)] for name, text in RECORD.items()}
    pyarrow.parquet.write_table(pyarrow.table(texts), path, row_group_size=num, write_batch_size=8, compression="none")


def peak_bytes(path: Path) -> int:
    """Bytes that reading had in use at most, those of pyarrow apart, which Python does not see."""
    tracemalloc.start()
    try:
        num_records = sum(line.record is not None for line in read_file(path, customization="FINE_TUNING"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert num_records > 250
    return peak


@pytest.mark.parametrize("name", ["t.jsonl", "t.json", "t.csv", "t.json.gz"])
def test_reading_keeps_no_more_than_a_part_of_a_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_text(path, 24 * 2**20)
    assert peak_bytes(path) < MOST_BYTES


def test_a_row_group_as_large_as_the_file_is_read_in_parts(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write_parquet(path, 24 * 2**20)
    before = pyarrow.total_allocated_bytes()
    most = 0
    for number, line in enumerate(read_file(path, customization="FINE_TUNING")):
        assert line.record is not None
        if number % 10 == 0:
            most = max(most, pyarrow.total_allocated_bytes() - before)
    assert most < MOST_BYTES


@pytest.mark.soak
@pytest.mark.parametrize("name", ["t.jsonl", "t.json", "t.csv", "t.json.gz", "t.csv.gz"])
def test_reading_200_mb_keeps_no_more_either(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_text(path, 200 * 2**20)
    assert peak_bytes(path) < MOST_BYTES
