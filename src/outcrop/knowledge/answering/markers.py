"""The text of an answer as it is made, without the marks by which a model names passages: [1], [2].

Where the marks stood is kept. They are claims of the model, which `citations.py` checks.
"""

import re
from dataclasses import dataclass

_MARK = re.compile(
    r"[^\S\n]*[\[【](?:(?:sources?|passages?|results?|documents?|docs?)\s*)?(?P<numbers>\d{1,3}(?:\s*[,;、]\s*\d{1,3})*)[\]】]",
    re.IGNORECASE,
)
_HELD = re.compile(r"\s*(?:[\[【][^\[\]【】\n]{0,24})?\Z")
"What may still become a mark, or blanks at the end of an answer."


@dataclass(frozen=True)
class Mark:
    """The passages that the model names at a place of its answer, by their numbers from 0."""

    at: int
    "Characters of the answer before it."
    passages: tuple[int, ...]


class MarkReader:
    """Takes the marks out of a text that comes in pieces."""

    def __init__(self, num_passages: int) -> None:
        """Numbers beyond those of the passages are a part of the text; with 0 passages, all are."""
        self._num_passages = num_passages
        self._held = ""
        self._length = 0
        self.marks: list[Mark] = []

    def push(self, piece: str) -> str:
        """The text that is certain by now, without marks."""
        text = self._held + piece
        tail = _HELD.search(text)
        assert tail is not None, "it matches the end of any text"
        self._held = tail[0]
        return self._shown(text[: tail.start()])

    def finish(self) -> str:
        """The rest of the text; blanks at its end are left out."""
        held, self._held = self._held, ""
        return self._shown(held).rstrip()

    def _shown(self, text: str) -> str:
        shown = ""
        place = 0
        for found in _MARK.finditer(text):
            numbers = tuple(int(number) for number in re.findall(r"\d+", found["numbers"]))
            if not all(1 <= number <= self._num_passages for number in numbers):
                continue
            shown += text[place : found.start()]
            place = found.end()
            begun = len(self._begun(shown))
            self.marks.append(Mark(self._length + begun, tuple(number - 1 for number in numbers)))
        shown = self._begun(shown + text[place:])
        self._length += len(shown)
        return shown

    def _begun(self, text: str) -> str:
        """The text without blanks at the beginning of the answer."""
        return text if self._length else text.lstrip()
