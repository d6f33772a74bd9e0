"""The preflight report as a value: the findings in each file, and the needs of a job.

Its faces are `as_text.py`, `as_json.py` and `as_html.py`; none of them counts anything. Lists of lines are bounded, and
a number beside each says how many there are in all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from outcrop.datasets.problems import Counted, Problem
from outcrop.datasets.records import Customization


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
    """A record of this file that also stands in the training data, or in a file before it."""

    line: int
    train_line: int
    among: str = ""
    "The file in which it stands too."


class NearGroup(NamedTuple):
    """Records of one file that are nearly the same as its first, by line."""

    lines: tuple[int, ...]
    likeness: float
    "Of the least alike to the first: the share of shingles that two records have in common, estimated by MinHash."


class NearOverlap(NamedTuple):
    """A record that is nearly one of the training data, or of a file before it."""

    line: int
    train_line: int
    likeness: float
    among: str = ""
    "The file in which that one stands."


class ConvertedRecords(NamedTuple):
    """Records that were converted into Bedrock's forms by one rule."""

    form: str
    rule: str
    num: int
    left_out: tuple[str, ...]
    "Keys or columns that the rule does not use, the first of them."


@dataclass(frozen=True, kw_only=True)
class NearDuplicates:
    """The records of a file that nearly repeat another one of it, or one of the training file."""

    why_not: str
    "Why nothing was looked for; empty where it was."
    num_compared: int
    "The first so many records of the file; the memory for their signatures is bounded."
    template: float
    "Share of a record's text that most records have in common, a template as a rule. It is not compared."
    num: int
    "Records with an earlier one that is nearly the same. Exact copies are not among them."
    groups: tuple[NearGroup, ...]
    num_overlap: int
    overlap: tuple[NearOverlap, ...]


class Bin(NamedTuple):
    """A bar of the length histogram: records of `least` to `most` tokens, both included."""

    least: int
    most: int
    num: int


@dataclass(frozen=True, kw_only=True)
class LanguageFit:
    """How well the base model's tokenizer suits one language of a file, measured on a sample of its records."""

    language: str
    num_records: int
    num_characters: int
    num_bytes: int
    num_tokens: int
    num_split: int
    "Characters that are spelled in several tokens."
    split: tuple[str, ...]
    "The most frequent of them."
    num_unknown: int
    "Tokens that stand for text which the tokenizer does not know."
    unknown: tuple[str, ...]
    "Characters that became such a token."

    @property
    def bytes_per_token(self) -> float:
        return self.num_bytes / self.num_tokens if self.num_tokens else 0.0

    @property
    def characters_per_token(self) -> float:
        return self.num_characters / self.num_tokens if self.num_tokens else 0.0

    @property
    def split_share(self) -> float:
        """The fraction of the characters that are spelled in several tokens."""
        return self.num_split / self.num_characters if self.num_characters else 0.0

    @property
    def verdict(self) -> str:
        """The tokenizer's fitness for this language in a word or two, by bytes per token."""
        if self.num_unknown:
            return "loses text"
        for least, word in ((3.0, "good"), (2.0, "fair")):
            if self.bytes_per_token >= least:
                return word
        return "poor"


@dataclass(frozen=True, kw_only=True)
class Fitness:
    """The tokenizer beside the text of a file: all of its tokens, then a sample of its records by language."""

    num_bytes: int
    "Of text that all tokens stand for; special tokens stand for none."
    num_tokens: int
    "All of them but the special ones."
    num_unknown: int
    unknown_lines: tuple[int, ...]
    num_sampled: int
    by_script_only: bool
    "Whether languages were told by script and rules alone, as the language library is not installed."
    languages: tuple[LanguageFit, ...]
    "The most frequent first."

    @property
    def bytes_per_token(self) -> float:
        return self.num_bytes / self.num_tokens if self.num_tokens else 0.0


class PersonalData(NamedTuple):
    """Personal data of one kind in a file: how much, where first, and how it looks, masked."""

    kind: str
    num: int
    num_records: int
    lines: tuple[int, ...]
    masked: tuple[str, ...]
    "Beside each of `lines`."


class TokenPiece(NamedTuple):
    """A token of a sample record, as it is shown."""

    text: str
    id: int
    learned: bool
    special: bool
    partial: bool
    "Whether its bytes are no whole characters."


class Gap(NamedTuple):
    """Tokens of a sample record that are not shown."""

    num: int


@dataclass(frozen=True, kw_only=True)
class SampleRecord:
    """A record of the file with the mask of its tokens."""

    line: int
    why: str
    num_tokens: int
    num_supervised: int
    num_sequences: int
    "The first of them is shown."
    pieces: tuple[TokenPiece | Gap, ...]


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
    histogram: tuple[Bin, ...]
    sequences: Sequence[int]
    "Tokens of each sequence that is learned or scored, in the order of the file; no face shows them."
    num_truncated: int
    "Always 0: nothing is ever cut off."
    num_split: int
    split: tuple[SplitRecord, ...]
    "Texts longer than the context, learned as consecutive sequences."
    num_by_answer: int
    by_answer: tuple[SplitRecord, ...]
    "Conversations whose earlier answers the chat template writes otherwise: each is learned behind its own prompt."
    left_out: tuple[LeftOut, ...]
    num_duplicates: int
    "Groups of lines that say exactly the same."
    duplicates: tuple[tuple[int, ...], ...]
    "Lines that say exactly the same, group by group."
    num_overlap: int
    overlap: tuple[Overlap, ...]
    near: NearDuplicates
    fitness: Fitness
    personal: tuple[PersonalData, ...]
    samples: tuple[SampleRecord, ...]
    excerpts: Mapping[int, str]
    "The beginning of lines that are named above, personal data masked."
    part: int = 0
    "The dataset that it belongs to: 0 is the training data, 1 the first validator's."
    counted: Counted = "line"
    "What the numbers of lines count: in an array or a table it is the record's number."
    converted: tuple[ConvertedRecords, ...] = ()
    "In the order in which the rules were first used."


@dataclass(frozen=True, kw_only=True)
class PastError:
    """How far earlier predictions on this machine were from what then happened."""

    num_runs: int
    time: float
    "Median of actual over predicted seconds."
    worst_time: float
    memory: float | None
    "The same of memory; None where none was measured."


@dataclass(frozen=True, kw_only=True)
class Price:
    """The price of a job by the user's own list."""

    amount: float
    currency: str
    told: str
    "How it comes about."


@dataclass(frozen=True, kw_only=True)
class RunForecast:
    """The needs of a job with this data on this machine: steps, rows, time, memory and price."""

    why_not: str
    "Why time and memory are not predicted; empty where they are."
    method: str
    epochs: int
    steps: int
    rows: int
    "Rows of an epoch, in which records lie side by side."
    row_tokens: int
    "Tokens of them all."
    trained_tokens: int
    "Tokens of the training file times epochs, by which Bedrock counts."
    seconds: float
    memory_bytes: int
    free_bytes: int
    past: PastError | None
    price: Price | None
    no_price: str
    "Why there is no price; empty where there is."


@dataclass(frozen=True, kw_only=True)
class Report:
    """The preflight report: the training file and its validators, and what a job with them would take."""

    context_length: int
    customization: Customization
    files: tuple[FileReport, ...]
    base: str = ""
    "The base model for which the records were examined."
    forecast: RunForecast | None = None
    "None until a job's plan is known, and for data that no job would take."

    def without_texts(self) -> "Report":
        """The report without what its records say: counts, lines and problems."""
        return replace(self, files=tuple(replace(file, samples=(), excerpts={}) for file in self.files))

    def num_records_of(self, part: int) -> int:
        """How many good records a dataset has."""
        return sum(file.num_records for file in self.files if file.part == part)

    def sequences_of(self, part: int) -> Sequence[int]:
        """The lengths of all sequences of a dataset: 0 is the training data."""
        files = [file.sequences for file in self.files if file.part == part]
        return files[0] if len(files) == 1 else [length for lengths in files for length in lengths]

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The problems that must be mended before training, file by file."""
        return tuple(problem for file in self.files for problem in file.problems)

    @property
    def num_problems(self) -> int:
        """All of them, those that are only counted too."""
        return sum(kind.num for file in self.files for kind in file.kinds)

    def to_json(self) -> dict[str, Any]:
        """Everything, sample records too; the problems are told as they are printed."""
        from outcrop.datasets.report import as_json

        return as_json.of_report(self)

    def to_text(self) -> str:
        """The report for a terminal."""
        from outcrop.datasets.report import as_text

        return as_text.of_report(self)

    def to_html(self) -> str:
        """The report as a page by itself, which asks nothing of any network."""
        from outcrop.datasets.report import as_html

        return as_html.of_report(self)
