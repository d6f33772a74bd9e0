"""The ids that a model is given for a prompt, whatever the prompt's length and the model's template."""

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from typing import Any, TypeVar

from outcrop.errors import InputTooLong, Invalid, ModelFailed
from outcrop.invocation.exchange import ChatPrompt, RawPrompt, TokensPrompt, Tool
from outcrop.invocation.target import Target
from outcrop.tokens import prompt_format, thought_tags
from outcrop.tokens.chat_template import TemplateBroken, TemplateRefused
from outcrop.tokens.prompt_format import Encoded
from outcrop.tokens.template_habits import TemplateHabits
from outcrop.tokens.tool_syntax import ToolSyntax

Prompt = RawPrompt | TokensPrompt | ChatPrompt
Result = TypeVar("Result")

_LARGE = 2**18
"Letters of a prompt that is encoded in a thread for long ones."
_NO_SYSTEM = (
    "This model doesn't support system messages. Try again without a system message or use a model that supports "
    "system messages."
)
_NO_TOOLS = "This model doesn't support tool use."
_NOT_TOGETHER = "Conversation blocks and tool result blocks cannot be provided in the same turn."
_NO_THINKING = "thinking: This model does not support extended thinking"
_ALWAYS_THINKS = (
    "thinking: This model thinks before every answer, and its chat template has no switch for it. Leave thinking out."
)
# Two: the tokenizer lets the interpreter go, but a processor has an end, and so has memory.
_for_long_prompts = ThreadPoolExecutor(max_workers=2, thread_name_prefix="long prompts")


async def aside(prompt: Prompt, work: Callable[[], Result]) -> Result:
    """The result of `work`, done in a thread: long prompts wait for each other, and nobody for them."""
    executor: Executor | None = _for_long_prompts if _num_letters(prompt) >= _LARGE else None
    return await asyncio.get_running_loop().run_in_executor(executor, work)


def encode_fitting(target: Target, prompt: Prompt) -> list[int]:
    """The prompt's ids, with room for an answer behind them. Raises Invalid where there is none."""
    _check_bytes(target, prompt)
    ids = encode(target, prompt)
    if len(ids) >= target.context_length:
        raise InputTooLong(
            f"Input is too long for requested model. The prompt has {len(ids)} tokens, and prompt and answer "
            f"together may have {target.context_length}. Shorten the prompt."
        )
    return ids


def encode(target: Target, prompt: Prompt, *, as_it_stands: bool = False) -> list[int]:
    """The prompt's ids, exactly as the model was trained behind them. Raises Invalid, ModelFailed.

    `as_it_stands`: a prompt without turns is not put into the model's form.
    """
    if isinstance(prompt, TokensPrompt):
        return _given(target, prompt)
    try:
        frames = target.frames_prompts and not as_it_stands
        ids = _encode(target, prompt, frames=frames)
    except TemplateBroken as broken:
        raise ModelFailed(broken.message) from broken
    beyond = target.tokenizer.beyond(ids)
    if beyond is not None:
        raise Invalid(
            f"The prompt holds the token {target.tokenizer.token(beyond)!r}, whose id {beyond} is beyond the "
            f"{target.tokenizer.num_embeddings:,} of this model's network. Send the prompt without it."
        )
    return ids


def encode_reference(target: Target, prompt: ChatPrompt, reference: str) -> Encoded:
    """The ids of a conversation and of an answer to it, as they are learned. Raises Invalid, ModelFailed."""
    _check_system(target, prompt)
    try:
        return prompt_format.encode_reference(
            target.tokenizer,
            target.prompt_format,
            prompt.messages,
            reference,
            prompt.system,
            tools=[_described(tool) for tool in prompt.callable_tools],
        )
    except TemplateRefused as refused:
        raise _refused(refused) from refused
    except TemplateBroken as broken:
        raise ModelFailed(broken.message) from broken


def stop_ids(target: Target, prompt: Prompt) -> tuple[int, ...]:
    """The ids that end an answer. Raises ModelFailed for a conversation that the model's template cannot end."""
    try:
        return prompt_format.stop_ids(target.tokenizer, target.prompt_format)
    except Invalid as broken:
        if isinstance(prompt, TokensPrompt) or (isinstance(prompt, RawPrompt) and not target.frames_prompts):
            return target.tokenizer.eos_ids  # the template has no part in it
        raise ModelFailed(broken.message) from broken


def _given(target: Target, prompt: TokensPrompt) -> list[int]:
    """Ids as they were sent, for whoever encodes by the model's own tokenizer."""
    tokenizer = target.tokenizer
    strange = next((one for one in prompt.ids if not 0 <= one < 2**31 or tokenizer.token(one) is None), None)
    beyond = tokenizer.beyond(list(prompt.ids)) if strange is None else strange
    if beyond is not None:
        raise Invalid(f"The prompt holds the token id {beyond}, which this model does not have. Use its own tokenizer.")
    return list(prompt.ids)


def _encode(target: Target, prompt: RawPrompt | ChatPrompt, *, frames: bool) -> list[int]:
    tokenizer, form = target.tokenizer, target.prompt_format
    if isinstance(prompt, RawPrompt):
        if frames:
            return prompt_format.encode_asked(tokenizer, form, prompt.text)
        return prompt_format.encode_prompt(tokenizer, prompt.text)
    _check_system(target, prompt)
    if (prompt.callable_tools or prompt.has_calls) and tool_syntax(target) is None:
        raise Invalid(_NO_TOOLS)
    try:
        return _conversation(target, prompt)
    except TemplateRefused as refused:
        if prompt.has_calls:
            return _with_short_ids(target, prompt, refused)
        raise _refused(refused) from refused


def _check_system(target: Target, prompt: ChatPrompt) -> None:
    # A template that leaves a system message out, or refuses it, would answer as if it had not been there. Its habits
    # are asked first: one that no answer could follow is the model's fault, whatever the conversation.
    if target.prompt_format.is_chat and _habits(target).system != "kept" and prompt.system:
        raise Invalid(_NO_SYSTEM)


def tool_syntax(target: Target) -> ToolSyntax | None:
    """How the model writes calls of tools; None where its template has none."""
    return _habits(target).tool_syntax if target.prompt_format.is_chat else None


def _conversation(target: Target, prompt: ChatPrompt) -> list[int]:
    syntax = tool_syntax(target) if prompt.has_calls else None
    as_text = syntax is not None and syntax.arguments_as_text
    return prompt_format.encode_conversation(
        target.tokenizer,
        target.prompt_format,
        [_with_text_arguments(turn) if as_text else turn for turn in prompt.messages],
        prompt.system,
        tools=[_described(tool) for tool in prompt.callable_tools],
        options=_options(target, prompt),
    )


def _with_short_ids(target: Target, prompt: ChatPrompt, refused: TemplateRefused) -> list[int]:
    """The prompt with ids of nine letters, which are all that some templates take."""
    turns = [_shortened(turn) for turn in prompt.messages]
    try:
        return _conversation(target, replace(prompt, messages=turns))
    except TemplateRefused:
        together = any(
            before["role"] == "tool" and after["role"] == "user" for before, after in pairwise(prompt.messages)
        )
        raise (Invalid(_NOT_TOGETHER) if together else _refused(refused)) from refused


def _refused(refused: TemplateRefused) -> Invalid:
    return Invalid(f"This model does not take such a conversation ({refused.message}).")


def _shortened(turn: Mapping[str, Any]) -> dict[str, Any]:
    short = dict(turn)
    if "tool_call_id" in turn:
        short["tool_call_id"] = _short(turn["tool_call_id"])
    if turn.get("tool_calls"):
        short["tool_calls"] = [{**call, "id": _short(call["id"])} for call in turn["tool_calls"]]
    return short


def _short(call_id: str) -> str:
    return hashlib.sha256(call_id.encode()).hexdigest()[:9]


def _with_text_arguments(turn: Mapping[str, Any]) -> Mapping[str, Any]:
    """A turn as templates want it that write the arguments of a call as they are."""
    if not turn.get("tool_calls"):
        return turn
    calls = [
        {**call, "function": {**call["function"], "arguments": _as_json(call["function"]["arguments"])}}
        for call in turn["tool_calls"]
    ]
    return {**turn, "tool_calls": calls}


def _described(tool: Tool) -> dict[str, Any]:
    """A tool in OpenAI's form, which is that of the templates."""
    function = {"name": tool.name, "description": tool.description, "parameters": tool.schema}
    return {"type": "function", "function": function}


def _options(target: Target, prompt: ChatPrompt) -> dict[str, Any]:
    """The template's switch for thinking, where the request says something of it."""
    if prompt.thinking is None:
        return {}
    template = target.tokenizer.chat_template if target.prompt_format.is_chat else None
    if template is not None and template.thinking_switch is not None:
        return {template.thinking_switch: prompt.thinking}
    thinks = template is not None and thought_tags.tags_of(target.tokenizer) is not None
    if thinks != prompt.thinking:
        raise Invalid(_ALWAYS_THINKS if thinks else _NO_THINKING)
    return {}


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _check_bytes(target: Target, prompt: Prompt) -> None:
    """Refuse, without reading it, a prompt that cannot fit however its tokens fall."""
    texts = _texts(prompt)
    if sum(map(len, texts)) <= target.context_length:
        return
    if target.prompt_format.is_chat and isinstance(prompt, ChatPrompt):
        habits = _habits(target)
        if not (habits.keeps_earlier_turns and habits.keeps_earlier_thoughts):
            texts = texts[-1:]  # of the others, nobody knows how much the template writes
    # White space around a text may be trimmed. Half a character is refused later, and counts as one byte.
    num_bytes = sum(len(text.strip().encode("utf-8", "replace")) for text in texts)
    least = target.tokenizer.least_tokens(num_bytes)
    if least > target.context_length:
        raise InputTooLong(
            f"Input is too long for requested model. The prompt has {num_bytes:,} bytes, and no token of this model "
            f"has more than {target.tokenizer.most_bytes_per_token}, so it has at least {least:,} tokens; prompt and "
            f"answer together may have {target.context_length:,}. Shorten the prompt."
        )


def _habits(target: Target) -> TemplateHabits:
    """The treatment of conversations by the model's template. Raises ModelFailed where it can have none."""
    try:
        return prompt_format.chat_habits(target.tokenizer)
    except Invalid as broken:
        raise ModelFailed(broken.message) from broken


def _texts(prompt: Prompt) -> list[str]:
    """All there is of a prompt, the latest words last."""
    if isinstance(prompt, TokensPrompt):
        return []
    if isinstance(prompt, RawPrompt):
        return [prompt.text]
    return [prompt.system or "", *(turn["content"] for turn in prompt.messages)]


def _num_letters(prompt: Prompt) -> int:
    """The letters of a prompt with its tools and their calls."""
    more = 0
    if isinstance(prompt, ChatPrompt) and (prompt.tools or prompt.has_calls):
        more = len(_as_json([[turn.get("tool_calls") for turn in prompt.messages], *map(_described, prompt.tools)]))
    return sum(map(len, _texts(prompt))) + more
