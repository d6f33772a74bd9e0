"""Laws of tokenizing that hold for every text."""

from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outcrop.tokens.tokenizer import IncrementalDecoder, Tokenizer
from tests.support.small_tokenizers import byte_level, sentencepiece_like

KINDS = ["byte level", "sentencepiece", "legacy sentencepiece"]
texts = st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from(" \na猫é")))


@cache
def tokenizer_of(kind: str) -> Tokenizer:
    folder = Path(mkdtemp())
    if kind == "byte level":
        return Tokenizer.open(byte_level(folder))
    return Tokenizer.open(sentencepiece_like(folder, legacy=kind.startswith("legacy")))


@pytest.mark.parametrize("kind", KINDS)
@given(ids=st.lists(st.lists(st.integers(0, 300), max_size=4)))
def test_what_is_decoded_in_pieces_is_what_is_decoded_at_once(kind: str, ids: list[list[int]]) -> None:
    tokenizer = tokenizer_of(kind)
    decoder = IncrementalDecoder(tokenizer)
    pieces = [decoder.push(some) for some in ids] + [decoder.finish()]
    assert "".join(pieces) == tokenizer.decode([one for some in ids for one in some])


@pytest.mark.parametrize("kind", KINDS)
@given(text=texts)
def test_a_streamed_text_shows_whole_characters_only(kind: str, text: str) -> None:
    tokenizer = tokenizer_of(kind)
    decoder = IncrementalDecoder(tokenizer)
    shown = ""
    for one in tokenizer.encode(text, begin=False):
        shown += decoder.push([one])
        assert text.startswith(shown)
    assert shown + decoder.finish() == text


@pytest.mark.parametrize("kind", KINDS)
@given(prompt=texts, completion=texts)
def test_a_completion_comes_back_letter_for_letter_behind_any_prompt(kind: str, prompt: str, completion: str) -> None:
    tokenizer = tokenizer_of(kind)
    before, after = tokenizer.encode(prompt, begin=True), tokenizer.encode(completion, begin=False)
    assert tokenizer.decode(before + after) == tokenizer.decode(before) + completion
