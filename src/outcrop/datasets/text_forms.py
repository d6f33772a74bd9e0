"""Forms of text files that are no JSON Lines, told by their first lines.

Lines that are JSON are judged one by one by `shapes`, not here.
"""

import ast
import csv
import json
import re
from collections.abc import Sequence
from typing import Any

from outcrop.datasets.containers.delimited import NAMES
from outcrop.datasets.form import Container, Form

AS_JSON_LINES = 'orient="records", lines=True, force_ascii=False'
"Options with which pandas writes JSON Lines."
_TAKEN_APART = "Write each record as one JSON object on one line: jq -c {query} {name} > NEW.jsonl"
_LINE_END = re.compile(r"\r\n|\n|\r")
"Those of text files. JSON strings may hold what else Unicode calls the end of a line."
_COLUMNS = (
    "prompt", "completion", "input", "output", "instruction", "question", "answer", "response", "text", "label",
    "context", "messages", "conversations", "chosen", "rejected",
)  # fmt: skip
_PARTS = ("role", "text", "from", "value")
"Keys of parts of a record, not of a record."
_SPACE = re.compile(r"[ \t\r\n]*")


def of_text(name: str, text: str, *, whole: bool, is_table: bool) -> Form | None:
    """The form of a text, None for JSON Lines. `name` is the file's for a shell, `is_table` what its name says."""
    lines = [line for line in _LINE_END.split(text) if line.strip()]
    if not lines:
        return Form("nothing but blank lines", "Write one JSON object on each line.") if whole else None
    start = text.lstrip()
    if start.startswith("["):
        return _of_list(name, start)
    if start.startswith("{"):
        return _of_objects(name, text, lines, whole=whole)
    if sum(line.lstrip().startswith("{") for line in lines[:20]) > len(lines[:20]) // 2:
        return None  # records, the first of which is broken
    return _without_objects(start, lines, is_table=is_table)


def _of_list(name: str, start: str) -> Form:
    value, end = _first_value(start)
    if isinstance(value, list) and start[end:].strip() and not any(isinstance(each, dict) for each in value):
        return Form("JSON lists, one on each line", "Write each record as one JSON object, with a name for each part.")
    mend = "Write each object on a line of its own, without [ ] and commas: "
    return Form("a JSON array, not JSON Lines", f"{mend}jq -c '.[]' {name} > NEW.jsonl", Container.ARRAY)


def _of_objects(name: str, text: str, lines: Sequence[str], *, whole: bool) -> Form | None:
    if "\r" in text.strip() and "\n" not in text and _is_object(text.split("\r")[0] or lines[0]):
        return Form("lines that end in CR alone", f"Turn them into LF: tr '\\r' '\\n' < {name} > NEW.jsonl")
    first = lines[0].strip()
    value, end = _first_value(first)
    if isinstance(value, dict):
        rest = first[end:].lstrip(" \t,;")
        if rest.startswith("{"):
            mend = _TAKEN_APART.format(query=".", name=name)
            return Form("JSON objects one after the other on one line", mend)
        return _holding_all(name, text) if len(lines) == 1 and whole else None
    if first.startswith(("{'", "{ '")) and (_is_python(first) or not whole):
        return Form(
            "dictionaries as Python prints them, not JSON",
            "Write each with json.dumps(record, ensure_ascii=False) on a line of its own.",
        )
    start = text.lstrip()
    value, end = _first_value(start)
    if isinstance(value, dict):
        held = _holding_all(name, text) if not start[end:].strip() else None
        return held or _spread(name)
    begins_records = len(lines) > 1 and lines[1].lstrip().startswith("{")
    held = None if begins_records or (len(lines) == 1 and whole) else _holding_all(name, text)
    if held is not None:
        return held
    if not whole and len(lines) > 1 and (first == "{" or first.endswith((",", "{", "["))):
        return _spread(name)  # it goes on beyond what was looked at
    return None


def _spread(name: str) -> Form:
    return Form("JSON objects spread over several lines", _TAKEN_APART.format(query=".", name=name))


def _holding_all(name: str, text: str) -> Form | None:
    """The form of a file with one object around all records, as exports of programs have it."""
    key = _key_of_records(text)
    if key is None:
        return None
    mend = _TAKEN_APART.format(query=f"'.[{json.dumps(key)}][]'", name=name)
    quoted = json.dumps(key, ensure_ascii=False)
    return Form(f"one JSON object that holds its records under {quoted}", mend, Container.OBJECT, key)


def _key_of_records(text: str) -> str | None:
    """The first key of an object under which a list of records begins, as far as the text goes."""
    at = _past_space(text, text.index("{") + 1)
    while True:
        key, at = _value_at(text, at)
        colon = _past_space(text, at)
        if not isinstance(key, str) or key in ("messages", "conversations") or text[colon : colon + 1] != ":":
            return None
        at = _past_space(text, colon + 1)
        if text[at : at + 1] == "[":
            first, _ = _value_at(text, _past_space(text, at + 1))
            if isinstance(first, dict) and not any(part in first for part in _PARTS):
                return key
        _, at = _value_at(text, at)
        comma = _past_space(text, at)
        if not at or text[comma : comma + 1] != ",":
            return None
        at = _past_space(text, comma + 1)


def _past_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _without_objects(start: str, lines: Sequence[str], *, is_table: bool) -> Form | None:
    if start[:9].lower().startswith(("<!doctype", "<html", "<?xml", "<")):
        return Form("markup, not JSON Lines", "Take its text out, and write records, one JSON object on a line.")
    first = lines[0].strip()
    if start.startswith('"') and not is_table and _first_value(first)[1] == len(first):
        return None  # JSON strings: each line says what it should be
    delimiter = _delimiter(lines, is_table=is_table)
    if delimiter is not None:
        separator = "" if delimiter == "," else f", sep={delimiter!r}"
        return Form(
            f"a table with {NAMES[delimiter]}-separated columns (CSV)",
            f"Name the columns prompt and completion, and write the rows: pandas.read_csv(FILE{separator})"
            f".to_json(NEW, {AS_JSON_LINES})",
            Container.DELIMITED,
            delimiter,
        )
    if _first_value(first)[1]:
        return None  # numbers and the like: JSON, line by line
    return Form("plain text, not JSON Lines", "Write each record as one JSON object on one line.")


def _delimiter(lines: Sequence[str], *, is_table: bool) -> str | None:
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
        if len(header) > 1 and (equal or delimiter == "\t") and is_table:
            return delimiter
    return "," if is_table and "," not in lines[0] else None  # a single column


def _first_value(text: str) -> tuple[Any, int]:
    """The JSON value a text begins with, and where it ends; (None, 0) when it begins with none."""
    return _value_at(text, 0)


def _value_at(text: str, at: int) -> tuple[Any, int]:
    try:
        return json.JSONDecoder().raw_decode(text, at)
    except (ValueError, RecursionError):
        return None, 0


def _is_object(text: str) -> bool:
    return isinstance(_first_value(text.strip())[0], dict)


def _is_python(text: str) -> bool:
    try:
        return isinstance(ast.literal_eval(text), dict)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return False
