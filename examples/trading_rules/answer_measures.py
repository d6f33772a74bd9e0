"""Answers measured by a key: is the rule right, is the fact there, and does each sentence stand on a passage?"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from .rule_base import RuleAnswer


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The answers of one model, and what came of them; shares from 0 to 1."""

    right_rule: float
    "Answers that cite the rule of the key."
    right_fact: float
    "Answers in which the words of the key stand."
    supported: float
    "Sentences that stand on a passage, of all sentences."
    seconds: float
    "Of an answer."
    answers: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def measure(questions: Sequence[Mapping[str, Any]], answers: Sequence[RuleAnswer]) -> Measured:
    """Measure the answers to questions that have a rule, and words one of which an answer must hold."""
    parts = [part for answer in answers for part in answer.parts if part.text.strip()]
    return Measured(
        right_rule=fmean(
            any(asked["rule"] in part.rules for part in answer.parts)
            for asked, answer in zip(questions, answers, strict=True)
        ),
        right_fact=fmean(
            any(words.casefold() in answer.text.casefold() for words in asked["answers"])
            for asked, answer in zip(questions, answers, strict=True)
        ),
        supported=fmean(bool(part.rules) for part in parts) if parts else 0.0,
        seconds=fmean(answer.seconds for answer in answers),
        answers=tuple(answer.text for answer in answers),
    )


def table(found: Mapping[str, Measured]) -> str:
    """The numbers as a table of Markdown."""
    rows = [
        f"| {name} | {each.right_rule:.0%} | {each.right_fact:.0%} | {each.supported:.0%} | {each.seconds:.1f} |"
        for name, each in found.items()
    ]
    head = "| answered by | cites the right rule | says the right thing | sentences that stand on a passage | seconds |"
    return "\n".join([head, "|---|---|---|---|---|", *rows])
