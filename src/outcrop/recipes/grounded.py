"""The recipe `grounded`: questions with their answers, behind the passages that a search finds for them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from outcrop.recipes.recipe import Dropped, Item, Kept
from outcrop.recipes.rows import SourceRow, rows

_QUESTION, _ANSWER = ("question", "prompt"), ("answer", "completion", "response")


@dataclass(frozen=True, kw_only=True)
class GroundedAnswer:
    """A prompt with passages, and the answer that names the ones it stands on."""

    prompt: str
    completion: str
    source: str
    "The document that most of the answer stands on: questions on one are a group."


Ground = Callable[[str, str], GroundedAnswer | str]
"Grounds an answer to a question; a sentence without a full stop says why it cannot be."


def grounded(sources: Sequence[Path], *, ground: Ground) -> Iterator[Item]:
    """Questions with answers → prompts that hold what a knowledge base finds, and answers that cite it.

    Source: any table or file of JSON objects with a question and an answer in each row (columns question, answer).
    Rule: the prompt is the one that RetrieveAndGenerate writes for the question, with the passages that Retrieve finds.
    The completion is the answer, with the number of the passage behind each sentence that stands on one. An answer of
    which the passages hold too little is left out: learning it would teach to make things up. Questions whose answers
    stand on one document are a group.
    """
    for row in rows(sources):
        yield _item(row, ground) if isinstance(row, SourceRow) else row


def _item(row: SourceRow, ground: Ground) -> Item:
    question, answer = _text(row, _QUESTION), _text(row, _ANSWER)
    if question is None or answer is None:
        missing = " or ".join(_QUESTION if question is None else _ANSWER)
        return Dropped(origin=row.origin, reason=f"no text in the column {missing}")
    made = ground(question, answer)
    if isinstance(made, str):
        return Dropped(origin=row.origin, reason=made)
    record = {"prompt": made.prompt, "completion": made.completion}
    return Kept(record=record, group=made.source, origin=row.origin, fields=row.fields)


def _text(row: SourceRow, names: Sequence[str]) -> str | None:
    """The text of the first of the columns that the row has one in."""
    values = (row.fields.get(name) for name in names)
    return next((value.strip() for value in values if isinstance(value, str) and value.strip()), None)
