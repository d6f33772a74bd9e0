"""Sentences of an answer as it is made, each with its place and the passages that the model names."""

from dataclasses import dataclass

from outcrop.documents.sentences import sentences_of
from outcrop.knowledge.answering.markers import MarkReader


@dataclass(frozen=True, kw_only=True)
class AnswerSentence:
    """A sentence of an answer. It holds the blanks behind it: all sentences in a row are the answer."""

    text: str
    start: int
    "Characters of the answer before it."
    marked: tuple[int, ...] = ()
    "The passages that the model names for it, by their numbers from 0."

    @property
    def end(self) -> int:
        """The number of characters up to its end."""
        return self.start + len(self.text)


class AnswerReader:
    """Takes an answer apart while it comes in pieces.

    reader.push(piece)      the text to show, then the sentences that it completes
    reader.finish()         the rest
    """

    def __init__(self, num_passages: int) -> None:
        """`num_passages`: as many as the model may name; 0 where it was not asked to."""
        self._marks = MarkReader(num_passages)
        self._pending = ""
        self._start = 0

    def push(self, piece: str) -> tuple[str, list[AnswerSentence]]:
        """The text to show, and the sentences that are complete with it."""
        shown = self._marks.push(piece)
        self._pending += shown
        *complete, last = [*sentences_of(self._pending)] or [""]
        # What follows a sentence tells that it has ended, and which marks behind it were its own.
        done = [self._sentence(text) for text in complete]
        self._pending = last
        return shown, done

    def finish(self) -> tuple[str, list[AnswerSentence]]:
        """The rest of the text, and of the sentences."""
        shown = self._marks.finish()
        rest, self._pending = self._pending + shown, ""
        return shown, [self._sentence(text) for text in sentences_of(rest)]

    def _sentence(self, text: str) -> AnswerSentence:
        start, end = self._start, self._start + len(text)
        self._start = end
        marks = [mark for mark in self._marks.marks if start < mark.at <= end or (mark.at == start == 0)]
        named = dict.fromkeys(number for mark in marks for number in mark.passages)
        return AnswerSentence(text=text, start=start, marked=tuple(named))
