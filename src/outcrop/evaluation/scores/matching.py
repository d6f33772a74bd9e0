"""Scores of short answers: exact match, token F1, accuracy of a label, contains, and a regular expression."""

from collections import Counter
from collections.abc import Sequence

import regex

from outcrop.errors import Invalid
from outcrop.evaluation.scores.normalising import normalised, told_unit, units
from outcrop.evaluation.scores.scoring import (
    Candidate,
    ScoreNeed,
    ScoreValue,
    TextScore,
    best_reference,
    each,
    share,
)

_REFERENCE = frozenset({ScoreNeed.REFERENCE})
_LEAD = regex.compile(
    r"^\W*(?:the\s+)?(?:final\s+)?(?:answer|label|class|category|sentiment|答え|回答|解答|ラベル|分類|カテゴリー?)"
    r"(?:\s+is\b\s*[:：]?|は\s*[:：]?|\s*[:：])",
    regex.IGNORECASE,
)
"What models like to say before a label."
_LONGEST_MATCH_S = 1.0


def _exact(answer: str, reference: str) -> ScoreValue:
    return share(normalised(answer) == normalised(reference))


def _token_f1(answer: str, reference: str) -> ScoreValue:
    ours, theirs = normalised(answer), normalised(reference)
    unit = told_unit(ours, theirs)
    if not ours or not theirs:  # as SQuAD 2: nothing said where nothing is right
        return ScoreValue(value=float(ours == theirs), details={"unit": unit})
    of_ours, of_theirs = Counter(units(ours)), Counter(units(theirs))
    common = (of_ours & of_theirs).total()
    f1 = 2 * common / (of_ours.total() + of_theirs.total())
    return ScoreValue(
        value=f1,
        details={"unit": unit, "precision": common / of_ours.total(), "recall": common / of_theirs.total()},
    )


def _contains(answer: str, reference: str) -> ScoreValue:
    ours, theirs = normalised(answer), normalised(reference)
    if told_unit(theirs) == "characters":
        return share(theirs in ours)
    return share(f" {theirs} " in f" {ours} ")


EXACT_MATCH = TextScore(
    name="exact_match",
    meaning="1 where the answer is the reference, but for case, punctuation, articles and white space.",
    higher_is_better=True,
    is_share=True,
    needs=_REFERENCE,
    scoring=best_reference(_exact),
)
TOKEN_F1 = TextScore(
    name="token_f1",
    meaning="F1 of the words that answer and reference share, as SQuAD counts; of characters in Japanese.",
    higher_is_better=True,
    is_share=False,
    needs=_REFERENCE,
    scoring=best_reference(_token_f1),
)
CONTAINS = TextScore(
    name="contains",
    meaning="1 where the reference stands somewhere in the answer as whole words, normalised.",
    higher_is_better=True,
    is_share=True,
    needs=_REFERENCE,
    scoring=best_reference(_contains),
)


def accuracy(labels: Sequence[str] = ()) -> TextScore:
    """The score of a classification: whether the label that the answer names is the reference.

    With `labels`, the first of them that the answer names counts. Without, the answer's first line is the label, less
    a lead such as "Answer:".
    """
    known = {normalised(label): label for label in labels}

    def named(answer: str) -> str:
        if not known:
            return _first_line(answer)
        found = [(place, -len(label), label) for label in known if (place := _place(label, answer)) >= 0]
        return min(found)[2] if found else ""

    def of(answer: str, reference: str) -> ScoreValue:
        label = named(answer)
        return share(bool(label) and label == normalised(reference), label=known.get(label, label) or "none")

    return TextScore(
        name="accuracy" + (f":{','.join(labels)}" if labels else ""),
        meaning="1 where the label that the answer names is the reference.",
        higher_is_better=True,
        is_share=True,
        needs=_REFERENCE,
        scoring=best_reference(of),
    )


def _first_line(answer: str) -> str:
    line = next((line for line in answer.splitlines() if line.strip()), "")
    return normalised(_LEAD.sub("", line)) or normalised(line)


def _place(label: str, answer: str) -> int:
    """Where a label stands in an answer as whole words; -1 where it does not."""
    text = normalised(answer)
    return text.find(label) if told_unit(label) == "characters" else f" {text} ".find(f" {label} ")


def regular_expression(pattern: str) -> TextScore:
    """The score of answers in which a pattern is found. Raises Invalid for a pattern that is none."""
    try:
        compiled = regex.compile(pattern)
    except regex.error as error:
        raise Invalid(f"regular_expression: {pattern!r}: {error}. Give a pattern as Python writes it.") from error

    def of(candidate: Candidate) -> ScoreValue:
        try:
            return share(compiled.search(candidate.answer, timeout=_LONGEST_MATCH_S) is not None)
        except TimeoutError:
            return ScoreValue(
                value=None,
                why_not=f"{pattern!r} took more than {_LONGEST_MATCH_S:g} s on this answer. Write a pattern without "
                "nested repetition.",
            )

    return TextScore(
        name=f"regular_expression:{pattern}",
        meaning=f"1 where {pattern!r} is found in the answer.",
        higher_is_better=True,
        is_share=True,
        scoring=each(of),
    )
