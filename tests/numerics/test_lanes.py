"""Threads that compute a step side by side: the same step, the same bits at every repetition, bounded memory."""

import random
import threading
from pathlib import Path

import pytest
import torch
from torch import Tensor

from outcrop.network.adapters.method import LoRA
from outcrop.training import loop
from outcrop.training.batches import PackedRow
from outcrop.training.data_parallel.ranks import ALONE
from outcrop.training.data_parallel.row_schedule import RowSchedule, ScheduledRow
from outcrop.training.data_parallel.worker_threads import Replica, _TokenRoom
from outcrop.training.evaluation import score
from outcrop.training.examples import Example
from outcrop.training.settled import settled
from outcrop.training.stepping import Trained, compute_gradient
from outcrop.training.task import TrainingHyper
from tests.numerics.test_training_loss import example
from tests.support.patience import PATIENCE_S
from tests.support.tiny import tiny_model
from tests.support.training_runs import task

LENGTHS = [40, 7, 23, 23, 2, 31, 12]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tiny_model(tmp_path / "base", "llama")


@pytest.fixture
def batch() -> list[Example]:
    generator = random.Random(5)
    return [example(generator, length) for length in LENGTHS]


def on(threads: int, base: Path, where: Path, *, dropout: float = 0.0) -> Trained:
    """An adapter whose every weight is random, on so many threads."""
    method = LoRA(rank=4, alpha=8, dropout=dropout)
    hyper = TrainingHyper(epochs=1, batch_size=8, learning_rate=1e-2, method=method, threads=threads)
    with settled(hyper, ALONE):
        trained, _ = loop.load_trained(task(base, where, hyper=hyper), ALONE)
    random_V = torch.randn(trained.weights.num_weights, generator=torch.Generator().manual_seed(0)) * 0.1
    trained.weights.put(random_V)
    return trained


def gradient_of(trained: Trained, batch: list[Example], *, draw: str = "") -> tuple[float, Tensor]:
    loss = compute_gradient(trained, batch, token_budget=64, draw=draw)
    gradient = trained.weights.vector.grad  # type: ignore[union-attr]
    assert gradient is not None
    return loss, gradient.clone()


@pytest.mark.parametrize("threads", [2, 3, 5])
def test_a_step_of_several_replicas_is_that_of_one(
    threads: int, base: Path, batch: list[Example], tmp_path: Path
) -> None:
    loss, gradient = gradient_of(on(1, base, tmp_path), batch)
    replicas = on(threads, base, tmp_path)
    for _ in range(2):  # the second time, every replica has a gradient to forget
        found, its_gradient = gradient_of(replicas, batch)
        assert found == pytest.approx(loss, abs=1e-6)
        assert (its_gradient - gradient).abs().max() <= 1e-5 * gradient.abs().max()


def test_a_lane_sees_the_weights_after_an_update(base: Path, batch: list[Example], tmp_path: Path) -> None:
    one, two = on(1, base, tmp_path), on(2, base, tmp_path)
    for _ in range(3):
        losses = [gradient_of(trained, batch)[0] for trained in (one, two)]
        assert losses[0] == pytest.approx(losses[1], abs=1e-5)
        for trained in (one, two):
            trained.weights.update(1e-2)


def test_several_replicas_give_the_same_bits_every_time(base: Path, batch: list[Example], tmp_path: Path) -> None:
    found = []
    for _ in range(4):
        trained = on(3, base, tmp_path, dropout=0.5)
        loss, gradient = gradient_of(trained, batch, draw="0/7")
        found.append((loss, score(trained, batch, token_budget=64, ranks=ALONE).nll, gradient.numpy().tobytes()))
    assert len(set(found)) == 1


def test_what_is_dropped_differs_from_step_to_step(base: Path, batch: list[Example], tmp_path: Path) -> None:
    trained = on(2, base, tmp_path, dropout=0.5)
    losses = {gradient_of(trained, batch, draw=f"0/{step}")[0] for step in range(3)}
    assert len(losses) == 3


def test_rows_under_way_hold_no_more_tokens_than_asked_for(base: Path, tmp_path: Path) -> None:
    replicas = on(2, base, tmp_path).replicas
    batch = [example(random.Random(length), length) for length in (40, *[5] * 8)]
    under_way, most, changing = 0, 0, threading.Lock()

    def work(replica: Replica, row: PackedRow) -> float:
        nonlocal under_way, most
        with changing:
            under_way += row.ids_1T.shape[1]
            most = max(most, under_way)
        threading.Event().wait(0.01)
        with changing:
            under_way -= row.ids_1T.shape[1]
        return float(len(row.layout.lengths))

    assert replicas.sum(batch, 24, work) == 9
    assert most == 40  # which no budget makes shorter


def test_a_row_that_is_early_waits_for_the_one_before_it() -> None:
    room = _TokenRoom(
        RowSchedule(lengths=[5, 5], rows=[ScheduledRow(0, [0]), ScheduledRow(1, [1])], replicas=2, room=10)
    )
    begun = threading.Event()

    def early() -> None:
        with room.of(1):
            begun.set()

    thread = threading.Thread(target=early)
    thread.start()
    assert not begun.wait(0.05)
    with room.of(0):
        assert begun.wait(PATIENCE_S)  # beside it, as there is room for both
    thread.join()


@pytest.mark.parametrize("unlucky", [0, 1])
def test_an_error_in_a_lane_reaches_who_asked(unlucky: int, base: Path, batch: list[Example], tmp_path: Path) -> None:
    def work(replica: Replica, row: PackedRow) -> float:
        if replica.number == unlucky:
            raise MemoryError("no room")
        return 0.0

    trained = on(2, base, tmp_path)
    with pytest.raises(MemoryError, match="no room"):
        trained.replicas.sum(batch, 16, work)  # in many rows, so that the other replica has some that never begin
    assert gradient_of(trained, batch)[0] > 0  # nothing is held for ever
