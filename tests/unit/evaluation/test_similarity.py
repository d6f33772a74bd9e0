"""Vectors of an encoder are compared by their angle; each text is encoded once."""

import pytest

from outcrop.evaluation.scores.scoring import Candidate
from outcrop.evaluation.scores.similarity import embedding_similarity

VECTORS = {"north": [0.0, 2.0], "up": [0.0, 1.0], "east": [3.0, 0.0], "northeast": [1.0, 1.0], "": [0.0, 0.0]}


def test_the_nearest_reference_counts_and_no_text_is_encoded_twice() -> None:
    asked: list[list[str]] = []

    def encode(texts: list[str]) -> list[list[float]]:
        asked.append(list(texts))
        return [VECTORS[text] for text in texts]

    candidates = [
        Candidate(prompt="", answer="north", references=("up", "east")),
        Candidate(prompt="", answer="northeast", references=("east",)),
        Candidate(prompt="", answer="north"),
        Candidate(prompt="", answer="", references=("up",)),
    ]
    found = [each.value for each in embedding_similarity(encode, at_once=3).score(candidates)]  # type: ignore[arg-type]
    assert found == [pytest.approx(1.0), pytest.approx(0.5**0.5), None, 0.0]
    assert [len(batch) for batch in asked] == [3, 2]
    assert len({text for batch in asked for text in batch}) == 5
