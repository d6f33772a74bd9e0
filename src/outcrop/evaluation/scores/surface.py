"""Scores that need no reference: length, repetition, and the language of the answer."""

from functools import cache

from outcrop.datasets.observing.languages import Languages
from outcrop.evaluation.scores.normalising import normalised, told_unit, units
from outcrop.evaluation.scores.scoring import Candidate, ScoreNeed, ScoreValue, TextScore, each, share

_REPEATED = 4
"Words or characters that stand together again."
_UNTOLD = ("short texts", "texts without letters")


def _characters(candidate: Candidate) -> ScoreValue:
    return ScoreValue(value=float(len(candidate.answer)))


def _tokens(candidate: Candidate) -> ScoreValue:
    if candidate.num_answer_tokens is None:
        return ScoreValue(value=None, why_not="The model did not tell how many tokens its answer has.")
    return ScoreValue(value=float(candidate.num_answer_tokens))


def _repetition(candidate: Candidate) -> ScoreValue:
    text = normalised(candidate.answer)
    words = units(text)
    grams = list(zip(*(words[start:] for start in range(_REPEATED)), strict=False))
    repeated = 1 - len(set(grams)) / len(grams) if grams else 0.0
    return ScoreValue(value=repeated, details={"unit": told_unit(text)})


def _language(candidate: Candidate) -> ScoreValue:
    expected_of = candidate.references[0] if candidate.references else candidate.prompt
    found, expected = _told(candidate.answer), _told(expected_of)
    if found in _UNTOLD or expected in _UNTOLD:
        short = "answer" if found in _UNTOLD else "reference" if candidate.references else "prompt"
        return ScoreValue(value=None, why_not=f"The {short} is too short to tell its language.")
    how = "script" if _languages().by_script_only else "script and py3langid"
    return share(found == expected, language=found, expected=expected, by=how)


@cache
def _languages() -> Languages:
    return Languages()


def _told(text: str) -> str:
    return _languages().of(text).removesuffix(" with Latin letters")


LENGTH_CHARACTERS = TextScore(
    name="length_characters",
    meaning="Characters of the answer.",
    higher_is_better=None,
    is_share=False,
    scoring=each(_characters),
)
LENGTH_TOKENS = TextScore(
    name="length_tokens",
    meaning="Tokens of the answer, by the tokenizer of the model that gave it.",
    higher_is_better=None,
    is_share=False,
    needs=frozenset({ScoreNeed.TOKEN_COUNT}),
    scoring=each(_tokens),
)
REPETITION = TextScore(
    name="repetition",
    meaning=f"Share of the answer's runs of {_REPEATED} words that stand in it before; of characters in Japanese.",
    higher_is_better=False,
    is_share=False,
    scoring=each(_repetition),
)
LANGUAGE = TextScore(
    name="language",
    meaning="1 where the answer is in the language of the reference, or of the prompt where there is none.",
    higher_is_better=True,
    is_share=True,
    scoring=each(_language),
)
