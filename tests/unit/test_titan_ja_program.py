"""The program of the example on Japanese asks the service for what the article did, in calls that AWS takes too."""

import argparse
import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

EXAMPLES = Path(__file__).parents[2] / "examples"
ARN = "arn:aws:bedrock:us-east-1:123456789012:custom-model/titan-text"
CLIENT_METHODS = {
    "create_model_customization_job": "CreateModelCustomizationJob",
    "get_model_customization_job": "GetModelCustomizationJob",
    "create_custom_model_deployment": "CreateCustomModelDeployment",
    "get_custom_model_deployment": "GetCustomModelDeployment",
    "delete_custom_model_deployment": "DeleteCustomModelDeployment",
    "create_provisioned_model_throughput": "CreateProvisionedModelThroughput",
    "get_provisioned_model_throughput": "GetProvisionedModelThroughput",
    "delete_provisioned_model_throughput": "DeleteProvisionedModelThroughput",
    "converse": "Converse",
}


class QuietService:
    """A client of a Bedrock that does everything at once; it takes what the service model takes, and notes it."""

    def __init__(self, service: str) -> None:
        self._model = botocore.session.get_session().get_service_model(service)
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Callable[..., dict[str, Any]]:
        def call(**params: Any) -> dict[str, Any]:
            operation = CLIENT_METHODS[name]
            problems = ParamValidator().validate(params, self._model.operation_model(operation).input_shape)
            assert not problems.has_errors(), problems.generate_report()
            self.calls.append((operation, params))
            return self._answer(operation, params)

        return call

    def _answer(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        match operation:
            case "GetModelCustomizationJob":
                return {"status": "Completed", "outputModelArn": f"model-of-{params['jobIdentifier']}"}
            case "CreateCustomModelDeployment":
                return {"customModelDeploymentArn": f"deployment-of-{params['modelArn']}"}
            case "CreateProvisionedModelThroughput":
                return {"provisionedModelArn": f"throughput-of-{params['modelId']}"}
            case "GetCustomModelDeployment":
                return {"status": "Active"}
            case "GetProvisionedModelThroughput":
                return {"status": "InService"}
            case "Converse":
                text = "鳥はつるです。" if "cpt" in params["modelId"] else "It is a crane."
                return {
                    "output": {"message": {"content": [{"text": text}]}},
                    "stopReason": "end_turn",
                    "usage": {"inputTokens": 5, "outputTokens": 6},
                }
        return {}


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.setenv("OUTCROP_ROLE_ARN", "arn:aws:iam::123456789012:role/jobs")
    return importlib.import_module("titan_ja.four_models")


def options(program: ModuleType, monkeypatch: pytest.MonkeyPatch, *given: str) -> argparse.Namespace:
    monkeypatch.setattr(sys, "argv", ["four_models", *given])
    made: argparse.Namespace = program.parse_options()
    return made


def test_five_jobs_build_on_each_other_and_four_on_base_and_last(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    bedrock, chosen = QuietService("bedrock"), options(program, monkeypatch)
    clients = program.Clients(None, bedrock, None)
    texts = [Path(f"cpt-{number}.jsonl") for number in range(1, 6)]
    parents = {"base": chosen.base, "cpt": program.pre_train(clients, "run", "bucket", texts, chosen)}
    models = program.fine_tune(clients, "run", "bucket", parents, chosen)
    jobs = [params for operation, params in bedrock.calls if operation == "CreateModelCustomizationJob"]
    assert [(job["customizationType"], job["baseModelIdentifier"], job["hyperParameters"]["epochCount"]) for job in jobs] == [
        ("CONTINUED_PRE_TRAINING", "outcrop.starter-v1", "1"),
        *[("CONTINUED_PRE_TRAINING", f"model-of-run-text-{number}", "1") for number in range(1, 5)],
        ("FINE_TUNING", "outcrop.starter-v1", "1"),
        ("FINE_TUNING", "outcrop.starter-v1", "5"),
        ("FINE_TUNING", "model-of-run-text-5", "1"),
        ("FINE_TUNING", "model-of-run-text-5", "5"),
    ]  # fmt: skip
    assert len({job["jobName"] for job in jobs}) == 9
    assert list(models) == ["base, epochs 1", "base, epochs 5", "cpt, epochs 1", "cpt, epochs 5"]


@pytest.mark.parametrize(
    ("given", "made", "removed"),
    [
        ([], "CreateCustomModelDeployment", "DeleteCustomModelDeployment"),
        (["--provisioned"], "CreateProvisionedModelThroughput", "DeleteProvisionedModelThroughput"),
    ],
)
def test_what_serves_a_model_is_removed_once_it_was_asked_and_when_it_fails(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch, given: list[str], made: str, removed: str
) -> None:
    chosen = options(program, monkeypatch, *given)
    bedrock, runtime = QuietService("bedrock"), QuietService("bedrock-runtime")
    models = {"base, epochs 1": f"{ARN}/base", "cpt, epochs 1": f"{ARN}/cpt"}
    question = [{"task": "open_qa", "prompt": "鳥は何ですか。", "reference": "鳥はつるです。"}]
    clients = program.Clients(None, bedrock, runtime)
    answers = program.ask_models(clients, "run", models, question, chosen)
    assert list(answers) == (["base"] if not given else []) + list(models)
    operations = [operation for operation, _ in bedrock.calls]
    assert operations.count(made) == operations.count(removed) == 2
    numbers = program.measured(question, answers["cpt, epochs 1"])["open_qa"]
    assert (numbers["japanese"], numbers["exact_match"], numbers["f1"]) == (1, 1, 1)
    numbers = program.measured(question, answers["base, epochs 1"])["open_qa"]
    assert (numbers["japanese"], numbers["exact_match"]) == (0, 0)

    broken = program.Clients(None, bedrock, object())
    with pytest.raises(AttributeError):
        program.ask_models(
            broken, "run", {"cpt": f"{ARN}/cpt"}, question, options(program, monkeypatch, "--provisioned")
        )
    assert bedrock.calls[-1][0] == "DeleteProvisionedModelThroughput"


def test_rows_become_records_and_questions_are_chosen_evenly(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    chosen = options(program, monkeypatch, "--most-questions", "4")
    texts, train, validation, questions = program.prepare(tmp_path, chosen)
    assert [path.name for path in texts] == [f"cpt-{number}.jsonl" for number in range(1, 6)]
    sizes = [len(path.read_text().splitlines()) for path in (train, validation)]
    assert sum(sizes) == 238
    assert {len([q for q in questions if q["task"] == task]) for task in {q["task"] for q in questions}} == {4}
    assert any(json.loads(line)["prompt"].startswith("入力:") for line in train.read_text().splitlines())


def test_the_table_shows_each_task_with_the_columns_it_has(
    program: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [
        {"task": "open_qa", "prompt": "a", "reference": "b"},
        {"task": "brainstorming", "prompt": "c", "reference": None, "num_items": 2, "among": ["つる", "かも"]},
    ]
    answers = [program.Answer("b", False), program.Answer("1. つる\n2. いぬ", True)]
    program.show({"base": program.measured(asked, answers)})
    shown = capsys.readouterr().out.splitlines()
    assert shown[2].split() == ["Japanese", "letters", "endless", "exact", "F1"]
    assert shown[3].split() == ["base", "0%", "1.0", "0%", "100%", "100%"]
    assert shown[6].split() == ["Japanese", "letters", "endless", "items", "as", "asked", "fitting"]
    assert shown[7].split() == ["base", "100%", "11.0", "100%", "2.0", "100%", "50%"]
