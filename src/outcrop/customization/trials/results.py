"""The result of a trial's training as JSON, and back: it outlives the worker that trained it."""

import json
from pathlib import Path
from typing import Any

from outcrop.training.metrics import (
    EvaluationMetrics,
    ModelCheckpoint,
    Score,
    StepMetrics,
    TrainingResult,
    ValidatorResult,
)


def read(path: Path) -> TrainingResult:
    """The result in a file that `json.dumps(asdict(result))` wrote."""
    told: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return TrainingResult(
        **told
        | {
            "step_metrics": tuple(StepMetrics(**each) for each in told["step_metrics"]),
            "evaluations": tuple(EvaluationMetrics(**each) for each in told["evaluations"]),
            "validators": tuple(
                ValidatorResult(name=each["name"], base=Score(**each["base"]), custom=Score(**each["custom"]))
                for each in told["validators"]
            ),
            "checkpoints": tuple(ModelCheckpoint(**each) for each in told["checkpoints"]),
            "notes": tuple(told["notes"]),
        }
    )
