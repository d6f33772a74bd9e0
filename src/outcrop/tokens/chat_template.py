"""Chat templates as Hugging Face models carry them: rendered by a process of their own, which has limits."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import jinja2

from outcrop.clock import Clock
from outcrop.errors import Invalid
from outcrop.tokens import template_pool
from outcrop.tokens.template_process import environment

Messages = Sequence[Mapping[str, str]]
"Turns as templates read them: {'role': 'system' | 'user' | 'assistant', 'content': text}."


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
            environment().parse(source)
        except (jinja2.TemplateError, RecursionError) as problem:
            raise Invalid(f"chat template: {problem}. Mend chat_template in tokenizer_config.json.") from problem

    @property
    def writes_the_day(self) -> bool:
        """Whether what it writes may depend on the day."""
        return "strftime_now" in self._source

    def render(self, messages: Messages, *, add_generation_prompt: bool, today: datetime | None = None) -> str:
        """The conversation as text, on the day `today`, else the clock's.

        Raises TemplateRefused with the template's own words, or TemplateBroken.
        """
        asked = {
            "messages": [dict(message) for message in messages],
            "add_generation_prompt": add_generation_prompt,
            "now": (today or self._clock.now()).isoformat(),
            "tokens": dict(self._tokens),
        }
        num_letters = sum(len(message["content"]) + 100 for message in messages)
        try:
            answer = template_pool.ask(self._source, asked, num_letters=num_letters)
        except template_pool.TooMuchError as problem:
            raise _broken(str(problem)) from problem
        if "refused" in answer:
            raise TemplateRefused(f"chat template: {answer['refused']}")
        if "broken" in answer:
            raise _broken(answer["broken"].rstrip("."))
        return str(answer["text"])


def _broken(why: str) -> TemplateBroken:
    return TemplateBroken(f"The model's chat template cannot be rendered: {why}. Mend chat_template in its folder.")
