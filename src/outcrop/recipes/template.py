"""Prompts and completions by a template of the user: Jinja, over the fields of an item's source.

Templates are rendered as a model's chat template is, in a sandbox within a process that has limits of time and memory.
A name that an item does not have leaves that item out; a template that does not end stops the recipe.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import jinja2

from outcrop.errors import Invalid
from outcrop.recipes.recipe import Dropped, Item, Kept, num_characters
from outcrop.tokens import template_pool
from outcrop.tokens.template_process import environment

_OPTION = {"prompt": "--prompt", "completion": "--completion"}


@dataclass(frozen=True, kw_only=True)
class RecordTemplate:
    """Templates of a record's prompt and completion; None leaves what the recipe wrote."""

    prompt: str | None = None
    completion: str | None = None

    def __post_init__(self) -> None:
        for name, source in self._given():
            try:
                # Read, not compiled: the compiler computes constants, and with them whatever was written.
                environment().parse(source)
            except (jinja2.TemplateError, RecursionError) as problem:
                raise Invalid(f"{_OPTION[name]}: {problem}. Write Jinja, such as {{{{ field }}}}.") from problem

    def fill(self, items: Iterable[Item]) -> Iterator[Item]:
        """The items with their texts written anew. Raises Invalid when a template goes beyond its limits."""
        for item in items:
            yield self._filled(item) if isinstance(item, Kept) and self._given() else item

    def _given(self) -> list[tuple[str, str]]:
        both = (("prompt", self.prompt), ("completion", self.completion))
        return [(name, source) for name, source in both if source is not None]

    def _filled(self, item: Kept) -> Item:
        if "messages" in item.record:
            raise Invalid(f"{item.origin}: a conversation, which --prompt and --completion do not write.")
        fields = {**item.record, **item.fields}
        written = {name: item.record[name] for name in _OPTION if name in item.record}
        for name, source in self._given():
            answer = _render(source, fields, name=name, item=item)
            if "text" not in answer:
                return _left_out(item, name, answer, fields)
            written[name] = answer["text"]
        missing = [name for name in _OPTION if name not in written]
        if missing:
            raise Invalid(
                f"{_OPTION[missing[0]]}: missing. This recipe writes texts; give both templates to make pairs."
            )
        return replace(item, record=written)


def _render(source: str, fields: Mapping[str, Any], *, name: str, item: Kept) -> dict[str, Any]:
    num_letters = num_characters(item.record) + sum(len(str(value)) for value in item.fields.values())
    try:
        return template_pool.ask(source, {"fields": fields}, num_letters=num_letters)
    except template_pool.TooMuchError as problem:
        raise Invalid(f"{_OPTION[name]}: on {item.origin}: {problem}. Write a shorter template.") from problem


def _left_out(item: Kept, name: str, answer: Mapping[str, Any], fields: Mapping[str, Any]) -> Dropped:
    """An item that its template refuses with raise_exception, or cannot write."""
    if "refused" in answer:
        return Dropped(origin=item.origin, reason=f"{_OPTION[name]}: {answer['refused']}"[:200])
    why = str(answer["broken"]).removeprefix("UndefinedError: ")
    known = f" (fields: {', '.join(map(str, fields))})" if "undefined" in why else ""
    return Dropped(origin=item.origin, reason=f"{_OPTION[name]}: {why}{known}"[:500])
