"""The frozen network on which the adapters of several trials learn side by side.

Rows hold records of several trials. Each large product with a weight of the base is made once for all of a row's
tokens, whosever they are; the small products of an adapter are made for its own tokens (`network/adapters/lora.py`).
Nobody's tokens see another's, and every trial has its own loss, gradient and optimizer.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from outcrop.network import load
from outcrop.network.adapters import adapter_files, linear
from outcrop.network.adapters.linear import Routing
from outcrop.network.adapters.method import Full, LoRA
from outcrop.network.run_mode import RunMode
from outcrop.training import loop, network_setup
from outcrop.training.batches import PackedRow, row_of
from outcrop.training.data_parallel.ranks import ALONE
from outcrop.training.data_parallel.worker_threads import MOST, Replica, Replicas
from outcrop.training.examples import Example
from outcrop.training.loss import nll_of
from outcrop.training.stepping import Trained
from outcrop.training.task import TrainingHyper, TrainingTask
from outcrop.training.trials.trial import CannotShareError
from outcrop.training.weights import TrainedWeights, WeightsOfTrials

_CLOSE = 1e-4
"Between a record's losses alone and beside another's adapter, in nats a token; as far as rounding goes in fp32."
_TOKENS_AT_ONCE = 1024
"Over all threads: rows of several trials are always full, so fewer tokens than alone keep the memory near one trial's."
_TRIED = ("tried 1", "tried 2")


def obstacle(task: TrainingTask) -> str | None:
    """Why a task's trials cannot learn side by side, or None; known before anything is loaded."""
    method = task.hyper.method
    if isinstance(method, Full):
        return "outcrop.method full trains the base itself, which then cannot be shared"
    if isinstance(method, LoRA) and method.dropout:
        return "outcrop.dropout: what is dropped depends on how a trial's records lie in rows"
    if task.way is RunMode.ONE_RECORD_A_ROW:
        return "this base model's network takes one record a row"
    return None


class TrialNetwork:
    """The frozen network, and the adapters that learn on it now."""

    def __init__(self, task: TrainingTask) -> None:
        """The network of a task, whose trials differ in their hyperparameters only.

        Raises CannotShareError where records of two adapters cannot share a row.
        """
        why = obstacle(task)
        if why is not None:
            raise CannotShareError(f"{why}. Train the trials one after the other.")
        self.task = task
        network, routing, self._notes = network_setup.frozen(task)
        loop.make_fast(network, routing, task.hyper, ALONE)
        _prove(network, routing)
        self._weights = WeightsOfTrials(load.device())
        self.replicas = Replicas(network, routing, self._weights, threads=torch.get_num_threads(), most=MOST)

    @property
    def network(self) -> nn.Module:
        return self.replicas.first.network

    def add(self, task: TrainingTask, adapter: str) -> tuple[Trained, tuple[str, ...]]:
        """The network with what a trial learns on it, under a name of its own, and notes as of `prepare`.

        Raises CannotShareError for a task on another base, and Invalid for a method that does not suit the network.
        """
        self._check(task)
        trainable = network_setup.with_weights(
            task, self.network, self.replicas.first.routing, notes=self._notes, adapter=adapter
        )
        weights = TrainedWeights(trainable.parameters, weight_decay=task.hyper.weight_decay)
        self._weights.of[adapter] = weights
        self.replicas.renew()
        return loop.trained_of(trainable, weights, self.replicas, adapter=adapter), trainable.notes

    def remove(self, adapter: str) -> None:
        """Forget a trial's adapter with its gradient and optimizer."""
        linear.unload(self.network, adapter)
        del self._weights.of[adapter]
        self.replicas.renew()

    def compute_gradients(self, batches: Mapping[str, Sequence[Example]], *, token_budget: int) -> dict[str, float]:
        """The mean loss of each adapter over the supervised tokens of its batch, and its gradient.

        How records lie in rows, and whose they share one with, does not matter, but for rounding.
        """
        supervised = {adapter: sum(each.num_supervised for each in batch) for adapter, batch in batches.items()}
        for adapter in batches:
            self._weights.of[adapter].forget_gradient()
        found: list[dict[str, float]] = [{} for _ in range(self.replicas.most)]

        def learn(replica: Replica, row: PackedRow) -> float:
            if not row.supervised_spans:
                return 0.0
            nll_N = nll_of(replica.network, replica.routing, row)
            sums = {str(adapter): nll_N[start:end].sum() for start, end, adapter in row.supervised_spans}
            torch.autograd.backward(_total([sums[adapter] / supervised[adapter] for adapter in sums]))
            own = found[replica.number]
            for adapter, nll in sums.items():
                own[adapter] = own.get(adapter, 0.0) + float(nll.detach())
            return 0.0

        self.replicas.sum([example for batch in batches.values() for example in batch], token_budget, learn)
        for adapter in batches:
            self._weights.of[adapter].add_up_gradient()
        return {adapter: sum(own.get(adapter, 0.0) for own in found) / supervised[adapter] for adapter in batches}

    def _check(self, task: TrainingTask) -> None:
        why = obstacle(task)
        if why is not None:
            raise CannotShareError(f"{why}. Train the trial alone.")
        first = self.task
        alike = (
            task.base_dir == first.base_dir
            and task.parent_adapter == first.parent_adapter
            and task.merges_parent == first.merges_parent
            and task.hyper.gradient_checkpointing == first.hyper.gradient_checkpointing
        )
        if not alike:
            raise CannotShareError(
                "the trial has another base than those that it would learn beside: another model, another start from "
                "the custom model, or another outcrop.gradientCheckpointing. Train it alone."
            )


def budget_of(hypers: Sequence[TrainingHyper]) -> int:
    """The tokens computed at once for trials side by side, no more than any of them allows."""
    return min(_TOKENS_AT_ONCE, *(hyper.token_budget for hyper in hypers))


def _total(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.stack(list(parts)).sum()


def _prove(network: nn.Module, routing: Routing) -> None:
    """Raises CannotShareError unless records of two adapters have in one row the losses that they have alone."""
    generator = torch.Generator().manual_seed(0)
    vocabulary = network.get_input_embeddings().weight.shape[0]  # type: ignore[operator]
    for rank, adapter in enumerate(_TRIED, start=2):
        parameters = adapter_files.add_new(network, adapter, LoRA(rank=rank, alpha=4.0), generator)
        with torch.no_grad():
            for parameter in parameters:
                parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator).to(parameter))
    examples = [_tried(adapter, num, vocabulary, generator) for num, adapter in enumerate(_TRIED, start=5)]
    try:
        alone = torch.cat([nll_of(network, routing, row_of([each])) for each in examples])
        together = nll_of(network, routing, row_of(examples))
    except (RuntimeError, AssertionError) as error:
        raise CannotShareError(
            f"{type(network).__name__}: records of two adapters cannot share a row ({error}). "
            "Train the trials one after the other."
        ) from error
    finally:
        for adapter in _TRIED:
            linear.unload(network, adapter)
    apart = float((together - alone).detach().abs().max())
    close = _CLOSE if load.serving_dtype() == torch.float32 else 0.1
    if not apart <= close * max(1.0, float(alone.detach().abs().max())):
        raise CannotShareError(
            f"{type(network).__name__}: records of two adapters in one row have other losses than alone ({apart:.2g} "
            "nats apart). Train the trials one after the other."
        )


def _tried(adapter: str, num: int, vocabulary: int, generator: torch.Generator) -> Example:
    ids_T = torch.randint(vocabulary, (num,), generator=generator)
    return Example(ids_T=ids_T, at_N=torch.arange(1, num - 1), target_N=ids_T[2:], num_bytes=0, line=0, adapter=adapter)
