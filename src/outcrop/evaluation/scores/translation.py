"""BLEU and chrF by the library sacrebleu, for each answer and for the corpus.

The corpus's value is no mean of the answers'. Values are from 0 to 100, as the field writes them. sacrebleu is
imported at the first score.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import regex

from outcrop.evaluation.scores.scoring import NO_REFERENCE, Candidate, ScoreNeed, ScoreValue, TextScore
from outcrop.evaluation.scores.words import has_mecab, readable

_KANA = regex.compile(r"[\p{Script=Hiragana}\p{Script=Katakana}]")
_HAN = regex.compile(r"\p{Script=Han}")


def _bleu_of(candidates: Sequence[Candidate]) -> list[ScoreValue]:
    cut = _cut_for(candidates)
    return [_value(_bleu(cut), candidate, {"cut": cut}) for candidate in candidates]


def _chrf_of(candidates: Sequence[Candidate]) -> list[ScoreValue]:
    return [_value(_chrf(), candidate, {}) for candidate in candidates]


def _corpus_bleu(candidates: Sequence[Candidate]) -> float | None:
    # Smoothing and effective order are for single sentences; a corpus is counted as sacrebleu's command counts it.
    return _corpus(_bleu(_cut_for(candidates), of_sentence=False), candidates)


def _corpus_chrf(candidates: Sequence[Candidate]) -> float | None:
    return _corpus(_chrf(), candidates)


BLEU = TextScore(
    name="bleu",
    meaning="BLEU by sacrebleu, 0 to 100: n-grams of up to 4 words that answer and reference share.",
    higher_is_better=True,
    is_share=False,
    needs=frozenset({ScoreNeed.REFERENCE}),
    scoring=_bleu_of,
    corpus=_corpus_bleu,
)
CHRF = TextScore(
    name="chrf",
    meaning="chrF by sacrebleu, 0 to 100: n-grams of up to 6 characters that answer and reference share.",
    higher_is_better=True,
    is_share=False,
    needs=frozenset({ScoreNeed.REFERENCE}),
    scoring=_chrf_of,
    corpus=_corpus_chrf,
)


def _value(metric: Any, candidate: Candidate, details: dict[str, str | float]) -> ScoreValue:
    if not candidate.references:
        return NO_REFERENCE
    found = metric.sentence_score(readable(candidate.answer), list(map(readable, candidate.references)))
    return ScoreValue(value=float(found.score), details=details)


def _corpus(metric: Any, candidates: Sequence[Candidate]) -> float | None:
    scored = [candidate for candidate in candidates if candidate.references]
    if not scored:
        return None
    # sacrebleu wants one list a reference, each as long as the answers; None where an answer has fewer.
    most = max(len(candidate.references) for candidate in scored)
    references = [
        [readable(candidate.references[at]) if at < len(candidate.references) else None for candidate in scored]
        for at in range(most)
    ]
    return float(metric.corpus_score([readable(candidate.answer) for candidate in scored], references).score)


def _cut_for(candidates: Sequence[Candidate]) -> str:
    """The name of sacrebleu's tokenizer for these references: by most of them, since a corpus is cut in one way."""
    references = [reference for candidate in candidates for reference in candidate.references]
    if 2 * sum(_KANA.search(text) is not None for text in references) > len(references):
        return "ja-mecab" if has_mecab() else "char"
    if 2 * sum(_HAN.search(text) is not None for text in references) > len(references):
        return "zh"
    return "13a"


@cache
def _bleu(cut: str, *, of_sentence: bool = True) -> Any:
    from sacrebleu.metrics import BLEU

    return BLEU(tokenize=cut, effective_order=of_sentence)


@cache
def _chrf() -> Any:
    from sacrebleu.metrics import CHRF

    return CHRF()
