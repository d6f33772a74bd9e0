"""How words and vectors are fused."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outcrop.knowledge.index import fusion
from outcrop.knowledge.index.arrays import Scores
from outcrop.knowledge.index.bm25 import LexicalScores

SHARES = st.floats(0, 1, width=32)


def fused(words: npt.ArrayLike, cosines: npt.ArrayLike, *, strength: float = 1.0, pairs: float = 0.0) -> Scores:
    lexical = LexicalScores(scores=np.array(words, np.float32), most=1.0)
    everyone = np.ones(len(lexical.scores), np.bool_)
    return fusion.fuse(lexical, np.array(cosines, np.float32), everyone, everyone, pairs=pairs, strength=strength)


def test_words_that_are_sure_decide() -> None:
    words = [0.8, 0.5, 0.1, 0.0]
    assert np.argsort(-fused(words, [0.0, 0.1, 0.9, 0.2])).tolist() == [0, 1, 2, 3]


def test_words_that_found_little_give_way_to_meaning() -> None:
    words = [0.12, 0.11, 0.1, 0.1]
    assert int(np.argmax(fused(words, [0.1, 0.2, 0.9, 0.2]))) == 2


def test_an_encoder_that_is_not_trusted_is_not_heard() -> None:
    words = [0.12, 0.11, 0.1, 0.1]
    assert np.allclose(fused(words, [0.1, 0.2, 0.9, 0.2], strength=0.0), words)


def test_a_passage_that_stands_out_is_trusted_with_less_of_the_words() -> None:
    standing_out, one_of_many = np.full(30, 0.05, np.float32), np.full(30, 0.24, np.float32)
    standing_out[0] = one_of_many[0] = 0.25
    assert fusion.sureness(standing_out, pairs=0) == 1
    assert fusion.sureness(one_of_many, pairs=0) < 0.5


def test_pairs_of_characters_are_trusted_with_less() -> None:
    words = np.full(30, 0.25, np.float32)
    assert fusion.sureness(words, pairs=0) < fusion.sureness(words, pairs=0.5) < fusion.sureness(words, pairs=1) == 1


@pytest.mark.parametrize("words", [[], [0.0], [0.0, 0.0], [1.0], [1e-9]])
def test_few_and_empty_scores_are_no_error(words: list[float]) -> None:
    assert 0 <= fusion.sureness(np.array(words, np.float32), pairs=0) <= 1
    assert len(fused(words, [0.5] * len(words))) == len(words)


@given(rows=st.lists(st.tuples(SHARES, st.floats(-1, 1, width=32)), min_size=1, max_size=40), strength=SHARES)
def test_scores_stay_between_0_and_1(rows: list[tuple[float, float]], strength: float) -> None:
    words, cosines = zip(*rows, strict=True)
    found = fused(words, cosines, strength=strength)
    assert np.isfinite(found).all()
    assert ((found >= 0) & (found <= 1)).all()
