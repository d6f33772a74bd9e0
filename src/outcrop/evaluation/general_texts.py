"""General texts for the forgetting check: what a base model knew before it was customized, and may have lost.

A base model's folder may hold texts that it was never trained on, `held_out.jsonl`; the starter's does. For any other
base, a file is named: plain texts, or questions with references.
"""

from dataclasses import dataclass
from pathlib import Path

from outcrop.catalog.catalog import BUNDLED
from outcrop.evaluation import questions
from outcrop.evaluation.questions import Question

FILE = "held_out.jsonl"


@dataclass(frozen=True, kw_only=True)
class GeneralTexts:
    """Texts by whose loss forgetting is measured, and what they are called."""

    name: str
    questions: list[Question]


def of_file(path: Path) -> GeneralTexts:
    """Raises RecordError."""
    return GeneralTexts(name=path.name, questions=questions.read_file(path))


def of_base(folder: Path) -> GeneralTexts | None:
    """The held-out texts in a base model's folder; None where there are none."""
    path = folder / FILE
    if not path.is_file():
        return None
    found = questions.read_file(path)
    return GeneralTexts(name=f"Texts held out of the training of {folder.name}", questions=found)


def of_starter() -> GeneralTexts | None:
    """The texts that come with Outcrop, for its starter."""
    return of_base(BUNDLED / "starter-v1")
