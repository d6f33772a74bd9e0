"""The request for an evaluation job, read as a plan, with every problem told by its place.

    plan = read_plan(params)        # raises Invalid with everything that cannot be

Nothing is looked up here: models and knowledge bases are names until `create_job.py` finds them.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from outcrop.errors import Invalid
from outcrop.evaluation.jobs import builtin_datasets
from outcrop.evaluation.jobs.inference_params import read_inference_params
from outcrop.evaluation.jobs.plan import (
    COMPUTED_TASKS,
    PROGRAMMATIC,
    TASK_TYPES,
    AnswerSource,
    Application,
    EvaluatedDataset,
    EvaluationPlan,
    SourceKind,
)
from outcrop.evaluation.judging import criteria
from outcrop.evaluation.judging.custom_metric import CustomMetric, problem_of, read_metric


def read_plan(params: Mapping[str, Any]) -> EvaluationPlan:
    """The plan of a request, or of a job's record. Raises Invalid with all problems."""
    problems: list[str] = []
    config, inference = params["evaluationConfig"], params["inferenceConfig"]
    automated = _automated(config, problems)
    sources = tuple(_sources(inference, problems))
    application = _application(params.get("applicationType"), sources, problems)
    judge = _judge(automated, "evaluatorModelConfig")
    custom = automated.get("customMetricConfig") or {}
    metrics = _custom_metrics(custom, sources, problems)
    datasets = tuple(
        _dataset(each, f"evaluationConfig.automated.datasetMetricConfigs.{number}.member", problems)
        for number, each in enumerate(automated.get("datasetMetricConfigs", ()), start=1)
    )
    plan = EvaluationPlan(
        application=application,
        datasets=datasets,
        sources=sources,
        judge=judge,
        custom_metrics=metrics,
        custom_judge=_judge(custom, "evaluatorModelConfig"),
    )
    problems += _metric_problems(plan)
    if problems:
        raise Invalid(" ".join(problems))
    return plan


def _automated(config: Mapping[str, Any], problems: list[str]) -> Mapping[str, Any]:
    if config.get("human"):
        problems.append(
            "evaluationConfig.human: Outcrop has no work teams that would grade. Use automated with "
            "evaluatorModelConfig, which asks a model for the same grades, or show the answers of an automated job's "
            "output to people and write what they say with outcrop.evaluation.human_ratings, in this job's form."
        )
        return {}
    automated: Mapping[str, Any] | None = config.get("automated")
    if automated is None:
        problems.append("evaluationConfig: automated is missing. Name data sets and metrics with it.")
    return automated or {}


def _sources(inference: Mapping[str, Any], problems: list[str]) -> Iterator[AnswerSource]:
    models, retrievals = inference.get("models"), inference.get("ragConfigs")
    if (models is None) == (retrievals is None):
        problems.append("inferenceConfig: give one of models and ragConfigs.")
    for number, each in enumerate(models or (), start=1):
        yield from _told(_model, each, f"inferenceConfig.models.{number}.member", problems)
    for number, each in enumerate(retrievals or (), start=1):
        yield from _told(_retrieval, each, f"inferenceConfig.ragConfigs.{number}.member", problems)


def _told(
    read: Callable[[Mapping[str, Any], str], AnswerSource], each: Mapping[str, Any], at: str, problems: list[str]
) -> Iterator[AnswerSource]:
    """The source, or its problem among the others."""
    try:
        yield read(each, at)
    except Invalid as refused:
        problems.append(refused.message)


def _model(each: Mapping[str, Any], at: str) -> AnswerSource:
    if given := each.get("precomputedInferenceSource"):
        return AnswerSource(kind=SourceKind.GIVEN, identifier=given["inferenceSourceIdentifier"])
    model = each.get("bedrockModel")
    if model is None:
        raise Invalid(f"{at}: give bedrockModel or precomputedInferenceSource.")
    identifier = model["modelIdentifier"]
    if identifier.startswith("arn:aws:sagemaker:"):
        raise Invalid(
            f"{at}.bedrockModel.modelIdentifier: evaluating an endpoint of SageMaker is not built in Outcrop. Ask it "
            "yourself, and bring its answers with precomputedInferenceSource."
        )
    if (model.get("performanceConfig") or {}).get("latency", "standard") != "standard":
        raise Invalid(
            f"{at}.bedrockModel.performanceConfig.latency: there is one latency here, the standard one. Leave "
            "performanceConfig out."
        )
    params = read_inference_params(model.get("inferenceParams"), at=f"{at}.bedrockModel.inferenceParams")
    return AnswerSource(kind=SourceKind.MODEL, identifier=identifier, params=params)


def _retrieval(each: Mapping[str, Any], at: str) -> AnswerSource:
    if given := each.get("precomputedRagSourceConfig"):
        if passages := given.get("retrieveSourceConfig"):
            return AnswerSource(kind=SourceKind.GIVEN_RETRIEVAL, identifier=passages["ragSourceIdentifier"])
        answers = given.get("retrieveAndGenerateSourceConfig")
        if answers is None:
            raise Invalid(
                f"{at}.precomputedRagSourceConfig: give retrieveSourceConfig or retrieveAndGenerateSourceConfig."
            )
        return AnswerSource(kind=SourceKind.GIVEN_GENERATION, identifier=answers["ragSourceIdentifier"])
    config = each.get("knowledgeBaseConfig") or {}
    if retrieve := config.get("retrieveConfig"):
        return AnswerSource(
            kind=SourceKind.RETRIEVE,
            identifier=retrieve["knowledgeBaseId"],
            params={
                "knowledgeBaseId": retrieve["knowledgeBaseId"],
                "retrievalConfiguration": retrieve["knowledgeBaseRetrievalConfiguration"],
            },
        )
    generate = config.get("retrieveAndGenerateConfig")
    if generate is None:
        raise Invalid(f"{at}: give knowledgeBaseConfig or precomputedRagSourceConfig.")
    base = generate.get("knowledgeBaseConfiguration")
    if generate["type"] != "KNOWLEDGE_BASE" or base is None:
        raise Invalid(
            f"{at}.knowledgeBaseConfig.retrieveAndGenerateConfig: only questions to a knowledge base are evaluated in "
            "Outcrop. Put the documents into one, and use type KNOWLEDGE_BASE with knowledgeBaseConfiguration."
        )
    return AnswerSource(
        kind=SourceKind.RETRIEVE_AND_GENERATE,
        identifier=base["knowledgeBaseId"],
        params={"retrieveAndGenerateConfiguration": {**generate, "knowledgeBaseConfiguration": _as_asked(base)}},
    )


def _as_asked(base: Mapping[str, Any]) -> dict[str, Any]:
    """A knowledge base's configuration in the words of RetrieveAndGenerate, whose member for inference is another."""
    asked = dict(base)
    if generation := base.get("generationConfiguration"):
        own = dict(generation)
        if "kbInferenceConfig" in own:
            own["inferenceConfig"] = own.pop("kbInferenceConfig")
        asked["generationConfiguration"] = own
    return asked


def _application(told: str | None, sources: tuple[AnswerSource, ...], problems: list[str]) -> Application:
    found = Application.MODELS
    if sources and sources[0].kind not in (SourceKind.MODEL, SourceKind.GIVEN):
        found = Application.RETRIEVAL
    if told is not None and told != found and sources:
        needed = "models" if told == Application.MODELS else "ragConfigs"
        problems.append(f"applicationType: {told} goes with inferenceConfig.{needed}. Use {found}, or give {needed}.")
    return found


def _judge(config: Mapping[str, Any], member: str) -> str | None:
    models = (config.get(member) or {}).get("bedrockEvaluatorModels") or ()
    return models[0]["modelIdentifier"] if models else None


def _custom_metrics(
    config: Mapping[str, Any], sources: tuple[AnswerSource, ...], problems: list[str]
) -> dict[str, CustomMetric]:
    found: dict[str, CustomMetric] = {}
    required = "prediction" if all(each.kind.has_answers for each in sources) else "context"
    for number, each in enumerate(config.get("customMetrics", ()), start=1):
        definition = each.get("customMetricDefinition")
        if definition is None or not all(scale["value"] for scale in definition.get("ratingScale") or ()):
            at = f"customMetricConfig.customMetrics.{number}.member.customMetricDefinition"
            problems.append(
                f"{at}: missing, or a value of its ratingScale is. Give floatValue or stringValue for each."
            )
            continue
        metric = read_metric(definition)
        if metric.name in found or metric.name.startswith("Builtin."):
            problems.append(f"customMetrics: {metric.name} is the name of another metric. Choose one of your own.")
        elif problem := problem_of(metric, required):
            problems.append(problem)
        found[metric.name] = metric
    return found


def _dataset(config: Mapping[str, Any], at: str, problems: list[str]) -> EvaluatedDataset:
    task, dataset = config["taskType"], config["dataset"]
    if task not in TASK_TYPES:
        problems.append(f"{at}.taskType: {task} is not known. Use one of {', '.join(TASK_TYPES)}.")
    uri = (dataset.get("datasetLocation") or {}).get("s3Uri", "")
    if not uri:
        problems.append(builtin_datasets.problem_of(dataset["name"], f"{at}.dataset"))
    elif not uri.endswith(".jsonl"):
        problems.append(f"{at}.dataset.datasetLocation.s3Uri: {uri} does not end in .jsonl. Name a file of JSON lines.")
    return EvaluatedDataset(
        task_type=task, name=dataset["name"], uri=uri, metrics=tuple(dict.fromkeys(config["metricNames"]))
    )


def _metric_problems(plan: EvaluationPlan) -> Iterator[str]:
    """The metrics that do not fit what is evaluated, or that nobody is there to judge."""
    known = _known(plan)
    used: set[str] = set()
    for number, dataset in enumerate(plan.datasets, start=1):
        at = f"evaluationConfig.automated.datasetMetricConfigs.{number}.member.metricNames"
        used |= set(dataset.metrics)
        for name in dataset.metrics:
            if name not in known and name not in plan.custom_metrics:
                yield f"{at}: {name} is no metric of this kind of job. Use {', '.join(known)}" + (
                    ", or define it in customMetricConfig." if not name.startswith("Builtin.") else "."
                )
            elif name in PROGRAMMATIC and dataset.task_type not in COMPUTED_TASKS:
                yield f"{at}: {name} is computed by task type, and {dataset.task_type} has none. Use one of " + (
                    f"{', '.join(COMPUTED_TASKS)}."
                )
            elif name not in PROGRAMMATIC and plan.judge_of(name) is None:
                yield f"{at}: {name} needs a judge. Name one in evaluatorModelConfig.bedrockEvaluatorModels."
    if plan.datasets:
        for name in plan.custom_metrics.keys() - used:
            yield f"customMetrics: {name} is asked for by no data set. Name it in metricNames, or leave it out."


def _known(plan: EvaluationPlan) -> tuple[str, ...]:
    if plan.application is Application.MODELS:
        return (*PROGRAMMATIC, *criteria.OF_MODELS)
    if all(each.kind.has_answers for each in plan.sources):
        return criteria.OF_GROUNDED_ANSWERS
    return criteria.OF_RETRIEVAL


def kept_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a request that a job keeps, as plain JSON."""
    kept = {name: params[name] for name in _KEPT if name in params}
    return dict(json.loads(json.dumps(kept)))


def model_configs(inference: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The models of an inferenceConfig, and the names of sources whose answers were brought."""
    models = inference.get("models") or ()
    asked = [each["bedrockModel"]["modelIdentifier"] for each in models if each.get("bedrockModel")]
    given = [each["precomputedInferenceSource"] for each in models if each.get("precomputedInferenceSource")]
    return asked, [each["inferenceSourceIdentifier"] for each in given]


def retrieval_configs(inference: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The knowledge bases of an inferenceConfig, and the names of sources whose passages were brought."""
    bases: list[str] = []
    sources: list[str] = []
    for each in inference.get("ragConfigs") or ():
        source = _retrieval(each, "ragConfigs")
        (sources if source.kind.is_given else bases).append(source.identifier)
    return bases, sources


_KEPT = ("jobDescription", "roleArn", "applicationType", "evaluationConfig", "inferenceConfig", "outputDataConfig")
