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
from outcrop.errors import Invalid
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
    """The digests that a model trained on, with their number, and those it was only evaluated on."""

    def __init__(self, member: FamilyMember, known: Iterator[tuple[bytes, bool]]) -> None:
        self.name = member.name
        self.trained: dict[bytes, int] = {}
        self.held: set[bytes] = set()
        for said, is_trained in known:
            if is_trained:
                self.trained[said] = self.trained.get(said, 0) + 1
            else:
                self.held.add(said)

    def group_of(self, said: bytes, after: "_Learned") -> SampleGroup:
        if said not in self.trained or (said in after.held and said not in after.trained):
            return SampleGroup.CONTROLS
        return SampleGroup.KEPT if said in after.trained else SampleGroup.FORGOTTEN


def choose(
    before: FamilyMember, after: FamilyMember, datasets: Sequence[LearnedDataset], *, controls: Path | None, most: int
) -> list[SampledRecord]:
    """At most `most` records of each group, the same whenever it is asked. Raises Invalid where nothing went.

    `datasets` are those of the model before; `controls` is a file of records that neither has seen.
    """
    first = _Learned(before, _of_datasets(datasets))
    second = _Learned(after, _of_lineage(after))
    known: dict[SampleGroup, dict[bytes, SampledRecord]] = {group: {} for group in SampleGroup}
    for dataset in datasets:
        for _, record in dataset.records():
            _add(known, record, first, second, most)
    for record in () if controls is None else _read(controls, before):
        if digest(record) not in first.trained:
            _add(known, record, first, second, most)
    if not known[SampleGroup.FORGOTTEN]:
        raise Invalid(f"{after.name}: it learned everything that {before.name} did; there is nothing to measure.")
    return [sample for group in SampleGroup for sample in known[group].values()]


def _add(
    known: dict[SampleGroup, dict[bytes, SampledRecord]], record: Record, first: _Learned, second: _Learned, most: int
) -> None:
    said = digest(record)
    group = first.group_of(said, second)
    among = known[group]
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


def _of_datasets(datasets: Sequence[LearnedDataset]) -> Iterator[tuple[bytes, bool]]:
    for dataset in datasets:
        for known, _ in dataset.records():
            yield known.digest, dataset.part == TRAINING and not known.set_aside


def _of_lineage(member: FamilyMember) -> Iterator[tuple[bytes, bool]]:
    assert member.lineage is not None
    for known in member.lineage.records():
        yield known.digest, known.part == TRAINING and not known.set_aside


def _read(path: Path, member: FamilyMember) -> Iterator[Record]:
    assert member.lineage is not None
    for line in read_file(path, customization=member.lineage.document["customization_type"]):
        if line.record is None:
            raise RecordError(line.problems)
        yield line.record
