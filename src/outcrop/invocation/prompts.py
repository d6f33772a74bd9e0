"""The ids that a model is given for a prompt, whatever the prompt's length and the model's template."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TypeVar

from outcrop.errors import InputTooLong, Invalid, ModelFailed
from outcrop.invocation.exchange import ChatPrompt, RawPrompt, TokensPrompt
from outcrop.invocation.target import Target
from outcrop.tokens import prompt_format
from outcrop.tokens.chat_template import TemplateBroken, TemplateRefused
from outcrop.tokens.template_habits import TemplateHabits

Prompt = RawPrompt | TokensPrompt | ChatPrompt
Result = TypeVar("Result")

_LARGE = 2**18
"Letters of a prompt that is encoded in a thread for long ones."
_NO_SYSTEM = (
    "This model doesn't support system messages. Try again without a system message or use a model that supports "
    "system messages."
)
# Two: the tokenizer lets the interpreter go, but a processor has an end, and so has memory.
_for_long_prompts = ThreadPoolExecutor(max_workers=2, thread_name_prefix="long prompts")


async def aside(prompt: Prompt, work: Callable[[], Result]) -> Result:
    """The result of `work`, done in a thread: long prompts wait for each other, and nobody for them."""
    executor: Executor | None = _for_long_prompts if sum(map(len, _texts(prompt))) >= _LARGE else None
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


def encode(target: Target, prompt: Prompt) -> list[int]:
    """The prompt's ids, exactly as the model was trained behind them. Raises Invalid, ModelFailed."""
    if isinstance(prompt, TokensPrompt):
        return _given(target, prompt)
    try:
        ids = _encode(target, prompt)
    except TemplateBroken as broken:
        raise ModelFailed(broken.message) from broken
    beyond = target.tokenizer.beyond(ids)
    if beyond is not None:
        raise Invalid(
            f"The prompt holds the token {target.tokenizer.token(beyond)!r}, whose id {beyond} is beyond the "
            f"{target.tokenizer.num_embeddings:,} of this model's network. Send the prompt without it."
        )
    return ids


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


def _encode(target: Target, prompt: RawPrompt | ChatPrompt) -> list[int]:
    tokenizer, form = target.tokenizer, target.prompt_format
    if isinstance(prompt, RawPrompt):
        if target.frames_prompts:
            return prompt_format.encode_asked(tokenizer, form, prompt.text)
        return prompt_format.encode_prompt(tokenizer, prompt.text)
    # A template that leaves a system message out, or refuses it, would answer as if it had not been there.
    if form.is_chat and _habits(target).system != "kept" and prompt.system:
        raise Invalid(_NO_SYSTEM)
    try:
        return prompt_format.encode_conversation(tokenizer, form, prompt.messages, prompt.system)
    except TemplateRefused as refused:
        raise Invalid(f"This model does not take such a conversation ({refused.message}).") from refused


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
