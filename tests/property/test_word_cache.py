"""The law of the word cache: the ids of a text are those that its tokenizer gives without it."""

import itertools
import json
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers, trainers

from outcrop.tokens import word_cache
from outcrop.tokens.tokenizer import PlacedText, TextPlace, Tokenizer
from outcrop.tokens.word_cache import keeps_words_apart
from tests.support.small_tokenizers import REAL, byte_level, real, save, sentencepiece_like

SOUP = [
    "\x00",
    "\u2003",
    " ",
    " ",
    "  ",
    "\n",
    "\t",
    "\r",
    "\x1c",
    "\x85",
    "\xa0",
    "　",
    "a",
    "b",
    "S",
    "é",
    "'s",
    "'",
    "1",
    "23",
    ".",
    "_",
    "猫",
    "の",
    "ア",
    "́",
]
ENDS = ["<|end|>", "<|en", "<|end|>.", "</s>"]
BYTES = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
GPT2 = pre_tokenizers.ByteLevel(add_prefix_space=False)
KINDS = {
    "gpt-2": GPT2,
    "gpt-2 composed": GPT2,
    "digits": pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), GPT2]),
    **{
        f"split {number}": pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), BYTES])
        for number, pattern in enumerate(sorted(word_cache._SPLITS))
    },
}
TEXTS = st.lists(st.one_of(st.sampled_from(SOUP + ENDS), st.characters(exclude_categories=["Cs"])), max_size=20)


@cache
def without_borders() -> str:
    """A tokenizer that has learned without borders between words, so that its ids show every border it is given."""
    drawn = random.Random(0)
    soup = ["".join(drawn.choices(SOUP, k=30)) for _ in range(500)]
    made = tokenizers.Tokenizer(models.BPE())
    made.pre_tokenizer = BYTES
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(soup, trainers.BpeTrainer(vocab_size=1500, initial_alphabet=alphabet, show_progress=False))
    return str(made.to_str())


@cache
def tokenizer_of(kind: str) -> Tokenizer:
    made = tokenizers.Tokenizer.from_str(without_borders())
    made.pre_tokenizer, made.decoder = KINDS[kind], decoders.ByteLevel()
    made.normalizer = normalizers.NFC() if kind.endswith("composed") else None
    made.add_special_tokens([AddedToken(each, normalized=False) for each in ("<s>", "</s>", "<|end|>", "<|end|>.")])
    return Tokenizer.open(save(made, Path(mkdtemp()), bos_token="<s>", eos_token="</s>"))


def test_the_tokenizers_of_these_laws_show_their_borders() -> None:
    whole = {
        kind: [tokenizer_of(kind).encode(text, begin=False) for text in ("a  b.\n\n23", "a\n 1'S")] for kind in KINDS
    }
    assert len({json.dumps(ids) for ids in whole.values()}) >= 4


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=100)
@given(texts=st.lists(TEXTS.map("".join), max_size=6), place=st.sampled_from(TextPlace))
def test_words_looked_up_are_the_words_encoded(kind: str, texts: list[str], place: TextPlace) -> None:
    tokenizer = tokenizer_of(kind)
    assert tokenizer._words is not None
    placed = [PlacedText(text, place) for text in texts]
    alone = [tokenizer.encode_text(text) for text in placed]
    assert tokenizer.encode_batch(placed) == alone
    assert tokenizer.encode_batch(placed) == alone  # and once they are known


@pytest.mark.parametrize("kind", KINDS)
def test_every_short_text_of_white_space_and_words_is_cut_where_it_may_be(kind: str) -> None:
    tokenizer = tokenizer_of(kind)
    letters = [" ", "\n", "\xa0", "\x1c", "\0", "a", "1", "."]
    texts = ["".join(some) for length in range(5) for some in itertools.product(letters, repeat=length)]
    placed = [PlacedText(text, TextPlace.CONTINUATION) for text in texts]
    alone = list(map(tokenizer.encode_text, placed))
    assert [tokenizer.encode_batch([text])[0] for text in placed] == alone
    assert tokenizer.encode_batch(placed) == alone


@pytest.mark.parametrize("name", REAL)
def test_real_tokenizers_agree_with_themselves(name: str, tmp_path: Path) -> None:
    tokenizer = real(name, tmp_path)
    assert (tokenizer._words is not None) == (name in ("starter-v1", "gpt-neox-20b", "gpt2-bpe"))
    texts = [(Path(__file__).parents[2] / page).read_text() for page in ("README.md", "README.ja.md", "Makefile")]
    placed = [PlacedText(text, TextPlace.BEGINNING) for text in texts]
    assert tokenizer.encode_batch(placed) == [tokenizer.encode_text(text) for text in placed]


CHANGES: list[dict[str, Any]] = [
    {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}},
    {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}},
    {"pre_tokenizer": None},
    {"normalizer": {"type": "Lowercase"}},
    {"normalizer": {"type": "NFKC"}},
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_a_tokenizer_that_may_look_past_a_space_is_not_cut(change: dict[str, Any], tmp_path: Path) -> None:
    spec = json.loads((byte_level(tmp_path) / "tokenizer.json").read_text())
    assert keeps_words_apart(spec)
    assert not keeps_words_apart(spec | change)


def test_a_sentencepiece_tokenizer_is_not_cut(tmp_path: Path) -> None:
    assert not keeps_words_apart(json.loads((sentencepiece_like(tmp_path) / "tokenizer.json").read_text()))


def test_a_text_with_a_token_that_swallows_the_space_beside_it_is_encoded_whole(tmp_path: Path) -> None:
    made = tokenizers.Tokenizer.from_str((byte_level(tmp_path) / "tokenizer.json").read_text())
    made.add_special_tokens([AddedToken("<gap>", lstrip=True, rstrip=True)])
    tokenizer = Tokenizer.open(save(made, tmp_path / "gaps", eos_token="</s>"))
    texts = [PlacedText(text, TextPlace.CONTINUATION) for text in ("the <gap> man", "a the<gap> the", "the man")]
    assert tokenizer.encode_batch(texts) == [tokenizer.encode_text(text) for text in texts]


class Watched:
    """A tokenizer's word cache, and what it has the tokenizer encode."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        assert tokenizer._words is not None
        self.cache = tokenizer._words
        self.encoded: list[str] = []
        encode_all = self.cache._encode_all

        def watched(texts: Sequence[str]) -> list[list[int]]:
            self.encoded.extend(texts)
            return encode_all(texts)

        self.cache._encode_all = watched

    @property
    def words(self) -> list[str]:
        return " ".join(self.encoded).split()


def test_a_word_is_encoded_once_and_a_long_one_each_time(tmp_path: Path) -> None:
    tokenizer = Tokenizer.open(byte_level(tmp_path))
    watched = Watched(tokenizer)
    for number in range(100):
        for said in (f"the number {number} and so on", f"{'long' * 20} {number}"):
            text = PlacedText(said, TextPlace.CONTINUATION)
            assert tokenizer.encode_batch([text]) == [tokenizer.encode_text(text)]
    assert watched.words.count("number") == 1
    assert watched.words.count("99") == 1
    assert watched.words.count("long" * 20) == 100


def test_the_cache_forgets_rather_than_grow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(word_cache, "_MOST_IDS", 50)
    tokenizer = Tokenizer.open(byte_level(tmp_path))
    watched = Watched(tokenizer)
    for number in range(100):
        text = PlacedText(f"the number {number} and so on", TextPlace.CONTINUATION)
        assert tokenizer.encode_batch([text]) == [tokenizer.encode_text(text)]
        assert len(watched.cache._known.ids) <= 100
    assert 1 < watched.words.count("number") < 50


def test_words_that_fall_on_one_row_take_turns(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(word_cache, "_ROW_BITS", 2)
    tokenizer = Tokenizer.open(byte_level(tmp_path))
    watched = Watched(tokenizer)
    texts = [PlacedText(" ".join(f"w{n} the" for n in range(start, 40)), TextPlace.BEGINNING) for start in range(40)]
    for some in (texts, texts[:3], texts[::-1]):
        assert tokenizer.encode_batch(some) == [tokenizer.encode_text(text) for text in some]
    assert watched.words.count("w39") > 1


def test_threads_that_encode_at_once_get_their_own_words(tmp_path: Path) -> None:
    tokenizer = Tokenizer.open(byte_level(tmp_path))
    several = [[PlacedText(f"the {n} man {m}", TextPlace.BEGINNING) for m in range(50)] for n in range(40)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(tokenizer.encode_batch, several))
    assert found == [[tokenizer.encode_text(text) for text in texts] for texts in several]


def test_words_are_told_apart_where_the_vocabulary_has_no_space(tmp_path: Path) -> None:
    made = tokenizers.Tokenizer(models.BPE(vocab={"</s>": 0, "a": 1, "b": 2, "ab": 3}, merges=[("a", "b")]))
    made.pre_tokenizer, made.decoder = GPT2, decoders.ByteLevel()
    tokenizer = Tokenizer.open(save(made, tmp_path / "spaceless", eos_token="</s>"))
    assert tokenizer._words is not None
    texts = [PlacedText(text, TextPlace.CONTINUATION) for text in ("a ab b", "b b ab a", "ab  ab")]
    assert tokenizer.encode_batch(texts) == [tokenizer.encode_text(text) for text in texts]


def test_words_of_two_texts_make_no_token_together(tmp_path: Path) -> None:
    made = tokenizers.Tokenizer.from_str(without_borders())
    made.pre_tokenizer, made.decoder = GPT2, decoders.ByteLevel()
    made.add_special_tokens([AddedToken("</s>", normalized=False)])
    made.add_tokens([AddedToken("two words", normalized=False), AddedToken(" it", normalized=False)])
    tokenizer = Tokenizer.open(save(made, tmp_path / "joined", eos_token="</s>"))
    assert tokenizer._words is not None
    texts = [
        PlacedText(text, TextPlace.CONTINUATION) for text in ("one two", "see words", "two words", "sit it", "x it")
    ]
    assert tokenizer.encode_batch(texts) == [tokenizer.encode_text(text) for text in texts]
