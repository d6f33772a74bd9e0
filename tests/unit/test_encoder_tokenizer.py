"""Texts and pairs become rows of ids, with the encoder's special tokens around them; nothing is cut unasked."""

from pathlib import Path

import pytest

from outcrop.errors import Invalid
from outcrop.tokens.encoder_tokenizer import EncoderTokenizer, TextTooLong, TokenRow, Truncate
from tests.support.word_tokenizers import FIRST, LAST, UNKNOWN, ids, word_level


@pytest.fixture
def tokenizer(tmp_path: Path) -> EncoderTokenizer:
    return EncoderTokenizer.open(word_level(tmp_path))


def test_a_text_stands_between_special_tokens(tokenizer: EncoderTokenizer) -> None:
    rows = tokenizer.rows(["Who wrote the book", "", "the piano"], max_length=16)
    assert [row.ids for row in rows] == [
        [FIRST, *ids("who wrote the book"), LAST],
        [FIRST, LAST],
        [FIRST, *ids("the"), UNKNOWN, LAST],
    ]
    assert all(set(row.type_ids) == {0} and row.num_prompt == 0 for row in rows)


def test_a_prompt_stands_before_the_text_and_is_counted(tokenizer: EncoderTokenizer) -> None:
    (row,) = tokenizer.rows(["the river"], prompt="query: ", max_length=16)
    assert row == TokenRow([FIRST, *ids("query : the river"), LAST], [0] * 6, num_prompt=3)


@pytest.mark.parametrize(
    ("truncate", "kept"),
    [(Truncate.END, "query : one two three"), (Truncate.START, "query : four five six")],
)
def test_a_text_is_cut_at_the_end_that_is_named_and_its_prompt_stays(
    tokenizer: EncoderTokenizer, truncate: Truncate, kept: str
) -> None:
    (row,) = tokenizer.rows(["one two three four five six"], prompt="query: ", max_length=7, truncate=truncate)
    assert row.ids == [FIRST, *ids(kept), LAST]


def test_a_text_without_a_prompt_is_cut_at_its_start(tokenizer: EncoderTokenizer) -> None:
    rows = tokenizer.rows(["one two three four five six", "one"], max_length=5, truncate=Truncate.START)
    assert [row.ids for row in rows] == [[FIRST, *ids("four five six"), LAST], [FIRST, *ids("one"), LAST]]


def test_a_text_that_is_too_long_is_refused_with_its_numbers(tokenizer: EncoderTokenizer) -> None:
    with pytest.raises(TextTooLong) as refused:
        tokenizer.rows(["one", "one two three four five six"], max_length=7)
    assert (refused.value.number, refused.value.num_tokens, refused.value.max_length) == (1, 8, 7)
    assert str(refused.value) == (
        "Input is too long for requested model. Text 2 has 8 tokens, and this model reads 7. Shorten it."
    )


def test_a_prompt_that_leaves_no_room_is_refused_whatever_may_be_cut(tokenizer: EncoderTokenizer) -> None:
    with pytest.raises(TextTooLong):
        tokenizer.rows(["one two three"], prompt="query: ", max_length=4, truncate=Truncate.END)


def test_a_query_stands_beside_each_document(tokenizer: EncoderTokenizer) -> None:
    rows = tokenizer.pairs("who wrote", ["the book", "one two three four"], max_length=16, most_of_document=3)
    assert [row.ids for row in rows] == [
        [FIRST, *ids("who wrote"), LAST, *ids("the book"), LAST],
        [FIRST, *ids("who wrote"), LAST, *ids("one two three"), LAST],
    ]
    assert [row.type_ids for row in rows] == [[0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 1, 1, 1, 1]]


def test_a_pair_that_is_too_long_is_refused(tokenizer: EncoderTokenizer) -> None:
    with pytest.raises(TextTooLong, match=r"Text 2 has 9 tokens, and this model reads 8\."):
        tokenizer.pairs("who wrote", ["the book", "one two three four"], max_length=8)


def test_half_a_character_is_refused(tokenizer: EncoderTokenizer) -> None:
    with pytest.raises(Invalid, match="half a character"):
        tokenizer.rows(["the \ud83d river"], max_length=16)


def test_a_folder_without_a_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"tokenizer\.json: missing"):
        EncoderTokenizer.open(tmp_path)
