"""Chat templates as Hugging Face models carry them: Jinja in a sandbox, with the names such templates expect."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from outcrop.clock import Clock
from outcrop.errors import Invalid

Messages = Sequence[Mapping[str, str]]
"Turns as templates read them: {'role': 'system' | 'user' | 'assistant', 'content': text}."


class TemplateRefused(Invalid):
    """The template itself says that it cannot write this conversation, e.g. one with a system message."""


class _GenerationBlock(Extension):
    """`{% generation %}…{% endgeneration %}` marks what the assistant says; here it is only its content."""

    tags = {"generation"}  # noqa: RUF012 (Jinja's own declaration)

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class ChatTemplate:
    """One compiled template; `tokens` are the special tokens it may name, such as bos_token."""

    def __init__(self, source: str, *, tokens: Mapping[str, str], clock: Clock) -> None:
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _GenerationBlock]
        )
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _refuse
        environment.globals["strftime_now"] = _strftime(clock)
        self._tokens = tokens
        try:
            self._template = environment.from_string(source)
        except jinja2.TemplateError as problem:
            raise Invalid(f"chat template: {problem}. Mend chat_template in tokenizer_config.json.") from problem

    def render(self, messages: Messages, *, add_generation_prompt: bool) -> str:
        """The conversation as text. Raises TemplateRefused with the template's own words."""
        try:
            return self._template.render(
                messages=[dict(message) for message in messages],
                add_generation_prompt=add_generation_prompt,
                tools=None,
                documents=None,
                **self._tokens,
            )
        except jinja2.TemplateError as problem:
            raise TemplateRefused(f"chat template: {problem}") from problem


def _refuse(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def _strftime(clock: Clock) -> Callable[[str], str]:
    return lambda form: clock.now().strftime(form)


def _to_json(value: Any, indent: int | None = None, **_formatting: Any) -> str:
    # Jinja's own tojson escapes <, > and & for HTML, which a model was never trained on.
    return json.dumps(value, ensure_ascii=False, indent=indent)
