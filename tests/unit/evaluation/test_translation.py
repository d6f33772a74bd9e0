"""BLEU and chrF are sacrebleu's, of a sentence and of a corpus; Japanese is cut as sacrebleu cuts it."""

import pytest
import sacrebleu

from outcrop.evaluation.scores import translation
from outcrop.evaluation.scores.scoring import Candidate
from outcrop.evaluation.scores.translation import BLEU, CHRF

PAIRS = (
    ("The cat sat on the mat.", ("The cat is sitting on the mat.", "A cat sat on a mat.")),
    ("It is raining, isn't it?", ("It's raining, isn't it?",)),
    ("Completely other words here", ("Nothing that is shared.",)),
)
CANDIDATES = [Candidate(prompt="", answer=answer, references=references) for answer, references in PAIRS]
JAPANESE = [Candidate(prompt="", answer="今日は良い天気です。", references=("今日はとても良い天気ですね。",))]


def test_each_answer_has_sacrebleus_sentence_score() -> None:
    for candidate, bleu, chrf in zip(CANDIDATES, BLEU.score(CANDIDATES), CHRF.score(CANDIDATES), strict=True):
        references = list(candidate.references)
        assert bleu.value == pytest.approx(sacrebleu.sentence_bleu(candidate.answer, references).score, abs=1e-6)
        assert chrf.value == pytest.approx(sacrebleu.sentence_chrf(candidate.answer, references).score, abs=1e-6)


def test_the_corpus_has_sacrebleus_corpus_score_though_answers_have_unlike_numbers_of_references() -> None:
    answers = [candidate.answer for candidate in CANDIDATES]
    references = [[first for _, (first, *_) in PAIRS], ["A cat sat on a mat.", None, None]]
    assert BLEU.corpus is not None
    assert CHRF.corpus is not None
    unanswerable = Candidate(prompt="", answer="left out")
    assert BLEU.corpus([*CANDIDATES, unanswerable]) == pytest.approx(sacrebleu.corpus_bleu(answers, references).score)
    assert CHRF.corpus(CANDIDATES) == pytest.approx(sacrebleu.corpus_chrf(answers, references).score)
    assert BLEU.corpus([unanswerable]) is None
    assert BLEU.score_one(unanswerable).value is None


def test_chrf_of_japanese_by_hand() -> None:
    # 東京都 and 東京: F with beta 2 over n-grams of characters, of the orders that both have. 1-grams: precision 2/3,
    # recall 1. 2-grams: 1/2 and 1. Mean precision 7/12, mean recall 1: 5 * 7/12 / (4 * 7/12 + 1)
    found = CHRF.score_one(Candidate(prompt="", answer="東京都", references=("東京",)))
    assert found.value == pytest.approx(100 * 5 * (7 / 12) / (4 * (7 / 12) + 1))


def test_bleu_of_japanese_by_character_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translation, "has_mecab", lambda: False)
    (found,) = BLEU.score([Candidate(prompt="", answer="ねこがいる", references=("ねこもいる",))])
    # 5 characters: 1-grams 4/5, 2-grams 2/4, 3-grams 0/3, 4-grams 0/2, of which the last two are smoothed by
    # sacrebleu's exponential rule: 1/(2*3) and 1/(4*2)
    assert found.details == {"cut": "char"}
    assert found.value == pytest.approx(100 * (4 / 5 * 2 / 4 * 1 / 6 * 1 / 8) ** 0.25)


def test_japanese_is_cut_by_mecab_where_it_is_installed() -> None:
    pytest.importorskip("MeCab", reason="MeCab is not installed")
    (found,) = BLEU.score(JAPANESE)
    assert found.details == {"cut": "ja-mecab"}
    expected = sacrebleu.sentence_bleu(JAPANESE[0].answer, list(JAPANESE[0].references), tokenize="ja-mecab")
    assert found.value == pytest.approx(expected.score)
