"""The optimizer step of training.

Several ranks take it together: each computes its share of the records, and the gradients are added up, so that the
update is the one a single device would make.
"""

import time
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn

from outcrop.network import load
from outcrop.network.adapters import dropout
from outcrop.network.adapters.linear import Routing
from outcrop.network.adapters.method import Method
from outcrop.training.batches import PackedRow, batch_at
from outcrop.training.data_parallel.ranks import ALONE, Ranks, rank_batch_of
from outcrop.training.data_parallel.sharding import ShardedWeights
from outcrop.training.data_parallel.worker_threads import Replica, Replicas
from outcrop.training.divergence import demand_finite
from outcrop.training.estimate.flops import StepCost
from outcrop.training.examples import ADAPTER, Example
from outcrop.training.loss import nll_of
from outcrop.training.metrics import StepMetrics
from outcrop.training.plan import TrainingPlan
from outcrop.training.schedule import learning_rate
from outcrop.training.task import TrainingHyper
from outcrop.training.weights import TrainedWeights


class Trained(NamedTuple):
    """The network with what it learns."""

    network: nn.Module
    routing: Routing
    weights: TrainedWeights | ShardedWeights
    method: Method
    cost: StepCost
    replicas: Replicas
    adapter: str = ADAPTER
    "Under this name the layers hold what learns."


class StepBatch(NamedTuple):
    """The records of one optimizer step, and its learning rate."""

    step: int
    examples: Sequence[Example]
    rate: float

    @property
    def num_supervised(self) -> int:
        return sum(example.num_supervised for example in self.examples)


def take_step(
    trained: Trained, examples: Sequence[Example], plan: TrainingPlan, hyper: TrainingHyper, step: int, ranks: Ranks
) -> StepMetrics:
    """Take one optimizer step. Raises DivergedError, before the weights are touched, on every rank alike."""
    began = time.perf_counter()
    batch = batch_of(examples, plan, hyper, step)
    budget, draw = hyper.token_budget, f"{hyper.seed}/{step}"
    loss = compute_gradient(trained, batch.examples, token_budget=budget, ranks=ranks, draw=draw)
    return update(trained, plan, hyper, batch, loss, began=began)


def batch_of(examples: Sequence[Example], plan: TrainingPlan, hyper: TrainingHyper, step: int) -> StepBatch:
    """The batch of a run's step, with its rate, by its seed and the step alone."""
    chosen = batch_at(step, len(examples), batch_size=hyper.batch_size, seed=hyper.seed)
    rate = learning_rate(
        step, steps=plan.steps, warmup_steps=plan.warmup_steps, peak=plan.learning_rate, schedule=hyper.schedule
    )
    return StepBatch(step, [examples[index] for index in chosen], rate)


def update(
    trained: Trained, plan: TrainingPlan, hyper: TrainingHyper, batch: StepBatch, loss: float, *, began: float
) -> StepMetrics:
    """The end of a step whose gradient is there: clipped, held against divergence, and learned from.

    `began` is when the step did, by `time.perf_counter`.
    """
    norm = trained.weights.clip(hyper.max_grad_norm)
    demand_finite(loss, step=batch.step, rate=batch.rate, grad_norm=norm)
    trained.weights.update(batch.rate)
    return StepMetrics(
        step=batch.step,
        epoch=batch.step // plan.steps_per_epoch,
        loss=loss,
        learning_rate=batch.rate,
        grad_norm=norm,
        tokens=sum(map(len, batch.examples)),
        supervised=batch.num_supervised,
        flops=trained.cost.of(map(len, batch.examples), batch.num_supervised),
        seconds=time.perf_counter() - began,
    )


def compute_gradient(
    trained: Trained, batch: Sequence[Example], *, token_budget: int, ranks: Ranks = ALONE, draw: str = ""
) -> float:
    """The mean loss over all supervised tokens of the batch, and its gradient.

    How the records lie in rows, and which rank has them, does not matter: a rank whose share holds few tokens, or none,
    counts for just these. What is dropped depends on `draw`, the rank, and how the records lie.
    """
    num_supervised = sum(example.num_supervised for example in batch)
    way = load.way_of(trained.network)
    share = rank_batch_of(batch, token_budget, ranks, together=trained.weights.is_sharded, way=way)
    trained.weights.forget_gradient()
    place = load.device()
    generators = [dropout.seeded(f"{draw}/{ranks.rank}/{replica}", place) for replica in range(trained.replicas.most)]

    def learn(replica: Replica, row: PackedRow) -> float:
        with dropout.drawn_from(generators[replica.number]):
            nll = nll_of(replica.network, replica.routing, row).sum()
        torch.autograd.backward(nll / num_supervised)
        return float(nll.detach())

    nll = trained.replicas.sum(share.examples, token_budget, learn)
    for row in share.idle:
        torch.autograd.backward(0 * nll_of(trained.network, trained.routing, row).sum())
    trained.weights.add_up_gradient()
    return ranks.sum(nll) / num_supervised
