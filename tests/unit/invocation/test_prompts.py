"""From what was asked to ids: forms, lengths, and models whose files are wrong."""

import asyncio
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from outcrop.errors import Invalid, ModelFailed
from outcrop.invocation import prompts
from outcrop.invocation.exchange import ChatPrompt, InvocationRequest, RawPrompt, SamplingOptions
from outcrop.invocation.generate import plan, plan_aside
from outcrop.invocation.target import Target
from outcrop.tokens.prompt_format import PromptFormat
from outcrop.tokens.tokenizer import Tokenizer
from tests.support.patience import PATIENCE_S
from tests.support.small_tokenizers import CHATML, byte_level, sentencepiece_like
from tests.support.spoken_target import speaking

ONE_TURN = ChatPrompt(messages=[{"role": "user", "content": "hi"}])


def target_of(folder: Path, *, template: str | None = CHATML, **changes: Any) -> Target:
    """A target that is asked for ids only."""

    async def made() -> Target:
        async with speaking(folder / "spoken", "") as (target, _):
            tokenizer = Tokenizer.open(byte_level(folder / "base", chat_template=template))
            return replace(target, tokenizer=tokenizer, **changes)

    return asyncio.run(asyncio.wait_for(made(), PATIENCE_S))


def asked(prompt: RawPrompt | ChatPrompt) -> InvocationRequest:
    return InvocationRequest(prompt=prompt, sampling=SamplingOptions(max_tokens=None, temperature=0.0, top_p=1.0))


def spelled(target: Target, prompt: RawPrompt | ChatPrompt) -> str:
    ids = prompts.encode(target, prompt)
    return "".join(target.tokenizer.token(one) or "" for one in ids).replace("Ġ", " ").replace("Ċ", "\n")


WRITTEN = "<s><|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"


@pytest.mark.parametrize("prompt", ["hi", WRITTEN, WRITTEN.removeprefix("<s>")])
def test_a_custom_model_of_chats_sees_every_prompt_as_a_chat_once(prompt: str, tmp_path: Path) -> None:
    target = target_of(tmp_path, prompt_format=PromptFormat.CHAT, frames_prompts=True)
    assert spelled(target, RawPrompt(text=prompt)) == WRITTEN
    assert spelled(target, ONE_TURN) == WRITTEN


def test_a_base_model_goes_on_from_a_prompt_as_it_is(tmp_path: Path) -> None:
    target = target_of(tmp_path, prompt_format=PromptFormat.CHAT)
    assert spelled(target, RawPrompt(text="hi")) == "<s>hi"


@pytest.mark.parametrize(
    ("template", "conversation", "written"),
    [
        ("Q: {prompt}\nA:", ONE_TURN, "<s>Q: hi\nA:"),
        ("Q: {prompt}\nA:", replace(ONE_TURN, system="be"), "<s>Q: be\n\nhi\nA:"),
        ("[{system}] {prompt} =", replace(ONE_TURN, system="be"), "<s>[be] hi ="),
        ("[{system}] {prompt} =", ONE_TURN, "<s>[] hi ="),
        (
            "Q: {prompt}\nA:",
            ChatPrompt(
                messages=[
                    *ONE_TURN.messages,
                    {"role": "assistant", "content": "yes"},
                    {"role": "user", "content": "no"},
                ]
            ),
            "<s>Q: User: hi\nBot: yes\nUser: no\nA:",
        ),
        (
            "Q: {prompt}\nA:",
            ChatPrompt(messages=[*ONE_TURN.messages, {"role": "assistant", "content": " ye"}]),
            "<s>Q: hi\nA: ye",
        ),
    ],
)
def test_a_models_own_form_is_put_around_conversations(
    template: str, conversation: ChatPrompt, written: str, tmp_path: Path
) -> None:
    target = target_of(tmp_path, prompt_format=PromptFormat(template), frames_prompts=True)
    assert spelled(target, conversation) == written


@pytest.mark.parametrize("prompt", ["hi", "Q: hi\nA:", "Q: hi\nA: "])
def test_a_models_own_form_is_put_around_a_prompt_once(prompt: str, tmp_path: Path) -> None:
    target = target_of(tmp_path, prompt_format=PromptFormat("Q: {prompt}\nA:"), frames_prompts=True)
    assert spelled(target, RawPrompt(text=prompt)).rstrip() == "<s>Q: hi\nA:"


def test_what_a_prompt_says_is_no_place_to_put_things(tmp_path: Path) -> None:
    target = target_of(tmp_path, prompt_format=PromptFormat("{system}|{prompt}|"), frames_prompts=True)
    told = ChatPrompt(messages=[{"role": "user", "content": "{system}"}], system="{prompt}")
    assert spelled(target, told) == "<s>{prompt}|{system}|"


def test_a_system_message_that_the_template_leaves_out_is_refused(tmp_path: Path) -> None:
    silent = "{% for m in messages %}{% if m.role != 'system' %}{{ m.content + eos_token }}{% endif %}{% endfor %}"
    target = target_of(tmp_path, template=silent, prompt_format=PromptFormat.CHAT)
    assert spelled(target, ONE_TURN) == "hi</s>"
    with pytest.raises(Invalid, match="This model doesn't support system messages"):
        prompts.encode(target, replace(ONE_TURN, system="be brief"))


@pytest.mark.parametrize(
    "template",
    [
        "{{ 1 / 0 }}",
        "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}",
        "{{ 1 + messages[0].content }}",
        "{{ messages.a.b }}",
        "{% for m in messages %}{{ m.content }}{% endfor %}",
        "{{ eos_token }}",
    ],
)
def test_a_template_that_is_broken_is_the_models_fault(template: str, tmp_path: Path) -> None:
    target = target_of(tmp_path, template=template, prompt_format=PromptFormat.CHAT)
    with pytest.raises(ModelFailed, match="chat template"):
        plan(target, asked(ONE_TURN))
    assert plan(target, asked(RawPrompt(text="hi"))).prompt_ids == target.tokenizer.encode("hi", begin=True)


def test_a_conversation_that_a_template_refuses_is_the_callers_fault(tmp_path: Path) -> None:
    picky = "{% if messages[0].content == 'hi' %}{{ raise_exception('say more') }}{% endif %}" + CHATML
    target = target_of(tmp_path, template=picky, prompt_format=PromptFormat.CHAT)
    with pytest.raises(Invalid, match=r"does not take such a conversation \(chat template: say more\)"):
        plan(target, asked(ONE_TURN))


def test_a_token_beyond_the_network_is_refused_by_its_name(tmp_path: Path) -> None:
    folder = byte_level(tmp_path / "beyond")
    (folder / "config.json").write_text('{"vocab_size": 266}')
    tokenizer = Tokenizer.open(folder)
    assert tokenizer.token_id("<|im_end|>") == 266
    target = replace(target_of(tmp_path), tokenizer=tokenizer)
    assert prompts.encode(target, RawPrompt(text="hi"))
    with pytest.raises(Invalid) as refused:
        prompts.encode(target, RawPrompt(text="hi<|im_end|>"))
    assert refused.value.message == (
        "The prompt holds the token '<|im_end|>', whose id 266 is beyond the 266 of this model's network. "
        "Send the prompt without it."
    )


@pytest.mark.parametrize("text", ["a\ud83db", "\udc00", "x" * 20_000 + "\ud83d"])
@pytest.mark.parametrize("prompt_format", [PromptFormat.CHAT, PromptFormat.TEXT, PromptFormat("Q {prompt}")])
def test_half_a_character_is_refused(text: str, prompt_format: PromptFormat, tmp_path: Path) -> None:
    target = target_of(tmp_path, prompt_format=prompt_format, frames_prompts=True)
    for prompt in (RawPrompt(text=text), ChatPrompt(messages=[{"role": "user", "content": text}])):
        with pytest.raises(Invalid, match="holds half a character"):
            prompts.encode(target, prompt)


def test_what_cannot_fit_is_refused_by_its_bytes(tmp_path: Path) -> None:
    target = target_of(tmp_path)
    longest = len("<|im_start|>")
    assert target.tokenizer.most_bytes_per_token == longest
    with pytest.raises(Invalid) as refused:
        plan(target, asked(RawPrompt(text="x" * 10_000)))
    assert refused.value.message == (
        "Input is too long for requested model. The prompt has 10,000 bytes, and no token of this model has more than "
        "12, so it has at least 834 tokens; prompt and answer together may have 64. Shorten the prompt."
    )


def test_what_might_fit_is_counted(tmp_path: Path) -> None:
    target = target_of(tmp_path)
    assert len(plan(target, asked(RawPrompt(text="<|im_start|>" * 60))).prompt_ids) == 61
    with pytest.raises(Invalid, match="The prompt has 65 tokens, and prompt and answer together may have 64"):
        plan(target, asked(RawPrompt(text="<|im_start|>" * 64)))


def test_nothing_is_said_by_bytes_where_a_template_drops_earlier_turns(tmp_path: Path) -> None:
    last_only = "{{ messages[-1].content + eos_token }}"
    target = target_of(tmp_path, template=last_only, prompt_format=PromptFormat.CHAT)
    said = [{"role": "user", "content": "x" * 10_000}, {"role": "assistant", "content": "y"}]
    assert plan(target, asked(ChatPrompt(messages=[*said, {"role": "user", "content": "hi"}]))).prompt_ids


def test_nothing_is_said_by_bytes_where_one_token_may_hide_any_length(tmp_path: Path) -> None:
    unknown = Tokenizer.open(sentencepiece_like(tmp_path / "a"))
    assert unknown.most_bytes_per_token is not None
    folder = byte_level(tmp_path / "b")
    text = (folder / "tokenizer.json").read_text()
    (folder / "tokenizer.json").write_text(text.replace('"rstrip": false', '"rstrip": true', 1))
    assert Tokenizer.open(folder).most_bytes_per_token is None


def test_a_long_prompt_keeps_nobody_waiting(tmp_path: Path) -> None:
    """While one thread is in a long prompt, the loop goes on and a short one is answered."""
    target = target_of(tmp_path, context_length=10**7)
    begun, release = threading.Event(), threading.Event()

    def long_work() -> str:
        begun.set()
        assert release.wait(PATIENCE_S)
        return "long"

    async def scenario() -> None:
        prompt = RawPrompt(text="x" * 300_000)
        waiting = [asyncio.create_task(prompts.aside(prompt, long_work)) for _ in range(40)]
        await asyncio.to_thread(begun.wait, PATIENCE_S)
        assert (await plan_aside(target, asked(RawPrompt(text="hi")))).num_input_tokens
        release.set()
        assert await asyncio.gather(*waiting) == ["long"] * 40

    asyncio.run(asyncio.wait_for(scenario(), PATIENCE_S))


@pytest.mark.parametrize("text", ["the tea is hot\n" * 3000, "猫" * 20_000, "x" * 40_000])
def test_long_texts_have_the_ids_of_short_ones(text: str, tmp_path: Path) -> None:
    tokenizer = Tokenizer.open(byte_level(tmp_path))
    ids = tokenizer.encode(text, begin=True)
    assert ids[1:] == tokenizer._continuing.encode(text, add_special_tokens=False).ids
    assert tokenizer.decode(ids) == text
