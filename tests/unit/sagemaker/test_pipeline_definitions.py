"""Definitions of pipelines: what is refused, by its name and place, when a pipeline is created."""

import json
from typing import Any

import pytest

from outcrop.errors import Invalid
from outcrop.sagemaker.pipelines import definition as definitions
from outcrop.sagemaker.pipelines import pipelines, references
from tests.support.pipeline_house import BY, PipelineHouse
from tests.support.tuning_house import REGION

A: dict[str, Any] = {"Name": "A", "Type": "Training", "Arguments": {}}


def step(name: str, **members: Any) -> dict[str, Any]:
    return {**A, "Name": name, **members}


def text(*steps: Any, **members: Any) -> str:
    return json.dumps({"Version": "2020-12-01", "Steps": list(steps), **members})


def condition(**arguments: Any) -> dict[str, Any]:
    return {"Name": "If", "Type": "Condition", "Arguments": arguments}


def asks(text: str) -> dict[str, Any]:
    return {"HyperParameters": {"x": {"Get": text}}}


EQUAL = {"Type": "Equals", "LeftValue": 1, "RightValue": 1}


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("no", "it is no JSON: "),
        ("[]", "expected a JSON object whose Version is"),
        (text(A, Version="2019-01-01"), "expected a JSON object whose Version is"),
        (text(A, More=1), "More: there is no such member."),
        (text(), "Steps: 0 steps. Give 1 to 50."),
        (json.dumps({"Version": "2020-12-01"}), "Steps: expected a list."),
        (text(A, A), "Steps: A stands there twice."),
        (text({"Type": "Training"}), "Steps[0].Name: expected 1 to 64"),
        (
            text(step("P", Type="Processing")),
            "Steps.P: Type: steps of type Processing are not built. Built are Training,",
        ),
        (text(step("P", Type="RegisterModel")), "Steps.P: Type: steps of type RegisterModel are not built."),
        (
            text(step("A", CacheConfig={"Enabled": True, "ExpireAfter": "P1D"})),
            "Steps.A: CacheConfig: steps are not cached",
        ),
        (text(step("A", RetryPolicies=[{"MaxAttempts": 2}])), "Steps.A: RetryPolicies: steps are not tried again"),
        (text(step("A", PropertyFiles=[{}])), "Steps.A: PropertyFiles: property files belong to processing steps"),
        (text(step("A", Other=1)), "Steps.A: Other: there is no such member."),
        (text(step("A", DependsOn=["B"])), "Steps.A: DependsOn names B, and there is no such step."),
        (text(step("A", DependsOn="B")), "Steps.A: DependsOn: expected a list"),
        (text(step("A", DependsOn=["B"]), step("B", DependsOn=["A"])), "Steps: "),
        (text(step("A", Arguments=asks("Parameters.No"))), "A: Parameters.No: there is no such parameter."),
        (
            text(step("A", Arguments=asks("Steps.B.ModelArtifacts"))),
            "A: Steps.B.ModelArtifacts: there is no such step.",
        ),
        (
            text(A, step("B", Arguments=asks("Steps.A.Bill"))),
            "B: Steps.A.Bill: the step has no such property. It has T",
        ),
        (text(step("A", Arguments=asks("Execution.Moon"))), "A: Execution.Moon: there is no such variable."),
        (text(step("A", Arguments=asks("Moon"))), "Steps.A: Get: 'Moon' is no reference."),
        (text(step("A", Arguments=asks("Steps.A"))), "Steps.A: Get: 'Steps.A' names no value."),
        (text(step("A", Arguments=asks("Steps.B.X[z]"))), "Steps.A: Get: 'Steps.B.X[z]' cannot be read from '[z]' on."),
        (text(step("A", Arguments={"Std:JsonGet": {}})), "Steps.A: Std:JsonGet: it reads the property file"),
        (text(step("A", Arguments={"x": {"Std:Join": {"On": 1}}})), 'Steps.A: Std:Join: expected {"On": a text'),
        (text(condition()), "Steps.If: Arguments.Conditions: expected a list"),
        (
            text(condition(Conditions=[{"Type": "Odd"}])),
            "Steps.If: Arguments.Conditions[0].Type: 'Odd' is no condition.",
        ),
        (
            text(condition(Conditions=[{"Type": "Not"}])),
            "Steps.If: Arguments.Conditions[0].Not: Expression is missing.",
        ),
        (text(condition(Conditions=[EQUAL], IfSteps=[A]), A), "Steps: A stands there twice."),
        (text(A, Parameters=[{"Name": "x", "Type": "Date"}]), "Parameters[0].Type: 'Date' is none."),
        (
            text(A, Parameters=[{"Name": "x", "Type": "Integer", "DefaultValue": "1"}]),
            "Parameters[0].DefaultValue: '1' is",
        ),
        (text({"Name": "F", "Type": "Fail", "Arguments": {}}), "Steps.F: Arguments: expected ErrorMessage alone."),
    ],
)
def test_a_definition_is_refused_with_the_place_of_what_is_wrong(given: str, problem: str) -> None:
    with pytest.raises(Invalid) as refused:
        definitions.read(given)
    assert refused.value.message.startswith(f"PipelineDefinition: {problem}")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> PipelineHouse:
    return PipelineHouse(tmp_path_factory.mktemp("definitions") / "home")


def test_requests_that_are_known_beforehand_are_checked_at_creation(house: PipelineHouse) -> None:
    for changed, problem in (
        ({"Moon": 1}, "PipelineDefinition: Steps.A: Arguments.Moon: CreateTrainingJob has no such member."),
        ({"RoleArn": None}, "PipelineDefinition: Steps.A: 1 validation error detected: Value null at 'roleArn'"),
        (
            {"HyperParameters": {"epochs": 3}},
            "PipelineDefinition: Steps.A: Arguments.HyperParameters.epochs: NUMBER_VALUE",
        ),
    ):
        definition = house.defining(house.training("A", **changed))
        with pytest.raises(Invalid) as refused:
            house.pipeline(definition)
        assert refused.value.message.startswith(problem)


def test_a_definition_comes_from_s3_as_the_role_may_read_it(house: PipelineHouse) -> None:
    definition = house.defining(house.training("A"))
    house.house.buckets.create("definitions", REGION)
    house.house.buckets.put_bytes("definitions", "a.json", definition.encode(), content_type="application/json")
    place = {"Bucket": "definitions", "ObjectKey": "a.json"}
    params = {"PipelineName": "from-s3", "RoleArn": house.role, "PipelineDefinitionS3Location": place}
    assert pipelines.prepared(house.house, params, region=REGION, by=BY)["definition"] == definition
    with pytest.raises(Invalid, match="give one of both"):
        pipelines.prepared(house.house, {**params, "PipelineDefinition": definition}, region=REGION, by=BY)


def test_a_path_leads_to_members_places_and_metrics() -> None:
    metrics = [{"MetricName": "a", "Value": 1.0}, {"MetricName": "val:b", "Value": 2.0}]
    properties = {"FinalMetricDataList": metrics, "ModelArtifacts": {"S3ModelArtifacts": "s3://b/m"}}
    for asked, value in (
        ("Steps.A.ModelArtifacts.S3ModelArtifacts", "s3://b/m"),
        ("Steps.A.FinalMetricDataList['val:b'].Value", 2.0),
        ('Steps.A.FinalMetricDataList["a"].Value', 1.0),
        ("Steps.A.FinalMetricDataList[1].Value", 2.0),
    ):
        reference = references.Reference.of_text(asked)
        assert references.part_of(properties, reference.path, asked) == value
    with pytest.raises(Invalid, match="no such property now"):
        references.part_of(properties, ("FinalMetricDataList", "c"), "Steps.A.FinalMetricDataList['c']")
