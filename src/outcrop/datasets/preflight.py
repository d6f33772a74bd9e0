"""Every record and token of a dataset accounted for, before anything is computed.

Files are read line by line and encoded just as training will encode them, so what the report says of tokens is what
the network will see. A file of any size fits: of each record only its length and a digest are remembered.
"""

from array import array
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from outcrop.datasets import left_out, report_text
from outcrop.datasets.encoded_file import EncodedFile
from outcrop.datasets.encoding import EncodedRecord, encode_lines
from outcrop.datasets.problems import Problem, kind_of
from outcrop.datasets.reading import read_file
from outcrop.datasets.record_file import TRAINING, KnownRecord, RecordFile
from outcrop.datasets.records import Conversation, Customization, Record, TextRecord, digest
from outcrop.datasets.repeated import Digests
from outcrop.tokens.prompt_format import PromptFormat
from outcrop.tokens.tokenizer import Tokenizer

_MOST_PROBLEMS, _MOST_OF_A_KIND, _MOST_KINDS = 1000, 100, 500
"Remembered of one file; all are counted."


class Longest(NamedTuple):
    """The record with the most tokens."""

    line: int
    tokens: int


class SplitRecord(NamedTuple):
    """A record that is learned as several sequences."""

    line: int
    sequences: int


class LeftOut(NamedTuple):
    """Words that the base model's chat template does not write, so that the network never sees them."""

    what: str
    lines: tuple[int, ...]


class ProblemKind(NamedTuple):
    """Problems that say the same of several lines."""

    first: Problem
    num: int


class Overlap(NamedTuple):
    """A record of this file that also stands in the training file."""

    line: int
    train_line: int


@dataclass(frozen=True, kw_only=True)
class FileReport:
    """The report on one file of a dataset."""

    name: str
    num_records: int
    "Lines that will be learned, or evaluated on."
    num_refused: int
    problems: tuple[Problem, ...]
    "At most a thousand; `kinds` counts them all."
    kinds: tuple[ProblemKind, ...]
    "In the order in which they first appear."
    num_tokens: int
    num_supervised: int
    "Tokens that are learned: completions with their end, what the assistant says, or whole texts."
    num_supervised_bytes: int
    median_tokens: int
    longest: Longest | None
    num_truncated: int
    "Always 0: nothing is ever cut off."
    split: tuple[SplitRecord, ...]
    "Texts longer than the context, learned as consecutive sequences."
    by_answer: tuple[SplitRecord, ...]
    "Conversations whose earlier answers the chat template writes otherwise: each is learned behind its own prompt."
    left_out: tuple[LeftOut, ...]
    duplicates: tuple[tuple[int, ...], ...]
    "Lines that say exactly the same, group by group."
    overlap: tuple[Overlap, ...]


@dataclass(frozen=True, kw_only=True)
class Report:
    """The training file and its validators."""

    context_length: int
    customization: Customization
    files: tuple[FileReport, ...]

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The problems that must be mended before training, file by file."""
        return tuple(problem for file in self.files for problem in file.problems)

    @property
    def num_problems(self) -> int:
        """All of them, those that are only counted too."""
        return sum(kind.num for file in self.files for kind in file.kinds)

    def to_json(self) -> dict[str, Any]:
        """Numbers and sentences; the problems are told as they are printed, with their line and field."""
        files = []
        for file in self.files:
            told = asdict(file)
            told["problems"] = [asdict(problem) | {"sentence": str(problem)} for problem in file.problems]
            told["kinds"] = [{"first": str(kind.first), "count": kind.num} for kind in file.kinds]
            told["longest"] = None if file.longest is None else file.longest._asdict()
            told["split"] = [split._asdict() for split in file.split]
            told["by_answer"] = [split._asdict() for split in file.by_answer]
            told["left_out"] = [left._asdict() for left in file.left_out]
            told["overlap"] = [overlap._asdict() for overlap in file.overlap]
            files.append(told)
        head = {"context_length": self.context_length, "customization": self.customization, "ready": not self.problems}
        return {**head, "files": files}

    def to_text(self) -> str:
        return report_text.of_report(self)


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
    train = _Reading(files[0].name, base, known=known)
    others = enumerate(files[1:], start=TRAINING + 1)
    readings = [train, *(_Reading(path.name, base, train=train, known=known, part=part) for part, path in others)]
    for index, (path, reading) in enumerate(zip(files, readings, strict=True)):
        with EncodedFile(encoded[index], context_length=context_length) if encoded else nullcontext() as kept:
            reading.read(path, customization, kept)
    reports = tuple(reading.report() for reading in readings)
    return Report(context_length=context_length, customization=customization, files=reports)


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
    train: "_Reading | None" = None
    known: RecordFile | None = None
    part: int = TRAINING
    "Which dataset of the job the file is."
    form: type[Record] | None = None
    lengths: "array[int]" = field(default_factory=lambda: array("q"))
    lines: "array[int]" = field(default_factory=lambda: array("q"))
    num_tokens: int = 0
    num_supervised: int = 0
    num_supervised_bytes: int = 0
    num_refused: int = 0
    problems: list[Problem] = field(default_factory=list)
    kinds: dict[str, ProblemKind] = field(default_factory=dict)
    split: list[SplitRecord] = field(default_factory=list)
    by_answer: list[SplitRecord] = field(default_factory=list)
    left_out: dict[str, list[int]] = field(default_factory=dict)
    digests: Digests = field(default_factory=Digests)

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

    def _add(self, record: Record, encoded: list[EncodedRecord], kept: EncodedFile | None) -> None:
        self.lines.append(record.line)
        lengths = [len(sequence.ids) for sequence in encoded]
        if isinstance(record, TextRecord):
            # Sequences of a split text share a token at each joint, which is counted once.
            num_tokens = sum(lengths) - (len(lengths) - 1)
            self.lengths.append(num_tokens)
            self._several(self.split, record, len(lengths))
        else:
            num_tokens = sum(lengths)
            self.lengths.append(max(lengths))
            self._several(self.by_answer, record, len(lengths))
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
        self.digests.add(said, record.line)
        if self.known is not None:
            self.known.add(KnownRecord(said, record.line, part=self.part))

    def _several(self, among: list[SplitRecord], record: Record, sequences: int) -> None:
        if sequences > 1:
            among.append(SplitRecord(record.line, sequences))

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

    def report(self) -> FileReport:
        longest = int(np.argmax(self.lengths)) if self.lengths else None
        return FileReport(
            name=self.name,
            num_records=len(self.lengths),
            num_refused=self.num_refused,
            problems=tuple(self.problems),
            kinds=tuple(self.kinds.values()),
            num_tokens=self.num_tokens,
            num_supervised=self.num_supervised,
            num_supervised_bytes=self.num_supervised_bytes,
            median_tokens=round(float(np.median(self.lengths))) if self.lengths else 0,
            longest=None if longest is None else Longest(self.lines[longest], self.lengths[longest]),
            num_truncated=0,
            split=tuple(self.split),
            by_answer=tuple(self.by_answer),
            left_out=tuple(LeftOut(what, tuple(lines)) for what, lines in self.left_out.items()),
            duplicates=self.digests.repeated(),
            overlap=self._overlap(),
        )

    def _overlap(self) -> tuple[Overlap, ...]:
        if self.train is None:
            return ()
        return tuple(Overlap(*lines) for lines in self.digests.shared_with(self.train.digests))
