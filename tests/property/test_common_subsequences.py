"""The subsequence that is found by bits is as long as the one of the textbook's table, for all inputs."""

from hypothesis import given
from hypothesis import strategies as st

from outcrop.evaluation.scores.subsequences import common_length

WORDS = st.lists(st.sampled_from("abcde"), max_size=90)


def by_table(first: list[str], second: list[str]) -> int:
    row = [0] * (len(second) + 1)
    for word in first:
        before = 0
        for place, other in enumerate(second, start=1):
            before, row[place] = row[place], before + 1 if word == other else max(row[place], row[place - 1])
    return row[-1]


@given(first=WORDS, second=WORDS)
def test_bits_and_table_agree(first: list[str], second: list[str]) -> None:
    assert common_length(first, second) == by_table(first, second) == common_length(second, first)


@given(words=WORDS, left_out=st.sets(st.integers(0, 89)))
def test_a_text_with_words_left_out_is_a_subsequence_of_the_whole(words: list[str], left_out: set[int]) -> None:
    part = [word for at, word in enumerate(words) if at not in left_out]
    assert common_length(part, words) == len(part)
