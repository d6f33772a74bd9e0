"""Bad files, each with its exact sentence: one line a case."""

import bz2
import csv
import gzip
import io
import json
import struct
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.feather
import pyarrow.parquet
import pytest
from backports import zstd

from outcrop.datasets.raw_records import MAX_LINE_BYTES
from outcrop.datasets.reading import read_file
from outcrop.datasets.records import Customization

GOOD = {"prompt": "a", "completion": "b"}
LINE = json.dumps(GOOD).encode() + b"\n"
JSON = "Write it with a JSON library, or each record as one JSON object on a line."
ONE = "Write the record as one JSON object on one line."
AGAIN = "Fetch or write it again."
COMPLETION = "Give the record a completion, or remove the {}."
PAIR = '{"prompt": "<input text>", "completion": "<output text>"}'
CLOSE = 'Close its quotation mark, and write one within a cell twice: "".'
PANDAS = 'orient="records", lines=True, force_ascii=False'
NAMED = "Name its columns prompt and completion, input, or messages."


def array(*records: Any, **more: Any) -> bytes:
    return json.dumps(records, **more).encode()


def parquet(**columns: list[Any]) -> bytes:
    written = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), written)
    return written.getvalue()


def feather(table: pyarrow.Table) -> bytes:
    written = io.BytesIO()
    pyarrow.feather.write_feather(table, written, compression="uncompressed")
    return written.getvalue()


def stream(table: pyarrow.Table) -> bytes:
    written = io.BytesIO()
    with pyarrow.ipc.new_stream(written, table.schema) as writer:
        writer.write_table(table)
    return written.getvalue()


def rows(*cells: list[str], delimiter: str = ",") -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows(cells)
    return text.getvalue().encode()


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]


def bomb() -> bytes:
    """A gzip file of 300 kB that unpacks to 300 MB: many members, each of a megabyte."""
    return gzip.compress(b" " * 2**20, mtime=0) * 300


TABLE = pyarrow.table({"prompt": ["a"] * 3, "completion": ["b"] * 3})
PACKED = gzip.compress(LINE * 50, mtime=0)
FRAMED = zstd.compress(LINE * 50)
TEXTS_NOT_UTF8 = pyarrow.table({"prompt": pyarrow.Array.from_buffers(pyarrow.string(), 1, [None, pyarrow.py_buffer(struct.pack("<2i", 0, 1)), pyarrow.py_buffer(b"\xff")]), "completion": ["b"]})  # fmt: skip
CHOSEN = 'Write what was chosen: {"prompt": prompt, "completion": chosen}.'

CASES: list[tuple[str, bytes, str]] = [
    # Files that hold nothing.
    ("t.jsonl", b"", ": an empty file. Write one JSON object on each line."),
    ("t.jsonl", b"\xef\xbb\xbf", ": nothing but blank lines. Write one JSON object on each line."),
    ("t.jsonl", b" \n\r\n\t\n", ": nothing but blank lines. Write one JSON object on each line."),
    ("t.jsonl.gz", gzip.compress(b"", mtime=0), ": an empty file. Write one JSON object on each line."),
    ("t.jsonl.zst", zstd.compress(b"\n"), ": nothing but blank lines. Write one JSON object on each line."),
    ("t.json", b"[]", ": no records. Give the file some."),
    ("t.json", b"[ \n ]\n", ": no records. Give the file some."),
    ("t.csv", b"prompt,completion\n", ": no records. Give the file some."),
    ("t.parquet", parquet(prompt=[], completion=[]), ": no records. Give the file some."),
    # Other encodings.
    ("t.jsonl", LINE.decode().encode("utf-16"), ": UTF-16 text, not UTF-8. Turn it into UTF-8: iconv -f UTF-16 -t UTF-8 t.jsonl > NEW.jsonl"),
    ("t.jsonl", LINE.decode().encode("utf-16-le"), ": UTF-16LE text, not UTF-8. Turn it into UTF-8: iconv -f UTF-16LE -t UTF-8 t.jsonl > NEW.jsonl"),
    ("t.json", array(GOOD).decode().encode("utf-16-be"), ": UTF-16BE text, not UTF-8. Turn it into UTF-8: iconv -f UTF-16BE -t UTF-8 t.json > NEW.jsonl"),
    ("t.csv", "prompt,completion\na,b\n".encode("utf-32"), ": UTF-32 text, not UTF-8. Turn it into UTF-8: iconv -f UTF-32 -t UTF-8 t.csv > NEW.jsonl"),
    ("my t.jsonl.gz", gzip.compress(LINE.decode().encode("utf-16"), mtime=0), ": UTF-16 text, not UTF-8. Turn it into UTF-8: iconv -f UTF-16 -t UTF-8 'my t.jsonl' > NEW.jsonl"),
    ("t.csv", "prompt,completion\n古池や,蛙\n水の音,春\n".encode("cp932"), ": Shift_JIS text, not UTF-8. Turn it into UTF-8: iconv -f CP932 -t UTF-8 t.csv > NEW.jsonl"),
    ("t.jsonl", LINE + b'{"prompt": "\xff", "completion": "b"}\n', ":2: byte 13: not UTF-8. Save the file as UTF-8."),
    # Lines.
    ("t.jsonl", LINE + b'{"prompt": "a"}', ":2: completion: missing. " + COMPLETION.format("line")),
    ("t.jsonl", LINE + b'{"prompt": "a\x00", "completion": "b"}\n', ":2: column 14: a NUL byte. Remove it; UTF-8 text holds none."),
    ("t.jsonl", LINE + b'{"prompt": "a", "prompt": "b", "completion": "c"}\n', ":2: prompt: written twice. Keep one of the two."),
    ("t.jsonl", LINE + b'{"prompt": NaN, "completion": "b"}\n', f":2: not JSON, NaN is no value. {ONE}"),
    ("t.jsonl", LINE + b'{"prompt": "a", "completion": Infinity}\n', f":2: not JSON, Infinity is no value. {ONE}"),
    ("t.jsonl", LINE + b'{"prompt": "\\ud83d", "completion": "b"}\n', ":2: prompt: half a character (\\ud83d) at position 1. Write both halves of the surrogate pair, or the character itself."),
    ("t.jsonl", LINE + b'{"prompt": "' + b"x" * 50_000_000 + b'", "completion": "b"}\n', f":2: longer than {MAX_LINE_BYTES:,} bytes. Write each record on a line of its own."),
    ("t.jsonl", LINE + b'{"prompt": ' + b"[" * 200_000 + b"]" * 200_000 + b"}\n", f":2: nested too deeply. {ONE}"),
    ("t.jsonl", LINE + b'{"a": ' * 200_000 + b"\n", f":2: nested too deeply. {ONE}"),
    ("t.jsonl", LINE + b'{"prompt": 1' + b"0" * 5000 + b"}\n", ":2: a number of more than 4,300 digits. Write it as a string, or shorter."),
    ("t.jsonl", LINE + b"[1, 2]\n", ":2: a JSON array, not JSON Lines. Write each object on a line of its own, without [ ] and commas."),
    ("t.jsonl", LINE.replace(b"\n", b"\r") * 3, ": lines that end in CR alone. Turn them into LF: tr '\\r' '\\n' < t.jsonl > NEW.jsonl"),
    ("t.jsonl", LINE + LINE.strip() + LINE, f":2: column 35: not JSON, expected the end of the line. {ONE}"),
    ("t.jsonl", LINE.strip() + LINE, ": JSON objects one after the other on one line. Write each record as one JSON object on one line: jq -c . t.jsonl > NEW.jsonl"),
    ("t.jsonl", json.dumps(GOOD, indent=1).encode(), ": JSON objects spread over several lines. Write each record as one JSON object on one line: jq -c . t.jsonl > NEW.jsonl"),
    ("t.jsonl", b"{'prompt': 'a', 'completion': 'b'}\n", ": dictionaries as Python prints them, not JSON. Write each with json.dumps(record, ensure_ascii=False) on a line of its own."),
    ("t.jsonl", b'"a"\n"b"\n', f":1: expected an object, found a string. Write {PAIR}."),
    ("t.txt", b"Once upon a time.\nThere was a stone.\n", ": plain text, not JSON Lines. Write each record as one JSON object on one line."),
    ("t.html", b"<!doctype html><html></html>", ": markup, not JSON Lines. Take its text out, and write records, one JSON object on a line."),
    # Arrays.
    ("t.json", array(GOOD, {"prompt": "a"}), ", record 2: completion: missing. " + COMPLETION.format("record")),
    ("t.json", array(GOOD, {"prompt": "a", "completion": " "}, indent=2), ", record 2: completion: blank. " + COMPLETION.format("record")),
    ("t.json", array(GOOD, 7), f", record 2: expected an object, found a number. Write {PAIR}."),
    ("t.json", array(GOOD, [GOOD]), f", record 2: expected an object, found a list. Write {PAIR}."),
    ("t.json", b'[{"prompt": "a",\n "completion": NaN}]', ", record 1: not JSON, NaN is no value. Write the record with a JSON library."),
    ("t.json", b'[{"prompt": "a",\n "completion" "b"}]', ", record 1: character 31: not JSON, expected ':'. Write the record with a JSON library."),
    ("t.json", b'[{"prompt": "a", "prompt": "b"}]', ", record 1: prompt: written twice. Keep one of the two."),
    ("t.json", b'[{"prompt": "\xff", "completion": "b"}]', ", record 1: byte 13: not UTF-8. Save the file as UTF-8."),
    ("t.json", b'[{"prompt": "\x00", "completion": "b"}]', ", record 1: character 13: a NUL byte. Remove it; UTF-8 text holds none."),
    ("t.json", b"[" + LINE + LINE + b"]", f": not JSON, expected ',' or ']' behind record 1. {JSON}"),
    ("t.json", b"[" + LINE + b",]", f": not JSON, a comma or an end behind record 1 where a record should be. {JSON}"),
    ("t.json", b"[," + LINE + b"]", f": not JSON, a comma or an end at the beginning of the array where a record should be. {JSON}"),
    ("t.json", b"[" + LINE + b"," + LINE, f": not whole, the file ends behind record 2. {AGAIN}"),
    ("t.json", b"[" + LINE + b"," + LINE[:-4], f": not whole, the file ends behind record 1. {AGAIN}"),
    ("t.json", b"[" + LINE + b'], "more"', f": not JSON, something follows the end of the array. {JSON}"),
    ("t.json", array(GOOD) + b"\n" + array(GOOD), f": not JSON, something follows the end of the array. {JSON}"),
    ("t.json", b"[" * 300_000, f": not whole, the file ends before its first record is whole. {AGAIN}"),
    ("t.json", b'[{"prompt": ' + b"[" * 200_000 + b"]" * 200_000 + b"}]", ", record 1: nested too deeply. Write the record with a JSON library."),
    ("t.json", array(GOOD, {"prompt": "x" * 17_000_000, "completion": "b"}, GOOD), f", record 2: longer than {MAX_LINE_BYTES:,} bytes. Part it into several records."),
    ("t.json", array(GOOD, {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}), ", record 2: of another form than the file's first record. Keep prompt/completion records and conversations in files of their own."),
    ("t.jsonl", b'["a", "b"]\n["c", "d"]\n', ": JSON lists, one on each line. Write each record as one JSON object, with a name for each part."),
    # Objects that hold the records.
    ("t.json", json.dumps({"data": [GOOD, {"prompt": "a"}]}).encode(), ", record 2: completion: missing. " + COMPLETION.format("record")),
    ("t.json", json.dumps({"train": [GOOD], "test": [GOOD]}).encode(), ': records under two keys, "train" and "test". Write each of the two to a file of its own.'),
    ("t.json", b'{"data": [' + LINE + b'], "data": []}', ': "data": written twice. Keep one of the two.'),
    ("t.json", b'{"data": [' + LINE + b'], more: 1}', f": not JSON, expected a key in double quotes in the object around the records. {JSON}"),
    ("t.json", b'{"data": [' + LINE + b'], "more" 1}', f": not JSON, expected ':' behind the key \"more\". {JSON}"),
    ("t.json", b'{"data": [' + LINE + b']] ', f": not JSON, expected ',' or '}}' behind the value of \"data\". {JSON}"),
    # Tables of text.
    ("t.csv", b"name,age\na,7\n", f": a table with comma-separated columns (CSV), and it names no column of a record, but 'name', 'age'. {NAMED}"),
    ("t.csv", b"question,answer\na,b\n", f": a table with comma-separated columns (CSV), and it names no column of a record, but 'question', 'answer'. {NAMED}"),
    ("t.csv", rows(["prompt", "completion"], ["a", "b"], ["a", ""]), ", row 2: completion: missing. " + COMPLETION.format("row")),
    ("t.csv", rows(["promt", "completion"], ["a", "b"]), ", row 1: promt: unknown key. Did you mean prompt?"),
    ("t.csv", b"prompt,completion\na,b,c\n", ", row 1: 3 cells, where the first row names 2 columns. Put cells that hold the separator into quotation marks."),
    ("t.csv", b"prompt,completion\na\n", ", row 1: 1 cells, where the first row names 2 columns. Put cells that hold the separator into quotation marks."),
    ("t.csv", b"prompt,prompt\na,b\n", ": two columns are named 'prompt'. Name each column once."),
    ("t.csv", b'prompt,completion\na,b\na,"b\nc,d\n', f", row 2: a quoted cell does not end, down to the end of the file. {CLOSE}"),
    ("t.csv", b'prompt,completion\na,"b" c\n', ', row 1: a quotation mark within a quoted cell is not doubled. Write it twice: "He said ""no""."'),
    ("t.csv", b'prompt,completion\na,b\na,"' + b"x" * 17_000_000, f', row 2: longer than {MAX_LINE_BYTES:,} bytes, or a quotation mark that is never closed. Close it, and write one within a cell twice: "".'),
    ("t.csv", b"prompt,completion\na,b\n\xe9t\xe9,c\n", ", row 2: byte 1 of its line: not UTF-8. Save the file as UTF-8."),
    ("t.csv", b"prompt,completion\na,b\x00\n", ", row 1: a NUL byte. Remove it; UTF-8 text holds none."),
    ("t.csv", b"prompt,completion\na\rb,c\n", ", row 1: a carriage return in a cell without quotation marks. Put the cell into quotation marks, or let lines end in LF."),
    ("t.tsv", b"prompt\tcompletion\na\tb\tc\n", ", row 1: 3 cells, where the first row names 2 columns. Put cells that hold the separator into quotation marks."),
    ("t.csv", rows(["messages"], ['[{"role": "user"']), ", row 1: messages: character 17: not JSON, the record ends too early. Write the record with a JSON library."),
    # Tables of columns.
    ("t.parquet", parquet(prompt=["a", None], completion=["b", "c"]), ", row 2: prompt: missing. Give the record a prompt, or remove the row."),
    ("t.parquet", parquet(prompt=["a"], completion=[7]), ", row 1: completion: expected a string, found a number. " + COMPLETION.format("row")),
    ("t.parquet", parquet(prompt=["a"], completion=[b"b"]), ", row 1: completion: expected a string, found bytes. " + COMPLETION.format("row")),
    ("t.parquet", parquet(x=["a"], y=["b"]), f": a Parquet table, and it names no column of a record, but 'x', 'y'. {NAMED}"),
    ("t.parquet", parquet(prompt=["a"], completion=["b"])[:-30], ": a Parquet table that cannot be read (Parquet magic bytes not found in footer. Either the file is corrupted or this is not a parquet file). " + AGAIN),
    ("t.arrow", feather(TABLE)[:-20], f": an Arrow table that cannot be read (Not an Arrow file). {AGAIN}"),
    ("t.arrow", feather(TEXTS_NOT_UTF8), f": an Arrow table that cannot be read (In column 0: Invalid: Invalid UTF8 sequence at string index 0). {AGAIN}"),
    ("t.arrows", stream(TABLE)[:200], f": an Arrow stream that cannot be read (Expected to read 216 metadata bytes, but only read 24). {AGAIN}"),
    # Compressed files.
    ("t.jsonl.gz", PACKED[:-20], ": compressed with gzip, and ends within its compressed data. It is not whole: fetch or write it again."),
    ("t.jsonl.gz", flipped(PACKED, 20), f": compressed with gzip, and damaged: its compressed data cannot be unpacked after 0 bytes. {AGAIN}"),
    ("t.jsonl.gz", PACKED[:-8] + bytes(8), f": compressed with gzip, and damaged: its compressed data cannot be unpacked after 0 bytes. {AGAIN}"),
    ("t.jsonl.gz", PACKED + b"more", f": compressed with gzip, and holds something else behind its compressed data, after 1,750 bytes unpacked. {AGAIN}"),
    ("t.jsonl.gz", gzip.compress(PACKED, mtime=0), ": compressed with gzip twice. Unpack it once."),
    ("t.jsonl.gz", bomb(), ": compressed with gzip, and unpacks to more than 200 times its size, as no text does. Unpack it yourself, if it is none the less one, and give the file inside."),
    ("t.jsonl.zst", FRAMED[:-5], ": compressed with Zstandard, and ends within its compressed data. It is not whole: fetch or write it again."),
    ("t.jsonl.zst", flipped(FRAMED, 6), f": compressed with Zstandard, and damaged: its compressed data cannot be unpacked after 0 bytes. {AGAIN}"),
    ("t.jsonl.zst", zstd.compress(b" " * 80_000_000), ": compressed with Zstandard, and unpacks to more than 200 times its size, as no text does. Unpack it yourself, if it is none the less one, and give the file inside."),
    ("t.parquet.gz", gzip.compress(parquet(prompt=["a"], completion=["b"]), mtime=0)[:-30], ": compressed with gzip, and ends within its compressed data. It is not whole: fetch or write it again."),
    ("t.jsonl.bz2", bz2.compress(LINE), ": compressed with bzip2. Unpack it: bunzip2 < t.jsonl.bz2 > NEW.jsonl"),
    ("t.tar.gz", gzip.compress(bytes(257) + b"ustar\x00" + bytes(400), mtime=0), ": a tar archive. Unpack it: tar -xf t.tar"),
    ("t.zip", b"PK\x03\x04" + bytes(30), ": a zip archive. Unpack it: unzip t.zip"),
    ("t.pdf", b"%PDF-1.7\n", ": a PDF. Make records of it: outcrop data pdf t.pdf --out NEW"),
    ("t.jsonl", b"version https://git-lfs.github.com/spec/v1\n", ": a pointer of Git LFS, not the file itself. Fetch the file: git lfs pull"),
    # Records of other programs.
    ("t.jsonl", b'{"instruction": "a", "input": "", "output": ""}', ":1: output: empty. " + COMPLETION.format("line")),
    ("t.jsonl", b'{"instruction": 3, "output": "b"}', ":1: instruction: expected a string, found a number. Give the record a prompt, or remove the line."),
    ("t.jsonl", b'{"instruction": "a", "input": ["x"], "output": "b"}', ":1: input: expected a string, found a list. Write a text, or leave it out."),
    ("t.jsonl", b'{"instruction": "a", "output": "b", "history": [["c", "d"]]}', ':1: history: not part of a prompt with its completion. Write {"system": "…", "messages": […]} for it.'),
    ("t.jsonl", b'{"instruction": "a", "context": 7, "response": "b"}', ":1: context: expected a string, found a number. Write a text, or leave it out."),
    ("t.jsonl", b'{"conversations": [{"from": "human", "value": "q"}]}', ":1: conversations: the last turn is the user's. End the conversation with what the assistant should say."),
    ("t.jsonl", b'{"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": null}]}', ":1: conversations[1].value: null. Give the turn its text."),
    ("t.jsonl", b'{"conversations": [{"from": "human", "value": "q"}, {"from": "observation", "value": "r"}]}', ":1: conversations[1].from: expected user or assistant, found 'observation'. Name one of the two."),
    ("t.jsonl", b'{"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}], "tools": "[1]"}', ":1: tools: not read beside turns of from and value. Write OpenAI's form: tools, and messages with tool_calls and the role tool."),
    ("t.jsonl", b'{"contents": [{"role": "user", "parts": [{"text": "x"}]}]}', ":1: Gemini's form (contents of role and parts), which is not Bedrock's. Write {\"messages\": [{\"role\": \"user\", \"content\": text of the parts}, …]}, with assistant for model."),
    ("t.jsonl", b'{"question": "a", "answer": "b"}', ':1: question and answer, where prompt and completion are expected. Write {"prompt": question, "completion": answer}.'),
    ("t.jsonl", b'{"prompt": "a", "chosen": "b", "rejected": "c"}\n' * 3, f": 3 pairs for learning preferences (chosen, rejected), from which no method here learns yet. {CHOSEN}"),
    ("t.jsonl", b'{"prompt": "a", "chosen": "b", "rejected": "b"}', ":1: rejected: equal to what was chosen, so nothing is preferred. Remove the pair."),
    ("t.jsonl", b'{"prompt": "a", "chosen": "", "rejected": "b"}', ':1: chosen: empty. Write {"prompt": "…", "chosen": "…", "rejected": "…"}.'),
    ("t.jsonl", b'{"prompt": "a", "chosen": "b", "rejected": [{"role": "assistant", "content": "c"}]}', ":1: rejected: a list, where chosen is a string. Write both answers in one form."),
    ("t.jsonl", b'{"prompt": "a", "chosen": [{"role": "user", "content": "b"}], "rejected": [{"role": "assistant", "content": "c"}]}', ":1: chosen[0].role: expected assistant, found user. Turns alternate and begin with the user."),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "sentence"), CASES, ids=[f"{number}-{name}" for number, (name, *_) in enumerate(CASES)]
)
def test_a_bad_file_is_told_in_one_sentence(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    told = [problem for line in read_file(path, customization="FINE_TUNING") for problem in line.problems]
    assert str(told[0]) == f"{name}{sentence}"


def test_there_are_at_least_eighty_of_them() -> None:
    assert len({(name, content) for name, content, _ in CASES}) >= 80


CONTINUED: list[tuple[bytes, str]] = [
    (b'{"text": "a"}', ':1: text, where input is expected. Write {"input": text}.'),
    (b'{"input": 3}', ":1: input: expected a string, found a number. Give the record a text, or remove the line."),
    (b'{"prompt": "a", "completion": "b"}', ':1: prompt: belongs to FINE_TUNING. Write {"input": "<text>"}, or choose that customizationType.'),
    (b'{"instruction": "a", "input": "b", "output": "c"}', ":1: Alpaca's form (instruction, input, output), which belongs to FINE_TUNING. Write {\"input\": \"<text>\"}, or choose that customizationType."),
]  # fmt: skip


@pytest.mark.parametrize(("content", "sentence"), CONTINUED)
def test_texts_have_their_own_sentences(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(content)
    customization: Customization = "CONTINUED_PRE_TRAINING"
    told = [problem for line in read_file(path, customization=customization) for problem in line.problems]
    assert str(told[0]) == f"t.jsonl{sentence}"
