"""Every record and token of a dataset accounted for, before anything is computed.

Files are read line by line and encoded just as training will encode them, so what the report says of tokens is what
the network will see. A file of any size fits: what is kept of a record is its length, a digest, and a signature that
has a bound. All else that is to be known of records is asked by the observers (`observing/`).
"""

from collections import Counter
from collections.abc import Sequence, Set
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from outcrop.datasets import dataset as dataset_of
from outcrop.datasets import excerpts, left_out
from outcrop.datasets.conversion import Conversion
from outcrop.datasets.dataset import DataFile, Dataset, in_file
from outcrop.datasets.encoded_file import EncodedFile
from outcrop.datasets.encoding import EncodedRecord, encode_lines
from outcrop.datasets.observing.aside import ObservedFile, observing
from outcrop.datasets.observing.lengths import RecordLengths
from outcrop.datasets.problems import Counted, Problem, kind_of
from outcrop.datasets.reading import Line, read_file
from outcrop.datasets.record_file import TRAINING, KnownRecord, RecordFile
from outcrop.datasets.records import Conversation, Customization, Record, TextRecord, digest
from outcrop.datasets.report.value import (
    ConvertedRecords,
    FileReport,
    LeftOut,
    ProblemKind,
    Report,
    SplitRecord,
)
from outcrop.machine import collecting
from outcrop.tokens.prompt_format import PromptFormat
from outcrop.tokens.tokenizer import Tokenizer

_MOST_PROBLEMS, _MOST_OF_A_KIND, _MOST_KINDS = 1000, 100, 500
"Remembered of one file; all are counted."
_MOST_KEYS = 20
_MOST_LINES = 1000
"Of one file that are named for one reason; all are counted."


def examine(
    datasets: Sequence[Path | Dataset],
    *,
    tokenizer: Tokenizer,
    context_length: int,
    customization: Customization,
    prompt_format: PromptFormat = PromptFormat.TEXT,
    encoded: Sequence[Path] = (),
    strict: bool = False,
    known: RecordFile | None = None,
) -> Report:
    """Read the training data, which comes first, and its validators, with prompts in the format they are learned in.

    What a record is encoded to is kept in the files of `encoded`, one for each of `datasets`, for the training to read.
    `known` is told the digest and the origin of each good record. `strict` takes Bedrock's forms alone. Raises Invalid
    for a folder without data.
    """
    base = _Base(tokenizer, context_length, prompt_format)
    read = [given if isinstance(given, Dataset) else dataset_of.of_path(given) for given in datasets]
    readings: list[_Reading] = []
    with collecting.seldom(), observing(tokenizer, num_bytes=sum(map(dataset_of.num_bytes, read))) as observers:
        for part, dataset in enumerate(read):
            with EncodedFile(encoded[part], context_length=context_length) if encoded else nullcontext() as kept:
                for index, file in enumerate(dataset.files):
                    # A record is looked for among those of the training data, and of the files before it in its own.
                    before = [number for number, each in enumerate(readings) if each.part in (TRAINING, part)]
                    observed = observers.of_file(file.name, before)
                    first = readings[0] if readings else None
                    reading = _Reading(file, base, observed, part=part, index=index, first=first, known=known)
                    reading.read(customization, kept, strict=strict)
                    readings.append(reading)
        reports = tuple(reading.report() for reading in readings)
    return Report(context_length=context_length, customization=customization, files=reports, base=tokenizer.name)


class _Base(NamedTuple):
    """The tokenizer, context length and prompt format of the base model for which the records are examined."""

    tokenizer: Tokenizer
    context_length: int
    prompt_format: PromptFormat


@dataclass
class _Reading:
    """The state of reading one file: its counts, lengths and problems so far."""

    file: DataFile
    base: _Base
    observers: ObservedFile
    part: int
    "The dataset of the job: TRAINING, or a validator's number from 1."
    index: int
    "Of the file in it."
    first: "_Reading | None" = None
    "The first file of the training data, whose form is everyone's."
    known: RecordFile | None = None
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
    counted: Counted = "line"
    converted: "_Conversions" = field(default_factory=lambda: _Conversions())

    @property
    def name(self) -> str:
        return self.file.name

    def read(self, customization: Customization, kept: EncodedFile | None, *, strict: bool) -> None:
        tokenizer, context_length, prompt_format = self.base
        read = read_file(self.file.path, customization=customization, strict=strict, name=self.name)
        for line, encoded in encode_lines(
            (in_file(line, self.index) for line in read),
            tokenizer,
            context_length=context_length,
            name=self.name,
            prompt_format=prompt_format,
        ):
            self.counted = line.counted
            if line.number == 0:
                self._tell(line.problems)
            elif line.record is None or encoded is None:
                self._refuse(line.problems)
            else:
                self.form = type(line.record)
                if isinstance(encoded, Problem):
                    self._refuse((replace(encoded, counted=self.counted),))
                else:
                    self._add(line, line.record, encoded, kept)
        if self.first and self.first.form and self.form and self.form is not self.first.form:
            what = f"its records have another form than those of {self.first.name}"
            self._refuse((Problem(name=self.name, line=None, field="", what=what, mend="Give both files one form."),))
        self.observers.close()

    def _add(self, line: Line, record: Record, encoded: list[EncodedRecord], kept: EncodedFile | None) -> None:
        for conversion in line.conversions:
            self.converted.add(conversion, line.left_out)
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
            self.known.add(KnownRecord(said, record.line, record.file, part=self.part))

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
            part=self.part,
            counted=self.counted,
            converted=self.converted.told(),
            **observed._asdict(),
        )
        return replace(made, excerpts=excerpts.of_file(self.file.path, excerpts.lines_named(made)))


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


class _Conversions:
    """The rules by which records of a file were converted, counted."""

    def __init__(self) -> None:
        self._num: Counter[Conversion] = Counter()
        self._left_out: dict[str, None] = {}

    def add(self, conversion: Conversion, left_out: Set[str]) -> None:
        self._num[conversion] += 1
        if len(self._left_out) < _MOST_KEYS:
            self._left_out |= dict.fromkeys(sorted(left_out))

    def told(self) -> tuple[ConvertedRecords, ...]:
        """The rules in the order of their first use; what is left out is told with the last."""
        rules = [ConvertedRecords(form, rule, num, ()) for (form, rule), num in self._num.items()]
        if rules:
            rules[-1] = rules[-1]._replace(left_out=tuple(self._left_out))
        return tuple(rules)
