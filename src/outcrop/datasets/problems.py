"""Problems of a dataset's lines, each said in one sentence: where, what, and how to mend it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from outcrop.errors import Invalid

Counted = Literal["line", "record", "row"]
"The things by whose number a place in a file is told."

_SHOWN = 20
_PLACE = re.compile(r"\d[\d,]*")
_QUOTED = re.compile(r"'[^']*'")


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A problem that keeps a line from being a record."""

    name: str
    "The file, as its owner calls it."
    line: int | None
    "Counted from 1; None when the whole file is meant."
    field: str
    "Path inside the record, e.g. messages[2].role; empty when the whole line is meant."
    what: str
    mend: str
    counted: Counted = "line"
    "What `line` counts: in an array and in a table it is the record's number."

    def __str__(self) -> str:
        place = f":{self.line}" if self.counted == "line" else f", {self.counted} {self.line}"
        where = self.name if self.line is None else f"{self.name}{place}"
        what = f"{self.field}: {self.what}" if self.field else self.what
        return f"{where}: {what.rstrip('.')}. {self.mend}".rstrip()


def kind_of(problem: Problem) -> str:
    """Equal for problems that say the same of different lines."""
    said = f"{problem.field}: {problem.what}"
    return _PLACE.sub("#", _QUOTED.sub("'…'", said))


class RecordError(Invalid):
    """Lines that are no records; the message holds a sentence for each."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        sentences = [str(problem) for problem in problems[:_SHOWN]]
        if len(problems) > _SHOWN:
            sentences.append(f"… and {len(problems) - _SHOWN} more.")
        super().__init__("\n".join(sentences))
        self.problems = tuple(problems)
