"""The recipe `dialogue`: dialogues with their summaries, wrapped into the instruction of AWS's session AIM247."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from outcrop.recipes.recipe import Dropped, Item, Kept
from outcrop.recipes.rows import SourceRow, rows

FIRST_ROWS = 1000
_INSTRUCTION = "Summarize the following conversation."
_OF_SECTION = "Summarize the following doctor-patient conversation as the {} section."
_SUMMARY = ("summary", "section_text")


def dialogue(sources: Sequence[Path], *, first: int = FIRST_ROWS) -> Iterator[Item]:
    """Dialogues with a summary → prompt/completion records.

    Source: DialogSum (fname, dialogue, summary, topic; CC BY-NC-SA 4.0, not for commercial use), SAMSum (id, dialogue,
    summary; CC BY-NC-ND 4.0), MTS-Dialog (ID, section_header, section_text, dialogue; CC BY 4.0), or any table with
    a column dialogue and one of summary and section_text.
    Rule, of AIM247 (re:Invent 2023): prompt = `Summarize the following conversation.`, a blank line, the dialogue;
    completion = the summary; the other columns are dropped, but a section_header is named in the instruction. The
    first 1,000 rows are taken (`--first`; 0 takes all).
    """
    taken = 0
    for row in rows(sources):
        item = _item(row) if isinstance(row, SourceRow) else row
        if isinstance(item, Kept) and first and taken == first:
            item = Dropped(origin=item.origin, reason=f"after the first {first:,} rows")
        taken += isinstance(item, Kept)
        yield item


def _item(row: SourceRow) -> Item:
    talk = row.fields.get("dialogue")
    summary = next((row.fields[name] for name in _SUMMARY if name in row.fields), None)
    for name, value in (("dialogue", talk), (" or ".join(_SUMMARY), summary)):
        if not isinstance(value, str) or not value.strip():
            return Dropped(origin=row.origin, reason=f"no text in the column {name}")
    assert isinstance(talk, str)
    section = row.fields.get("section_header")
    instruction = _OF_SECTION.format(section) if section else _INSTRUCTION
    return Kept(
        record={"prompt": f"{instruction}\n\n{talk}", "completion": summary},
        group=" ".join(talk.split()),
        origin=row.origin,
        fields=row.fields,
    )
