"""The two halves of an invocation, free of any provider's words: what was asked, and what came of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from outcrop.inference.request import Sampling
from outcrop.invocation.text_logprobs import TextLogprob
from outcrop.tokens.chat_template import Messages


@dataclass(frozen=True, kw_only=True)
class RawPrompt:
    """A text the model goes on from, as it is."""

    text: str


@dataclass(frozen=True, kw_only=True)
class TokensPrompt:
    """Token ids that the model goes on from, as they are."""

    ids: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A tool that the model may call: its caller runs it."""

    name: str
    schema: Mapping[str, Any]
    "JSON schema of its arguments, an object."
    description: str = ""
    strict: bool = False
    "Whether a call that the model makes of its own accord must fit the schema too."


@dataclass(frozen=True, kw_only=True)
class ToolCall:
    """A call of a tool in an answer."""

    id: str
    name: str
    arguments: Mapping[str, Any]


AUTO, ANY, NONE = "auto", "any", "none"
ONE = "tool:"
"The tool choices; `tool:NAME` is one tool."


@dataclass(frozen=True, kw_only=True)
class ChatPrompt:
    """Turns as chat templates take them: {'role': 'user' | 'assistant' | 'tool', 'content': text}.

    A turn of the assistant may have `tool_calls` ({'id', 'type': 'function', 'function': {'name', 'arguments'}}, the
    arguments an object) and `reasoning_content`; one of a tool has `tool_call_id`, and the `name` of the tool.
    """

    messages: Messages
    system: str | None = None
    tools: tuple[Tool, ...] = ()
    tool_choice: str = AUTO
    parallel_tool_calls: bool = True
    "Whether one answer may call several tools."
    thinking: bool | None = None
    "Whether the model shall think first; None leaves it to its chat template."

    @property
    def callable_tools(self) -> tuple[Tool, ...]:
        """The tools that the answer may call."""
        return () if self.tool_choice == NONE else self.tools

    @property
    def has_calls(self) -> bool:
        """Whether a turn calls tools or gives their results."""
        return any(turn["role"] == "tool" or turn.get("tool_calls") for turn in self.messages)


@dataclass(frozen=True, kw_only=True)
class SamplingOptions(Sampling):
    """Sampling options of a request: how tokens are chosen, and where the answer ends."""

    max_tokens: int | None
    "None leaves it to the model's own limit."
    stop_sequences: tuple[str, ...] = ()
    logprobs: int | None = None
    "How many of the likeliest tokens are told with each of the answer; None: no log probabilities."

    def of_tokens(self, *, otherwise_seed: int) -> Sampling:
        """The options that an engine needs; `otherwise_seed` stands in where none was asked for."""
        values = {each.name: getattr(self, each.name) for each in fields(Sampling)}
        return Sampling(**{**values, "seed": otherwise_seed if self.seed is None else self.seed})


@dataclass(frozen=True, kw_only=True)
class JsonSchema:
    """A form of answers: JSON that fits a schema, the text of which was checked (`answer_form.py`)."""

    schema: Mapping[str, Any] | bool
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class JsonObject:
    """A form of answers: any JSON object."""


@dataclass(frozen=True, kw_only=True)
class Grammar:
    """A form of answers: texts of a Lark grammar, or those that a regular expression matches as a whole."""

    text: str
    kind: Literal["lark", "regex"]


AnswerForm = JsonSchema | JsonObject | Grammar


@dataclass(frozen=True, kw_only=True)
class InvocationRequest:
    """An invocation request, whatever provider's body it came in."""

    prompt: RawPrompt | TokensPrompt | ChatPrompt
    sampling: SamplingOptions
    form: AnswerForm | None = None
    "Which answers are possible; None: all of them."
    num_answers: int = 1
    "Answers to make, each drawn by a seed of its own."
    num_kept: int | None = None
    "Of these, so many of the likeliest are given; None: all."


class Finish(StrEnum):
    """Why an answer ended."""

    END = "end"
    "The model said all it had to say."
    MAX_TOKENS = "max_tokens"
    STOP_SEQUENCE = "stop_sequence"
    CONTEXT = "context"
    "The context was full before max_tokens were reached."
    TOOL_USE = "tool_use"
    "The model called tools, and waits for their results."
    GUARDRAIL = "guardrail"
    "A guardrail blocked the request or the answer."


Count = Callable[[int, int], object]
"Told the tokens of the prompt and those of the answer so far."


def uncounted(_num_input_tokens: int, _num_output_tokens: int) -> None:
    """Count no tokens, for whoever asks without an account to keep."""


@dataclass(frozen=True, kw_only=True)
class Started:
    """The facts of an exchange that are known before the first token."""

    id: str
    "Random; each provider puts its own prefix before it."
    model_id: str
    created: datetime
    asked: InvocationRequest
    num_input_tokens: int
    "0 until its server has told them, of a remote model."
    index: int = 0
    "The number of the answer among those of the request."

    def ended(self, *finished: "Finished") -> "Started":
        """The facts with what only the ends of the answers have told."""
        counted = [each.num_input_tokens for each in finished if each.num_input_tokens is not None]
        return replace(self, num_input_tokens=sum(counted)) if counted else self


@dataclass(frozen=True, kw_only=True)
class AnswerPiece:
    """Some text of the answer, as it is made."""

    text: str
    "Words of the answer or of the reasoning; of a tool call, a piece of its arguments as JSON text."
    num_output_tokens: int
    "Tokens so far, this piece included."
    first: bool
    "Whether it is the first piece of the answer."
    logprobs: tuple[TextLogprob, ...] = ()
    "Of the tokens that begin in this piece, where they were asked for."
    part: Literal["text", "reasoning", "tool"] = "text"
    block: int = 0
    "The number of the content block that it is a part of: reasoning, text and each tool call are blocks of their own."
    opens: bool = False
    "Whether it is the first piece of its block."
    call_index: int = 0
    "Of a tool call: its number among the calls of the answer."
    call_id: str = ""
    call_name: str = ""


@dataclass(frozen=True, kw_only=True)
class Finished:
    """The whole answer."""

    text: str
    "Without reasoning and tool calls."
    num_output_tokens: int
    finish: Finish
    stop_sequence: str | None = field(default=None)
    "The one that was met."
    logprobs: tuple[TextLogprob, ...] = ()
    "Of all tokens of the text, where they were asked for."
    num_cached: int = 0
    "Tokens of the prompt that the engine had read before, for others."
    reasoning: str = ""
    "What the model thought before it answered, without the tags around it."
    tool_calls: tuple[ToolCall, ...] = ()
    num_input_tokens: int | None = None
    "Of the prompt, as a remote model's server counted them; None where they were counted here, before it began."
    num_blocks: int = 1
    "Content blocks of a stream of this answer; an empty one has one."
