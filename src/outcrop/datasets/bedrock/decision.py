"""Bedrock's decision on a dataset: whether AWS would take it, by the limits and rules that AWS publishes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from outcrop.datasets import json_lines
from outcrop.datasets.bedrock import record_rules
from outcrop.datasets.bedrock.limits import EXAMPLES, LIMITS, BedrockForm, BedrockLimits, limits_of, prefix_of
from outcrop.datasets.containers.trouble import ContainerError
from outcrop.datasets.flaws import Flaw
from outcrop.datasets.forms import form_of
from outcrop.datasets.problems import Problem
from outcrop.datasets.raw_records import MAX_LINE_BYTES, open_lines
from outcrop.errors import Invalid

_MOST_PROBLEMS, _SHOWN = 1000, 20
"Remembered of one file; all are counted."


@dataclass(frozen=True, kw_only=True)
class BedrockFile:
    """The decision on one file."""

    name: str
    num_records: int
    num_refused: int
    num_tokens: int
    "Estimated from characters, of the longest record."
    longest: int
    "Its line."
    problems: tuple[Problem, ...]


@dataclass(frozen=True, kw_only=True)
class BedrockDecision:
    """The decision on training data and validation data together."""

    model: str
    is_named: bool
    "Whether the model was named, or chosen by the form of the records."
    customization: str
    limits: BedrockLimits
    files: tuple[BedrockFile, ...]
    problems: tuple[Problem, ...]
    "In the order of the files, and those of the whole last; at most a thousand of a file."
    num_problems: int

    @property
    def takes(self) -> bool:
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """The decision as numbers and sentences."""
        return {
            "model": self.model,
            "customization": self.customization,
            "taken": self.takes,
            "files": [
                {
                    "name": file.name,
                    "records": file.num_records,
                    "refused": file.num_refused,
                    "estimatedTokensOfTheLongest": file.num_tokens,
                }
                for file in self.files
            ],
            "problems": [str(problem) for problem in self.problems],
            "numProblems": self.num_problems,
        }

    def to_text(self) -> str:
        """The decision for people: what was counted, and in Bedrock's words what is refused."""
        of = f"{self.model} ({self.customization})"
        chosen = "" if self.is_named else "; --base names no model of Bedrock's, so this one was chosen by the form"
        lines = [f"By AWS's published limits for {of}{chosen}:"]
        for file in self.files:
            longest = f"; the longest in line {file.longest:,}, of about {file.num_tokens:,} tokens"
            refused = f", {file.num_refused:,} refused" if file.num_refused else ""
            lines.append(f"  {file.name}: {file.num_records:,} records{refused}{longest if file.longest else ''}")
        if self.takes:
            return "\n".join([*lines, "Bedrock would take it."]) + "\n"
        shown = [str(problem) for problem in self.problems[:_SHOWN]]
        more = self.num_problems - len(shown)
        told = [*lines, "Bedrock would refuse it:", *shown, *([f"… and {more:,} more."] if more else [])]
        return "\n".join(told) + "\n"


def decide(
    train: Sequence[Path], validation: Sequence[Path], *, base: str, customization: str, batch_size: int = 1
) -> BedrockDecision:
    """The decision on files that were given for one job. Raises Invalid for a type that no table has."""
    if customization not in LIMITS:
        raise Invalid(f"--as-bedrock: no limits are known for {customization}. Choose one of {', '.join(LIMITS)}.")
    named = prefix_of(base, customization)
    model = named or _by_form(train[0], customization)
    limits = limits_of(model, customization, batch_size=batch_size)
    readings = [_FileReading(path, limits, is_training=True) for path in train]
    readings += [_FileReading(path, limits, is_training=False) for path in validation]
    problems = [problem for reading in readings for problem in reading.read()]
    problems += _of_all(readings, limits)
    num_untold = sum(reading.num_problems - len(reading.problems) for reading in readings)
    return BedrockDecision(
        model=model,
        is_named=named is not None,
        customization=customization,
        limits=limits,
        files=tuple(reading.told() for reading in readings),
        problems=tuple(problems),
        num_problems=len(problems) + num_untold,
    )


def _by_form(path: Path, customization: str) -> str:
    """The model whose limits are taken where none is named."""
    try:
        first = next((line for line in open_lines(path) if line.strip()), b"")
        form = record_rules.form_of(json_lines.parse(first.removeprefix(b"\xef\xbb\xbf")))
    except (json_lines.JsonError, ContainerError):
        form = BedrockForm.PAIR
    known = LIMITS[customization]
    return EXAMPLES[form] if EXAMPLES[form] in known else next(iter(known))


@dataclass
class _FileReading:
    """The state of reading one file by Bedrock's rules."""

    path: Path
    limits: BedrockLimits
    is_training: bool
    num_records: int = 0
    num_refused: int = 0
    num_tokens: int = 0
    longest: int = 0
    num_problems: int = 0
    problems: list[Problem] = field(default_factory=list)

    def read(self) -> list[Problem]:
        self._whole()
        if not self.problems:
            for number, content in enumerate(open_lines(self.path), start=1):
                self._line(number, content)
            self._count()
        return self.problems

    def told(self) -> BedrockFile:
        return BedrockFile(
            name=self.path.name,
            num_records=self.num_records,
            num_refused=self.num_refused,
            num_tokens=self.num_tokens,
            longest=self.longest,
            problems=tuple(self.problems),
        )

    def _whole(self) -> None:
        most = self.limits.most_train_bytes if self.is_training else self.limits.most_validation_bytes
        size = self.path.stat().st_size
        if most is not None and size > most:
            self._say(None, Flaw("", f"Input size exceeded, {size:,} bytes of at most {most:,}", "Give fewer records."))
        if self.path.suffix != ".jsonl":
            self._say(None, Flaw("", "File is not jsonl", "Name it .jsonl, with one JSON object on each line."))
        try:
            form = form_of(self.path).other_than_json_lines(self.path)
        except ContainerError as error:
            self._say(None, Flaw("", _unparsed(self.path.name, error.what), error.mend))
        else:
            if form is not None:
                self._say(None, Flaw("", _unparsed(self.path.name, form.what), form.mend))

    def _line(self, number: int, content: bytes) -> None:
        self.num_records += 1
        flaws = list(self._flaws(content.removeprefix(b"\xef\xbb\xbf") if number == 1 else content, number))
        self.num_refused += bool(flaws)
        for flaw in flaws:
            self._say(number, flaw)

    def _flaws(self, content: bytes, number: int) -> Iterator[Flaw]:
        if not content.strip():
            yield Flaw("", _unparsed(self.path.name, "an empty line"), "Remove the line.")
            return
        if len(content) > MAX_LINE_BYTES:
            yield Flaw("", f"Input size exceeded in file {self.path.name}", "Write each record on a line of its own.")
            return
        try:
            value = json_lines.parse(content)
        except json_lines.JsonError as error:
            yield Flaw(error.field, _unparsed(self.path.name, error.what), error.mend)
            return
        if isinstance(value, dict):
            tokens = sum(len(text) for side in record_rules.texts_of(value) for text in side)
            if tokens // self.limits.letters_per_token > self.num_tokens:
                self.num_tokens, self.longest = tokens // self.limits.letters_per_token, number
        yield from record_rules.flaws_of(value, self.limits)

    def _count(self) -> None:
        limits = self.limits
        least = limits.least_train if self.is_training else limits.least_validation
        most = limits.most_train if self.is_training else limits.most_validation
        if self.num_records < least or (most is not None and self.num_records > most):
            kind = "Training" if self.is_training else "Validation"
            bounds = f"between {least} and {most} lines" if most is not None else f"at least {least} lines"
            what = f"File has {self.num_records} lines. {kind} data should have {bounds}"
            self._say(None, Flaw("", what, f"Give {bounds.removesuffix(' lines')} records."))

    def _say(self, line: int | None, flaw: Flaw) -> None:
        self.num_problems += 1
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(
                Problem(name=self.path.name, line=line, field=flaw.field, what=flaw.what, mend=flaw.mend)
            )


def _of_all(readings: Sequence[_FileReading], limits: BedrockLimits) -> Iterator[Problem]:
    """Problems of all files together."""
    train = [reading for reading in readings if reading.is_training]
    if len(train) > 1:
        what = f"{len(train)} training files, and Bedrock reads one"
        yield Problem(name=train[1].path.name, line=None, field="", what=what, mend="Write them to one file.")
    total = sum(reading.num_records for reading in readings)
    if limits.most_records is not None and total > limits.most_records:
        what = f"The dataset contains {total} records, which exceeds the maximum allowed limit of {limits.most_records}"
        yield Problem(name=train[0].path.name, line=None, field="", what=what, mend="Give fewer records.")


def _unparsed(name: str, why: str) -> str:
    return f"Unable to parse Amazon S3 file: {name}. Data files must conform to JSONL format ({why})"
