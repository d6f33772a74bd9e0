"""The plan of a forgetting, before anything is done: which models are trained again, without which records, from where.

A model that came from one which learned the records too is trained again on that one's successor, so that they are gone
from every model above it. What was made from it goes on knowing them until it is trained again as well.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from outcrop.datasets.record_file import TRAINING
from outcrop.datasets.record_json import texts_of
from outcrop.datasets.records import Record
from outcrop.errors import Invalid
from outcrop.forgetting import selection as selections
from outcrop.forgetting.family import FamilyMember, ModelFamily, ServedBy
from outcrop.forgetting.originals import LearnedDataset, Originals
from outcrop.forgetting.selection import Selection

_SHOWN = 5
_WIDTH = 60


@dataclass(frozen=True, kw_only=True)
class LineShown:
    """A record that will go, as far as a person needs to see it."""

    dataset: str
    line: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Retraining:
    """A model that is trained again, and what it will not learn this time."""

    member: FamilyMember
    datasets: tuple[LearnedDataset, ...]
    forgotten: tuple[int, ...]
    "Records that go, of each dataset."
    left: tuple[int, ...]
    "Records that stay, of each dataset."
    distinct: int
    "Different records among those that go."
    shown: tuple[LineShown, ...]
    done: FamilyMember | None = None
    "What it was trained to already, without just these records."


@dataclass(frozen=True, kw_only=True)
class ForgettingPlan:
    """Models to be trained again, one upon the other, the one that was asked for last."""

    digests: frozenset[bytes]
    steps: tuple[Retraining, ...]
    unknown: tuple[FamilyMember, ...]
    "Models above that no job here has trained: whether they learned the records cannot be told."
    children: tuple[FamilyMember, ...]
    serving: tuple[ServedBy, ...]

    @property
    def member(self) -> FamilyMember:
        """The model that was asked for."""
        return self.steps[-1].member


def plan_forgetting(
    family: ModelFamily, originals: Originals, member: FamilyMember, selection: Selection
) -> ForgettingPlan:
    """Raises Invalid where it cannot be done, saying why; RecordsGone where data is missing."""
    line = family.line(member)
    if member.lineage is None:
        raise Invalid(
            f"{member.name}: no job here has trained it, so what it learned is not on record. Forget in the model that "
            "it was made of, and import a checkpoint of the new one."
        )
    if line[0].has_parent:
        raise Invalid(
            f"{line[0].name}: the model that it was trained from, {line[0].start_arn}, was deleted, and so it cannot "
            "be trained again. Nothing was begun."
        )
    known = [each for each in line if each.lineage is not None]
    above = [dataset for each in known[:-1] for dataset in originals.of(each)]
    digests = selections.digests(selection, originals.of(member), above)
    steps = [_step(originals, each, digests) for each in known]
    first = next(number for number, step in enumerate(steps) if any(step.forgotten))
    return ForgettingPlan(
        digests=digests,
        steps=tuple(_with_what_is_done(family, steps[first:], digests)),
        unknown=tuple(each for each in line if each.lineage is None),
        children=tuple(family.children(member)),
        serving=tuple(family.served_by(member)),
    )


def _step(originals: Originals, member: FamilyMember, digests: frozenset[bytes]) -> Retraining:
    datasets = originals.of(member)
    forgotten, left = [0] * len(datasets), [0] * len(datasets)
    distinct: set[bytes] = set()
    shown: list[LineShown] = []
    for dataset in datasets:
        for known, record in dataset.records():
            if known.digest not in digests:
                left[dataset.part] += 1
                continue
            forgotten[dataset.part] += 1
            if known.digest not in distinct and len(shown) < _SHOWN:
                shown.append(LineShown(dataset=dataset.name_of(known), line=known.line, text=brief(record)))
            distinct.add(known.digest)
    if not left[TRAINING]:
        raise Invalid(f"{member.name}: it learned nothing else. Delete the model rather than train it on nothing.")
    return Retraining(
        member=member,
        datasets=tuple(datasets),
        forgotten=tuple(forgotten),
        left=tuple(left),
        distinct=len(distinct),
        shown=tuple(shown),
    )


def _with_what_is_done(
    family: ModelFamily, steps: Sequence[Retraining], digests: frozenset[bytes]
) -> Iterator[Retraining]:
    """The steps, those above the last one with what was trained again before and for the same records.

    Whoever forgets in a parent, and then in its children, trains the parent once.
    """
    start: str | None = steps[0].member.start_arn
    for number, step in enumerate(steps):
        is_above = number < len(steps) - 1
        again = family.trained_again(step.member, start) if is_above and start is not None else []
        done = next((other for other in again if _lacks(step.member, other, digests)), None)
        start = None if done is None else done.arn
        yield Retraining(**{**vars(step), "done": done})


def _lacks(member: FamilyMember, other: FamilyMember, digests: frozenset[bytes]) -> bool:
    """Whether `other` learned just what `member` did, in its order, but for the records of these digests."""
    if member.lineage is None or other.lineage is None or not other.lineage.knows_records:
        return False
    left = (known.digest for known in member.lineage.records() if known.digest not in digests)
    return all(one == two for one, two in zip_longest(left, (known.digest for known in other.lineage.records())))


def brief(record: Record) -> str:
    """The beginning of a record on one line."""
    said = " ".join(" / ".join(texts_of(record)).split())
    shown = "".join(char if char.isprintable() else "·" for char in said)
    return shown if len(shown) <= _WIDTH else f"{shown[: _WIDTH - 1]}…"
