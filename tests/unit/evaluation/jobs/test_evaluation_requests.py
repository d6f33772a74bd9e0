"""Requests for evaluation jobs: what is read of them, and the sentence about each thing that cannot be."""

from typing import Any

import pytest

from outcrop.errors import Invalid
from outcrop.evaluation.jobs.inference_params import read_inference_params
from outcrop.evaluation.jobs.plan import Application, SourceKind
from outcrop.evaluation.jobs.request import model_configs, read_plan, retrieval_configs
from tests.support.evaluation_house import automated, judged_by, models

JUDGE: dict[str, Any] = {"evaluatorModelConfig": judged_by("a.judge-v1")}
RETRIEVE = {
    "ragConfigs": [
        {
            "knowledgeBaseConfig": {
                "retrieveConfig": {
                    "knowledgeBaseId": "KB00000001",
                    "knowledgeBaseRetrievalConfiguration": {"vectorSearchConfiguration": {"numberOfResults": 3}},
                }
            }
        }
    ]
}


def generating(**more: Any) -> dict[str, Any]:
    base = {"knowledgeBaseId": "KB00000001", "modelArn": "a.writer-v1", **more}
    config = {"type": "KNOWLEDGE_BASE", "knowledgeBaseConfiguration": base}
    return {"ragConfigs": [{"knowledgeBaseConfig": {"retrieveAndGenerateConfig": config}}]}


def request(evaluation: dict[str, Any], inference: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "evaluationConfig": evaluation,
        "inferenceConfig": models("a.model-v1") if inference is None else inference,
        **more,
    }


def custom(*definitions: dict[str, Any], **more: Any) -> dict[str, Any]:
    metrics = [{"customMetricDefinition": each} for each in definitions]
    return {"customMetricConfig": {"customMetrics": metrics, "evaluatorModelConfig": judged_by("a.judge-v1")}, **more}


def test_a_plan_tells_sources_data_sets_and_judges() -> None:
    plan = read_plan(
        request(
            automated("d.jsonl", "Builtin.Correctness", "Builtin.Accuracy", "Builtin.Correctness", **JUDGE),
            models("a.model-v1", inferenceParams='{"maxTokenCount": "64"}'),
        )
    )
    (dataset,), (source,) = plan.datasets, plan.sources
    assert (plan.application, plan.judge, plan.custom_judge) == (Application.MODELS, "a.judge-v1", None)
    assert dataset.metrics == ("Builtin.Correctness", "Builtin.Accuracy")
    assert (source.kind, source.identifier) == (SourceKind.MODEL, "a.model-v1")
    assert source.params == {"inferenceConfig": {"temperature": 0.0, "maxTokens": 64}}
    assert (plan.judge_of("Builtin.Accuracy"), plan.judge_of("Builtin.Correctness")) == (None, "a.judge-v1")


def test_a_knowledge_base_is_asked_in_the_words_of_its_own_operations() -> None:
    plan = read_plan(request(automated("d.jsonl", "Builtin.ContextRelevance", task="General", **JUDGE), RETRIEVE))
    assert plan.sources[0].params == {
        "knowledgeBaseId": "KB00000001",
        "retrievalConfiguration": {"vectorSearchConfiguration": {"numberOfResults": 3}},
    }
    inference = {"textInferenceConfig": {"maxTokens": 5}}
    plan = read_plan(
        request(
            automated("d.jsonl", "Builtin.Faithfulness", task="General", **JUDGE),
            generating(generationConfiguration={"kbInferenceConfig": inference}),
        )
    )
    asked = plan.sources[0].params["retrieveAndGenerateConfiguration"]["knowledgeBaseConfiguration"]
    assert asked["generationConfiguration"] == {"inferenceConfig": inference}


NAMELESS: dict[str, Any] = {
    "customMetricConfig": {"customMetrics": [{}], "evaluatorModelConfig": judged_by("a.judge-v1")}
}
SAID = automated("d.jsonl", "Builtin.Accuracy")
PROBLEMS: list[tuple[dict[str, Any], str]] = [
    (
        request({"human": {"datasetMetricConfigs": []}}),
        "evaluationConfig.human: Outcrop has no work teams that would grade",
    ),
    (request({}), "evaluationConfig: automated is missing"),
    (request(SAID, {}), "inferenceConfig: give one of models and ragConfigs"),
    (request(SAID, {**models("a.b-v1"), **RETRIEVE}), "inferenceConfig: give one of models and ragConfigs"),
    (request(SAID, applicationType="RagEvaluation"), "applicationType: RagEvaluation goes with"),
    (request(automated("d.jsonl", "Builtin.Accuracy", task="Poetry")), "taskType: Poetry is not known"),
    (request(automated("d.csv", "Builtin.Accuracy")), "d.csv does not end in .jsonl"),
    (
        request(automated("d.jsonl", "Builtin.Accuracy", task="General")),
        "is computed by task type, and General has none",
    ),
    (request(automated("d.jsonl", "Builtin.Correctness")), "Builtin.Correctness needs a judge"),
    (request(automated("d.jsonl", "Builtin.Beauty")), "Builtin.Beauty is no metric of this kind of job"),
    (request(automated("d.jsonl", "beauty")), "or define it in customMetricConfig"),
    (request(automated("d.jsonl", "Builtin.ContextCoverage", **JUDGE)), "is no metric of this kind of job"),
    (
        request(automated("d.jsonl", "Builtin.Faithfulness", task="General", **JUDGE), RETRIEVE),
        "Use Builtin.ContextRelevance, Builtin.ContextCoverage",
    ),
    (
        request(automated("d.jsonl", "Builtin.ContextRelevance", task="General", **JUDGE), generating()),
        "Builtin.CitationPrecision",
    ),
    (
        request(SAID, models("arn:aws:sagemaker:us-east-1:123456789012:endpoint/mine")),
        "evaluating an endpoint of SageMaker is not built",
    ),
    (
        request(SAID, models("a.b-v1", performanceConfig={"latency": "optimized"})),
        "there is one latency here, the standard one",
    ),
    (
        request(automated("d.jsonl", "own", **custom({"name": "own", "instructions": "{{prompt}}"}))),
        "have no place {{prediction}}",
    ),
    (
        request(
            automated("d.jsonl", "own", task="Custom", **custom({"name": "own", "instructions": "{{prediction}}"})),
            RETRIEVE,
        ),
        "have no place {{context}}",
    ),
    (
        request(automated("d.jsonl", "Builtin.Accuracy", **custom({"name": "own", "instructions": "{{prediction}}"}))),
        "own is asked for by no data set",
    ),
    (
        request(automated("d.jsonl", "own", **custom(*[{"name": "own", "instructions": "{{prediction}}"}] * 2))),
        "own is the name of another metric",
    ),
    (request(automated("d.jsonl", "own", **NAMELESS)), "customMetrics.1.member.customMetricDefinition: missing"),
    (
        request(
            SAID, {"ragConfigs": [{"knowledgeBaseConfig": {"retrieveAndGenerateConfig": {"type": "EXTERNAL_SOURCES"}}}]}
        ),
        "only questions to a knowledge base are evaluated",
    ),
    (request(SAID, {"ragConfigs": [{"precomputedRagSourceConfig": {"other": 1}}]}), "give retrieveSourceConfig or"),
    (request(SAID, {"models": [{}]}), "give bedrockModel or precomputedInferenceSource"),
]


@pytest.mark.parametrize(("params", "problem"), PROBLEMS)
def test_what_cannot_be_is_told_by_its_place(params: dict[str, Any], problem: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_plan(params)
    assert problem in refused.value.message


def test_all_problems_are_told_together() -> None:
    params = request(automated("d.csv", "beauty", task="Poetry"), applicationType="RagEvaluation")
    with pytest.raises(Invalid) as refused:
        read_plan(params)
    assert all(each in refused.value.message for each in ("d.csv", "beauty", "Poetry", "applicationType"))


@pytest.mark.parametrize("name", ["Builtin.BoolQ", "Builtin.Bold", "Builtin.NobodyKnows"])
def test_amazons_data_sets_are_answered_with_the_file_to_bring(name: str) -> None:
    evaluation = automated("d.jsonl", "Builtin.Accuracy")
    evaluation["automated"]["datasetMetricConfigs"][0]["dataset"] = {"name": name}
    with pytest.raises(Invalid) as refused:
        read_plan(request(evaluation))
    for part in (
        f"dataset.name: {name} is Amazon's and is not shipped with Outcrop",
        "datasetLocation.s3Uri",
        ".jsonl",
    ):
        assert part in refused.value.message


@pytest.mark.parametrize(
    ("told", "params"),
    [
        (None, {"inferenceConfig": {"temperature": 0.0, "maxTokens": 512}}),
        (
            '{"inferenceConfig": {"maxTokens": 5, "topP": 0.9}, "additionalModelRequestFields": {"top_k": 3}}',
            {
                "inferenceConfig": {"temperature": 0.0, "maxTokens": 5, "topP": 0.9},
                "additionalModelRequestFields": {"top_k": 3},
            },
        ),
        (
            '{"temperature": "0.7", "top_p": "1"}',
            {"inferenceConfig": {"temperature": 0.7, "maxTokens": 512, "topP": 1.0}},
        ),
        ('{"stop": ["."]}', {"inferenceConfig": {"temperature": 0.0, "maxTokens": 512, "stopSequences": ["."]}}),
    ],
)
def test_inference_params_are_taken_in_converses_words_and_in_providers(told: str | None, params: Any) -> None:
    assert read_inference_params(told, at="here") == params


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        ("{", "here: "),
        ("[1]", "expected a JSON object"),
        ('{"beams": 4}', "beams is not understood"),
        ('{"temperature": "warm"}', "'warm' is no number"),
        ('{"temperature": 2}', "2 is not between 0 and 1"),
        ('{"maxTokens": 0}', "0 is no number of tokens"),
        ('{"maxTokens": true}', "expected a number"),
        ('{"stop": "x"}', "expected a list of texts"),
        ('{"inferenceConfig": []}', "expected an object"),
    ],
)
def test_inference_params_that_cannot_be_are_refused(told: str, problem: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_inference_params(told, at="here")
    assert problem in refused.value.message


def test_listings_tell_models_and_sources() -> None:
    given = {"precomputedInferenceSource": {"inferenceSourceIdentifier": "mine"}}
    assert model_configs({"models": [*models("a.b-v1")["models"], given]}) == (["a.b-v1"], ["mine"])
    assert retrieval_configs(RETRIEVE) == (["KB00000001"], [])
    source = {"precomputedRagSourceConfig": {"retrieveSourceConfig": {"ragSourceIdentifier": "mine"}}}
    assert retrieval_configs({"ragConfigs": [source]}) == ([], ["mine"])
