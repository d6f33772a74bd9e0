"""The parts of an answer told apart as its text comes: thoughts, words and calls of tools.

No tag and no half of a call is ever shown as text. What looks like a call and is none is text after all, once that is
certain; nothing of an answer is lost.
"""

import json
import secrets
from enum import Enum
from typing import NamedTuple

from outcrop.invocation.answer_syntax import AnswerSyntax
from outcrop.invocation.exchange import ToolCall
from outcrop.invocation.stopping import overlap
from outcrop.protocol.values import json_text
from outcrop.tokens.json_span import JsonSpan
from outcrop.tokens.thought_tags import ThoughtPlace, ThoughtTags
from outcrop.tokens.tool_calls import WrittenCall, read_calls
from outcrop.tokens.tool_syntax import ToolSyntax


class AnswerPart(NamedTuple):
    """Some more of an answer: words, thoughts, a special token that stands among the words, or a whole call."""

    kind: str
    "text, special, reasoning or tool."
    text: str
    call: ToolCall | None = None


class _State(Enum):
    BEGIN = "a thought may be opened"
    THOUGHT = "within a thought"
    BETWEEN = "behind a thought, before the answer"
    TEXT = "words"
    CALL = "from the beginning of a call on"


class AnswerParts:
    """Tells the parts of one answer apart."""

    def __init__(self, syntax: AnswerSyntax) -> None:
        self._syntax = syntax
        begin = {
            ThoughtPlace.NONE: _State.TEXT,
            ThoughtPlace.POSSIBLE: _State.BEGIN,
            ThoughtPlace.OPENED: _State.THOUGHT,
        }
        self._state = begin[syntax.thought]
        self._held = ""
        self._said = False  # whether words have been told
        self._thought = False
        self._called = False
        self._gap = ""  # white space before a call, which is the answer's own where it is none after all
        self._json: JsonSpan | None = None
        self._json_end: int | None = None
        tags = tuple(syntax.tags or ())
        self._written_in_calls = syntax.tools.literals if syntax.tools else ""
        self._steps = {
            _State.BEGIN: self._begin,
            _State.THOUGHT: self._think,
            _State.BETWEEN: self._pass_over,
            _State.TEXT: self._speak,
            _State.CALL: self._call,
        }
        self._marks = {*tags, *((syntax.tools.trigger,) if syntax.tools else ())} - {""}

    @property
    def over(self) -> bool:
        """Whether the answer has ended with the one call it may have."""
        return self._called and self._syntax.one_call

    def push(self, text: str, *, special: bool = False) -> list[AnswerPart]:
        """The parts that are certain after more text, or a special token by its spelling."""
        if self.over:
            return []
        if special and self._state is _State.CALL and text not in self._written_in_calls:
            return []  # such as the token that ends the answer
        if special and self._state is not _State.CALL and text not in self._marks:
            return self._told_to_here(text)
        self._held += text
        return self._advance(last=False)

    def finish(self) -> list[AnswerPart]:
        """The rest, once no more text comes."""
        return [] if self.over else self._advance(last=True)

    def _told_to_here(self, special: str) -> list[AnswerPart]:
        """Words held where a special token stands, and the token: no tag goes on behind it."""
        if self._state is _State.THOUGHT:
            return []
        self._state = _State.TEXT
        held, self._held = self._held, ""
        return [*self._words(held), AnswerPart("special", special)]

    def _advance(self, *, last: bool) -> list[AnswerPart]:
        parts: list[AnswerPart] = []
        going = True
        while going and not self.over:
            told, going = self._steps[self._state](last)
            parts += told
        return parts

    def _begin(self, last: bool) -> tuple[list[AnswerPart], bool]:
        opening = self._tags.opening
        begun = self._held.lstrip()
        if begun.startswith(opening):
            self._held = begun[len(opening) :]
            self._state = _State.THOUGHT
            return [], True
        if opening.startswith(begun) and not last:
            return [], False
        self._state = _State.TEXT
        return [], True

    def _think(self, last: bool) -> tuple[list[AnswerPart], bool]:
        if not self._thought:
            self._held = self._held.lstrip()
        closing = self._tags.closing
        at = self._held.find(closing)
        if at >= 0:
            thought, self._held = self._held[:at].rstrip(), self._held[at + len(closing) :]
            self._state = _State.BETWEEN
            return self._thoughts(thought), True
        keep = len(self._held) if last else len(self._held) - overlap(self._held, closing)
        thought = self._held[:keep].rstrip()
        self._held = "" if last else self._held[len(thought) :]
        return self._thoughts(thought), False

    def _pass_over(self, last: bool) -> tuple[list[AnswerPart], bool]:
        self._held = self._held.lstrip("\n")
        if not self._held and not last:
            return [], False
        self._state = _State.TEXT
        return [], True

    def _speak(self, last: bool) -> tuple[list[AnswerPart], bool]:
        tools = self._syntax.tools
        if tools is None:
            held, self._held = self._held, ""
            return self._words(held), False
        if self._called:
            self._held = self._held.lstrip()
        if not tools.trigger:
            return self._speak_or_call(last)
        at = self._held.find(tools.trigger)
        if at >= 0:
            before, self._held = self._held[:at], self._held[at:]
            told = self._words(before.rstrip())
            self._gap = before[len(before.rstrip()) :]
            self._state = _State.CALL
            return told, True
        certain = self._held[: len(self._held) - overlap(self._held, tools.trigger)]
        # White space before a call is the template's; behind the last word it is the answer's own.
        words_end = len(certain.rstrip()) if not last else len(self._held)
        words, self._held = self._held[:words_end], self._held[words_end:]
        return self._words(words), False

    def _speak_or_call(self, last: bool) -> tuple[list[AnswerPart], bool]:
        """Words, where an answer that begins as JSON is a call."""
        begun = self._held.lstrip()
        if not self._said and not self._called and begun[:1] in ("{", "["):
            self._state = _State.CALL
            return [], True
        if not begun and not self._said and not last:
            return [], False
        held, self._held = self._held, ""
        return self._words(held), False

    def _call(self, last: bool) -> tuple[list[AnswerPart], bool]:
        tools = self._syntax.tools
        assert tools is not None, "only an answer with tools gets here"
        end = len(self._held) if last else self._end_of_region(tools)
        if end is None:
            return [], False
        region, self._held = self._held[:end], self._held[end:]
        self._state, self._json, self._json_end = _State.TEXT, None, None
        calls = read_calls(tools, region, self._syntax.schemas)
        if calls is None or not all(_is_sound(call) for call in calls):
            return self._words(self._gap + region), bool(self._held)
        self._called = True
        told = calls[:1] if self._syntax.one_call else calls
        return [
            AnswerPart("tool", "", ToolCall(id=_new_id(), name=name, arguments=given)) for name, given in told
        ], True

    def _end_of_region(self, tools: ToolSyntax) -> int | None:
        start = len(tools.trigger)
        if tools.json_begins:
            if self._json_end is None:
                self._json = self._json or JsonSpan(tools.json_begins)
                self._json_end = self._json.end(self._held, start)
            if self._json_end is None:
                return None
            start = self._json_end
        if not tools.end:
            return start
        at = self._held.find(tools.end, start)
        return at + len(tools.end) if at >= 0 else None

    @property
    def _tags(self) -> ThoughtTags:
        assert self._syntax.tags is not None, "only a model that thinks gets here"
        return self._syntax.tags

    def _words(self, text: str) -> list[AnswerPart]:
        self._said = self._said or bool(text)
        return [AnswerPart("text", text)] if text else []

    def _thoughts(self, text: str) -> list[AnswerPart]:
        self._thought = self._thought or bool(text)
        return [AnswerPart("reasoning", text)] if text else []


def _is_sound(call: WrittenCall) -> bool:
    """Whether the arguments are JSON that everybody reads: with finite numbers, whole characters, not too deep."""
    try:
        json_text.loads(json.dumps(call.arguments))
    except (json_text.NotJson, RecursionError):
        return False
    return True


def _new_id() -> str:
    """A call's id in the manner of Bedrock's."""
    return f"tooluse_{secrets.token_urlsafe(16)}"
