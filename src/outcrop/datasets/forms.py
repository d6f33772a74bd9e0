"""Forms of files that are no JSON Lines, each with how to turn it into one. Such a file is told once, by the name of
its form.

Only its first bytes are looked at. Lines that are JSON are judged one by one by `shapes`, not here.
"""

import ast
import codecs
import csv
import json
import re
import shlex
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

_HEAD_BYTES = 256 * 1024
_SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (b"\x1f\x8b", "compressed with gzip", "Unpack it: gunzip < {name} > NEW.jsonl"),
    (b"BZh", "compressed with bzip2", "Unpack it: bunzip2 < {name} > NEW.jsonl"),
    (b"\xfd7zXZ\x00", "compressed with xz", "Unpack it: unxz < {name} > NEW.jsonl"),
    (b"\x28\xb5\x2f\xfd", "compressed with Zstandard", "Unpack it: unzstd < {name} > NEW.jsonl"),
    (b"\x04\x22\x4d\x18", "compressed with lz4", "Unpack it: unlz4 < {name} > NEW.jsonl"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "Unpack it, and give the file inside."),
    (b"Rar!", "a RAR archive", "Unpack it, and give the file inside."),
    (b"PAR1", "a Parquet table", "Write its rows: pandas.read_parquet(FILE).to_json(NEW, {jsonl})"),
    (b"ARROW1", "an Arrow table", "Write its rows: pandas.read_feather(FILE).to_json(NEW, {jsonl})"),
    (b"\xff\xff\xff\xff", "an Arrow stream", "Write its rows: datasets.Dataset.from_file(FILE).to_json(NEW)"),
    (b"ORC", "an ORC table", "Write its rows: pandas.read_orc(FILE).to_json(NEW, {jsonl})"),
    (b"Obj\x01", "an Avro file", "Write each of its records as one JSON object on a line."),
    (b"SQLite format 3\x00", "an SQLite database", "Write each row as one JSON object on a line."),
    (b"%PDF", "a PDF", "Take its text out, and write it as records, one JSON object on a line."),
    (b"\x93NUMPY", "a NumPy array", "Write each row as one JSON object on a line."),
    (b"\x89HDF", "an HDF5 file", "Write each row as one JSON object on a line."),
    (b"\xd0\xcf\x11\xe0", "an old Office document", "Save it as CSV, and turn that into JSON Lines."),
    (b"\x89PNG", "a picture", "Records are text: one JSON object on a line."),
    (b"\xff\xd8\xff", "a picture", "Records are text: one JSON object on a line."),
    (b"{\\rtf", "a document in RTF", "Save it as plain text, one JSON object on a line."),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself", "Fetch the file: git lfs pull"),
)  # fmt: skip
_JSONL = 'orient="records", lines=True, force_ascii=False'
_TAKEN_APART = "Write each record as one JSON object on one line: jq -c {query} {name} > NEW.jsonl"
_FOR_ICONV = {"Latin-1": "ISO-8859-1", "Windows-1252": "CP1252", "Shift_JIS": "CP932"}
_LINE_END = re.compile(r"\r\n|\n|\r")
"Those of text files. JSON strings may hold what else Unicode calls the end of a line."
_COLUMNS = ("prompt", "completion", "input", "output", "instruction", "question", "answer", "response", "text", "label")


class Form(NamedTuple):
    """A file's form, and the command that turns it into JSON Lines."""

    what: str
    mend: str


def form_of(path: Path) -> Form | None:
    """None for JSON Lines, good or bad ones."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        whole = not file.read(1)
    if not head:
        return Form("an empty file", "Write one JSON object on each line.")
    found = _packed(path, head) or _other_encoding(path, head)
    if found is not None:
        return found
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(head.removeprefix(b"\xef\xbb\xbf"))
    return _of_text(path, text, whole=whole)


def _quoted(path: Path) -> str:
    """The file's name as a shell takes it."""
    return shlex.quote(path.name)


def _packed(path: Path, head: bytes) -> Form | None:
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zipped(path)
    if head[257:262] == b"ustar":
        return Form("a tar archive", f"Unpack it: tar -xf {_quoted(path)}")
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05" and head[1:2]:
        return Form("a pickle of Python's", "Write each record as one JSON object on a line, with json.dumps.")
    for start, what, mend in _SIGNATURES:
        if head.startswith(start):
            return Form(what, mend.format(name=_quoted(path), jsonl=_JSONL))
    return None


def _zipped(path: Path) -> Form:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError):
        names = []
    if any(name.startswith("xl/") for name in names):
        return Form("an Excel workbook", f"Write its rows: pandas.read_excel(FILE).to_json(NEW, {_JSONL})")
    if any(name.startswith("word/") for name in names):
        return Form("a Word document", "Save it as plain text, and write records, one JSON object on a line.")
    return Form("a zip archive", f"Unpack it: unzip {_quoted(path)}")


_ENCODINGS: dict[tuple[bool, ...], str] = {
    (True, True, True, False): "UTF-32BE",
    (False, True, True, True): "UTF-32LE",
    (True, False, True, False): "UTF-16BE",
    (False, True, False, True): "UTF-16LE",
}


def _other_encoding(path: Path, head: bytes) -> Form | None:
    # What begins any text of ours is ASCII, so that the places of NUL bytes tell the encoding (RFC 4627, section 3).
    zeros = tuple(byte == 0 for byte in head[:4])
    named = _ENCODINGS.get(zeros)
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        named = "UTF-32"
    elif head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        named = "UTF-16"
    if named is None:
        named = _byte_encoding(head)
    if named is None:
        return None
    asked = _FOR_ICONV.get(named, named)
    return Form(
        f"{named} text, not UTF-8", f"Turn it into UTF-8: iconv -f {asked} -t UTF-8 {_quoted(path)} > NEW.jsonl"
    )


def _byte_encoding(head: bytes) -> str | None:
    """The encoding of a file that is not UTF-8, else None. It has more than one line with letters beyond ASCII, and
    none of these lines is UTF-8."""
    lines = [line for line in head.splitlines()[:1000] if not line.isascii()]
    if len(lines) > 1 and len(head) >= _HEAD_BYTES:
        lines.pop()  # it may be cut within a character
    if len(lines) < 2 or any(_decodes(line, "utf-8") for line in lines) or any(b"\0" in line for line in lines):
        return None
    for name, spoken in (("cp932", "Shift_JIS"), ("euc_jp", "EUC-JP")):
        if all(_decodes(line, name) for line in lines) and _is_japanese(b"\n".join(lines).decode(name)):
            return spoken
    beyond = any(0x80 <= byte < 0xA0 for line in lines for byte in line)  # quotation marks and dashes of Windows
    return "Windows-1252" if beyond else "Latin-1"


def _decodes(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _is_japanese(text: str) -> bool:
    letters = [char for char in text if not char.isascii()]
    usual = sum("\u3000" <= char <= "\u30ff" or "\u4e00" <= char <= "\u9fff" for char in letters)
    return usual > 0.9 * len(letters)


def _of_text(path: Path, text: str, *, whole: bool) -> Form | None:
    lines = [line for line in _LINE_END.split(text) if line.strip()]
    if not lines:
        return Form("nothing but blank lines", "Write one JSON object on each line.") if whole else None
    start = text.lstrip()
    if start.startswith("["):
        return _of_list(path, start)
    if start.startswith("{"):
        return _of_objects(path, text, lines, whole=whole)
    if sum(line.lstrip().startswith("{") for line in lines[:20]) > len(lines[:20]) // 2:
        return None  # records, the first of which is broken
    return _without_objects(path, start, lines)


def _of_list(path: Path, start: str) -> Form:
    value, end = _first_value(start)
    if isinstance(value, list) and start[end:].strip() and not any(isinstance(each, dict) for each in value):
        return Form("JSON lists, one on each line", "Write each record as one JSON object, with a name for each part.")
    mend = "Write each object on a line of its own, without [ ] and commas: "
    return Form("a JSON array, not JSON Lines", f"{mend}jq -c '.[]' {_quoted(path)} > NEW.jsonl")


def _of_objects(path: Path, text: str, lines: Sequence[str], *, whole: bool) -> Form | None:
    if "\r" in text.strip() and "\n" not in text and _is_object(text.split("\r")[0] or lines[0]):
        return Form("lines that end in CR alone", f"Turn them into LF: tr '\\r' '\\n' < {_quoted(path)} > NEW.jsonl")
    first = lines[0].strip()
    value, end = _first_value(first)
    if isinstance(value, dict):
        rest = first[end:].lstrip(" \t,;")
        if rest.startswith("{"):
            mend = _TAKEN_APART.format(query=".", name=_quoted(path))
            return Form("JSON objects one after the other on one line", mend)
        return _holding_all(path, value) if len(lines) == 1 and whole else None
    if first.startswith(("{'", "{ '")) and (_is_python(first) or not whole):
        return Form(
            "dictionaries as Python prints them, not JSON",
            "Write each with json.dumps(record, ensure_ascii=False) on a line of its own.",
        )
    start = text.lstrip()
    value, end = _first_value(start)
    if isinstance(value, dict):
        held = _holding_all(path, value) if not start[end:].strip() else None
        return held or _spread(path)
    if not whole and len(lines) > 1 and (first == "{" or first.endswith((",", "{", "["))):
        return _spread(path)  # it goes on beyond what was looked at
    return None


def _spread(path: Path) -> Form:
    return Form("JSON objects spread over several lines", _TAKEN_APART.format(query=".", name=_quoted(path)))


def _holding_all(path: Path, value: dict[str, Any]) -> Form | None:
    """The form of a file with one object around all records, as exports of programs have it."""
    if "messages" in value or "conversations" in value:
        return None
    held = [key for key, inside in value.items() if isinstance(inside, list) and _are_records(inside)]
    if len(held) != 1:
        return None
    query = f"'.[{json.dumps(held[0])}][]'"
    mend = _TAKEN_APART.format(query=query, name=_quoted(path))
    return Form(f"one JSON object that holds its records under {json.dumps(held[0], ensure_ascii=False)}", mend)


def _are_records(inside: list[Any]) -> bool:
    return bool(inside) and all(isinstance(each, dict) and "role" not in each and "text" not in each for each in inside)


def _without_objects(path: Path, start: str, lines: Sequence[str]) -> Form | None:
    if start[:9].lower().startswith(("<!doctype", "<html", "<?xml", "<")):
        return Form("markup, not JSON Lines", "Take its text out, and write records, one JSON object on a line.")
    if start.startswith('"') and isinstance(_first_value(lines[0].strip())[0], str):
        return None  # JSON strings: each line says what it should be
    delimiter = _delimiter(path, lines)
    if delimiter is not None:
        named = {"\t": "tab", ";": "semicolon", "|": "bar"}.get(delimiter, "comma")
        separator = "" if delimiter == "," else f", sep={delimiter!r}"
        return Form(
            f"a table with {named}-separated columns (CSV)",
            f"Name the columns prompt and completion, and write the rows: pandas.read_csv(FILE{separator})"
            f".to_json(NEW, {_JSONL})",
        )
    if _first_value(lines[0].strip())[1]:
        return None  # numbers and the like: JSON, line by line
    return Form("plain text, not JSON Lines", "Write each record as one JSON object on one line.")


def _delimiter(path: Path, lines: Sequence[str]) -> str | None:
    """The separator of the columns, where the first lines are rows of a table."""
    for delimiter in "\t,;|":
        try:
            rows = list(csv.reader(lines[:20], delimiter=delimiter))
        except csv.Error:  # a cell longer than csv takes
            continue
        header = [name.strip().strip('"').lower() for name in rows[0]]
        if len(header) > 1 and any(name in _COLUMNS for name in header):
            return delimiter
        equal = len({len(row) for row in rows}) == 1 and len(rows) > 1
        if len(header) > 1 and (equal or delimiter == "\t") and path.suffix.lower() in (".csv", ".tsv", ".tab"):
            return delimiter
    return None


def _first_value(text: str) -> tuple[Any, int]:
    """The JSON value a text begins with, and where it ends; (None, 0) when it begins with none."""
    try:
        return json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return None, 0


def _is_object(text: str) -> bool:
    return isinstance(_first_value(text.strip())[0], dict)


def _is_python(text: str) -> bool:
    try:
        return isinstance(ast.literal_eval(text), dict)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return False
