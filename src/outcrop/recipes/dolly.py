"""The recipe `dolly`: instructions with or without knowledge, by the rules of CTC's column on Titan in Japanese."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from outcrop.recipes.recipe import Dropped, Item, Kept
from outcrop.recipes.rows import SourceRow, rows
from outcrop.recipes.split import NOTHING, PartSizes, Share

MOST_CHARACTERS = 1500
SPLIT = PartSizes(train=Share(count=10_000), validation=Share(count=1_000, percent=100 / 11), test=NOTHING)
"10,000 for training and 1,000 for validation; of fewer rows the eleventh part for validation."
_INSTRUCTION, _CONTEXT = ("instruction", "question"), ("input", "context")
_ANSWER = ("output", "response", "answer", "answers")


def dolly(sources: Sequence[Path]) -> Iterator[Item]:
    """Rows of databricks-dolly-15k or its Japanese translation → prompt/completion records.

    Source: databricks-dolly-15k (instruction, context, response, category) and databricks-dolly-15k-ja (output, input,
    index, category, instruction), both CC BY-SA 3.0; JSQuAD (question, context, answers, of which the first is taken;
    CC BY-SA 4.0); or any table with such columns.
    Rule, of CTC's column (February 2024): without `input`, prompt = instruction and completion = output; with it,
    prompt = `入力:<instruction>\\n知識:<input>`. Records over 1,500 characters (prompt + completion) are left out; of
    the others 10,000 are for training and 1,000 for validation. Questions about one context stay in one file.
    """
    for row in rows(sources):
        yield _item(row) if isinstance(row, SourceRow) else row


def _item(row: SourceRow) -> Item:
    instruction, answer = _text(row, _INSTRUCTION), _text(row, _ANSWER)
    if instruction is None or answer is None:
        missing = " or ".join(_INSTRUCTION if instruction is None else _ANSWER)
        return Dropped(origin=row.origin, reason=f"no text in the column {missing}")
    knowledge = _text(row, _CONTEXT) or ""
    prompt = f"入力:{instruction}\n知識:{knowledge}" if knowledge.strip() else instruction
    return Kept(
        record={"prompt": prompt, "completion": answer},
        group=knowledge.strip() or instruction,
        origin=row.origin,
        fields=row.fields,
    )


def _text(row: SourceRow, names: Sequence[str]) -> str | None:
    """The text of the first of the columns that the row has; of a list, its first."""
    values = (row.fields.get(name) for name in names)
    texts = (value[0] if isinstance(value, list) and value else value for value in values)
    return next((text for text in texts if isinstance(text, str)), None)
