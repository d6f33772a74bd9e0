"""A recipe reads its rows from every form that datasets are read in."""

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.feather
import pyarrow.parquet
import pytest

from outcrop.errors import Invalid
from outcrop.recipes.recipe import Dropped
from outcrop.recipes.rows import SourceRow, rows

ROWS = [
    {"instruction": "何?", "mood": 'a "b", c', "output": "x\ny"},
    {"instruction": "Who?", "mood": "d", "output": "z"},
]


def as_lines(path: Path) -> None:
    path.write_text("\n".join(json.dumps(row) for row in ROWS))


def as_array(path: Path) -> None:
    path.write_text(json.dumps(ROWS, indent=1, ensure_ascii=False))


def as_csv(path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, list(ROWS[0]))
        writer.writeheader()
        writer.writerows(ROWS)


def as_gzip(path: Path) -> None:
    as_lines(path)
    path.write_bytes(gzip.compress(path.read_bytes()))


def as_parquet(path: Path) -> None:
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)


def as_arrow(path: Path) -> None:
    pyarrow.feather.write_feather(pyarrow.Table.from_pylist(ROWS), path)


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (as_lines, "a.jsonl"),
        (as_array, "a.json"),
        (as_csv, "a.csv"),
        (as_gzip, "a.json.gz"),
        (as_parquet, "a.parquet"),
        (as_arrow, "a.arrow"),
    ],
)
def test_every_container_gives_all_columns_of_its_rows(
    tmp_path: Path, write: Callable[[Path], None], name: str
) -> None:
    write(tmp_path / name)
    found = list(rows([tmp_path / name]))
    assert found == [SourceRow(fields=row, origin=f"{name}:{number}") for number, row in enumerate(ROWS, start=1)]


@pytest.mark.parametrize(
    ("content", "left_out"),
    [
        (b'{"a": 1}\n\n{"a": 2\n', [("not JSON that can be read", "column 8: not JSON, the line ends too early")]),
        (b'{"a": 1}\n5\n', [("no JSON object", "")]),
        (b'{"a": 1}\n{"a": "\xff"}\n', [("not JSON that can be read", "byte 8: not UTF-8")]),
        (b'{"a": 1}\n{"a": "' + b"x" * 2**24 + b'"}\n', [("longer than 16,777,216 bytes", "")]),
        (b'\xef\xbb\xbf{"a": 1}\n', []),
        (b"", None),
    ],
)
def test_a_line_that_is_no_row_is_left_out_and_the_others_are_read(
    tmp_path: Path, content: bytes, left_out: list[tuple[str, str]] | None
) -> None:
    (tmp_path / "a.jsonl").write_bytes(content)
    found = list(rows([tmp_path / "a.jsonl"]))
    assert sum(isinstance(each, SourceRow) for each in found) == (0 if left_out is None else 1)
    assert [(each.reason, each.detail) for each in found if isinstance(each, Dropped)] == (left_out or [])


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        (
            "a.pdf",
            b"%PDF-1.7 ...",
            "a.pdf: a PDF. Make records of it: outcrop data pdf a.pdf --out NEW",
        ),
        ("a.json", b'[{"a": 1}, {"a"', "a.json: not whole, the file ends behind record 1. Fetch or write it again."),
        (
            "a.jsonl.gz",
            gzip.compress(b'{"a": 1}\n' * 99, mtime=0)[:-9],
            "a.jsonl.gz: compressed with gzip, and ends within its compressed data. It is not whole",
        ),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error_with_its_name(
    tmp_path: Path, name: str, content: Any, sentence: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Invalid) as raised:
        list(rows([tmp_path / name]))
    assert raised.value.message.startswith(sentence)
