"""Everything that looks at the good records of one file, in one place, and what it found in the end."""

from collections.abc import Sequence
from typing import NamedTuple

from outcrop.datasets.encoding import EncodedRecord
from outcrop.datasets.observing.duplicates import Duplicates
from outcrop.datasets.observing.fitness import TokenizerFitness
from outcrop.datasets.observing.languages import Languages
from outcrop.datasets.observing.near_duplicates import NearRecords
from outcrop.datasets.observing.observer import Observer, SeenRecord, text_of
from outcrop.datasets.observing.personal import PersonalRecords
from outcrop.datasets.observing.samples import SampleRecords
from outcrop.datasets.records import Record
from outcrop.datasets.report.value import (
    Fitness,
    NearDuplicates,
    Overlap,
    PersonalData,
    SampleRecord,
)
from outcrop.tokens.tokenizer import Tokenizer


class Observed(NamedTuple):
    """The findings of a file's observers."""

    num_duplicates: int
    duplicates: tuple[tuple[int, ...], ...]
    num_overlap: int
    overlap: tuple[Overlap, ...]
    near: NearDuplicates
    fitness: Fitness
    personal: tuple[PersonalData, ...]
    samples: tuple[SampleRecord, ...]


class FileObservers:
    """The observers of one file. They also look for what files `before` it have: those of the training data."""

    def __init__(
        self, tokenizer: Tokenizer, languages: Languages, before: Sequence["FileObservers"] = (), *, name: str = ""
    ) -> None:
        self._duplicates: Duplicates = Duplicates(name)
        self._before = [each._duplicates for each in before]
        self._near: NearRecords = NearRecords([each._near for each in before], name)
        self._fitness = TokenizerFitness(tokenizer, languages)
        self._personal = PersonalRecords()
        self._samples = SampleRecords(tokenizer)
        self._all: tuple[Observer, ...] = (
            self._duplicates,
            self._near,
            self._fitness,
            self._personal,
            self._samples,
        )

    def add(self, record: Record, encoded: Sequence[EncodedRecord], digest: bytes) -> None:
        """Show a record that will be learned to each of them."""
        seen = SeenRecord(record=record, encoded=encoded, text=text_of(record), digest=digest)
        for observer in self._all:
            observer.add(seen)

    def close(self) -> None:
        """No record follows. A validator's observers ask those of the training file, which are closed first."""
        self._near.close()

    def found(self) -> Observed:
        num_duplicates, duplicates = self._duplicates.groups()
        num_overlap, overlap = self._duplicates.overlap(self._before)
        return Observed(
            num_duplicates=num_duplicates,
            duplicates=duplicates,
            num_overlap=num_overlap,
            overlap=overlap,
            near=self._near.found(self._duplicates.new_to(self._before)),
            fitness=self._fitness.found(),
            personal=self._personal.found(),
            samples=self._samples.found(),
        )
