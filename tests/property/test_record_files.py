"""The file of records' digests and origins gives back what was written, in few bytes, or says that it is damaged."""

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outcrop.datasets.record_file import KnownRecord, RecordFile, read_known
from outcrop.errors import Invalid

known = st.builds(
    KnownRecord,
    digest=st.binary(min_size=16, max_size=16),
    line=st.integers(1, 2**40),
    file=st.integers(0, 2**20),
    part=st.integers(0, 10),
    set_aside=st.booleans(),
)


def written(path: Path, records: list[KnownRecord]) -> Path:
    with RecordFile(path) as file:
        for record in records:
            file.add(record)
    return path


def in_order(num: int, **more: int) -> list[KnownRecord]:
    digests = (hashlib.blake2b(b"%d" % n, digest_size=16).digest() for n in range(num))
    return [KnownRecord(digest, line, set_aside=line % 10 == 3, **more) for line, digest in enumerate(digests, start=1)]


@given(st.lists(known, max_size=60))
def test_any_records_are_read_back(records: list[KnownRecord]) -> None:
    with TemporaryDirectory() as folder:
        path = written(Path(folder) / "records", records)
        assert list(read_known(path)) == records
        for part in {record.part for record in records}:
            assert list(read_known(path, part=part)) == [record for record in records if record.part == part]


def test_a_record_takes_less_than_forty_bytes(tmp_path: Path) -> None:
    # Given a file of many records, many files of one, and several validators
    many = in_order(100_000)
    scattered = [KnownRecord(record.digest, 1, file=number) for number, record in enumerate(in_order(20_000))]
    validators = [record for part in range(1, 11) for record in in_order(100, part=part)]
    for name, records, most in [("many", many, 17), ("scattered", scattered, 20), ("validators", validators, 20)]:
        path = written(tmp_path / name, records)
        assert path.stat().st_size / len(records) < most, name
        assert list(read_known(path)) == records


def test_what_is_cut_short_or_changed_is_told(tmp_path: Path) -> None:
    whole = written(tmp_path / "whole", in_order(50)).read_bytes()
    path = tmp_path / "damaged"
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(Invalid, match="no whole file of records"):
            list(read_known(path))
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        with pytest.raises(Invalid):
            list(read_known(path))


def test_a_file_that_was_not_finished_does_not_appear(tmp_path: Path) -> None:
    with pytest.raises(AttributeError), RecordFile(tmp_path / "records") as file:
        file.add(None)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
