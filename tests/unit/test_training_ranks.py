"""How records are dealt to the ranks of a run."""

from itertools import chain
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from outcrop.errors import MachineTrouble
from outcrop.training import finetune
from outcrop.training.data_parallel.ranks import ALONE, deal
from outcrop.training.metrics import Hooks
from outcrop.training.task import TrainingHyper
from tests.support.training_runs import task

LENGTHS = st.lists(st.integers(1, 500), max_size=40)


@given(lengths=LENGTHS, size=st.integers(1, 9))
def test_every_record_falls_to_one_rank(lengths: list[int], size: int) -> None:
    shares = deal(lengths, size)
    assert len(shares) == size
    assert sorted(chain(*shares)) == list(range(len(lengths)))


@given(lengths=LENGTHS, size=st.integers(1, 9))
def test_no_rank_has_more_than_its_part_and_one_record(lengths: list[int], size: int) -> None:
    fullest = max(sum(lengths[index] for index in share) for share in deal(lengths, size))
    assert fullest <= sum(lengths) / size + max(lengths, default=0)


def test_the_longest_record_has_a_rank_of_its_own_where_it_is_as_long_as_the_others_together() -> None:
    assert deal([3, 10, 3, 4], 2) == [[1], [0, 2, 3]]


def test_ranks_that_have_nothing_are_told_so() -> None:
    assert deal([5], 3) == [[0], [], []]


def test_one_rank_alone_keeps_the_order_and_every_value() -> None:
    assert deal([1, 5, 3], ALONE.size) == [[0, 1, 2]]
    assert (ALONE.sum(2.5), ALONE.of_first("mine"), ALONE.is_first) == (2.5, "mine", True)


@pytest.mark.parametrize(("devices", "gpus", "sentence"), [
    (0, 0, "OUTCROP_DEVICES is 0. Set it to 1 or more, or leave it out."),
    (4, 1, "OUTCROP_DEVICES is 4, and this machine has 1 GPU. Set it to 1 or fewer."),
    (4, 2, "OUTCROP_DEVICES is 4, and this machine has 2 GPUs. Set it to 2 or fewer."),
])  # fmt: skip
def test_devices_that_are_not_there_are_told(
    devices: int, gpus: int, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    run = task(tmp_path / "base", tmp_path, hyper=TrainingHyper(epochs=1, batch_size=1, learning_rate=1e-3))
    with pytest.raises(MachineTrouble) as error:
        finetune.train(run, Hooks(), devices=devices)
    assert error.value.message == sentence
