"""The model that writes an answer: asked as any invocation is, and held against the same quotas.

A prompt is a user's turn behind the turns before it. Passages are put into it by rank, as many as leave room for an
answer: whole, and of the first that does not fit so many whole sentences from its beginning as do. What is left out is
told in the log, by number.
"""

import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from outcrop import logs
from outcrop.documents.sentences import sentences_of
from outcrop.invocation import converse, prompts
from outcrop.invocation.exchange import Count, Finished
from outcrop.invocation.invoke import answered, answering
from outcrop.invocation.target import Target, TextTarget
from outcrop.knowledge.answering.settings import WritingSettings
from outcrop.knowledge.answering.talks import TalkTurn
from outcrop.knowledge.answering.templates import told_results
from outcrop.knowledge.passages import Found

_MOST_TURNS = 3
"Earlier turns that an answer is written behind."
_ROOM = 512
"Tokens that are left for an answer, where the context is large enough."
MOST_TOKENS = 2048
"Of an answer for which a request names no limit."
_SHARE = 4
"Of the context of a model of this machine, one token of so many may go to such an answer: a small one runs on."
_log = logging.getLogger("outcrop.knowledge")

Prompt = Callable[[str], str]
"The text of a prompt with these search results."


class Tally:
    """The tokens of all that was asked of a model for one answer."""

    def __init__(self, count: Count) -> None:
        self._count = count
        self._before = (0, 0)
        self._now = (0, 0)

    def count(self, num_input_tokens: int, num_output_tokens: int) -> None:
        """Told what the request at hand has come to by now."""
        self._now = (num_input_tokens, num_output_tokens)
        self._count(self._before[0] + num_input_tokens, self._before[1] + num_output_tokens)

    def next(self) -> None:
        """The request at hand has ended."""
        self._before = (self._before[0] + self._now[0], self._before[1] + self._now[1])
        self._now = (0, 0)


@dataclass(frozen=True, kw_only=True)
class ShownPassages:
    """The passages that a prompt shows, each with the text that is shown of it, and the turns before it."""

    passages: tuple[tuple[Found, str], ...]
    turns: tuple[TalkTurn, ...] = ()

    @property
    def told(self) -> str:
        """The search results as the prompt has them."""
        return told_results(self.passages)


def answer_limit(target: TextTarget, settings: WritingSettings) -> int:
    """The tokens of an answer: those that the request names, else a share of the model's context."""
    if settings.max_tokens is not None:
        return settings.max_tokens
    return min(MOST_TOKENS, target.context_length // _SHARE) if isinstance(target, Target) else MOST_TOKENS


@dataclass(frozen=True, kw_only=True)
class Writer:
    """A model that writes, for one answer."""

    target: TextTarget
    now: Callable[[], datetime]
    tally: Tally = field(repr=False)

    async def text(self, prompt: str, settings: WritingSettings, turns: Sequence[TalkTurn] = ()) -> str:
        """The whole answer to a prompt. When the engine dies in the middle, it is asked again from the start."""
        request = await converse.prepare(self.target, self._params(prompt, turns, settings), now=self.now())
        finished = await answered(request.prepared, count=self.tally.count)
        self.tally.next()
        return finished.text

    async def pieces(
        self, prompt: str, turns: Sequence[TalkTurn], settings: WritingSettings
    ) -> AsyncGenerator[str, None]:
        """The answer as it is made; what the model thinks before it is no part of it."""
        request = await converse.prepare(self.target, self._params(prompt, turns, settings), now=self.now())
        async with aclosing(answering(request.prepared, count=self.tally.count)) as items:
            async for item in items:
                if not isinstance(item, Finished) and item.part == "text":
                    yield item.text
        self.tally.next()

    async def whole(
        self, prompt: str, turns: Sequence[TalkTurn], settings: WritingSettings
    ) -> AsyncGenerator[str, None]:
        """The answer in one piece, as `text` gives it."""
        yield await self.text(prompt, settings, turns)

    async def fit(
        self, prompt: Prompt, found: Sequence[Found], turns: Sequence[TalkTurn], settings: WritingSettings
    ) -> ShownPassages:
        """The passages, by rank, that the model can read with room for an answer."""
        whole = [(one, one.text) for one in found]
        if not isinstance(self.target, Target):  # its server alone knows its context
            return ShownPassages(passages=tuple(whole), turns=tuple(turns[-_MOST_TURNS:]))
        fitting = _Fitting(self.target, prompt, settings)
        asked = converse.read_converse(self.target, self._params(prompt(told_results(whole)), turns, settings))
        shown = await prompts.aside(asked.prompt, lambda: fitting.shown(whole, turns))
        _tell_left_out(found, shown)
        return shown

    def _params(self, prompt: str, turns: Sequence[TalkTurn], settings: WritingSettings) -> dict[str, Any]:
        return _params(self.target, prompt, turns, settings)


class _Fitting:
    """The room in the context of a model of this machine."""

    def __init__(self, target: Target, prompt: Prompt, settings: WritingSettings) -> None:
        self._target = target
        self._prompt = prompt
        self._settings = settings
        room = min(answer_limit(target, settings), _ROOM, target.context_length // 4)
        self._most = target.context_length - room

    def shown(self, whole: Sequence[tuple[Found, str]], turns: Sequence[TalkTurn]) -> ShownPassages:
        """Earlier turns give way to the first passage, and further passages to earlier turns."""
        kept = tuple(turns[-_MOST_TURNS:])
        while kept and not self._fits(whole[:1], kept):
            kept = kept[1:]
        num = _most_that(lambda number: self._fits(whole[:number], kept), len(whole))
        passages = list(whole[:num])
        if num < len(whole):
            found, text = whole[num]
            sentences = [*sentences_of(text)]
            fitting = _most_that(
                lambda number: self._fits([*passages, (found, "".join(sentences[:number]))], kept), len(sentences)
            )
            if fitting:
                passages.append((found, "".join(sentences[:fitting])))
        return ShownPassages(passages=tuple(passages), turns=kept)

    def _fits(self, passages: Sequence[tuple[Found, str]], turns: Sequence[TalkTurn]) -> bool:
        text = self._prompt(told_results(passages))
        asked = converse.read_converse(self._target, _params(self._target, text, turns, self._settings))
        return len(prompts.encode(self._target, asked.prompt)) <= self._most


def _most_that(fits: Callable[[int], bool], most: int) -> int:
    """The largest number up to `most` that fits; 0 always does."""
    least = 0
    while least < most:
        middle = (least + most + 1) // 2
        if fits(middle):
            least = middle
        else:
            most = middle - 1
    return least


def _params(target: TextTarget, prompt: str, turns: Sequence[TalkTurn], settings: WritingSettings) -> dict[str, Any]:
    """The request in Converse's words."""
    said = [(role, text) for turn in turns for role, text in (("user", turn.question), ("assistant", turn.answer))]
    messages = [{"role": role, "content": [{"text": text}]} for role, text in [*said, ("user", prompt)]]
    return {
        "messages": messages,
        "inferenceConfig": {**settings.inference, "maxTokens": answer_limit(target, settings)},
        "additionalModelRequestFields": dict(settings.additional),
    }


def _tell_left_out(found: Sequence[Found], shown: ShownPassages) -> None:
    cut = sum(text != one.text for one, text in shown.passages)
    if cut or len(shown.passages) < len(found):
        left_out = [one.passage.chunk_id for one in found[len(shown.passages) :]]
        logs.tell(_log, "passages do not fit the prompt", shown=len(shown.passages), cut=cut, left_out=left_out)
