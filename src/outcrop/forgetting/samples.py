"""The records on which a forgetting is measured: those that went, some that stayed, and some never seen.

A record that a model has never trained on is a control for it: validation records, those set aside, or a file's. Which
they are is read from the two lineages, so that a forgetting can be measured at any time after it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from outcrop.datasets.problems import RecordError
from outcrop.datasets.reading import read_file
from outcrop.datasets.record_file import TRAINING
from outcrop.datasets.records import Record, digest
from outcrop.forgetting.family import FamilyMember
from outcrop.forgetting.originals import LearnedDataset


class SampleGroup(StrEnum):
    """The groups of records that are held against each other."""

    FORGOTTEN = "forgotten"
    CONTROLS = "never seen"
    KEPT = "kept"


@dataclass(frozen=True, kw_only=True)
class SampledRecord:
    """A record on which both models are measured, as far as it is of its group for them."""

    group: SampleGroup
    record: Record
    digest: bytes
    copies: int
    "In the training data of the first model."
    before: bool = True
    "Whether it is of its group for the model before,"
    after: bool = True
    "and for the one after."


class _Learned:
    """The digests that a model and those above it trained on, with their number, and those only evaluated on."""

    def __init__(self, line: Sequence[FamilyMember], datasets: Sequence[LearnedDataset]) -> None:
        self.trained: dict[bytes, int] = {}
        self.held: set[bytes] = set()
        for said, is_trained in _known(line, datasets):
            if is_trained:
                self.trained[said] = self.trained.get(said, 0) + 1
            else:
                self.held.add(said)

    def group_of(self, said: bytes, after: "_Learned") -> SampleGroup:
        if said not in self.trained or (said in after.held and said not in after.trained):
            return SampleGroup.CONTROLS
        return SampleGroup.KEPT if said in after.trained else SampleGroup.FORGOTTEN


_Samples = dict[tuple[SampleGroup, type[Record]], dict[bytes, SampledRecord]]


def choose(
    before: Sequence[FamilyMember],
    after: Sequence[FamilyMember],
    datasets: Sequence[LearnedDataset],
    *,
    controls: Path | None,
    most: int,
) -> list[SampledRecord]:
    """At most `most` records of each group and kind, the same whenever it is asked; none where nothing went.

    Both models come with those that they were trained from, and `datasets` are those of all of `before`. `controls` is
    a file of records that neither has seen. Only what is of the kind of a forgotten record is compared with it.
    """
    first, second = _Learned(before, datasets), _Learned(after, datasets)
    known: _Samples = {}
    for dataset in datasets:
        for _, record in dataset.records():
            _add(known, record, first, second, most)
    for record in () if controls is None else _read(controls, before[-1]):
        if digest(record) not in first.trained:
            _add(known, record, first, second, most)
    kinds = {kind for group, kind in known if group is SampleGroup.FORGOTTEN}
    chosen = [sample for (_, kind), among in known.items() if kind in kinds for sample in among.values()]
    return sorted(chosen, key=lambda sample: list(SampleGroup).index(sample.group))


def _add(known: _Samples, record: Record, first: _Learned, second: _Learned, most: int) -> None:
    said = digest(record)
    group = first.group_of(said, second)
    among = known.setdefault((group, type(record)), {})
    among[said] = SampledRecord(
        group=group,
        record=record,
        digest=said,
        copies=first.trained.get(said, 0),
        before=group is not SampleGroup.CONTROLS or said not in first.trained,
        after=group is not SampleGroup.CONTROLS or said not in second.trained,
    )
    if len(among) > most:  # the largest digest goes: as good as by chance, and the same every time
        del among[max(among)]


def _known(line: Sequence[FamilyMember], datasets: Sequence[LearnedDataset]) -> Iterator[tuple[bytes, bool]]:
    for lineage in (member.lineage for member in line if member.lineage is not None):
        # An early lineage does not know its records; its model is one of `before`, whose data is here.
        own = (dataset for dataset in datasets if dataset.lineage.folder == lineage.folder)
        found = (known for dataset in own for known, _ in dataset.records())
        for known in lineage.records() if lineage.knows_records else found:
            yield known.digest, known.part == TRAINING and not known.set_aside


def _read(path: Path, member: FamilyMember) -> Iterator[Record]:
    assert member.lineage is not None
    for line in read_file(path, customization=member.lineage.document["customization_type"]):
        if line.record is None:
            raise RecordError(line.problems)
        yield line.record
