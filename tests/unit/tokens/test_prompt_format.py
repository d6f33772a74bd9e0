"""Prompts have equal token ids in training and serving: a model is trained behind what it is served."""

from pathlib import Path

import pytest

from outcrop.errors import Invalid
from outcrop.tokens import prompt_format
from outcrop.tokens.prompt_format import PromptFormat, Span, encode_chat_prompt, encode_pair
from outcrop.tokens.tokenizer import Tokenizer
from tests.support.small_tokenizers import BUNDLED, CHATML, byte_level, sentencepiece_like

TWO_ROUNDS = [
    {"role": "user", "content": "the tea"},
    {"role": "assistant", "content": "is hot"},
    {"role": "user", "content": "and the"},
    {"role": "assistant", "content": "water is"},
]
# As Qwen 3: thoughts stand in the last answer only.
THINKING = CHATML.replace(
    "message['content'] | trim",
    "('<think>\n\n</think>\n\n' if loop.last and message.role == 'assistant' else '') + message['content'] | trim",
)


def chat_tokenizer(folder: Path, template: str | None = CHATML) -> Tokenizer:
    return Tokenizer.open(byte_level(folder, chat_template=template))


def encode_chat(tokenizer: Tokenizer, messages: list[dict[str, str]], system: str | None = None) -> list[Span]:
    """The spans of a conversation that is learned in one sequence."""
    (spans,) = prompt_format.encode_chat(tokenizer, messages, system)
    return spans


def prompts_of_answers(sequences: list[list[Span]]) -> list[list[int]]:
    """The ids before each answer that is learned."""
    found = []
    for spans in sequences:
        before: list[int] = []
        for span in spans:
            if span.supervised:
                found.append(list(before))
            before += span.ids
    return found


def spelled(tokenizer: Tokenizer, ids: list[int]) -> str:
    return "".join(tokenizer.token(one) or "" for one in ids).replace("Ġ", " ").replace("Ċ", "\n")


def test_a_completion_ends_with_the_end_token_and_its_prompt_is_the_served_one(tmp_path: Path) -> None:
    tokenizer = chat_tokenizer(tmp_path)
    pair = encode_pair(tokenizer, "the tea", " is hot")
    assert pair.prompt_ids == prompt_format.encode_prompt(tokenizer, "the tea")
    assert spelled(tokenizer, pair.prompt_ids) == "<s>the tea"
    assert spelled(tokenizer, pair.completion_ids) == " is hot</s>"


def test_a_plain_document_begins_and_ends(tmp_path: Path) -> None:
    tokenizer = chat_tokenizer(tmp_path)
    assert spelled(tokenizer, prompt_format.encode_text(tokenizer, "the tea")) == "<s>the tea</s>"


def test_every_assistant_turn_is_supervised_with_the_token_that_ends_it(tmp_path: Path) -> None:
    tokenizer = chat_tokenizer(tmp_path)
    spans = [(spelled(tokenizer, span.ids), span.supervised) for span in encode_chat(tokenizer, TWO_ROUNDS, "Be brief")]
    assert spans == [
        (
            "<s><|im_start|>system\nBe brief<|im_end|>\n<|im_start|>user\nthe tea<|im_end|>\n<|im_start|>assistant\n",
            False,
        ),
        ("is hot<|im_end|>", True),
        ("\n<|im_start|>user\nand the<|im_end|>\n<|im_start|>assistant\n", False),
        ("water is<|im_end|>", True),
    ]


@pytest.mark.parametrize("template", [CHATML, THINKING, None])
@pytest.mark.parametrize("system", [None, "Be brief"])
def test_each_answer_is_trained_behind_the_ids_it_is_served(
    template: str | None, system: str | None, tmp_path: Path
) -> None:
    tokenizer = chat_tokenizer(tmp_path, template)
    trained = prompts_of_answers(prompt_format.encode_chat(tokenizer, TWO_ROUNDS, system))
    assert trained == [encode_chat_prompt(tokenizer, TWO_ROUNDS[:turn], system) for turn in (1, 3)]


@pytest.mark.parametrize("legacy", [False, True])
def test_a_template_on_a_sentencepiece_like_tokenizer_keeps_that_promise(legacy: bool, tmp_path: Path) -> None:
    template = (
        "{% for m in messages %}"
        "{{ '[INST] ' + m.content + ' [/INST]' if m.role == 'user' else ' ' + m.content + '</s>' }}"
        "{% endfor %}"
    )
    tokenizer = Tokenizer.open(sentencepiece_like(tmp_path, legacy=legacy, chat_template=template))
    spans = encode_chat(tokenizer, TWO_ROUNDS)
    assert tokenizer.decode(spans[1].ids) == " is hot"
    for turn in (1, 3):
        trained = [one for span in spans[:turn] for one in span.ids]
        assert trained == encode_chat_prompt(tokenizer, TWO_ROUNDS[:turn])


def test_answers_that_are_written_otherwise_once_more_turns_follow_are_learned_each_for_itself(tmp_path: Path) -> None:
    template = (
        "{% for m in messages %}{% if loop.revindex <= 2 %}{{ m.role + m.content + eos_token }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}assistant{% endif %}"
    )
    tokenizer = chat_tokenizer(tmp_path, template)
    sequences = prompt_format.encode_chat(tokenizer, TWO_ROUNDS)
    assert [[(spelled(tokenizer, span.ids), span.supervised) for span in spans] for spans in sequences] == [
        [("userthe tea</s>assistant", False), ("is hot</s>", True)],
        [("assistantis hot</s>userand the</s>assistant", False), ("water is</s>", True)],
    ]


def test_a_template_that_never_ends_an_answer_is_refused(tmp_path: Path) -> None:
    tokenizer = chat_tokenizer(tmp_path / "base", "{% for m in messages %}{{ m.content }}{% endfor %}")
    with pytest.raises(Invalid, match="so an answer would never end"):
        encode_chat(tokenizer, TWO_ROUNDS)


def test_a_last_assistant_turn_is_spoken_on(tmp_path: Path) -> None:
    tokenizer = chat_tokenizer(tmp_path)
    ids = encode_chat_prompt(tokenizer, TWO_ROUNDS[:2])
    assert spelled(tokenizer, ids).endswith("<|im_start|>assistant\nis hot")


def test_pairs_are_learned_as_a_chat_where_the_template_can_end_an_answer(tmp_path: Path) -> None:
    assert prompt_format.format_of_pairs(chat_tokenizer(tmp_path / "a")) is PromptFormat.CHAT
    assert prompt_format.format_of_pairs(chat_tokenizer(tmp_path / "b", None)) is PromptFormat.TEXT
    endless = "{% for m in messages %}{{ m.content }}{% endfor %}"
    assert prompt_format.format_of_pairs(chat_tokenizer(tmp_path / "c", endless)) is PromptFormat.TEXT


def test_a_base_model_is_spoken_to_by_its_template_when_it_has_one(tmp_path: Path) -> None:
    assert prompt_format.format_of_base(chat_tokenizer(tmp_path / "a")) is PromptFormat.CHAT
    assert prompt_format.format_of_base(chat_tokenizer(tmp_path / "b", None)) is PromptFormat.TEXT


def test_a_chat_ends_at_the_turns_end_too_but_a_text_only_at_its_own(tmp_path: Path) -> None:
    tokenizer = chat_tokenizer(tmp_path)
    turn_end = tokenizer.token_id("<|im_end|>")
    assert prompt_format.stop_ids(tokenizer, PromptFormat.CHAT) == (tokenizer.eos_id, turn_end)
    assert prompt_format.stop_ids(tokenizer, PromptFormat.TEXT) == (tokenizer.eos_id,)


@pytest.mark.parametrize(
    ("messages", "system", "prompt"),
    [
        (TWO_ROUNDS[:1], None, "the tea"),
        (TWO_ROUNDS[:1], "Be brief", "Be brief\n\nthe tea"),
        (TWO_ROUNDS[:3], None, "User: the tea\nBot: is hot\nUser: and the\nBot:"),
        (TWO_ROUNDS[:2], None, "User: the tea\nBot: is hot"),
    ],
)
def test_a_model_of_raw_prompts_sees_one_turn_as_it_is_and_several_as_a_transcript(
    messages: list[dict[str, str]], system: str | None, prompt: str
) -> None:
    assert prompt_format.text_prompt(messages, system) == prompt


@pytest.mark.skipif(not (BUNDLED / "tokenizer.json").exists(), reason="the starter model is not here")
def test_the_starter_model_is_trained_as_it_is_served() -> None:
    tokenizer = Tokenizer.open(BUNDLED)
    spans = encode_chat(tokenizer, TWO_ROUNDS, "Be brief")
    assert [one for span in spans[:3] for one in span.ids] == encode_chat_prompt(tokenizer, TWO_ROUNDS[:3], "Be brief")
