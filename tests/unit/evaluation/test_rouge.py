"""ROUGE of English is rouge-score's, and of Japanese what one counts by hand."""

import json
from pathlib import Path

import pytest

from outcrop.errors import Invalid
from outcrop.evaluation.scores import words
from outcrop.evaluation.scores.rouge import rouge
from outcrop.evaluation.scores.scoring import Candidate, ScoreValue

RECORDED = Path(__file__).parent.parent.parent / "support" / "rouge_score_values.jsonl"
"Precision, recall and F1 that rouge-score 0.1.2 gives, without its stemmer."
needs_mecab = pytest.mark.skipif(not words.has_mecab(), reason="MeCab is not installed")


def scored(order: str, answer: str, *references: str, unit: str = "") -> ScoreValue:
    return rouge(order, unit).score_one(Candidate(prompt="", answer=answer, references=references))


@pytest.mark.parametrize("order", ["1", "2", "l"])
def test_english_has_the_values_of_rouge_score(order: str) -> None:
    rows = [json.loads(line) for line in RECORDED.read_text().splitlines()]
    assert len(rows) == 30
    for row in rows:
        found = scored(order, row["answer"], row["reference"])
        told = (found.details["precision"], found.details["recall"], found.value)
        assert told == pytest.approx(row[f"rouge_{order}"], abs=1e-6), row


@pytest.mark.parametrize(
    ("order", "answer", "reference", "f1"),
    [
        # ねこがいる and ねこもいる: 5 characters each, ね こ い る shared; pairs ねこ and いる of 4 each
        ("1", "ねこがいる。", "ねこもいる", 4 / 5),
        ("2", "ねこがいる。", "ねこもいる", 2 / 4),
        ("l", "ねこがいる。", "ねこもいる", 4 / 5),
        # 東京 is a subsequence of 東の京都, of 4 characters
        ("l", "東京", "東の京都", 2 * 2 / (2 + 4)),
        # A Latin word is one unit: gpu で 学 習 and gpu の 学 習
        ("1", "GPUで学習", "ＧＰＵの学習", 3 / 4),
        ("1", "ねこ", "いぬ", 0.0),
    ],
)
def test_japanese_by_character_by_hand(order: str, answer: str, reference: str, f1: float) -> None:
    found = scored(order, answer, reference, unit="characters")
    assert found.value == pytest.approx(f1, abs=1e-9)
    assert found.details["unit"] == "characters"


@needs_mecab
def test_japanese_by_word_by_hand() -> None:
    # 私 は 東京 に 行き まし た and 私 は 京都 に 行き まし た: 6 of 7 words
    found = scored("l", "私は東京に行きました。", "私は京都に行きました。", unit="words")
    assert found.value == pytest.approx(6 / 7)
    assert found.details["unit"] == "words by MeCab (IPADIC)"
    assert (
        scored("l", "私は東京に行きました。", "私は京都に行きました。") == found
    )  # where MeCab is, words are what one gets


def test_without_mecab_characters_are_counted_and_words_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "has_mecab", lambda: False)
    assert scored("l", "ねこがいる", "ねこもいる").details["unit"] == "characters"
    with pytest.raises(Invalid, match=r"pip install 'outcrop\[japanese\]'"):
        rouge("l", "words")


def test_texts_beyond_ascii_that_have_spaces_keep_their_words() -> None:
    found = scored("1", "Le café est fermé.", "le CAFÉ est ouvert", unit="characters")
    assert (found.value, found.details["unit"]) == (3 / 4, "words")


def test_of_several_references_the_best_counts() -> None:
    assert scored("l", "a cat", "the dog", "a cat sat").value == pytest.approx(2 * 2 / (2 + 3))
