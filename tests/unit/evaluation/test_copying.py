"""What was copied is found, letter by letter, from prompts and from training texts."""

import pytest

from outcrop.evaluation.scores.copying import COPIED_FROM_PROMPT, RunIndex, copied_from_training
from outcrop.evaluation.scores.scoring import Candidate

SENTENCE = "It was the best of times, it was the worst of times."
RENGA = "古池や蛙飛びこむ水の音、閑さや岩にしみ入る蟬の声"


def test_a_whole_copy_is_a_copy_whatever_its_case_and_spaces() -> None:
    index = RunIndex([f"Once. {SENTENCE} Then."])
    assert index.copied(SENTENCE).share == 1.0
    assert index.copied(SENTENCE.upper().replace(" ", "  ")).share == 1.0
    assert index.copied("Something else that nobody has ever written before now.").share == 0.0


def test_the_share_is_of_letters_and_the_longest_stretch_is_told() -> None:
    answer = SENTENCE + " " + "But then again nobody knows what else."
    part = RunIndex([SENTENCE]).copied(answer)
    assert part.longest == SENTENCE.lower()
    assert part.share == pytest.approx(len(SENTENCE) / len(answer))


def test_a_run_of_30_letters_is_the_least_and_of_12_in_japanese() -> None:
    index = RunIndex([SENTENCE, RENGA])
    assert index.copied(SENTENCE[:29]).share == 0.0
    assert index.copied(SENTENCE[:30]).share == 1.0
    assert index.copied(RENGA[:11]).share == 0.0
    assert index.copied(RENGA[:12]).share == 1.0


def test_runs_never_cross_from_one_training_text_to_the_next() -> None:
    assert RunIndex([SENTENCE[:25], SENTENCE[25:]]).copied(SENTENCE).share == 0.0


def test_an_index_in_pieces_is_the_index_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"{SENTENCE} {number}" for number in range(50)] + [RENGA]
    whole = RunIndex(texts)
    monkeypatch.setattr("outcrop.evaluation.scores.copying._FOLDED_AT", 100)
    pieces = RunIndex(texts)
    assert pieces.num_runs == whole.num_runs
    assert pieces.copied(RENGA) == whole.copied(RENGA)


def test_the_scores_tell_the_stretch() -> None:
    quoted = COPIED_FROM_PROMPT.score_one(Candidate(prompt=f"Say: {SENTENCE}", answer=SENTENCE))
    assert (quoted.value, quoted.details["longest"]) == (1.0, SENTENCE.lower())
    by_heart = copied_from_training(RunIndex([RENGA]))
    assert by_heart.score_one(Candidate(prompt="?", answer=RENGA)).value == 1.0
    assert by_heart.score_one(Candidate(prompt="?", answer="")).value == 0.0
    assert copied_from_training(RunIndex([])).score_one(Candidate(prompt="?", answer=RENGA)).value == 0.0
