"""The selection of records to forget: by line, by a file, by a text, or as another model did.

A record that is said twice is one record: whichever line is named, every copy goes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from outcrop.datasets.problems import RecordError
from outcrop.datasets.reading import read_file
from outcrop.datasets.record_file import TRAINING, KnownRecord
from outcrop.datasets.record_json import texts_of
from outcrop.datasets.records import Customization, Record, digest
from outcrop.errors import Invalid
from outcrop.forgetting.originals import LearnedDataset


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The records that are to go, as they were asked for; exactly one of the four is given."""

    records: Path | None = None
    "A file that holds them."
    lines: tuple[int, ...] = ()
    matching: str | None = None
    "A text that they hold, in whatever case."
    like: frozenset[bytes] = frozenset()
    "Digests of the records that another model has forgotten."
    file: str | None = None
    "The dataset whose lines are meant, by its name; the training data where nothing is said."

    def __post_init__(self) -> None:
        given = [bool(self.records), bool(self.lines), bool(self.like), self.matching is not None]
        if sum(given) != 1 or self.matching == "":
            raise Invalid("Say which records: one of --records FILE, --line N,N,…, --matching TEXT and --like MODEL.")
        if self.file is not None and not self.lines:
            raise Invalid("--file: names the dataset whose lines are meant. Give it with --line.")


def digests(selection: Selection, own: Sequence[LearnedDataset], above: Sequence[LearnedDataset]) -> frozenset[bytes]:
    """The digests of the selected records; `own` are the model's datasets, `above` those of the models it came from.

    Raises Invalid where nothing is selected.
    """
    if selection.records is not None:
        return _of_file(selection.records, [*own, *above])
    if selection.lines:
        return _of_lines(selection, own)
    if selection.like:
        found = frozenset(known.digest for known, _ in _all([*own, *above])) & selection.like
        if not found:
            raise Invalid("--like: nothing of what that model has forgotten was ever learned here.")
        return found
    assert selection.matching is not None
    wanted = selection.matching.casefold()
    found = frozenset(known.digest for known, record in _all([*own, *above]) if holds(record, wanted))
    if not found:
        raise Invalid(f"--matching: no record that was learned holds {selection.matching!r}.")
    return found


def holds(record: Record, wanted: str) -> bool:
    """Whether a record says this casefolded text."""
    return any(wanted in text.casefold() for text in texts_of(record))


def _all(datasets: Sequence[LearnedDataset]) -> Iterator[tuple[KnownRecord, Record]]:
    for dataset in datasets:
        yield from dataset.records()


def _of_file(path: Path, datasets: Sequence[LearnedDataset]) -> frozenset[bytes]:
    kinds: list[Customization] = list(dict.fromkeys(each.lineage.document["customization_type"] for each in datasets))
    asked = _asked(path, kinds)
    found = frozenset(known.digest for known, _ in _all(datasets) if known.digest in asked)
    if len(found) < len(asked):
        raise Invalid(
            f"--records: {len(asked) - len(found)} of the {len(asked)} records in {path.name} were never learned. "
            "Take them out, or look for the right ones with --matching TEXT."
        )
    return found


def _asked(path: Path, kinds: Sequence[Customization]) -> set[bytes]:
    """The digests of a file's records, which are all of one kind. Raises RecordError for a file that is none."""
    problems = []
    for kind in kinds:
        lines = list(read_file(path, customization=kind))
        found = [problem for line in lines for problem in line.problems]
        if not found:
            return {digest(line.record) for line in lines if line.record is not None}
        problems.append(found)
    raise RecordError(problems[0])


def _of_lines(selection: Selection, own: Sequence[LearnedDataset]) -> frozenset[bytes]:
    dataset, file = _named(selection.file, own)
    wanted = set(selection.lines)
    found = {known.line: known.digest for known, _ in dataset.records() if known.line in wanted and known.file == file}
    if missing := sorted(wanted - found.keys()):
        told = ", ".join(map(str, missing[:10]))
        raise Invalid(f"--line: {_files(dataset)[file]} has no record in line {told} that was learned.")
    return frozenset(found.values())


def _named(name: str | None, own: Sequence[LearnedDataset]) -> tuple[LearnedDataset, int]:
    """The file that has this name, by its dataset and index; without a name, the training data's only file."""
    files = [(dataset, index, file) for dataset in own for index, file in enumerate(_files(dataset))]
    if name is None:
        found = [each for each in files if each[0].part == TRAINING]
    else:
        found = [each for each in files if name in (each[2], each[0].source.uri)]
    if len(found) != 1:
        known = ", ".join(file for _, _, file in files)
        how = f"{name}: {len(found) or 'no'} files have this name"
        if name is None:
            how = "the training data has several files"
        raise Invalid(f"--file: {how}. Choose one of {known}.")
    return found[0][:2]


def _files(dataset: LearnedDataset) -> Sequence[str]:
    return dataset.source.files or (dataset.name,)
