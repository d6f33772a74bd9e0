"""Chat templates as Hugging Face models carry them: rendered by a process of their own, which has limits."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import jinja2
from jinja2 import nodes

from outcrop.clock import Clock
from outcrop.errors import Invalid
from outcrop.tokens import template_pool
from outcrop.tokens.template_process import environment

Messages = Sequence[Mapping[str, Any]]
"""Turns as templates read them: {'role': 'system' | 'user' | 'assistant', 'content': text}.

With tools an assistant's turn may have `tool_calls`, and the role may be `tool`. An assistant's turn may have
`reasoning_content`, what it thought before it spoke.
"""
Tools = Sequence[Mapping[str, Any]]
"Descriptions of tools, as OpenAI's requests have them."
Options = Mapping[str, Any]
"Values of names that one template knows, such as enable_thinking."

_SWITCHES = ("enable_thinking", "thinking")
"Names under which templates ask whether the model shall think first."


class TemplateRefused(Invalid):
    """The template itself says that it cannot write this conversation, e.g. one with a system message."""


class TemplateBroken(Invalid):
    """The template cannot be rendered: it has a mistake, or goes beyond its limits of time and memory."""


class ChatTemplate:
    """A chat template; `tokens` are the special tokens it may name, such as bos_token."""

    def __init__(self, source: str, *, tokens: Mapping[str, str], clock: Clock) -> None:
        self._source = source
        self._tokens = tokens
        self._clock = clock
        try:
            # Read, not compiled: the compiler computes constants, and with them whatever a stranger wrote.
            tree = environment().parse(source)
        except (jinja2.TemplateError, RecursionError) as problem:
            raise Invalid(f"chat template: {problem}. Mend chat_template in tokenizer_config.json.") from problem
        names = list(tree.find_all(nodes.Name))
        own = {name.name for name in names if name.ctx == "store"}
        asked = {name.name for name in names} - own
        self.thinking_switch = next((name for name in _SWITCHES if name in asked), None)
        "The name of the option that has the model think first, or not; None where the template has none."

    def mentions(self, text: str) -> bool:
        """Whether a text stands in the template's source."""
        return text in self._source

    @property
    def writes_the_day(self) -> bool:
        """Whether what it writes may depend on the day."""
        return "strftime_now" in self._source

    def render(
        self,
        messages: Messages,
        *,
        add_generation_prompt: bool,
        today: datetime | None = None,
        tools: Tools = (),
        options: Options | None = None,
    ) -> str:
        """The conversation as text, on the day `today`, else the clock's.

        Raises TemplateRefused with the template's own words, or TemplateBroken.
        """
        asked = {
            "messages": [dict(message) for message in messages],
            "add_generation_prompt": add_generation_prompt,
            "now": (today or self._clock.now()).isoformat(),
            "tokens": dict(self._tokens),
            "tools": [dict(tool) for tool in tools] or None,
            "options": dict(options or {}),
        }
        num_letters = sum(map(_num_said, messages)) + _num_letters(messages, tools)
        try:
            answer = template_pool.ask(self._source, asked, num_letters=num_letters)
        except template_pool.TooMuchError as problem:
            raise _broken(str(problem)) from problem
        if "refused" in answer:
            raise TemplateRefused(f"chat template: {answer['refused']}")
        if "broken" in answer:
            raise _broken(answer["broken"].rstrip("."))
        return str(answer["text"])


def _num_said(message: Mapping[str, Any]) -> int:
    return len(message["content"]) + len(message.get("reasoning_content") or "") + 100


def _num_letters(messages: Messages, tools: Tools) -> int:
    """Letters of tools and their calls, each of which a template may write twice."""
    calls = [message["tool_calls"] for message in messages if "tool_calls" in message]
    return 2 * len(json.dumps([calls, list(tools)])) if calls or tools else 0


def _broken(why: str) -> TemplateBroken:
    return TemplateBroken(f"The model's chat template cannot be rendered: {why}. Mend chat_template in its folder.")
