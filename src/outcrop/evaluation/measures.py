"""The measures of an evaluation: scores of answers by the table's names, and those of the references' likelihood.

`loss` is the mean of nats over all tokens of the references, as in training; `bits_per_byte` does not depend on the
tokenizer, so that models with different ones can be compared by it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from outcrop.evaluation.answers import LogProbabilities
from outcrop.evaluation.scores import table
from outcrop.evaluation.scores.scoring import TextScore
from outcrop.evaluation.scores.table import ScoreMaterials

LOSS, BITS_PER_BYTE = "loss", "bits_per_byte"
DEFAULT = (LOSS, BITS_PER_BYTE, "exact_match", "token_f1", "rouge_l")


@dataclass(frozen=True, kw_only=True)
class LikelihoodMeasure:
    """A measure of how likely references are, after their questions."""

    name: str
    meaning: str
    higher_is_better: bool = False

    def value(self, told: LogProbabilities) -> float:
        """The value of one reference."""
        if self.name == LOSS:
            return -told.nats / max(1, told.num_tokens)
        return -told.nats / math.log(2) / max(1, told.num_bytes)

    def weight(self, told: LogProbabilities) -> float:
        """The weight of the value, so that the mean is that of all tokens or bytes."""
        return max(1, told.num_tokens if self.name == LOSS else told.num_bytes)


Measure = TextScore | LikelihoodMeasure
_LIKELIHOODS = {
    LOSS: LikelihoodMeasure(name=LOSS, meaning="Mean nats of a token of the reference, its end included."),
    BITS_PER_BYTE: LikelihoodMeasure(
        name=BITS_PER_BYTE, meaning="Bits of a byte of the reference; it does not depend on the tokenizer."
    ),
}


def find(spellings: Sequence[str], materials: ScoreMaterials | None = None) -> list[Measure]:
    """The measures of these spellings, each once. Raises Invalid for one that is not there."""
    found: dict[str, Measure] = {}
    for spelling in spellings:
        measure = _LIKELIHOODS.get(spelling) or table.find(spelling, materials)
        found.setdefault(measure.name, measure)
    return list(found.values())


def known() -> list[str]:
    """All spellings, with the arguments that some take."""
    rows = [f"{row.name}:{row.argument}" if row.argument else row.name for row in table.TABLE.values()]
    return [*_LIKELIHOODS, *rows]
