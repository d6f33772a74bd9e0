"""What is set aside for validation is whole, chosen by the seed, and never trained on."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from outcrop.training.examples import Example
from outcrop.training.held_out import set_aside
from outcrop.training.plan import steps_to_evaluate


def example(ids: list[int], line: int) -> Example:
    at_N = torch.arange(len(ids) - 1)
    return Example(ids_T=torch.tensor(ids), at_N=at_N, target_N=torch.tensor(ids[1:]), num_bytes=1, line=line)


# Each record is a list of sequences: long texts have several. Few ids, so that equal records are common.
records = st.lists(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=2), min_size=1, max_size=2), min_size=1)


@given(records, st.floats(5, 50), st.integers(0, 3))
def test_whole_records_go_one_way_and_copies_of_them_too(
    texts: list[list[list[int]]], percentage: float, seed: int
) -> None:
    examples = [example(ids, line) for line, text in enumerate(texts) for ids in text]
    split = set_aside(examples, percentage=percentage, seed=seed)

    # Then nothing is lost or invented, and each file order is kept
    assert sorted([*split.training, *split.held_out], key=examples.index) == examples
    # no record stands on both sides, whole or in part
    trained, held = ({e.line for e in side} for side in (split.training, split.held_out))
    assert trained.isdisjoint(held)
    assert {str(texts[line]) for line in trained}.isdisjoint({str(texts[line]) for line in held})
    # there is something to train on, and something held out where that can be
    assert trained
    assert bool(held) == (len({str(text) for text in texts}) > 1)
    # and the seed alone decides
    again = set_aside(examples, percentage=percentage, seed=seed)
    assert [e.line for e in again.held_out] == [e.line for e in split.held_out]


def test_the_share_is_as_asked_and_told() -> None:
    examples = [example([1, number], number) for number in range(50)]
    split = set_aside(examples, percentage=20, seed=7)
    assert len(split.held_out) == 10
    assert split.note == "10 of 50 records were set aside for validation (20 %, seed 7) and are not trained on"
    assert [e.line for e in set_aside(examples, percentage=20, seed=8).held_out] != [e.line for e in split.held_out]


def test_evaluations_come_every_so_many_steps_and_at_the_end() -> None:
    assert steps_to_evaluate(10, every=4) == {4, 8, 10}
    assert steps_to_evaluate(8, every=4) == {4, 8}
    assert steps_to_evaluate(3, every=4) == {3}
