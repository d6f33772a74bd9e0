"""The material that a judge is shown: a question, its answer, and what the answer is held against."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class CitedClaim:
    """A part of an answer that claims something, with the texts of the passages that it cites."""

    text: str
    passages: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class JudgedMaterial:
    """A question of an evaluation with all that may be judged of it."""

    question: str
    answer: str = ""
    "Empty where only the retrieval is judged."
    references: tuple[str, ...] = ()
    passages: tuple[str, ...] = ()
    "Texts that were retrieved for the question."
    reference_passages: tuple[str, ...] = ()
    "Texts that should have been retrieved."
    claims: tuple[CitedClaim, ...] = ()
    "The answer's claims, of a retrieval with citations."
