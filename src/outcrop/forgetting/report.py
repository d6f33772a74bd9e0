"""The report on a forgetting: the losses of what went, what stayed and what was never seen, before and after.

Forgetting is exact by construction: the new model is what the job makes of data that never held the records. What is
measured shows it to whoever does not take that on trust, and shows what the records that stayed say of them.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from outcrop.customization.output import lineage
from outcrop.forgetting.family import FamilyMember
from outcrop.forgetting.intervals import MeanInterval, between, paired
from outcrop.forgetting.losses import LossUnit
from outcrop.forgetting.plan import brief
from outcrop.forgetting.samples import SampledRecord, SampleGroup

_SHOWN = 5
_HOW = (
    "Losses are means over what is learned of a record, each different record once. 95 % intervals by Student's t: of "
    "the mean where a record is compared with itself, else of a difference of two means with a common spread."
)


class SampleLosses(NamedTuple):
    """The losses of one record under the base model and the two custom models."""

    sample: SampledRecord
    base: float | None
    "None where the base model makes other tokens of a text."
    before: float
    after: float


@dataclass(frozen=True, kw_only=True)
class GroupReport:
    """The losses of a group of records."""

    group: SampleGroup
    records: int
    base: float | None
    before: float | None
    after: float | None
    change: MeanInterval | None
    "After less before, record by record."


@dataclass(frozen=True, kw_only=True)
class ForgettingReport:
    """The report on a forgetting: the losses of its records, and what they say."""

    before: FamilyMember
    after: FamilyMember
    unit: LossUnit
    losses: tuple[SampleLosses, ...]

    @property
    def groups(self) -> list[GroupReport]:
        """The groups that hold any record."""
        return [self._group(group) for group in SampleGroup if self._of(group)]

    @property
    def against_controls_before(self) -> MeanInterval | None:
        """How far the forgotten records' loss lay above that of records never seen, before."""
        controls = [each.before for each in self._of(SampleGroup.CONTROLS) if each.sample.before]
        return between([each.before for each in self._of(SampleGroup.FORGOTTEN)], controls)

    @property
    def against_controls(self) -> MeanInterval | None:
        """How far it lies above it now."""
        return between(
            [each.after for each in self._of(SampleGroup.FORGOTTEN)], [each.after for each in self._controls]
        )

    @property
    def learned(self) -> MeanInterval | None:
        """How much more the training lowered it than that of records never seen, beside the base model: now."""
        forgotten = _learned(self._of(SampleGroup.FORGOTTEN))
        return between(forgotten, _learned(self._controls))

    @property
    def verdict(self) -> str:
        """The meaning of what was measured, in a sentence or two."""
        found, learned = self.against_controls, self.learned
        if found is None:
            return (
                "There are no records never seen to compare with. Give some with --controls FILE, or validate jobs "
                "(outcrop.evalPercentage sets records aside)."
            )
        if found.contains_zero is None:
            return "One record never seen is too few to compare with. Give some more with --controls FILE."
        if found.contains_zero:
            return "The loss of the forgotten records is that of records never seen: the interval contains 0."
        if found.mean > 0:
            return "The loss of the forgotten records is above that of records never seen: nothing is known of them."
        if learned is not None and learned.contains_zero:
            return (
                "The forgotten records are easier than those never seen, for the base model too: the training lowered "
                "their loss by no more (the interval contains 0)."
            )
        return (
            "The loss of the forgotten records is below that of records never seen. The model never saw them: records "
            "that stayed say much the same. Look for these with --matching TEXT."
        )

    @property
    def notes(self) -> list[str]:
        """Differences between the two trainings that the records do not explain."""
        one, two = self.before.lineage, self.after.lineage
        assert one is not None
        assert two is not None
        first, then = one.document, two.document
        differing = [name for name in lineage.VERSIONS if first["versions"].get(name) != then["versions"].get(name)]
        notes = [
            f"{name} was {first['versions'].get(name)} then and is {then['versions'].get(name)} now: last digits of "
            "weights may differ from what the first job would have made."
            for name in differing
        ]
        places = [
            (document["hyperparameters"]["used"].get("threads"), document.get("devices", 1))
            for document in (first, then)
        ]
        if places[0] != places[1]:
            notes.append("The first job ran with another number of threads or devices: last digits may differ.")
        return notes

    def to_json(self) -> dict[str, Any]:
        return {
            "model": {"name": self.after.name, "arn": self.after.arn},
            "forgets": {"name": self.before.name, "arn": self.before.arn},
            "exact": True,
            "unit": f"nats per {self.unit}",
            "verdict": self.verdict,
            "notes": self.notes,
            "groups": [
                {
                    "group": each.group.value,
                    "records": each.records,
                    "base": each.base,
                    "before": each.before,
                    "after": each.after,
                    "change": _interval(each.change),
                }
                for each in self.groups
            ],
            "forgotten_above_controls": {
                "before": _interval(self.against_controls_before),
                "after": _interval(self.against_controls),
            },
            "learned_beyond_controls": _interval(self.learned),
            "method": _HOW,
            "records": [
                {
                    "group": each.sample.group.value,
                    "digest": each.sample.digest.hex(),
                    "copies": each.sample.copies,
                    "base": each.base,
                    "before": each.before if each.sample.before else None,
                    "after": each.after if each.sample.after else None,
                }
                for each in self.losses
            ],
        }

    def to_text(self) -> str:
        forgotten = self._of(SampleGroup.FORGOTTEN)
        copies = sum(each.sample.copies for each in forgotten)
        lines = [
            f"{self.after.name} is {self.before.name}, trained again without {copies:,} of its records.",
            "Exact by construction: they were never in its data.",
            "",
            f"{'loss':<12}{'records':>8}{'base':>8}{'before':>8}{'after':>8}  after - before",
            *(_group_line(each) for each in self.groups),
            "",
            f"forgotten - never seen   before {_told(self.against_controls_before)}",
            f"                         after  {_told(self.against_controls)}",
            f"learned beyond never seen, after {_told(self.learned)}",
            f"Losses in nats a {self.unit}, with 95 % intervals.",
            "",
            self.verdict,
            *self.notes,
            "",
            "The forgotten records, before and after:",
            *(f"  {each.before:6.3f} {each.after:6.3f}  {brief(each.sample.record)}" for each in forgotten[:_SHOWN]),
        ]
        if len(forgotten) > _SHOWN:
            lines.append(f"  … and {len(forgotten) - _SHOWN} more")
        return "\n".join(lines)

    @property
    def _controls(self) -> list[SampleLosses]:
        return [each for each in self._of(SampleGroup.CONTROLS) if each.sample.after]

    def _of(self, group: SampleGroup) -> list[SampleLosses]:
        return [each for each in self.losses if each.sample.group is group]

    def _group(self, group: SampleGroup) -> GroupReport:
        of = self._of(group)
        both = [each for each in of if each.sample.before and each.sample.after]
        return GroupReport(
            group=group,
            records=len(of),
            base=_mean(of, lambda each: each.base),
            before=_mean(of, lambda each: each.before if each.sample.before else None),
            after=_mean(of, lambda each: each.after if each.sample.after else None),
            change=paired([each.after - each.before for each in both]),
        )


def _mean(of: Sequence[SampleLosses], value: Callable[[SampleLosses], float | None]) -> float | None:
    values = [found for each in of if (found := value(each)) is not None]
    return statistics.fmean(values) if values else None


def _learned(of: Sequence[SampleLosses]) -> list[float]:
    return [each.base - each.after for each in of if each.base is not None]


def _interval(found: MeanInterval | None) -> dict[str, float | None] | None:
    return None if found is None else found._asdict()


def _group_line(each: GroupReport) -> str:
    numbers = "".join(
        f"{'-' if value is None else f'{value:.3f}':>8}" for value in (each.base, each.before, each.after)
    )
    return f"{each.group.value:<12}{each.records:>8,}{numbers}  {_told(each.change)}"


def _told(found: MeanInterval | None) -> str:
    if found is None:
        return "-"
    if found.low is None or found.high is None:
        return f"{found.mean:+.3f}"
    return f"{found.mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"
