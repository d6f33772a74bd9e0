"""Every kind of job there is. A new kind is its `JobKind`, in the room that knows the work, and one line here.

The processes read it from here: workers what to run, the supervisor which workers to start, the server what to stop.
"""

from collections.abc import Sequence
from typing import Any

from outcrop.batch import kind as batch
from outcrop.customization import creation_kind as creation
from outcrop.customization import kind as customization
from outcrop.evaluation.jobs import kind as evaluation
from outcrop.jobs.kinds import JobKind, WorkerClass
from outcrop.knowledge.changes import kind as document_change
from outcrop.knowledge.ingestion import kind as ingestion
from outcrop.model_import import kind as model_import
from outcrop.sagemaker import training_kind as training
from outcrop.sagemaker.hosting import async_kind as async_invocation
from outcrop.sagemaker.hosting import change_kind as endpoint_change
from outcrop.sagemaker.hosting import transform_kind as transform
from outcrop.sagemaker.pipelines import kind as pipeline_execution
from outcrop.sagemaker.tuning import kind as tuning

KINDS: tuple[JobKind[Any], ...] = (
    customization.KIND, creation.KIND, model_import.KIND, batch.KIND, training.KIND, endpoint_change.KIND,
    async_invocation.KIND, transform.KIND, tuning.KIND, ingestion.KIND, document_change.KIND, evaluation.KIND,
    pipeline_execution.KIND,
)  # fmt: skip


def of_class(worker_class: WorkerClass, kinds: Sequence[JobKind[Any]] = KINDS) -> list[JobKind[Any]]:
    """The kinds that a worker of this class runs."""
    return [kind for kind in kinds if kind.worker is worker_class]
