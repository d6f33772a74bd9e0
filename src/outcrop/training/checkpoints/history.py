"""The state of a run besides its weights: the best so far, patience, and every metric."""

from dataclasses import dataclass, field

from torch import Tensor

from outcrop.training.metrics import EvaluationMetrics, ModelCheckpoint, Score, StepMetrics


@dataclass(kw_only=True)
class History:
    """The steps, evaluations and best weights of a run so far; a checkpoint holds all of it."""

    steps: list[StepMetrics] = field(default_factory=list)
    evaluations: list[EvaluationMetrics] = field(default_factory=list)
    checkpoints: list[ModelCheckpoint] = field(default_factory=list)
    base: list[Score] = field(default_factory=list)
    "Each validator before the first step."
    best_step: int = 0
    best_weights: Tensor | None = None
    "None until there is an evaluation after a step."
    best_score: Score | None = None
    "Of the first validator, by these weights."
    reference: float = float("inf")
    "The loss that an evaluation must be lower than, by the threshold, to count as an improvement."
    failures: int = 0
    "Evaluations in a row that did not improve."

    def begin(self, base: list[Score]) -> EvaluationMetrics | None:
        """Note where training starts from. It is what improvement is measured against, but never the result:
        who trains wants what was trained, and sees both losses."""
        self.base = base
        if not base:
            return None
        self.reference = base[0].loss
        evaluation = EvaluationMetrics(step=0, epoch=0, loss=base[0].loss, best=False)
        self.evaluations.append(evaluation)
        return evaluation

    def add_evaluation(self, score: Score, *, epoch: int, threshold: float, weights: Tensor) -> EvaluationMetrics:
        """Note an evaluation after the steps so far; `weights` (a copy) are kept if it is the best."""
        loss = score.loss
        earlier = [evaluation.loss for evaluation in self.evaluations[1:]]  # the first is where training started
        best = all(loss < before for before in earlier)
        evaluation = EvaluationMetrics(step=len(self.steps), epoch=epoch, loss=loss, best=best)
        self.evaluations.append(evaluation)
        if best:
            self.best_step, self.best_weights, self.best_score = evaluation.step, weights, score
        if loss < self.reference - threshold:
            self.reference, self.failures = loss, 0
        else:
            self.failures += 1
        return evaluation

    def is_out_of_patience(self, patience: int | None) -> bool:
        return patience is not None and self.failures >= patience
