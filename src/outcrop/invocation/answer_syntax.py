"""The syntax of the answer to one prompt, and the grammar that holds it, from the model's own template."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from outcrop.invocation import prompts
from outcrop.invocation.exchange import ONE, ChatPrompt, InvocationRequest
from outcrop.invocation.grammar import grammar_of
from outcrop.invocation.target import Target
from outcrop.tokens import thought_tags
from outcrop.tokens.thought_tags import ThoughtPlace, ThoughtTags
from outcrop.tokens.tool_syntax import ToolSyntax


@dataclass(frozen=True, kw_only=True)
class AnswerSyntax:
    """The thoughts and calls that one answer may hold; by itself nothing: all of it is text."""

    thought: ThoughtPlace = ThoughtPlace.NONE
    tags: ThoughtTags | None = None
    tools: ToolSyntax | None = None
    schemas: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    "Of the arguments, by the names of the tools that may be called."
    one_call: bool = False
    "Whether the answer ends with its first call."
    grammar: str | None = None
    "Which answers are possible; None: all of them."

    @property
    def is_plain(self) -> bool:
        """Whether all of the answer is text."""
        return self.tools is None and self.tags is None


def syntax_of(target: Target, asked: InvocationRequest, prompt_ids: list[int]) -> AnswerSyntax:
    """The syntax of the answer to a request. Raises Invalid where its form cannot be held."""
    prompt = asked.prompt
    chat = prompt if isinstance(prompt, ChatPrompt) and target.prompt_format.is_chat else None
    tags = thought_tags.tags_of(target.tokenizer) if chat is not None else None
    begun = chat is not None and chat.messages[-1]["role"] == "assistant"
    place = thought_tags.place_behind(target.tokenizer, tags, prompt_ids, begun=begun)
    tools = chat.callable_tools if chat is not None else ()
    syntax = prompts.tool_syntax(target) if tools else None
    grammar = grammar_of(
        target.tokenizer,
        prompt,
        asked.form,
        syntax=syntax,
        stop_ids=prompts.stop_ids(target, prompt),
        thought=place,
        tags=tags,
    )
    return AnswerSyntax(
        thought=place,
        tags=tags,
        tools=syntax,
        schemas={tool.name: tool.schema for tool in tools},
        one_call=chat is not None and (not chat.parallel_tool_calls or chat.tool_choice.startswith(ONE)),
        grammar=grammar,
    )
