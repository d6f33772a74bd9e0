"""Every record and token of a dataset accounted for, before anything is computed.

Files are read line by line and encoded just as training will encode them, so what the report says of tokens is what
the network will see. A file of any size fits: what is kept of a record is its length, a digest, and a signature that
has a bound. All else that is to be known of records is asked by the observers (`observing/`).
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from outcrop.datasets import excerpts, left_out
from outcrop.datasets.encoded_file import EncodedFile
from outcrop.datasets.encoding import EncodedRecord, encode_lines
from outcrop.datasets.observing.file_observers import FileObservers
from outcrop.datasets.observing.languages import Languages
from outcrop.datasets.observing.lengths import RecordLengths
from outcrop.datasets.problems import Problem, kind_of
from outcrop.datasets.reading import read_file
from outcrop.datasets.record_file import TRAINING, KnownRecord, RecordFile
from outcrop.datasets.records import Conversation, Customization, Record, TextRecord, digest
from outcrop.datasets.report.value import FileReport, LeftOut, ProblemKind, Report, SplitRecord
from outcrop.tokens.prompt_format import PromptFormat
from outcrop.tokens.tokenizer import Tokenizer

_MOST_PROBLEMS, _MOST_OF_A_KIND, _MOST_KINDS = 1000, 100, 500
"Remembered of one file; all are counted."
_MOST_LINES = 1000
"Of one file that are named for one reason; all are counted."


def examine(
    files: Sequence[Path],
    *,
    tokenizer: Tokenizer,
    context_length: int,
    customization: Customization,
    prompt_format: PromptFormat = PromptFormat.TEXT,
    encoded: Sequence[Path] = (),
    known: RecordFile | None = None,
) -> Report:
    """Read the training file, which comes first, and its validators, with prompts in the format they are learned in.

    What a record is encoded to is kept in the files of `encoded`, one for each of `files`, for the training to read.
    `known` is told the digest and the origin of each good record.
    """
    base = _Base(tokenizer, context_length, prompt_format)
    languages = Languages()
    train = _Reading(files[0].name, base, FileObservers(tokenizer, languages), known=known)
    readings = [train]
    for part, path in enumerate(files[1:], start=TRAINING + 1):
        observers = FileObservers(tokenizer, languages, train.observers)
        readings.append(_Reading(path.name, base, observers, train=train, known=known, part=part))
    for index, (path, reading) in enumerate(zip(files, readings, strict=True)):
        with EncodedFile(encoded[index], context_length=context_length) if encoded else nullcontext() as kept:
            reading.read(path, customization, kept)
    reports = tuple(reading.report(path) for path, reading in zip(files, readings, strict=True))
    return Report(context_length=context_length, customization=customization, files=reports, base=tokenizer.name)


class _Base(NamedTuple):
    """The tokenizer, context length and prompt format of the base model for which the records are examined."""

    tokenizer: Tokenizer
    context_length: int
    prompt_format: PromptFormat


@dataclass
class _Reading:
    """The state of reading one file: its counts, lengths and problems so far."""

    name: str
    base: _Base
    observers: FileObservers
    train: "_Reading | None" = None
    known: RecordFile | None = None
    part: int = TRAINING
    "Which dataset of the job the file is."
    form: type[Record] | None = None
    lengths: RecordLengths = field(default_factory=RecordLengths)
    num_tokens: int = 0
    num_supervised: int = 0
    num_supervised_bytes: int = 0
    num_refused: int = 0
    problems: list[Problem] = field(default_factory=list)
    kinds: dict[str, ProblemKind] = field(default_factory=dict)
    split: "_SplitRecords" = field(default_factory=lambda: _SplitRecords())
    by_answer: "_SplitRecords" = field(default_factory=lambda: _SplitRecords())
    left_out: dict[str, list[int]] = field(default_factory=dict)

    def read(self, path: Path, customization: Customization, kept: EncodedFile | None) -> None:
        tokenizer, context_length, prompt_format = self.base
        lines = read_file(path, customization=customization)
        for line, encoded in encode_lines(
            lines, tokenizer, context_length=context_length, name=self.name, prompt_format=prompt_format
        ):
            if line.number == 0:
                self._tell(line.problems)
            elif line.record is None or encoded is None:
                self._refuse(line.problems)
            else:
                self.form = type(line.record)
                if isinstance(encoded, Problem):
                    self._refuse((encoded,))
                else:
                    self._add(line.record, encoded, kept)
        if self.train and self.train.form and self.form and self.form is not self.train.form:
            what = f"its records have another form than those of {self.train.name}"
            self._refuse((Problem(name=self.name, line=None, field="", what=what, mend="Give both files one form."),))
        self.observers.close()

    def _add(self, record: Record, encoded: list[EncodedRecord], kept: EncodedFile | None) -> None:
        lengths = [len(sequence.ids) for sequence in encoded]
        if isinstance(record, TextRecord):
            # Sequences of a split text share a token at each joint, which is counted once.
            num_tokens = sum(lengths) - (len(lengths) - 1)
            self.lengths.add(record.line, num_tokens, lengths)
            self.split.add(record.line, len(lengths))
        else:
            num_tokens = sum(lengths)
            self.lengths.add(record.line, max(lengths), lengths)
            self.by_answer.add(record.line, len(lengths))
        self.num_tokens += num_tokens
        self.num_supervised += sum(sequence.num_supervised for sequence in encoded)
        for sequence in encoded:
            num_bytes = sequence.num_bytes(self.base.tokenizer)
            self.num_supervised_bytes += num_bytes
            if kept is not None:
                kept.add(sequence, num_bytes)
        if isinstance(record, Conversation):
            for what in left_out.of_record(record, self.base.tokenizer):
                self.left_out.setdefault(what, []).append(record.line)
        said = digest(record)
        self.observers.add(record, encoded, said)
        if self.known is not None:
            self.known.add(KnownRecord(said, record.line, part=self.part))

    def _refuse(self, problems: Sequence[Problem]) -> None:
        self.num_refused += 1
        self._tell(problems)

    def _tell(self, problems: Sequence[Problem]) -> None:
        for problem in problems:
            kind = kind_of(problem)
            if kind not in self.kinds and len(self.kinds) >= _MOST_KINDS:
                kind = next(reversed(self.kinds))
            before = self.kinds.get(kind)
            self.kinds[kind] = ProblemKind(problem, 1) if before is None else before._replace(num=before.num + 1)
            if self.kinds[kind].num <= _MOST_OF_A_KIND and len(self.problems) < _MOST_PROBLEMS:
                self.problems.append(problem)

    def report(self, path: Path) -> FileReport:
        observed = self.observers.found()
        made = FileReport(
            name=self.name,
            num_records=len(self.lengths.tokens),
            num_refused=self.num_refused,
            problems=tuple(self.problems),
            kinds=tuple(self.kinds.values()),
            num_tokens=self.num_tokens,
            num_supervised=self.num_supervised,
            num_supervised_bytes=self.num_supervised_bytes,
            median_tokens=self.lengths.median,
            longest=self.lengths.longest,
            histogram=self.lengths.histogram(),
            sequences=self.lengths.sequences,
            num_truncated=0,
            num_split=self.split.num,
            split=tuple(self.split.first),
            num_by_answer=self.by_answer.num,
            by_answer=tuple(self.by_answer.first),
            left_out=tuple(LeftOut(what, tuple(lines)) for what, lines in self.left_out.items()),
            excerpts={},
            **observed._asdict(),
        )
        return replace(made, excerpts=excerpts.of_lines(path, excerpts.lines_named(made)))


@dataclass
class _SplitRecords:
    """Records that became several sequences: how many, and the first of them."""

    num: int = 0
    first: list[SplitRecord] = field(default_factory=list)

    def add(self, line: int, sequences: int) -> None:
        if sequences > 1:
            self.num += 1
            if len(self.first) < _MOST_LINES:
                self.first.append(SplitRecord(line, sequences))
