"""Records read from files of every form that is read.

A file becomes a stream of raw records with their places, and each of these a `Line` that holds a record or what is
wrong with it. So a file of any size is read once, and everything in it is accounted for.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from outcrop.datasets import conversion, foreign, json_lines, preference, shapes
from outcrop.datasets.containers.trouble import ContainerError
from outcrop.datasets.conversion import Conversion, Converted
from outcrop.datasets.flaws import Flaw, ForeignForm, ShapeError
from outcrop.datasets.forms import form_of
from outcrop.datasets.problems import Counted, Problem, RecordError
from outcrop.datasets.raw_records import MAX_LINE_BYTES, RawFile, RawRecord, open_raw
from outcrop.datasets.records import Customization, Record


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line, row or element that is not blank: a record, or the problems that keep it from being one."""

    number: int
    "0: the problem is the whole file's."
    record: Record | None
    problems: tuple[Problem, ...] = ()
    is_foreign: bool = False
    "Whether it is a record of another program."
    conversions: tuple[Conversion, ...] = ()
    "The rules by which it became a record."
    left_out: frozenset[str] = frozenset()
    "Keys or columns that these rules do not use."
    counted: Counted = "line"
    "What `number` counts."
    name: str = ""
    "The file's."


@dataclass(frozen=True, kw_only=True)
class _Words:
    """The names of a file and of what is counted in it, for problems."""

    name: str
    counted: Counted = "line"

    def problem(self, number: int | None, flaw: Flaw) -> Problem:
        mend = (
            flaw.mend if self.counted == "line" else flaw.mend.replace("remove the line", f"remove the {self.counted}")
        )
        return Problem(name=self.name, line=number, field=flaw.field, what=flaw.what, mend=mend, counted=self.counted)

    def whole(self, what: str, mend: str, number: int | None = None) -> Line:
        told = self.problem(number, Flaw("", what, mend))
        return Line(number=0, record=None, problems=(told,), counted=self.counted, name=self.name)


def read_file(
    path: Path, *, customization: Customization, strict: bool = False, name: str | None = None
) -> Iterator[Line]:
    """Every record of a file. One in a form that is not read gives a single `Line` that names the form.

    `strict` takes Bedrock's own forms alone, and nothing that had to be converted. `name` is the file's for messages.
    """
    words = _Words(name=name or path.name)
    try:
        form = form_of(path)
        refused = form.other_than_json_lines(path) if strict else form.refused
        if refused is not None:
            yield words.whole(refused.what, refused.mend)
            return
        with open_raw(path, form) as raw:
            yield from _read_raw(raw, words.name, customization=customization, strict=strict)
    except ContainerError as error:
        yield words.whole(error.what, error.mend)


def _read_raw(raw: RawFile, name: str, *, customization: Customization, strict: bool) -> Iterator[Line]:
    words = _Words(name=name, counted=raw.counted)
    reader = _Reader(words, customization, strict=strict)
    try:
        for line in reader.lines(raw.records):
            if line.record is not None and raw.conversion is not None:
                line = replace(
                    line,
                    conversions=(raw.conversion, *line.conversions),
                    left_out=line.left_out | raw.left_out,
                )
            yield line
    except ContainerError as error:
        yield words.whole(error.what, error.mend, error.number)


def read_lines(
    lines: Iterable[bytes], *, name: str, customization: Customization, strict: bool = False
) -> Iterator[Line]:
    """Every line that is not blank. All records of a file have the form of its first.

    A file without any record ends with a `Line` that says so. Reading stops where the file turns out to be no JSONL.
    """
    raw = (RawRecord(number=number, content=content) for number, content in enumerate(lines, start=1))
    return _Reader(_Words(name=name), customization, strict=strict).lines(raw)


def read_records(lines: Iterable[bytes], *, name: str, customization: Customization) -> Iterator[Record]:
    """Records in order; blank lines are skipped. Raises RecordError at the first line that is none."""
    for line in read_lines(lines, name=name, customization=customization):
        if line.record is None:
            raise RecordError(line.problems)
        yield line.record


def check(lines: Iterable[bytes], *, name: str, customization: Customization, strict: bool = False) -> list[Problem]:
    """Everything that is wrong with a file, in the order of its lines."""
    read = read_lines(lines, name=name, customization=customization, strict=strict)
    return [problem for line in read for problem in line.problems]


class _Reader:
    """The reading of one file: raw records to lines, all of one form."""

    def __init__(self, words: _Words, customization: Customization, *, strict: bool) -> None:
        self._words = words
        self._customization = customization
        self._strict = strict
        self._form: type[Record] | None = None
        self._seen = False
        self._num_preferences = 0

    def lines(self, records: Iterable[RawRecord]) -> Iterator[Line]:
        for raw in records:
            line = self._line(raw)
            if line is None:
                continue
            if not self._seen and (line.is_foreign or (self._words.counted == "line" and _is_array(raw))):
                yield replace(line, number=0)
                return  # every further line would only say the same
            self._seen = True
            yield line
        if self._num_preferences:
            what = f"{self._num_preferences:,} pairs for learning preferences (chosen, rejected), from which no method"
            yield self._words.whole(f"{what} here learns yet", foreign.CHOSEN_ALONE)
        elif not self._seen:
            yield replace(self._words.whole("no records", _mend_of_none(self._words.counted)), number=1)

    def _line(self, raw: RawRecord) -> Line | None:
        """None for what is blank, and for a good pair for learning preferences, which is counted."""
        content = raw.content
        if content is not None:
            content = content.removeprefix(b"\xef\xbb\xbf") if raw.number == 1 else content
            if not content.strip():
                return None
        try:
            if raw.flaw is not None:
                return self._bad(raw.number, [raw.flaw])
            line = self._record(raw.number, raw.value if content is None else self._parsed(content))
        except json_lines.JsonError as error:
            return self._bad(raw.number, [Flaw(error.field, error.what, error.mend)])
        except ShapeError as error:
            return self._bad(raw.number, error.flaws, is_foreign=isinstance(error, ForeignForm))
        return line if line is None else self._of_one_form(line)

    def _parsed(self, content: bytes) -> Any:
        if len(content) > MAX_LINE_BYTES:
            mend = "Write each record on a line of its own."
            if self._words.counted != "line":
                mend = "Part it into several records."
            raise ShapeError([Flaw("", f"longer than {MAX_LINE_BYTES:,} bytes", mend)])
        return json_lines.parse(content, json_lines.LINE if self._words.counted == "line" else json_lines.ELEMENT)

    def _record(self, number: int, value: Any) -> Line | None:
        if not self._strict and self._customization == "FINE_TUNING" and preference.is_preference(value):
            preference.parse(value, line=number)
            self._num_preferences += 1
            return None
        converted = self._converted(value)
        if converted is None:
            record = shapes.parse(value, line=number, customization=self._customization)
            return Line(number=number, record=record, counted=self._words.counted, name=self._words.name)
        try:
            record = shapes.parse(converted.value, line=number, customization=self._customization)
        except ShapeError as error:
            raise ShapeError([flaw._replace(field=converted.field_of(flaw.field)) for flaw in error.flaws]) from error
        return Line(
            number=number,
            record=record,
            conversions=(converted.conversion,),
            left_out=converted.left_out,
            counted=self._words.counted,
            name=self._words.name,
        )

    def _converted(self, value: Any) -> Converted | None:
        if not isinstance(value, dict):
            return None
        if not self._strict:
            return conversion.convert(value, self._customization)
        named = foreign.with_tools(value) if self._customization == "FINE_TUNING" else None
        if named is not None:
            raise ForeignForm([Flaw("", *named)])
        return None

    def _of_one_form(self, line: Line) -> Line:
        if self._form is None and line.record is not None:
            self._form = type(line.record)
        if type(line.record) is self._form:
            return line
        what = "of another form than the file's first record"
        mend = "Keep prompt/completion records and conversations in files of their own."
        return self._bad(line.number, [Flaw("", what, mend)])

    def _bad(self, number: int, flaws: Iterable[Flaw], *, is_foreign: bool = False) -> Line:
        problems = tuple(self._words.problem(number, flaw) for flaw in flaws)
        return Line(
            number=number,
            record=None,
            problems=problems,
            is_foreign=is_foreign,
            counted=self._words.counted,
            name=self._words.name,
        )


def _is_array(raw: RawRecord) -> bool:
    return raw.content is not None and raw.content.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")


def _mend_of_none(counted: Counted) -> str:
    return "Write one JSON object on each line." if counted == "line" else "Give the file some."
