"""A forgetting measured: the model before and after it, on records that went, stayed, and were never seen."""

from pathlib import Path

from outcrop.forgetting import losses, samples
from outcrop.forgetting.family import FamilyMember, ModelFamily
from outcrop.forgetting.losses import LossUnit, ScoringRooms
from outcrop.forgetting.originals import Originals
from outcrop.forgetting.report import ForgettingReport, SampleLosses
from outcrop.forgetting.samples import SampleGroup

MOST = 100
"Records of each group."


def measure(
    rooms: ScoringRooms,
    family: ModelFamily,
    originals: Originals,
    before: FamilyMember,
    after: FamilyMember,
    *,
    controls: Path | None = None,
    most: int = MOST,
) -> ForgettingReport | None:
    """The report on two models; None where no record that was trained on went, only such as were validated on.

    Raises RecordsGone where the data is gone, NotReady, ModelFailed.
    """
    line = family.line(before)
    datasets = [dataset for member in line if member.lineage is not None for dataset in originals.of(member)]
    chosen = samples.choose(line, family.line(after), datasets, controls=controls, most=most)
    if not any(sample.group is SampleGroup.FORGOTTEN for sample in chosen):
        return None
    records = [sample.record for sample in chosen]
    base = losses.of_base(rooms, before)
    first, second = losses.of_custom(rooms, before), losses.of_custom(rooms, after)
    tokens = [losses.tokenizer_digest(meter) for meter in (base, first, second)]
    unit = LossUnit.TOKEN if tokens[1] == tokens[2] else LossUnit.BYTE
    with losses.served(family, before, first):
        under_before = losses.of_records(rooms, first, before, records, unit)
    with losses.served(family, after, second):
        under_after = losses.of_records(rooms, second, after, records, unit)
    # A model that began at random is not compared with a base model that it has nothing of.
    is_comparable = len(set(tokens)) == 1
    under_base = losses.of_records(rooms, base, before, records, unit) if is_comparable else [None] * len(records)
    measured = zip(chosen, under_base, under_before, under_after, strict=True)
    return ForgettingReport(
        before=before, after=after, unit=unit, losses=tuple(SampleLosses(*each) for each in measured)
    )
