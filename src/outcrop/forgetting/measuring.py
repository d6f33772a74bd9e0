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
    records = [sample.record for sample in chosen]
    base = losses.of_base(rooms, before)
    # A model that began at random has a tokenizer of its own, and so has the one without the records. All losses are
    # told for one token of the base's tokenizer, so that they can be held against each other.
    by_base = losses.encoded(before, base.network, records)
    num_tokens = [sum(sequence.num_supervised for sequence in record) for record in by_base]
    under_base = losses.losses(rooms, base, by_base, num_tokens=num_tokens)
    with losses.of_custom(rooms, family, before) as meter:
        encoded = losses.encoded(before, meter.network, records)
        under_before = losses.losses(rooms, meter, encoded, num_tokens=num_tokens)
    with losses.of_custom(rooms, family, after) as meter:
        encoded = losses.encoded(before, meter.network, records)
        under_after = losses.losses(rooms, meter, encoded, num_tokens=num_tokens)
    measured = zip(chosen, under_base, under_before, under_after, strict=True)
    return ForgettingReport(before=before, after=after, losses=tuple(SampleLosses(*each) for each in measured))
