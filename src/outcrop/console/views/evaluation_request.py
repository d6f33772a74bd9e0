"""The request of an evaluation job: from the values of the form to boto3's."""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from outcrop.console.views.knowledge_views import model_arn

TASKS = ("QuestionAndAnswer", "Summarization", "Classification", "Generation", "General")
COMPUTED = ("Builtin.Accuracy", "Builtin.Robustness", "Builtin.Toxicity")
JUDGED = (
    "Builtin.Correctness", "Builtin.Completeness", "Builtin.Faithfulness", "Builtin.Helpfulness", "Builtin.Coherence",
    "Builtin.Relevance", "Builtin.FollowingInstructions", "Builtin.ProfessionalStyleAndTone", "Builtin.Harmfulness",
    "Builtin.Stereotyping", "Builtin.Refusal",
)  # fmt: skip
OF_RETRIEVAL = ("Builtin.ContextRelevance", "Builtin.ContextCoverage")
OF_GROUNDED = (
    "Builtin.Correctness", "Builtin.Completeness", "Builtin.Helpfulness", "Builtin.LogicalCoherence",
    "Builtin.Faithfulness", "Builtin.CitationPrecision", "Builtin.CitationCoverage", "Builtin.Harmfulness",
    "Builtin.Stereotyping", "Builtin.Refusal",
)  # fmt: skip
WORSE_WHEN_HIGH = frozenset(
    {"Robustness", "Toxicity", "Builtin.Harmfulness", "Builtin.Stereotyping", "Builtin.Refusal"}
)
"As the output names them; of the customer's own metrics nobody knows."
KINDS = ("models", "answers", "retrieval")
"What is measured: one or two models, a knowledge base with a model that answers, or its search alone."
_RESULTS = 5


class EvaluationForm(NamedTuple):
    """The values of the form."""

    kind: str = KINDS[0]
    name: str = ""
    dataset: str = ""
    task: str = TASKS[0]
    model: str = ""
    second: str = ""
    knowledge_base: str = ""
    judge: str = ""
    role: str = ""
    output: str = ""
    max_tokens: str = ""
    metrics: tuple[str, ...] = ()


def metrics_of(kind: str) -> tuple[str, ...]:
    """The metrics that can be asked for of what is measured."""
    return {"models": (*COMPUTED, *JUDGED), "answers": OF_GROUNDED, "retrieval": OF_RETRIEVAL}[kind]


def read_form(values: Mapping[str, str]) -> EvaluationForm:
    """The form of an address or of a posted page; each chosen metric is a field of its own, `metric.NAME`."""
    given = {name: values.get(name, "").strip() for name in EvaluationForm._fields if name != "metrics"}
    given["kind"] = given["kind"] if given["kind"] in KINDS else KINDS[0]
    given["task"] = given["task"] if given["task"] in TASKS else TASKS[0]
    chosen = tuple(name for name in metrics_of(given["kind"]) if values.get(f"metric.{name}"))
    return EvaluationForm(metrics=chosen, **given)


def request_of(form: EvaluationForm, region: str) -> dict[str, Any]:
    """The parameters of CreateEvaluationJob."""
    dataset = {
        "taskType": form.task if form.kind == "models" else "General",
        "dataset": {
            "name": _data_name(form.dataset),
            "datasetLocation": {"s3Uri": form.dataset},
        },
        "metricNames": list(form.metrics),
    }
    automated: dict[str, Any] = {"datasetMetricConfigs": [dataset]}
    if form.judge:
        judge = {"modelIdentifier": form.judge}
        automated["evaluatorModelConfig"] = {"bedrockEvaluatorModels": [judge]}
    return {
        "jobName": form.name,
        "roleArn": form.role,
        "applicationType": "ModelEvaluation" if form.kind == "models" else "RagEvaluation",
        "evaluationConfig": {"automated": automated},
        "inferenceConfig": _inference(form, region),
        "outputDataConfig": {"s3Uri": form.output},
    }


def _inference(form: EvaluationForm, region: str) -> dict[str, Any]:
    if form.kind == "models":
        settings = {"inferenceConfig": {"maxTokens": int(form.max_tokens)}} if form.max_tokens.isdecimal() else {}
        params = {"inferenceParams": json.dumps(settings)} if settings else {}
        models = [model for model in (form.model, form.second) if model]
        return {"models": [{"bedrockModel": {"modelIdentifier": model, **params}} for model in models]}
    if form.kind == "retrieval":
        search = {"vectorSearchConfiguration": {"numberOfResults": _RESULTS}}
        config: dict[str, Any] = {
            "retrieveConfig": {
                "knowledgeBaseId": form.knowledge_base,
                "knowledgeBaseRetrievalConfiguration": search,
            }
        }
    else:
        config = {
            "retrieveAndGenerateConfig": {
                "type": "KNOWLEDGE_BASE",
                "knowledgeBaseConfiguration": {
                    "knowledgeBaseId": form.knowledge_base,
                    "modelArn": model_arn(form.model, region),
                },
            }
        }
    return {"ragConfigs": [{"knowledgeBaseConfig": config}]}


def _data_name(uri: str) -> str:
    """A name for the data set, of what its names may have."""
    return re.sub(r"[^0-9A-Za-z_-]", "-", uri.rsplit("/", 1)[-1].partition(".")[0])[:63] or "data"
