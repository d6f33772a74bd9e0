"""The text of one answer from the ids of its tokens, its parts told apart, up to a stop sequence.

Stop sequences are looked for in what the answer says, not in what was thought before it nor in the calls of tools.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from outcrop.inference.request import TokenLogprob
from outcrop.invocation.answer_parts import AnswerPart, AnswerParts
from outcrop.invocation.answer_syntax import AnswerSyntax
from outcrop.invocation.exchange import ToolCall
from outcrop.invocation.stopping import StopScanner
from outcrop.invocation.text_logprobs import TextLogprob, TextLogprobs
from outcrop.tokens.tokenizer import IncrementalDecoder, Tokenizer


@dataclass(frozen=True, kw_only=True)
class AnswerStretch:
    """Some more of one part of an answer."""

    part: Literal["text", "reasoning", "tool"]
    text: str
    call: ToolCall | None = None


class AnswerText:
    """Takes the ids of one answer in, and gives stretches of it out as they are certain."""

    def __init__(
        self, tokenizer: Tokenizer, syntax: AnswerSyntax, stop_sequences: tuple[str, ...], stop_ids: Iterable[int]
    ) -> None:
        self._tokenizer = tokenizer
        self._hidden = tokenizer.special_ids | frozenset(stop_ids)
        self._is_plain = syntax.is_plain
        self._decoder = IncrementalDecoder(tokenizer)
        self._parts = AnswerParts(syntax)
        self._scanner = StopScanner(stop_sequences)
        self._logprobs = TextLogprobs(tokenizer)
        self._stretches: list[AnswerStretch] = []
        self.num_tokens = 0
        self.has_calls = False

    @property
    def stop_sequence(self) -> str | None:
        """The stop sequence that ended the answer."""
        return self._scanner.met

    @property
    def over(self) -> bool:
        """Whether nothing more of the answer is wanted."""
        return self._scanner.met is not None or self._parts.over

    def take(self, ids: Sequence[int], logprobs: Iterable[TokenLogprob]) -> None:
        """Take in the next tokens; special ones, and those that end an answer, are no text."""
        self.num_tokens += len(ids)
        for told in logprobs:
            if told.token not in self._hidden:
                self._logprobs.add(told)
        # Ids between special ones are taken together: a stream has many, and each way through all that follows costs.
        begin = 0
        for place, one in enumerate(ids):
            if one in self._hidden:
                self._take_text(ids[begin:place])
                self._add(self._parts.push(self._tokenizer.token(one) or "", special=True))
                begin = place + 1
        self._take_text(ids[begin:])

    def end(self) -> None:
        """Take in that no more tokens come."""
        self._add(self._parts.push(self._decoder.finish()))
        self._add(self._parts.finish())
        self._stretch("text", self._scanner.finish())

    def stretches(self) -> list[AnswerStretch]:
        """The stretches that have become certain since the last look."""
        stretches, self._stretches = self._stretches, []
        return stretches

    def logprobs(self, stretch: AnswerStretch | None, *, last: bool) -> tuple[TextLogprob, ...]:
        """The log probabilities that leave with a stretch: those of the tokens that begin in it.

        Where parts are told apart, those of all tokens so far.
        """
        if not self._is_plain:
            return self._logprobs.rest() if self.stop_sequence is None else ()
        found = self._logprobs.with_text(stretch.text if stretch else "")
        return found + (self._logprobs.rest() if last and self.stop_sequence is None else ())

    def _take_text(self, ids: Sequence[int]) -> None:
        if ids:
            self._add(self._parts.push(self._decoder.push(ids)))

    def _add(self, parts: Iterable[AnswerPart]) -> None:
        for part in parts:
            if self._scanner.met is not None:
                return
            if part.call is not None:
                self._stretch("text", self._scanner.finish())
                self._stretches.append(AnswerStretch(part="tool", text="", call=part.call))
                self.has_calls = True
            elif part.kind == "reasoning":
                self._stretch("reasoning", part.text)
            else:
                self._stretch("text", self._scanner.push(part.text, special=part.kind == "special"))

    def _stretch(self, part: Literal["text", "reasoning"], text: str) -> None:
        if not text:
            return
        if self._stretches and self._stretches[-1].part == part:
            text = self._stretches.pop().text + text
        self._stretches.append(AnswerStretch(part=part, text=text))
