"""The form of a score: candidates in, one value for each of them out.

A score knows plain strings only: the prompt, the answer, the references. It is asked about many candidates at once,
since an encoder or somebody's own function is quicker so. `table.py` has all scores by name.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """An answer, with its prompt and the references it is held against."""

    prompt: str
    answer: str
    references: tuple[str, ...] = ()
    num_answer_tokens: int | None = None
    "By the tokenizer of the model that answered, where it told."
    category: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreValue:
    """The value of one score for one candidate, or the sentence why there is none."""

    value: float | None
    why_not: str = ""
    "Empty where there is a value."
    details: Mapping[str, str | float] = field(default_factory=dict)
    "What a person who looks at this record wants to know, such as the unit that was counted."


class ScoreNeed(StrEnum):
    """The things beyond prompt and answer that a score cannot do without."""

    REFERENCE = "a reference answer"
    TOKEN_COUNT = "the number of tokens of the answer"
    ENCODER = "an encoder: a function from texts to vectors"
    TRAINING_TEXTS = "the texts the model was trained on"


Scoring = Callable[[Sequence[Candidate]], list[ScoreValue]]
CorpusScoring = Callable[[Sequence[Candidate]], float | None]


@dataclass(frozen=True, kw_only=True)
class TextScore:
    """A score by name: how answers are measured, and what is a good value."""

    name: str
    "As in a report's column; with its argument, where it has one: `regular_expression:^[0-9]+$`."
    meaning: str
    "One sentence for people."
    higher_is_better: bool | None
    "None where neither end is better, such as a length."
    is_share: bool
    "Whether each value is 0 or 1, so that the mean is a share and its interval Wilson's."
    scoring: Scoring
    needs: frozenset[ScoreNeed] = frozenset()
    corpus: CorpusScoring | None = None
    "The value of all candidates together, where the field defines one that is no mean of theirs: BLEU, chrF."

    def score(self, candidates: Sequence[Candidate]) -> list[ScoreValue]:
        """The value of each candidate, in order."""
        values = self.scoring(candidates)
        assert len(values) == len(candidates), f"{self.name} scored {len(values)} of {len(candidates)} candidates"
        return values

    def score_one(self, candidate: Candidate) -> ScoreValue:
        """The value of a single candidate."""
        return self.score([candidate])[0]


NO_REFERENCE = ScoreValue(value=None, why_not="The record has no reference answer.")


def each(score: Callable[[Candidate], ScoreValue]) -> Scoring:
    """The scoring that looks at one candidate after the other."""
    return lambda candidates: [score(candidate) for candidate in candidates]


def best_reference(score: Callable[[str, str], ScoreValue]) -> Scoring:
    """The scoring that holds an answer against each reference and takes the highest value.

    The function gets the answer and a reference, and always has a value.
    """

    def of(candidate: Candidate) -> ScoreValue:
        if not candidate.references:
            return NO_REFERENCE
        values = [score(candidate.answer, reference) for reference in candidate.references]
        return max(values, key=lambda each: each.value or 0.0)

    return each(of)


def share(holds: bool, **details: str | float) -> ScoreValue:
    """The value 1 or 0."""
    return ScoreValue(value=float(holds), details=details)
