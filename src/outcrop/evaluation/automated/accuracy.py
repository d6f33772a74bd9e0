"""The accuracy of answers by task type, as Bedrock's programmatic evaluation has it, and how it was computed.

| task | Bedrock | here |
|---|---|---|
| QuestionAndAnswer | F1 | token F1; exact match beside it |
| Classification | accuracy | accuracy, over the labels that the references are |
| Summarization | BERTScore | cosine of an embedding model's vectors, where the catalogue has one; else ROUGE-L |
| Generation | real world knowledge | whether the answer holds the reference, or one of several divided by <OR> |
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from outcrop.evaluation.scores import matching
from outcrop.evaluation.scores.rouge import rouge
from outcrop.evaluation.scores.scoring import Candidate, TextScore
from outcrop.evaluation.scores.similarity import Encode, embedding_similarity

_ALTERNATIVES = "<OR>"
_MOST_LABELS = 100
"With more different references, each is its own label, and the answer's first line is the label it gives."


@dataclass(frozen=True, kw_only=True)
class AccuracyMeasure:
    """The score that stands for accuracy, and others that are told beside it."""

    score: TextScore
    beside: tuple[TextScore, ...] = ()
    told: str = ""
    "How it was computed, in a sentence."

    def values(self, candidates: Sequence[Candidate]) -> list[float | None]:
        """The value of each candidate; None where there is no reference."""
        return [each.value for each in self.score.score([_alternatives(one) for one in candidates])]


def measure_of(task_type: str, references: Sequence[str], encode: Encode | None, encoder: str = "") -> AccuracyMeasure:
    """The measure of a task type. `references` are those of the whole data set; `encoder` names what encodes."""
    match task_type:
        case "QuestionAndAnswer":
            return AccuracyMeasure(
                score=matching.TOKEN_F1,
                beside=(matching.EXACT_MATCH,),
                told="F1 of the words shared with the reference.",
            )
        case "Classification":
            labels = list(dict.fromkeys(references))
            return AccuracyMeasure(
                score=matching.accuracy(labels if len(labels) <= _MOST_LABELS else ()),
                told="1 where the label that the answer names is the reference.",
            )
        case "Summarization" if encode is not None:
            told = f"Cosine of the vectors of answer and reference by {encoder}, in the place of BERTScore."
            return AccuracyMeasure(score=embedding_similarity(encode), beside=(rouge("l"),), told=told)
        case "Summarization":
            told = "ROUGE-L, in the place of BERTScore: the catalogue has no embedding model that the role may ask."
            return AccuracyMeasure(score=rouge("l"), told=told)
        case _:
            told = "1 where the answer holds the reference, in the place of a real world knowledge score."
            return AccuracyMeasure(score=matching.CONTAINS, beside=(matching.TOKEN_F1,), told=told)


def _alternatives(candidate: Candidate) -> Candidate:
    """The candidate with each of several right answers in one reference as a reference of its own."""
    parts = [part.strip() for each in candidate.references for part in each.split(_ALTERNATIVES) if part.strip()]
    return replace(candidate, references=tuple(parts))
