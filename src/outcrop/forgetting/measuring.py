"""A forgetting measured: the model before and after it, on records that went, stayed, and were never seen."""

from pathlib import Path

from outcrop.forgetting import losses, samples
from outcrop.forgetting.family import FamilyMember, ModelFamily
from outcrop.forgetting.losses import ScoringRooms
from outcrop.forgetting.originals import Originals
from outcrop.forgetting.report import ForgettingReport, SampleLosses

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
) -> ForgettingReport:
    """Raises Invalid where nothing went, RecordsGone where the data is gone, NotReady, ModelFailed."""
    chosen = samples.choose(before, after, originals.of(before), controls=controls, most=most)
    base = losses.of_base(rooms, before)
    encoded = losses.encoded(before, base.network, [sample.record for sample in chosen])
    under_base = losses.losses(rooms, base, encoded)
    with losses.of_custom(rooms, family, before) as meter:
        under_before = losses.losses(rooms, meter, encoded)
    with losses.of_custom(rooms, family, after) as meter:
        under_after = losses.losses(rooms, meter, encoded)
    measured = zip(chosen, under_base, under_before, under_after, strict=True)
    return ForgettingReport(before=before, after=after, losses=tuple(SampleLosses(*each) for each in measured))
