"""Similarity of meaning: the cosine of the vectors that an encoder gives an answer and its reference."""

from collections.abc import Callable, Sequence

import numpy as np

from outcrop.evaluation.scores.scoring import NO_REFERENCE, Candidate, ScoreNeed, ScoreValue, TextScore

Encode = Callable[[Sequence[str]], Sequence[Sequence[float]]]
"From texts to their vectors, in order."


def embedding_similarity(encode: Encode, *, at_once: int = 64) -> TextScore:
    """The score of how near an answer's vector is to its reference's; of several references the nearest.

    `encode` is asked for each different text once, `at_once` texts in a call.
    """

    def of(candidates: Sequence[Candidate]) -> list[ScoreValue]:
        wanted = [candidate for candidate in candidates if candidate.references]
        texts = list(dict.fromkeys(text for each in wanted for text in (each.answer, *each.references)))
        vectors = {}
        for start in range(0, len(texts), at_once):
            batch = texts[start : start + at_once]
            for text, vector in zip(batch, encode(batch), strict=True):
                array = np.asarray(vector, dtype=np.float64)
                vectors[text] = array / (np.linalg.norm(array) or 1.0)
        return [
            ScoreValue(value=max(float(vectors[each.answer] @ vectors[text]) for text in each.references))
            if each.references
            else NO_REFERENCE
            for each in candidates
        ]

    return TextScore(
        name="embedding_similarity",
        meaning="Cosine of the vectors of answer and reference, by an encoder.",
        higher_is_better=True,
        is_share=False,
        needs=frozenset({ScoreNeed.REFERENCE, ScoreNeed.ENCODER}),
        scoring=of,
    )
