"""Text to ids and back, for byte-level and SentencePiece-like tokenizers."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import tokenizers

from outcrop.clock import MovableClock
from outcrop.errors import Invalid
from outcrop.tokens.tokenizer import IncrementalDecoder, Tokenizer
from tests.support import small_tokenizers
from tests.support.small_tokenizers import BEGIN, END, REAL, byte_level, real, sentencepiece_like

Kind = Callable[[Path], Path]
EVERY_KIND: list[Kind] = [byte_level, sentencepiece_like, lambda folder: sentencepiece_like(folder, legacy=True)]


def open_with(folder: Path, **files: object) -> Tokenizer:
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return Tokenizer.open(folder)


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_a_document_begins_with_the_beginning_token_once(kind: Kind, tmp_path: Path) -> None:
    tokenizer = Tokenizer.open(kind(tmp_path))
    plain = tokenizer.encode("the tea", begin=True)
    assert plain[0] == tokenizer.bos_id
    assert tokenizer.encode(BEGIN + "the tea", begin=True).count(plain[0]) == 1
    assert tokenizer.bos_id not in tokenizer.encode("the tea", begin=False)


def test_a_tokenizer_without_that_convention_adds_no_beginning_token(tmp_path: Path) -> None:
    tokenizer = Tokenizer.open(byte_level(tmp_path, begins=False))
    assert tokenizer.encode("a", begin=True) == tokenizer.encode("a", begin=False)


def test_the_configuration_decides_over_the_post_processor(tmp_path: Path) -> None:
    with_it = Tokenizer.open(byte_level(tmp_path / "with", begins=False, add_bos_token=True))
    without = Tokenizer.open(byte_level(tmp_path / "without", add_bos_token=False))
    assert with_it.encode("a", begin=True)[0] == with_it.bos_id
    assert without.encode("a", begin=True)[0] != without.bos_id


@pytest.mark.parametrize("kind", EVERY_KIND)
@pytest.mark.parametrize("completion", ["tea", " tea", "  tea", "世界", "\n\ntea", "a"])
def test_a_completion_follows_its_prompt_without_an_invented_space(kind: Kind, completion: str, tmp_path: Path) -> None:
    tokenizer = Tokenizer.open(kind(tmp_path))
    prompt = tokenizer.encode("the tea:", begin=True)
    ids = prompt + tokenizer.encode(completion, begin=False)
    assert tokenizer.decode(tokenizer.encode(completion, begin=False)) == completion
    assert tokenizer.decode(ids).lstrip(" ") == "the tea:" + completion


@pytest.mark.parametrize("legacy", [False, True])
def test_where_no_pieces_merge_prompt_and_completion_give_the_ids_of_the_whole(legacy: bool, tmp_path: Path) -> None:
    tokenizer = Tokenizer.open(sentencepiece_like(tmp_path, legacy=legacy))
    for prompt, completion in [("tea:", "water"), ("tea:", " a hall"), ("tea: ", "a")]:
        apart = tokenizer.encode(prompt, begin=True) + tokenizer.encode(completion, begin=False)
        together = tokenizer.encode(prompt + completion, begin=True)
        assert tokenizer.decode(apart) == tokenizer.decode(together)
        if not prompt.endswith(" "):
            assert apart == together


@pytest.mark.parametrize("name", REAL)
def test_a_real_tokenizer_joins_a_pair_as_if_it_were_one_text(name: str, tmp_path: Path) -> None:
    tokenizer = real(name, tmp_path)
    pairs = [("Who wrote it?", " It is the work of one man."), ("one two", " three"), ("Question: why\n", "Because")]
    if small_tokenizers.JAPANESE_ONLY in name:
        pairs = [("吾輩は猫である。", "名前はまだ無い。"), ("これは", "何ですか")]
    for prompt, completion in pairs:
        apart = tokenizer.encode(prompt, begin=True) + tokenizer.encode(completion, begin=False)
        together = tokenizer.encode(prompt + completion, begin=True)
        assert tokenizer.decode(apart) == tokenizer.decode(together)
        if completion.startswith(" "):
            assert apart == together


@pytest.mark.parametrize("name", ["starter-v1", "gpt-neox-20b", "gpt2-bpe"])
def test_decoding_agrees_with_the_library(name: str, tmp_path: Path) -> None:
    tokenizer = real(name, tmp_path)
    folder = small_tokenizers.BUNDLED if name == "starter-v1" else tmp_path
    library = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    for text in ["Hello,  world\n\n\t    x", "吾輩は猫である。", "naïve café 🎼🎻", "مرحبا", "\u2028\ufffd"]:
        ids = tokenizer.encode(text, begin=True)
        assert tokenizer.decode(ids) == library.decode(ids) == text


def test_half_a_character_waits_for_its_other_half(tmp_path: Path) -> None:
    tokenizer = Tokenizer.open(byte_level(tmp_path))
    decoder = IncrementalDecoder(tokenizer)
    first, second, third = tokenizer.encode("猫", begin=False)
    assert [decoder.push([first]), decoder.push([second]), decoder.push([third])] == ["", "", "猫"]
    assert decoder.push([first, second]) == ""
    assert decoder.finish() == "\ufffd"


def test_every_end_token_of_the_directory_is_known_and_the_tokenizers_own_is_first(tmp_path: Path) -> None:
    folder = byte_level(tmp_path)
    spelled = Tokenizer.open(folder)
    turn = spelled.token_id("<|im_end|>")
    tokenizer = open_with(folder, generation_config={"eos_token_id": [turn, 7]}, config={"eos_token_id": turn})
    assert tokenizer.eos_ids == (spelled.token_id(END), turn, 7)


def test_special_tokens_may_be_given_as_objects(tmp_path: Path) -> None:
    tokenizer = Tokenizer.open(byte_level(tmp_path, eos_token={"content": END, "lstrip": False}))
    assert tokenizer.eos_id == tokenizer.token_id(END)


def test_a_tokenizer_without_any_end_token_is_refused(tmp_path: Path) -> None:
    folder = byte_level(tmp_path / "base", eos_token=None)
    with pytest.raises(Invalid) as refused:
        Tokenizer.open(folder)
    assert refused.value.message == (
        "base: no end-of-sequence token, so a completion would never end. "
        "Name eos_token in tokenizer_config.json or eos_token_id in config.json."
    )


def test_a_directory_without_a_fast_tokenizer_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"tokenizer\.json: missing\. Save the model with a fast tokenizer"):
        Tokenizer.open(tmp_path)


def test_a_decoder_that_joins_words_is_refused(tmp_path: Path) -> None:
    folder = byte_level(tmp_path)
    spec = json.loads((folder / "tokenizer.json").read_text())
    spec["decoder"] = {"type": "WordPiece", "prefix": "##", "cleanup": True}
    with pytest.raises(Invalid, match="type 'WordPiece' is not supported"):
        open_with(folder, tokenizer=spec)


def test_truncation_left_in_a_tokenizer_file_cuts_nothing(tmp_path: Path) -> None:
    folder = byte_level(tmp_path)
    spec = json.loads((folder / "tokenizer.json").read_text())
    spec["truncation"] = {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0}
    tokenizer = open_with(folder, tokenizer=spec)
    assert len(tokenizer.encode("bcdfg", begin=False)) == 5


def test_a_chat_template_may_be_a_file_or_one_of_a_list(tmp_path: Path) -> None:
    listed = [{"name": "tool_use", "template": "tools"}, {"name": "default", "template": "default"}]
    folder = byte_level(tmp_path, chat_template=listed)
    assert Tokenizer.open(folder).chat_text([], add_generation_prompt=False) == "default"
    (folder / "chat_template.jinja").write_text("file")
    assert Tokenizer.open(folder).chat_text([], add_generation_prompt=False) == "file"


def test_a_template_reads_the_date_from_the_clock_it_is_given(tmp_path: Path) -> None:
    folder = byte_level(tmp_path, chat_template="{{ strftime_now('%d %b %Y') }}")
    clock = MovableClock(datetime(2026, 5, 4, tzinfo=UTC))
    assert Tokenizer.open(folder, clock=clock).chat_text([], add_generation_prompt=False) == "04 May 2026"
