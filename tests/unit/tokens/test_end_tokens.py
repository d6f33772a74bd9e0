"""What is learned ends with exactly one end token, whoever wrote it."""

from pathlib import Path

import pytest

from outcrop.tokens import prompt_format
from outcrop.tokens.prompt_format import PromptFormat
from outcrop.tokens.tokenizer import Tokenizer
from tests.support.small_tokenizers import CHATML, byte_level, sentencepiece_like

ENDED = ["is hot", "is hot</s>", "is hot</s>\n", "is hot</s></s>", "is hot</s> </s> "]


@pytest.mark.parametrize("completion", ENDED)
@pytest.mark.parametrize("kind", [byte_level, sentencepiece_like])
def test_a_completion_and_a_text_end_once(kind: object, completion: str, tmp_path: Path) -> None:
    tokenizer = Tokenizer.open((byte_level if kind is byte_level else sentencepiece_like)(tmp_path))
    pair = prompt_format.encode_pair(tokenizer, "the tea ", completion)
    assert pair.completion_ids == [*tokenizer.encode("is hot", begin=False), tokenizer.eos_id]
    assert prompt_format.encode_text(tokenizer, completion) == [
        *tokenizer.encode("is hot", begin=True),
        tokenizer.eos_id,
    ]


def test_white_space_before_the_end_token_is_the_writers_own(tmp_path: Path) -> None:
    tokenizer = Tokenizer.open(byte_level(tmp_path))
    pair = prompt_format.encode_pair(tokenizer, "a", "is hot\n </s>")
    assert tokenizer.decode(pair.completion_ids) == "is hot\n "


def test_another_of_the_models_end_tokens_is_no_second_one(tmp_path: Path) -> None:
    folder = byte_level(tmp_path)
    end_of_turn = Tokenizer.open(folder).token_id("<|im_end|>")
    (folder / "generation_config.json").write_text(f'{{"eos_token_id": [{end_of_turn}]}}')
    tokenizer = Tokenizer.open(folder)
    pair = prompt_format.encode_pair(tokenizer, "a", "is hot<|im_end|>")
    assert pair.completion_ids == [*tokenizer.encode("is hot", begin=False), tokenizer.eos_id]


@pytest.mark.parametrize("ending", ["", "<|im_end|>", "<|im_end|>\n", "</s>", "<|im_end|></s>"])
@pytest.mark.parametrize("template", [CHATML, CHATML.replace("'<|im_end|>\n'", "'<|im_end|>' + eos_token + '\n'")])
def test_an_answer_ends_once_in_every_turn(template: str, ending: str, tmp_path: Path) -> None:
    tokenizer = Tokenizer.open(byte_level(tmp_path, chat_template=template))
    said = [
        {"role": "user", "content": "the tea"},
        {"role": "assistant", "content": f"is hot{ending}"},
        {"role": "user", "content": "and the"},
        {"role": "assistant", "content": f"water is{ending}"},
    ]
    sequences = prompt_format.encode_chat(tokenizer, said)
    answers = [span.ids for spans in sequences for span in spans if span.supervised]
    end = tokenizer.token_id("<|im_end|>")
    assert answers == [[*tokenizer.encode(text, begin=False), end] for text in ("is hot", "water is")]
    ids = prompt_format.encode_chat_prompt(tokenizer, said[:2])
    assert tokenizer.decode(ids).endswith("is hot")
    assert ids[-1] not in (end, tokenizer.eos_id)


def test_a_completion_in_the_chat_form_ends_once(tmp_path: Path) -> None:
    tokenizer = Tokenizer.open(byte_level(tmp_path, chat_template=CHATML))
    pair = prompt_format.encode_pair(tokenizer, "the tea", "is hot</s>", PromptFormat.CHAT)
    assert pair.completion_ids == [*tokenizer.encode("is hot", begin=False), tokenizer.token_id("<|im_end|>")]
