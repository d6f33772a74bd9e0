"""Records read from the lines of a JSONL file.

A stream of lines becomes a stream of `Line`s, each holding a record or what is wrong with it, so that a file of any
size is read once and every line of it is accounted for.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from outcrop.datasets import json_lines, shapes
from outcrop.datasets.forms import form_of
from outcrop.datasets.problems import Problem, RecordError
from outcrop.datasets.records import Customization, Record

MAX_LINE_BYTES = 16 * 1024 * 1024
"No record of any base model is this long; a file that is no JSONL easily is."


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line that is not blank: a record, or the problems that keep it from being one."""

    number: int
    "0: the problem is the whole file's."
    record: Record | None
    problems: tuple[Problem, ...] = ()
    is_foreign: bool = False
    "Whether it is a record of another program."


def open_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file, one at a time. A line longer than MAX_LINE_BYTES is cut: only so much is given that its
    length shows."""
    with path.open("rb") as file:
        while line := file.readline(MAX_LINE_BYTES + 1):
            yield line
            while len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
                line = file.readline(MAX_LINE_BYTES + 1)


def read_file(path: Path, *, customization: Customization) -> Iterator[Line]:
    """Every line of a file that is not blank. A file that is no JSON Lines gives one `Line` that names its form."""
    form = form_of(path)
    if form is not None:
        problem = Problem(name=path.name, line=None, field="", what=form.what, mend=form.mend)
        yield Line(number=0, record=None, problems=(problem,))
        return
    yield from read_lines(open_lines(path), name=path.name, customization=customization)


def read_lines(lines: Iterable[bytes], *, name: str, customization: Customization) -> Iterator[Line]:
    """Every line that is not blank. All records of a file have the form of its first.

    A file without any record ends with a `Line` that says so. Reading stops where the file turns out to be no JSONL.
    """
    form: type[Record] | None = None
    seen = False
    for number, content in enumerate(lines, start=1):
        text = content.removeprefix(b"\xef\xbb\xbf") if number == 1 else content
        if not text.strip():
            continue
        line = _read_line(text, name=name, number=number, customization=customization)
        if line.record is not None:
            form = form or type(line.record)
            if type(line.record) is not form:
                line = _other_form(line.number, name)
        if not seen and (line.is_foreign or (line.record is None and text.lstrip().startswith(b"["))):
            yield replace(line, number=0)
            return  # every further line would only say the same
        yield line
        seen = True
    if not seen:
        yield Line(number=1, record=None, problems=(_no_records(name),))


def read_records(lines: Iterable[bytes], *, name: str, customization: Customization) -> Iterator[Record]:
    """Records in order; blank lines are skipped. Raises RecordError at the first line that is none."""
    for line in read_lines(lines, name=name, customization=customization):
        if line.record is None:
            raise RecordError(line.problems)
        yield line.record


def check(lines: Iterable[bytes], *, name: str, customization: Customization) -> list[Problem]:
    """Everything that is wrong with a file, in the order of its lines."""
    read = read_lines(lines, name=name, customization=customization)
    return [problem for line in read for problem in line.problems]


def _read_line(content: bytes, *, name: str, number: int, customization: Customization) -> Line:
    def problem(field: str, what: str, mend: str) -> Problem:
        return Problem(name=name, line=number, field=field, what=what, mend=mend)

    if len(content) > MAX_LINE_BYTES:
        too_long = problem("", f"longer than {MAX_LINE_BYTES:,} bytes", "Write each record on a line of its own.")
        return Line(number=number, record=None, problems=(too_long,))
    try:
        value: Any = json_lines.parse(content)
        return Line(number=number, record=shapes.parse(value, line=number, customization=customization))
    except json_lines.JsonError as error:
        return Line(number=number, record=None, problems=(problem(error.field, error.what, error.mend),))
    except shapes.ShapeError as error:
        found = tuple(problem(*flaw) for flaw in error.flaws)
        return Line(number=number, record=None, problems=found, is_foreign=isinstance(error, shapes.ForeignForm))


def _other_form(number: int, name: str) -> Line:
    flaw = Problem(
        name=name, line=number, field="", what="of another form than the file's first record",
        mend="Keep prompt/completion records and conversations in files of their own.",
    )  # fmt: skip
    return Line(number=number, record=None, problems=(flaw,))


def _no_records(name: str) -> Problem:
    return Problem(name=name, line=None, field="", what="no records", mend="Write one JSON object on each line.")
