"""Text completions at OpenAI's door: prompts of every form, several answers, the best of them, and the echo."""

import pytest

from outcrop.tokens.tokenizer import Tokenizer
from tests.support.openai_house import STARTER, Json, OpenAiHouse, run, speaking
from tests.support.small_tokenizers import BUNDLED

ASKED = {"model": STARTER, "prompt": "Once"}


def test_a_completion_is_openais_to_the_letter_and_has_sixteen_tokens_at_most(shared: OpenAiHouse) -> None:
    async def scenario() -> None:
        async with speaking(shared, " upon a time") as place:
            answer = await place.post("/completions", **ASKED)
            assert answer.pop("id").startswith("cmpl-")
            assert answer.pop("usage")["prompt_tokens"] > 0
            choice = {"index": 0, "text": " upon a time", "logprobs": None, "finish_reason": "stop"}
            common = {"created": 1767225600, "model": STARTER, "system_fingerprint": None}
            assert answer == {"object": "text_completion", **common, "choices": [choice]}
            assert place.engine.requests[-1]["max_tokens"] == 16

    run(scenario())


def test_a_stream_is_the_same_text(shared: OpenAiHouse) -> None:
    async def scenario() -> None:
        async with speaking(shared, " upon a time") as place:
            chunks = await place.stream("/completions", **ASKED, stream_options={"include_usage": True})
            assert "".join(chunk["choices"][0]["text"] for chunk in chunks[:-1]) == " upon a time"
            assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
            assert (chunks[-1]["choices"], chunks[-1]["usage"]["total_tokens"] > 0) == ([], True)

    run(scenario())


def test_prompts_may_be_token_ids_and_several(shared: OpenAiHouse) -> None:
    async def scenario() -> None:
        async with speaking(shared, lambda body: str(len(body["prompt"]))) as place:
            ids = Tokenizer.open(BUNDLED).encode("Once upon", begin=True)
            answer = await place.post("/completions", model=STARTER, prompt=ids)
            assert place.engine.requests[-1]["prompt"] == ids
            assert answer["usage"]["prompt_tokens"] == len(ids)
            several = await place.post("/completions", model=STARTER, prompt=[ids, ids[:2], ids[:1]], n=2)
            assert [choice["index"] for choice in several["choices"]] == [0, 1, 2, 3, 4, 5]
            sizes = [str(len(ids))] * 2 + ["2", "2", "1", "1"]
            assert [choice["text"] for choice in several["choices"]] == sizes
            assert several["usage"]["prompt_tokens"] == len(ids) + 3
            texts = await place.post("/completions", model=STARTER, prompt=["a", "b c d"])
            assert len(texts["choices"]) == 2
            chunks = await place.stream("/completions", model=STARTER, prompt=[ids, ids[:2]])
            said = dict.fromkeys((0, 1), "")
            for chunk in chunks:
                said[chunk["choices"][0]["index"]] += chunk["choices"][0]["text"]
            assert said == {0: str(len(ids)), 1: "2"}

    run(scenario())


def test_the_prompt_is_echoed_before_every_answer(shared: OpenAiHouse) -> None:
    async def scenario() -> None:
        async with speaking(shared, " upon a time") as place:
            answer = await place.post("/completions", **ASKED, echo=True, n=2)
            assert [choice["text"] for choice in answer["choices"]] == ["Once upon a time"] * 2
            chunks = await place.stream("/completions", **ASKED, echo=True)
            assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == "Once upon a time"

    run(scenario())


def test_the_best_of_several_answers_is_the_likeliest(shared: OpenAiHouse) -> None:
    async def scenario() -> None:
        async with speaking(shared, lambda body: f"{body['seed']}") as place:
            answer = await place.post("/completions", **ASKED, seed=7, best_of=3, n=2)
            assert len(answer["choices"]) == 2
            assert [choice["logprobs"] for choice in answer["choices"]] == [None, None]
            assert answer["usage"]["completion_tokens"] > sum(len(choice["text"]) for choice in answer["choices"])
            told = await place.post("/completions", **ASKED, logprobs=2)
            logprobs = told["choices"][0]["logprobs"]
            assert logprobs.keys() == {"tokens", "token_logprobs", "top_logprobs", "text_offset"}

    run(scenario())


@pytest.mark.parametrize(
    ("more", "param", "code"),
    [
        ({"suffix": "end"}, "suffix", "unsupported_parameter"),
        ({"echo": True, "logprobs": 1, "stream": True}, "echo", "unsupported_parameter"),
        ({"max_tokens": 0}, "max_tokens", "invalid_value"),
        ({"best_of": 1, "n": 2}, "best_of", "invalid_value"),
        ({"best_of": 3, "stream": True}, "best_of", "unsupported_parameter"),
        ({"best_of": 21}, "best_of", "invalid_value"),
        ({"prompt": None}, "prompt", "missing_required_parameter"),
        ({"prompt": ""}, "prompt", "invalid_type"),
        ({"prompt": []}, "prompt", "invalid_type"),
        ({"prompt": ["a", 1]}, "prompt[1]", "invalid_type"),
        ({"prompt": [-1]}, None, "invalid_value"),
        ({"prompt": [2**40]}, None, "invalid_value"),
        ({"prompt": [True]}, "prompt[0]", "invalid_type"),
        ({"logprobs": 6}, "logprobs", "invalid_value"),
        ({"logprobs": True}, "logprobs", "invalid_type"),
        ({"messages": []}, "messages", "unknown_parameter"),
    ],
)
def test_what_is_not_served_or_wrong_is_refused_by_its_name(
    more: Json, param: str | None, code: str, shared: OpenAiHouse
) -> None:
    async def scenario() -> None:
        error = await shared.refused("POST", "/completions", 400, json={**ASKED, **more})
        assert (error["param"], error["code"]) == (param, code)

    run(scenario())


def test_echo_with_logprobs_tells_those_of_the_prompt(shared: OpenAiHouse) -> None:
    async def scenario() -> None:
        async with speaking(shared, " upon a time") as place:
            tokenizer = Tokenizer.open(BUNDLED)
            ids = tokenizer.encode("Once", begin=True)
            told = [None, *(-float(one) for one in ids[1:])]  # as the double scores a token
            alone = await place.post("/completions", **ASKED, echo=True, logprobs=0, max_tokens=0)
            (choice,) = alone["choices"]
            assert (choice["text"], choice["finish_reason"]) == ("Once", "length")
            assert choice["logprobs"]["token_logprobs"] == told
            assert choice["logprobs"]["top_logprobs"][0] is None
            assert "".join(choice["logprobs"]["tokens"][1:]) == "Once"
            assert choice["logprobs"]["text_offset"][:2] == [0, 0]
            assert alone["usage"] == {"prompt_tokens": len(ids), "completion_tokens": 0, "total_tokens": len(ids)}
            both = await place.post("/completions", **ASKED, echo=True, logprobs=1, max_tokens=1)
            (choice,) = both["choices"]
            made = tokenizer.encode(" upon a time", begin=False)[:1]
            assert choice["text"] == "Once" + tokenizer.decode(made)
            assert choice["logprobs"]["token_logprobs"] == [*told, -0.5]
            assert choice["logprobs"]["text_offset"][-1] == len("Once")
            several = await place.post(
                "/completions", model=STARTER, prompt=[ids, ids[:2]], echo=True, logprobs=1, max_tokens=0
            )
            sizes = [len(each["logprobs"]["token_logprobs"]) for each in several["choices"]]
            assert sizes == [len(ids), 2]
            assert [each["index"] for each in several["choices"]] == [0, 1]

    run(scenario())


def test_a_chats_last_message_is_scored_as_the_answer(shared: OpenAiHouse) -> None:
    async def scenario() -> None:
        async with speaking(shared) as place:
            messages = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}]
            asked = {"model": STARTER, "messages": messages, "echo": True, "logprobs": True}
            told = await place.post("/chat/completions", **asked)
            (choice,) = told["choices"]
            content = choice["logprobs"]["content"]
            assert choice["message"]["content"] == "yes"
            tokenizer = Tokenizer.open(BUNDLED)
            ids = [*tokenizer.encode("yes", begin=False), tokenizer.eos_id]
            assert [one["logprob"] for one in content] == [-float(one) for one in ids]
            assert "".join(one["token"] for one in content) == "yes" + (tokenizer.token(tokenizer.eos_id) or "")
            sent = place.engine.requests[-1]["prompt"]
            assert sent[-len(ids) :] == ids
            assert told["usage"]["prompt_tokens"] == len(sent)
            for more in (
                {"messages": messages[:1]},
                {"logprobs": False},
                {"max_completion_tokens": 5},
                {"stream": True},
                {"echo": 1},
            ):
                await place.refused("POST", "/chat/completions", 400, json={**asked, **more})

    run(scenario())
