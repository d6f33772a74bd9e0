"""From a request to text: stop sequences, limits, seeds, and engines that die."""

import asyncio
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from outcrop.errors import Invalid, ServiceRefusal
from outcrop.inference.client import EngineAway, UnknownAdapter
from outcrop.invocation import prompts
from outcrop.invocation.exchange import ChatPrompt, Finish, Finished, InvocationRequest, RawPrompt, SamplingOptions
from outcrop.invocation.generate import TextDelta, complete_text, plan, stream_answer, stream_text
from outcrop.invocation.target import Target
from outcrop.tokens.prompt_format import PromptFormat
from outcrop.tokens.tokenizer import Tokenizer
from tests.support.engine_double import EngineDouble
from tests.support.patience import PATIENCE_S
from tests.support.small_tokenizers import CHATML, byte_level
from tests.support.spoken_target import speaking

SAID = "the 猫 said: stop here, not there"


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, timeout=PATIENCE_S))


def serving(folder: Path, said: str = SAID, **changes: Any) -> AbstractAsyncContextManager[tuple[Target, EngineDouble]]:
    return speaking(folder, said, **changes)


def asked(prompt: str = "hi", **sampling: Any) -> InvocationRequest:
    chosen = {"max_tokens": None, "temperature": 0.0, "top_p": 1.0, **sampling}
    return InvocationRequest(prompt=RawPrompt(text=prompt), sampling=SamplingOptions(**chosen))


async def complete(target: Target, **sampling: Any) -> Finished:
    return await complete_text(target, plan(target, asked(**sampling)), patience_s=5)


def test_an_answer_ends_with_the_end_token_which_is_no_text(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as (target, _):
            finished = await complete(target)
            num_tokens = len(target.tokenizer.encode(SAID, begin=False)) + 1
            assert finished == Finished(text=SAID, num_output_tokens=num_tokens, finish=Finish.END)

    run(scenario())


@pytest.mark.parametrize("tokens_per_event", [1, 2, 3, 100])
def test_nothing_from_a_stop_sequence_on_is_ever_shown_and_the_engine_is_let_go(
    tokens_per_event: int, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as (target, engine):
            engine.tokens_per_event = tokens_per_event
            generation = plan(target, asked(stop_sequences=("here", "stop h")))
            deltas = [delta async for delta in stream_text(target, generation)]
            assert "".join(delta.text for delta in deltas) == "the 猫 said: "
            assert all("\ufffd" not in delta.text for delta in deltas)
            assert (deltas[-1].finish, deltas[-1].stop_sequence) == (Finish.STOP_SEQUENCE, "stop h")
            assert [delta.finish for delta in deltas[:-1]] == [None] * (len(deltas) - 1)

    run(scenario())


@pytest.mark.parametrize("stop_sequences", [(), ("said",)], ids=["to its end", "to a stop sequence"])
def test_what_the_engine_had_read_of_the_prompt_is_told(stop_sequences: tuple[str, ...], tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as (target, engine):
            assert (await complete(target, stop_sequences=stop_sequences)).num_cached == 0
            engine.num_cached = 64
            assert (await complete(target, stop_sequences=stop_sequences)).num_cached == 64

    run(scenario())


def test_a_stop_sequence_ends_the_generation_in_the_engine_too(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as (target, engine):
            engine.pause_after = 12
            assert (await complete(target, stop_sequences=("said",))).text == "the 猫 "
            await engine.hung_up.wait()

    run(scenario())


def test_a_stop_sequence_that_never_completes_is_shown_after_all(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path, "a the") as (target, _):
            assert (await complete(target, stop_sequences=("them",))).text == "a the"

    run(scenario())


def test_a_character_cut_off_by_max_tokens_is_shown_as_unreadable(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path, "猫猫") as (target, _):
            assert await complete(target, max_tokens=4) == Finished(
                text="猫\ufffd", num_output_tokens=4, finish=Finish.MAX_TOKENS
            )

    run(scenario())


def test_a_prompt_longer_than_the_context_is_refused_with_numbers(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as (target, _):
            with pytest.raises(Invalid) as refused:
                plan(target, asked("x" * 64))
            assert refused.value.message == (
                "Input is too long for requested model. The prompt has 65 tokens, and prompt and answer together may "
                "have 64. Shorten the prompt."
            )

    run(scenario())


def test_an_answer_gets_no_more_than_the_context_has_left(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as (target, _):
            generation = plan(target, asked("x" * 59, max_tokens=1000))
            assert (generation.max_tokens, generation.full_context) == (4, True)
            assert (await complete_text(target, generation)).finish is Finish.CONTEXT
            short = plan(target, asked("x", max_tokens=1000))
            assert (short.max_tokens, short.full_context) == (48, False)

    run(scenario())


def test_a_request_without_a_seed_gets_one_and_a_given_one_is_kept(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as (target, _):
            seeds = {plan(target, asked()).sampling.seed for _ in range(3)}
            assert len(seeds) == 3
            assert plan(target, asked(seed=5)).sampling.seed == 5

    run(scenario())


def test_a_conversation_is_rendered_for_a_chat_model_and_plain_for_a_text_model(tmp_path: Path) -> None:
    async def scenario() -> None:
        conversation = ChatPrompt(messages=[{"role": "user", "content": "hi"}], system="brief")
        async with serving(tmp_path, prompt_format=PromptFormat.CHAT) as (target, _):
            text = "<s><|im_start|>system\nbrief<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
            assert prompts.encode(target, conversation) == target.tokenizer.encode(text, begin=False)
        async with serving(tmp_path) as (target, _):
            assert prompts.encode(target, conversation) == target.tokenizer.encode("brief\n\nhi", begin=True)

    run(scenario())


def test_a_template_that_takes_no_system_message_is_refused_in_bedrocks_words(tmp_path: Path) -> None:
    async def scenario() -> None:
        refuses = "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}" + CHATML
        folder = byte_level(tmp_path / "other", chat_template=refuses)
        async with serving(tmp_path, prompt_format=PromptFormat.CHAT) as (target, _):
            other = replace(target, tokenizer=Tokenizer.open(folder))
            with pytest.raises(Invalid, match=r"^This model doesn't support system messages\. Try again without"):
                prompts.encode(other, ChatPrompt(messages=[{"role": "user", "content": "hi"}], system="brief"))

    run(scenario())


def test_a_request_is_put_again_with_the_same_seed_when_the_engine_dies(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as (target, engine):
            engine.die_after = [3, None]
            assert (await complete(target)).text == SAID
            first, second = engine.requests
            assert first == second

    run(scenario())


def test_a_request_waits_for_an_engine_that_is_started_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="outcrop.invocation")

    async def scenario() -> None:
        async with serving(tmp_path) as (target, engine):
            await engine.stop()
            waiting = asyncio.create_task(complete(target))
            await asyncio.sleep(0.05)
            await engine.start()
            assert (await waiting).text == SAID

    run(scenario())
    # and the log tells why it took so long
    assert [record.message for record in caplog.records] == ["waits for an engine", "waited for an engine"]


def test_a_request_waits_for_its_adapter_to_be_loaded_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as (target, engine):
            custom = replace(target, adapter="mine")
            waiting = asyncio.create_task(complete(custom))
            await asyncio.sleep(0.05)
            engine.adapters.add("mine")
            assert (await waiting).text == SAID
            engine.adapters.clear()
            with pytest.raises(UnknownAdapter):
                await complete_text(custom, plan(custom, asked()), patience_s=0)

    run(scenario())


def test_an_engine_that_stays_away_is_reported(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as (target, engine):
            await engine.stop()
            with pytest.raises(EngineAway):
                await complete_text(target, plan(target, asked()), patience_s=0)

    run(scenario())


async def collect(target: Target, shown: list[TextDelta]) -> None:
    async for delta in stream_text(target, plan(target, asked()), patience_s=5):
        shown.append(delta)  # noqa: PERF401 (what came before the end counts)


def test_a_stream_that_has_shown_nothing_is_put_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path, "猫") as (target, engine):
            engine.die_after = [2, None]
            deltas: list[TextDelta] = []
            await collect(target, deltas)
            assert "".join(delta.text for delta in deltas) == "猫"
            assert deltas[-1].num_tokens == 4

    run(scenario())


def test_a_stream_that_has_shown_text_ends_with_a_stream_error(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as (target, engine):
            engine.die_after = [5]
            shown: list[TextDelta] = []
            with pytest.raises(ServiceRefusal) as broken:
                await collect(target, shown)
            assert SAID.startswith("".join(delta.text for delta in shown))
            assert shown
            assert broken.value.code == "ModelStreamErrorException"

    run(scenario())


@pytest.mark.parametrize(
    ("said", "stop", "shown"),
    [
        ("the tea<|im_end|> is hot", "<|im_end|>", "the tea"),
        ("the tea<|im_end|><|im_start|> is hot", "<|im_end|><|im_start|>", "the tea"),
        ("the tea<|im_end|>\nis hot", "tea<|im_end|>\ni", "the "),
        ("the tea<|im_end|> is hot", "tea<|im_start|>", "the tea is hot"),
        ("the tea<|im_end|> is hot", "tea is", "the "),
        ("the tea is hot", "</s>", "the tea is hot"),
        ("the tea is hot", "hot</s>", "the tea is "),
    ],
)
@pytest.mark.parametrize("tokens_per_event", [1, 3, 100])
def test_a_stop_sequence_may_be_spelled_with_special_tokens(
    said: str, stop: str, shown: str, tokens_per_event: int, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with serving(tmp_path, said) as (target, engine):
            engine.tokens_per_event = tokens_per_event
            finished = await complete(target, stop_sequences=(stop,))
            met = stop != "tea<|im_start|>"
            assert finished.text == shown
            assert finished.stop_sequence == (stop if met else None)
            assert finished.finish is (Finish.STOP_SEQUENCE if met else Finish.END)

    run(scenario())


def test_special_tokens_stay_unseen_where_nobody_stops_at_them(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path, "the tea<|im_end|> is hot") as (target, _):
            assert (await complete(target)).text == "the tea is hot"
            assert (await complete(target, stop_sequences=("zz", "<|im_endless|>"))).text == "the tea is hot"

    run(scenario())


@pytest.mark.parametrize("tokens_per_event", [1, 3, 100])
@pytest.mark.parametrize("stop", [(), ("stop here",), ("\u732b",)])
def test_log_probabilities_leave_with_the_text_of_their_tokens(
    stop: tuple[str, ...], tokens_per_event: int, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as (target, engine):
            engine.tokens_per_event = tokens_per_event
            wish = plan(target, asked(logprobs=2, stop_sequences=stop))
            *pieces, whole = [item async for item in stream_answer(target, wish)]
            assert isinstance(whole, Finished)
            spelled = b"".join(one.token.spelling for one in whole.logprobs).decode(errors="replace")
            assert spelled.startswith(whole.text)
            assert len(spelled) - len(whole.text) < 12  # at most the token in which the stop sequence begins
            assert [one for piece in pieces for one in piece.logprobs] == list(whole.logprobs)
            shown = ""
            for piece in pieces:
                assert all(one.offset < len(shown) + len(piece.text) for one in piece.logprobs)
                shown += piece.text
            assert all(one.likeliest[0] == one.token and len(one.likeliest) == 2 for one in whole.logprobs)
            again = await complete(target, logprobs=2, stop_sequences=stop)
            assert again.logprobs == whole.logprobs

    run(scenario())


def test_log_probabilities_are_not_asked_for_by_themselves(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as (target, engine):
            assert (await complete(target)).logprobs == ()
            assert "logprobs" not in engine.requests[0]

    run(scenario())
