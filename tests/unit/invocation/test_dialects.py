"""Every provider's bodies: what is refused and in which words, what is understood, what is answered."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from outcrop.errors import Invalid
from outcrop.invocation.dialects.choice import DIALECTS, choose
from outcrop.invocation.dialects.openai_text import OPENAI_TEXT
from outcrop.invocation.exchange import (
    AnswerPiece,
    ChatPrompt,
    Finish,
    Finished,
    InvocationRequest,
    RawPrompt,
    SamplingOptions,
    Started,
)
from outcrop.invocation.schema import read_json
from outcrop.invocation.text_logprobs import SpelledToken, TextLogprob

CLAUDE = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9}
HI = [{"role": "user", "content": "hi"}]
HI_BLOCKS = [{"role": "user", "content": [{"text": "hi"}]}]


def malformed(parts: str) -> str:
    return f"Malformed input request: {parts}, please reformat your input and try again."


@pytest.mark.parametrize(
    ("dialect", "body", "problem"),
    [
        # The sentence of section 3.6, as the real service sends it.
        ("llama", {"messages": HI}, "#: required key [prompt] not found#: extraneous key [messages] is not permitted"),
        ("titan", {"prompt": "a"}, "#: required key [inputText] not found#: extraneous key [prompt] is not permitted"),
        (
            "titan",
            {"inputText": "a", "textGenerationConfig": {"maxTokenCount": 10000}},
            "#/textGenerationConfig/maxTokenCount: 10000 is not less or equal to 8192",
        ),
        (
            "titan",
            {"inputText": "a", "textGenerationConfig": {"temperature": -1, "topK": 5}},
            "#/textGenerationConfig: extraneous key [topK] is not permitted"
            "#/textGenerationConfig/temperature: -1 is not greater or equal to 0",
        ),
        (
            "titan",
            {"inputText": ["a"], "textGenerationConfig": {"stopSequences": "x"}},
            "#/inputText: expected type: String, found: JSONArray"
            "#/textGenerationConfig/stopSequences: expected type: JSONArray, found: String",
        ),
        ("titan", {"inputText": ""}, "#/inputText: expected minLength: 1, actual: 0"),
        ("titan", {"inputText": "a", "textGenerationConfig": None}, "#/textGenerationConfig: expected type: JSONObject, found: Null"),
        ("llama", {"prompt": "a", "max_gen_len": 4096}, "#/max_gen_len: 4096 is not less or equal to 2048"),
        ("llama", {"prompt": "a", "max_gen_len": 1.5}, "#/max_gen_len: expected type: Integer, found: BigDecimal"),
        ("llama", {"prompt": "a", "temperature": "0"}, "#/temperature: expected type: Number, found: String"),
        ("llama", {"prompt": "a", "top_p": True}, "#/top_p: expected type: Number, found: Boolean"),
        ("llama", {"prompt": 3}, "#/prompt: expected type: String, found: Integer"),
        ("mistral", {"prompt": "a", "stop": ["x", 5]}, "#/stop/1: expected type: String, found: Integer"),
        ("mistral", {"prompt": "a", "max_gen_len": 5}, "#: extraneous key [max_gen_len] is not permitted"),
        ("mistral", {"prompt": "a", "top_k": 201}, "#/top_k: 201 is not less or equal to 200"),
        ("cohere", {"prompt": "a", "num_generations": 2}, "#/num_generations: 2 is not less or equal to 1"),
        ("cohere", {"prompt": "a", "stop_sequences": list("abcde")}, "#/stop_sequences: expected maximum item count: 4, found: 5"),
        ("cohere", {"prompt": "a", "return_likelihoods": "ALL"}, "#/return_likelihoods: ALL is not a valid enum value"),
        ("nova", {"messages": []}, "#/messages: expected minimum item count: 1, found: 0"),
        ("nova", {"messages": HI}, "#/messages/0/content: expected type: JSONArray, found: String"),
        ("nova", {"messages": HI_BLOCKS, "max_tokens": 5}, "#: extraneous key [max_tokens] is not permitted"),
        ("deepseek", {"prompt": "a", "top_k": 5}, "#: extraneous key [top_k] is not permitted"),
        ("openai", {"messages": HI, "n": 129}, "#/n: 129 is not less or equal to 128"),
        ("openai", {"messages": HI, "presence_penalty": 3}, "#/presence_penalty: 3 is not less or equal to 2"),
        ("openai", {"messages": HI, "logit_bias": {"a": 1}}, "#/logit_bias: extraneous key [a] is not permitted"),
        ("openai", {"messages": HI, "logit_bias": {"1": 101}}, "#/logit_bias/1: 101 is not less or equal to 100"),
        ("openai", {"messages": HI, "top_logprobs": 2}, "#/top_logprobs: expected logprobs to be true"),
        ("openai", {"prompt": "a", "logprobs": 6}, "#/logprobs: 6 is not less or equal to 5"),
        ("openai", {"messages": HI, "stop": 5}, "#/stop: expected type: JSONArray, found: Integer"),
        ("openai", {"messages": [{"role": "assistant", "content": "a"}]}, "#/messages: expected a user message first"),
        ("openai", {"messages": [{"role": "user", "content": [{"type": "image_url", "text": ""}]}]}, "#/messages/0/content/0/type: image_url is not read by this model, which reads text"),
        ("any", {"question": "a"}, "#: none of the keys [inputText], [prompt] and [messages] found"),
    ],
)  # fmt: skip
def test_a_malformed_body_is_refused_in_the_words_of_bedrock(dialect: str, body: dict[str, Any], problem: str) -> None:
    with pytest.raises(Invalid) as refused:
        choose(dialect, body).read(body)
    assert refused.value.message == malformed(problem)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"anthropic_version": "bedrock-2023-05-31", "messages": HI}, "max_tokens: Field required"),
        ({}, "anthropic_version: Field required; max_tokens: Field required; messages: Field required"),
        ({**CLAUDE, "messages": HI, "prompt": "a"}, "prompt: Extra inputs are not permitted"),
        ({**CLAUDE, "max_tokens": 0, "messages": HI}, "max_tokens: Input should be greater than or equal to 1"),
        ({**CLAUDE, "max_tokens": "9", "messages": HI}, "max_tokens: Input should be a valid integer"),
        ({**CLAUDE, "messages": HI, "temperature": 1.5}, "temperature: range: 0..1"),
        ({**CLAUDE, "messages": []}, "messages: at least one message is required"),
        ({**CLAUDE, "messages": [{"role": "assistant", "content": "a"}]}, 'messages: first message must use the "user" role'),
        ({**CLAUDE, "messages": HI + HI}, 'messages: roles must alternate between "user" and "assistant", but found multiple "user" roles in a row'),
        ({**CLAUDE, "messages": [{"role": "system", "content": "a"}]}, 'messages: Unexpected role "system". The Messages API accepts a top-level `system` parameter, not "system" as an input message role.'),
        ({**CLAUDE, "messages": [{"role": "bot", "content": "a"}]}, "messages.0.role: Input should be 'user' or 'assistant'"),
        ({**CLAUDE, "messages": [{"role": "user"}]}, "messages.0.content: Field required"),
        ({**CLAUDE, "messages": [{"role": "user", "content": ""}]}, "messages: text content blocks must be non-empty"),
        ({**CLAUDE, "messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages.0.content.0: Input tag 'image' found using 'type' does not match any of the expected tags: 'text', 'tool_result'"),
        ({**CLAUDE, "messages": [*HI, {"role": "assistant", "content": "a "}]}, "messages: final assistant content cannot end with trailing whitespace"),
        ({**CLAUDE, "messages": HI, "tools": [{"name": "t"}]}, "tools.0.custom.input_schema: Field required"),
    ],
)  # fmt: skip
def test_claude_refuses_in_words_of_its_own(body: dict[str, Any], problem: str) -> None:
    with pytest.raises(Invalid) as refused:
        choose("claude", body).read(body)
    assert refused.value.message == problem


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"{", "Malformed input request, please reformat your input and try again."),
        (b"", "Malformed input request, please reformat your input and try again."),
        (b"\xff", "Malformed input request, please reformat your input and try again."),
        (b"[1]", malformed("#: expected type: JSONObject, found: JSONArray")),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(body: bytes, problem: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_json(body)
    assert refused.value.message == problem


def raw(text: str, **sampling: Any) -> InvocationRequest:
    return InvocationRequest(prompt=RawPrompt(text=text), sampling=SamplingOptions(**sampling))


def said(system: str | None = None, **sampling: Any) -> InvocationRequest:
    return InvocationRequest(prompt=ChatPrompt(messages=HI, system=system), sampling=SamplingOptions(**sampling))


@pytest.mark.parametrize(
    ("dialect", "body", "asked"),
    [
        ("titan", {"inputText": "a"}, raw("a", max_tokens=512, temperature=0.7, top_p=0.9)),
        (
            "titan",
            {"inputText": "a", "textGenerationConfig": {"maxTokenCount": 9, "temperature": 0, "topP": 1, "stopSequences": ["User:"]}},
            raw("a", max_tokens=9, temperature=0, top_p=1, stop_sequences=("User:",)),
        ),
        ("llama", {"prompt": "a"}, raw("a", max_tokens=512, temperature=0.5, top_p=0.9)),
        ("llama", {"prompt": "a", "max_gen_len": 9, "temperature": 0.1, "top_p": 1}, raw("a", max_tokens=9, temperature=0.1, top_p=1)),
        ("mistral", {"prompt": "a"}, raw("a", max_tokens=512, temperature=0.5, top_p=0.9, top_k=50)),
        ("mistral", {"prompt": "a", "max_tokens": 9, "stop": ["x"], "top_k": 3}, raw("a", max_tokens=9, temperature=0.5, top_p=0.9, top_k=3, stop_sequences=("x",))),
        ("cohere", {"prompt": "a"}, raw("a", max_tokens=20, temperature=0.9, top_p=0.75)),
        ("cohere", {"prompt": "a", "max_tokens": 9, "p": 0.5, "k": 3, "stop_sequences": ["x"]}, raw("a", max_tokens=9, temperature=0.9, top_p=0.5, top_k=3, stop_sequences=("x",))),
        ("deepseek", {"prompt": "a", "max_tokens": 9, "stop": ["x"]}, raw("a", max_tokens=9, temperature=0.5, top_p=0.9, stop_sequences=("x",))),
        ("openai", {"prompt": "a", "max_tokens": 9, "seed": 4}, raw("a", max_tokens=9, temperature=1, top_p=1, seed=4)),
        (
            "openai",
            {"prompt": "a", "min_p": 0.1, "repetition_penalty": 1.2, "presence_penalty": 1, "frequency_penalty": -1, "logit_bias": {"5": 2}},
            raw("a", max_tokens=None, temperature=1, top_p=1, min_p=0.1, repetition_penalty=1.2, presence_penalty=1, frequency_penalty=-1, logit_bias={5: 2}),
        ),
        (
            "openai",
            {"messages": [{"role": "system", "content": "brief"}, {"role": "user", "content": [{"type": "text", "text": "hi"}]}], "max_completion_tokens": 9, "stop": "x", "seed": 4},
            said("brief", max_tokens=9, temperature=1, top_p=1, seed=4, stop_sequences=("x",)),
        ),
        ("claude", {**CLAUDE, "messages": HI}, said(max_tokens=9, temperature=1, top_p=0.999)),
        (
            "claude",
            {**CLAUDE, "system": [{"type": "text", "text": "brief"}], "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}], "top_k": 5, "stop_sequences": ["x"]},
            said("brief", max_tokens=9, temperature=1, top_p=0.999, top_k=5, stop_sequences=("x",)),
        ),
        ("nova", {"messages": HI_BLOCKS}, said(max_tokens=None, temperature=0.7, top_p=0.9)),
        (
            "nova",
            {"schemaVersion": "messages-v1", "system": [{"text": "brief"}], "messages": HI_BLOCKS, "inferenceConfig": {"max_new_tokens": 9, "topK": 5, "stopSequences": ["x"]}},
            said("brief", max_tokens=9, temperature=0.7, top_p=0.9, top_k=5, stop_sequences=("x",)),
        ),
    ],
)  # fmt: skip
def test_a_body_is_understood(dialect: str, body: dict[str, Any], asked: InvocationRequest) -> None:
    assert choose(dialect, body).read(body) == asked


@pytest.mark.parametrize(
    ("body", "name", "form"),
    [
        ({"inputText": "a"}, "titan", "results"),
        ({**CLAUDE, "messages": HI}, "claude", "content"),
        ({"messages": HI_BLOCKS}, "nova", "output"),
        ({"messages": HI, "inferenceConfig": {}}, "nova", "output"),
        ({"messages": HI, "max_tokens": 9}, "openai", "choices"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}]}, "openai", "choices"),
        ({"prompt": "a"}, "llama", "generation"),
        ({"prompt": "a", "max_gen_len": 9}, "llama", "generation"),
        ({"prompt": "a", "max_tokens": 9}, "openai", "choices"),
        ({"prompt": "a", "max_tokens": 9, "p": 1}, "cohere", "generations"),
    ],
)
def test_an_open_model_recognises_the_dialect_by_its_keys(body: dict[str, Any], name: str, form: str) -> None:
    dialect = choose("any", body)
    assert dialect.name == name
    assert form in dialect.answer(STARTED, END)


STARTED = Started(
    id="id1",
    model_id="model1",
    created=datetime(2026, 1, 1, tzinfo=UTC),
    asked=raw("a", max_tokens=9, temperature=0, top_p=1),
    num_input_tokens=5,
)
END = Finished(text="yes", num_output_tokens=2, finish=Finish.END)
USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
OPENAI = {"created": 1767225600, "model": "model1"}


@pytest.mark.parametrize(
    ("dialect", "response"),
    [
        ("titan", {"inputTextTokenCount": 5, "results": [{"tokenCount": 2, "outputText": "yes", "completionReason": "FINISH"}]}),
        ("llama", {"generation": "yes", "prompt_token_count": 5, "generation_token_count": 2, "stop_reason": "stop"}),
        ("mistral", {"outputs": [{"text": "yes", "stop_reason": "stop"}]}),
        ("cohere", {"generations": [{"finish_reason": "COMPLETE", "id": "id1-0", "text": "yes"}], "id": "id1", "prompt": "a"}),
        ("deepseek", {"choices": [{"text": "yes", "stop_reason": "stop"}]}),
        ("nova", {"output": {"message": {"role": "assistant", "content": [{"text": "yes"}]}}, "stopReason": "end_turn", "usage": {"inputTokens": 5, "outputTokens": 2, "totalTokens": 7}}),
        ("claude", {"id": "msg_bdrk_id1", "type": "message", "role": "assistant", "model": "model1", "content": [{"type": "text", "text": "yes"}], "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 5, "output_tokens": 2}}),
        ("openai", {"id": "chatcmpl-id1", "object": "chat.completion", **OPENAI, "choices": [{"index": 0, "message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}], "usage": USAGE}),
    ],
)  # fmt: skip
def test_an_answer_has_the_providers_form(dialect: str, response: dict[str, Any]) -> None:
    assert DIALECTS[dialect].answer(STARTED, END) == response


REASONS = {
    "titan": ("FINISH", "LENGTH", "LENGTH", "STOP_CRITERIA_MET"),
    "llama": ("stop", "length", "length", "stop"),
    "mistral": ("stop", "length", "length", "stop"),
    "deepseek": ("stop", "length", "length", "stop"),
    "cohere": ("COMPLETE", "MAX_TOKENS", "MAX_TOKENS", "COMPLETE"),
    "nova": ("end_turn", "max_tokens", "max_tokens", "stop_sequence"),
    "claude": ("end_turn", "max_tokens", "model_context_window_exceeded", "stop_sequence"),
    "openai": ("stop", "length", "length", "stop"),
}
FINISHES = (Finish.END, Finish.MAX_TOKENS, Finish.CONTEXT, Finish.STOP_SEQUENCE)


@pytest.mark.parametrize("dialect", REASONS)
def test_every_end_has_the_providers_word(dialect: str) -> None:
    def word(finish: Finish) -> str:
        answer = DIALECTS[dialect].answer(STARTED, Finished(text="", num_output_tokens=0, finish=finish))
        places = [answer, *(item for value in answer.values() if isinstance(value, list) for item in value)]
        keys = ("completionReason", "stop_reason", "finish_reason", "stopReason")
        return next(str(place[key]) for place in places for key in keys if key in place)

    assert tuple(word(finish) for finish in FINISHES) == REASONS[dialect]


def chunks(dialect: str) -> list[dict[str, Any]]:
    spoken = DIALECTS[dialect]
    pieces = [
        AnswerPiece(text="y", num_output_tokens=1, first=True, opens=True),
        AnswerPiece(text="es", num_output_tokens=2, first=False),
    ]
    return [
        *spoken.opening(STARTED),
        *(chunk for piece in pieces for chunk in (*spoken.before(STARTED, piece), spoken.piece(STARTED, piece))),
        *spoken.closing(STARTED, END),
    ]


Y = TextLogprob(SpelledToken(b"y", -0.5), (SpelledToken(b"y", -0.5), SpelledToken(b"\xe7", -1.5)), 0)


def test_openai_tells_log_probabilities_where_they_are_asked_for() -> None:
    asking = replace(STARTED, asked=raw("a", max_tokens=9, temperature=0, top_p=1, logprobs=2))
    answered = replace(END, text="y", logprobs=(Y,))
    piece = AnswerPiece(text="y", num_output_tokens=1, first=True, logprobs=(Y,))
    chat, text = DIALECTS["openai"], OPENAI_TEXT
    likeliest = [{"token": "y", "logprob": -0.5, "bytes": [121]}, {"token": "\ufffd", "logprob": -1.5, "bytes": [231]}]
    said = {"content": [{**likeliest[0], "top_logprobs": likeliest}], "refusal": None}
    assert chat.answer(asking, answered)["choices"][0]["logprobs"] == said
    assert chat.piece(asking, piece)["choices"][0]["logprobs"] == said
    legacy = {
        "tokens": ["y"],
        "token_logprobs": [-0.5],
        "top_logprobs": [{"y": -0.5, "\ufffd": -1.5}],
        "text_offset": [0],
    }
    assert text.answer(asking, answered)["choices"][0]["logprobs"] == legacy
    assert text.piece(asking, piece)["choices"][0]["logprobs"] == legacy
    assert text.answer(STARTED, answered)["choices"][0]["logprobs"] is None


@pytest.mark.parametrize(
    ("body", "logprobs"),
    [
        ({"prompt": "a"}, None),
        ({"prompt": "a", "logprobs": 3}, 3),
        ({"messages": HI, "logprobs": True}, 0),
        ({"messages": HI, "logprobs": True, "top_logprobs": 4}, 4),
        ({"messages": HI, "logprobs": False}, None),
    ],
)
def test_openai_asks_for_log_probabilities_in_either_form(body: dict[str, Any], logprobs: int | None) -> None:
    assert choose("openai", body).read(body).sampling.logprobs == logprobs


def openai_chunk(delta: dict[str, Any], reason: str | None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {"id": "chatcmpl-id1", "object": "chat.completion.chunk", **OPENAI, "choices": [choice]}


def titan_chunk(text: str, total: int | None, reason: str | None, num_input: int | None) -> dict[str, Any]:
    return {
        "outputText": text,
        "index": 0,
        "totalOutputTextTokenCount": total,
        "completionReason": reason,
        "inputTextTokenCount": num_input,
    }


def llama_chunk(text: str, num_prompt: int | None, made: int, reason: str | None) -> dict[str, Any]:
    return {"generation": text, "prompt_token_count": num_prompt, "generation_token_count": made, "stop_reason": reason}


@pytest.mark.parametrize(
    ("dialect", "expected"),
    [
        ("titan", [titan_chunk("y", None, None, 5), titan_chunk("es", None, None, 5), titan_chunk("", 2, "FINISH", None)]),
        ("llama", [llama_chunk("y", 5, 1, None), llama_chunk("es", None, 2, None), llama_chunk("", None, 2, "stop")]),
        ("mistral", [{"outputs": [{"text": text, "stop_reason": reason}]} for text, reason in (("y", None), ("es", None), ("", "stop"))]),
        ("deepseek", [{"choices": [{"text": text, "stop_reason": reason}]} for text, reason in (("y", None), ("es", None), ("", "stop"))]),
        ("cohere", [{"is_finished": False, "text": "y"}, {"is_finished": False, "text": "es"}, {"is_finished": True, "finish_reason": "COMPLETE"}]),
        (
            "nova",
            [
                {"messageStart": {"role": "assistant"}},
                {"contentBlockDelta": {"delta": {"text": "y"}, "contentBlockIndex": 0}},
                {"contentBlockDelta": {"delta": {"text": "es"}, "contentBlockIndex": 0}},
                {"contentBlockStop": {"contentBlockIndex": 0}},
                {"messageStop": {"stopReason": "end_turn"}},
                {"metadata": {"usage": {"inputTokens": 5, "outputTokens": 2, "totalTokens": 7}, "metrics": {}}},
            ],
        ),
        (
            "claude",
            [
                {"type": "message_start", "message": {"id": "msg_bdrk_id1", "type": "message", "role": "assistant", "model": "model1", "content": [], "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 5, "output_tokens": 0}}},
                {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
                {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "y"}},
                {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "es"}},
                {"type": "content_block_stop", "index": 0},
                {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 2}},
                {"type": "message_stop"},
            ],
        ),
        ("openai", [openai_chunk({"role": "assistant", "content": "y"}, None), openai_chunk({"content": "es"}, None), {**openai_chunk({}, "stop"), "usage": USAGE}]),
    ],
)  # fmt: skip
def test_a_stream_has_the_providers_chunks(dialect: str, expected: list[dict[str, Any]]) -> None:
    assert chunks(dialect) == expected
