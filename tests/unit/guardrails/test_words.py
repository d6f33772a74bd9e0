"""Words of a guardrail in texts: case, width, blanks and hidden letters do not help, longer words are left alone."""

import pytest

from outcrop.guardrails.profanity import WORDS
from outcrop.guardrails.words import WordMatcher


@pytest.mark.parametrize(
    ("words", "text", "found"),
    [
        (["bad"], "Bad, badly; a BAD one", ["Bad", "BAD"]),
        (["bad", "bad thing"], "a bad\n  thing and a bad thingy", ["bad\n  thing", "bad"]),
        (["bad"], "ｂａｄ b\u200bad", ["ｂａｄ", "b\u200bad"]),
        (["ばか"], "このばかもの", ["ばか"]),
        (["ass"], "class assess ass-ass バカassです", ["ass", "ass", "ass"]),
        (["C++"], "C++ C+++ c++11", ["C++", "C++", "c++"]),
        (["straße"], "STRASSE", ["STRASSE"]),
        ([], "anything", []),
    ],
)
def test_words_are_found_as_people_read_them(words: list[str], text: str, found: list[str]) -> None:
    assert [text[each.begin : each.end] for each in WordMatcher(words).candidates(text, 0)] == found


def test_the_managed_list_leaves_harmless_words_alone() -> None:
    harmless = "The assistant's class in Scunthorpe assessed a cockpit; 憶測、くそうず、おくそく、味噌カス、ビッチリ。"
    assert [*WordMatcher(WORDS).candidates(harmless, 0)] == []
    assert len(set(WORDS)) == len(WORDS) > 100
