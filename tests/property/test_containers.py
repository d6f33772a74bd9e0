"""Records written in any container that is read come back equal, whatever they say."""

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.feather
import pyarrow.parquet
import pytest
from backports import zstd
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from outcrop.datasets.reading import Line, read_file
from outcrop.datasets.records import PromptCompletion

Pairs = list[tuple[str, str]]

texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1).filter(str.strip)
pairs = st.lists(st.tuples(texts, texts), min_size=1, max_size=12)


def lines(records: Pairs) -> bytes:
    return "".join(f"{json.dumps({'prompt': p, 'completion': c}, ensure_ascii=False)}\n" for p, c in records).encode()


def array(records: Pairs) -> bytes:
    return json.dumps([{"completion": c, "prompt": p} for p, c in records], indent=1, ensure_ascii=False).encode()


def under_a_key(records: Pairs) -> bytes:
    held = [{"prompt": p, "completion": c} for p, c in records]
    return json.dumps({"version": {"data": [1, "]"]}, "data": held, "note": 'a "quoted" \\ end'}).encode()


def delimited(delimiter: str) -> Callable[[Pairs], bytes]:
    def write(records: Pairs) -> bytes:
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL)
        writer.writerows([("prompt", "completion"), *records])
        return text.getvalue().encode()

    return write


def _table(records: Pairs) -> pyarrow.Table:
    return pyarrow.table({"prompt": [p for p, _ in records], "completion": [c for _, c in records]})


def parquet(records: Pairs) -> bytes:
    written = io.BytesIO()
    pyarrow.parquet.write_table(_table(records), written, row_group_size=3)
    return written.getvalue()


def feather(records: Pairs) -> bytes:
    written = io.BytesIO()
    pyarrow.feather.write_feather(_table(records), written, compression="lz4", chunksize=5)
    return written.getvalue()


def stream(records: Pairs) -> bytes:
    written, table = io.BytesIO(), _table(records)
    with pyarrow.ipc.new_stream(written, table.schema) as writer:
        writer.write_table(table, max_chunksize=4)
    return written.getvalue()


CONTAINERS: dict[str, Callable[[Pairs], bytes]] = {
    "t.jsonl": lines,
    "t.json": array,
    "object.json": under_a_key,
    "t.csv": delimited(","),
    "t.tsv": delimited("\t"),
    "semicolon.csv": delimited(";"),
    "bar.csv": delimited("|"),
    "t.parquet": parquet,
    "t.arrow": feather,
    "t.arrows": stream,
}
PACKINGS: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.compress, ".zst": zstd.compress}


def read(folder: Path, name: str, content: bytes) -> list[Line]:
    path = folder / name
    path.write_bytes(content)
    return list(read_file(path, customization="FINE_TUNING"))


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("name", CONTAINERS)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=pairs)
@example(records=[('a "b", ]}', "c;\t|\r\nd"), ("\\", "\ufeff"), ("{", "[\u2028")])
def test_records_come_back_equal_from_every_container(tmp_path: Path, name: str, packing: str, records: Pairs) -> None:
    found = read(tmp_path, f"{name}{packing}", PACKINGS[packing](CONTAINERS[name](records)))
    assert [problem for line in found for problem in line.problems] == []
    assert [line.record for line in found] == [
        PromptCompletion(prompt=p, completion=c, line=number) for number, (p, c) in enumerate(records, start=1)
    ]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=400), name=st.sampled_from([*CONTAINERS, "t.jsonl.gz", "t.csv.zst"]), data=st.data())
def test_no_bytes_at_all_raise_anything_but_a_sentence(
    tmp_path: Path, content: bytes, name: str, data: st.DataObject
) -> None:
    whole = CONTAINERS.get(name, lines)([("question", "answer")] * 5)
    at = data.draw(st.integers(0, len(whole)))
    until = data.draw(st.integers(at, len(whole)))
    for damaged in (content, whole[:at], whole[:at] + content[:8] + whole[until:]):
        for line in read(tmp_path, name, damaged):
            assert (line.record is None) == bool(line.problems)
