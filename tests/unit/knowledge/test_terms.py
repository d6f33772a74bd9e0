"""How texts are cut into the terms of the lexical arm."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outcrop.knowledge.index.term_blob import pack, unpack
from outcrop.knowledge.index.terms import count_terms, number_of, share_in_pairs, terms_of


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("Brokers register.", "brokers ~broker register ~register"),
        ("companies Processes glass bus", "companies ~company processes ~process glass ~glass bus ~bus"),
        ("日本の首都", "日本 本の の首 首都 日 本 首 都"),
        ("雨", "雨"),
        ("5月にNHKで", "5月 月に にn nh hk kで 月 5 ~5 nhk ~nhk"),
        ("ﾄｳｷｮｳ", "トウ ウキ キョ ョウ"),
        ("が、ガ", "が ガ"),
        ("Café CAFÉ", "cafe ~cafe cafe ~cafe"),
        ("한국어", "한국 국어"),
        ("ภาษา", "ภา าษ ษา"),
        ("§ 240.10b-5", "240.10b-5 240 ~240 10b ~10b 5 ~5"),
        ("§ 77d–1", "77d-1 77d ~77d 1 ~1"),
        ("Straße", "strasse ~strasse"),
        ("¡?…  ", ""),
        ("", ""),
    ],
)
def test_words_and_pairs_of_characters(text: str, terms: str) -> None:
    assert terms_of(text) == terms.split()


def test_a_term_has_the_same_number_in_every_process() -> None:
    assert number_of("broker") == 9286791478074595459


@pytest.mark.parametrize(
    ("text", "share"), [("Who registers?", 0.0), ("日本の首都は？", 1.0), ("NHKは日本", 0.5), ("", 0.0), ("?!", 0.0)]
)
def test_how_much_of_a_query_is_read_in_pairs(text: str, share: float) -> None:
    assert share_in_pairs(text) == share


@pytest.mark.parametrize("text", ["a" * 1_000_000, "a-" * 500_000, "日" * 1_000_000, "1.a" * 300_000])
def test_a_text_that_never_ends_is_cut_in_one_pass(text: str) -> None:
    assert terms_of(text)


@given(texts=st.lists(st.text(), max_size=4))
def test_terms_come_back_from_their_bytes(texts: list[str]) -> None:
    counted = [count_terms(text) for text in texts]
    columns = unpack([pack(each) for each in counted])
    at = 0
    for each, size in zip(counted, columns.sizes.tolist(), strict=True):
        there = slice(at, at + size)
        assert dict(zip(columns.terms[there].tolist(), columns.counts[there].tolist(), strict=True)) == each
        at += size
    assert at == len(columns.terms) == len(columns.counts)
