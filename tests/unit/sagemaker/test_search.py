"""Search over the properties of resources: operators, lists, maps, expressions, orders, and what is refused."""

from datetime import UTC, datetime
from typing import Any

import pytest

from outcrop.api.sagemaker import searched_properties
from outcrop.api.sagemaker.search_expressions import compiled, sort_key
from outcrop.errors import Invalid
from outcrop.protocol import service_model
from outcrop.protocol.shapes import StructureShape


def record_shape() -> StructureShape:
    shape = service_model.load("sagemaker").shape_for("TrainingJob")
    assert isinstance(shape, StructureShape)
    return shape


SHAPE = record_shape()
RECORD: dict[str, Any] = {
    "TrainingJobName": "renga-1",
    "TrainingJobStatus": "Completed",
    "CreationTime": datetime(2026, 11, 29, 12, tzinfo=UTC),
    "BillableTimeInSeconds": 90,
    "EnableManagedSpotTraining": True,
    "ModelArtifacts": {"S3ModelArtifacts": "s3://b/out/model.tar.gz"},
    "HyperParameters": {"epochs": "3", "rate": "0.25", "a.b": "x", "kind": '"adam"'},
    "InputDataConfig": [
        {"ChannelName": "train", "DataSource": {"S3DataSource": {"S3Uri": "s3://b/cats"}}},
        {"ChannelName": "test", "DataSource": {"S3DataSource": {"S3Uri": "s3://b/dogs"}}},
    ],
    "FinalMetricDataList": [{"MetricName": "loss", "Value": 0.5}, {"MetricName": "val:acc.1", "Value": 0.9}],
    "VpcConfig": {"Subnets": ["s-1", "s-2"], "SecurityGroupIds": ["g"]},
    "Tags": [{"Key": "team", "Value": "a"}, {"Key": "x.y", "Value": ""}],
}


def matches(*filters: tuple[str, ...], **more: Any) -> bool:
    written = [dict(zip(("Name", "Operator", "Value"), each, strict=False)) for each in filters]
    return compiled({"Filters": written, **more} if written else more, SHAPE)(RECORD)


TRUE = [
    ("TrainingJobName", "Equals", "renga-1"),
    ("TrainingJobName", "Contains", "nga"),
    ("TrainingJobName", "In", "a, renga-1"),
    ("TrainingJobName", "NotEquals", "renga"),
    ("TrainingJobName", "Exists"),
    ("FailureReason", "NotExists"),
    ("FailureReason", "NotEquals", "x"),
    ("CreationTime", "GreaterThan", "2026-11-29T11:59:59"),
    ("CreationTime", "LessThanOrEqualTo", "2026-11-29T12:00:00Z"),
    ("CreationTime", "Equals", "2026-11-29T13:00:00+01:00"),
    ("BillableTimeInSeconds", "GreaterThanOrEqualTo", "90"),
    ("BillableTimeInSeconds", "LessThan", "90.5"),
    ("EnableManagedSpotTraining", "Equals", "true"),
    ("ModelArtifacts.S3ModelArtifacts", "Contains", "model.tar.gz"),
    ("ModelArtifacts", "Exists"),
    ("HyperParameters.epochs", "Equals", "3"),
    ("HyperParameters.epochs", "Equals", "3.0"),
    ("HyperParameters.rate", "LessThan", "0.5"),
    ("HyperParameters.rate", "GreaterThanOrEqualTo", "0"),
    ("HyperParameters.a.b", "Equals", "x"),
    ("HyperParameters.kind", "Contains", "adam"),
    ("HyperParameters.none", "NotExists"),
    ("Metrics.loss", "LessThanOrEqualTo", "0.5"),
    ("Metrics.val:acc.1", "GreaterThan", "0.8"),
    ("Metrics.none", "NotExists"),
    ("Tags.team", "Equals", "a"),
    ("Tags.other", "NotEquals", "a"),
    ("Tags.x.y", "NotExists"),
    ("InputDataConfig.ChannelName", "Equals", "test"),
    ("VpcConfig.Subnets", "Equals", "s-2"),
]
FALSE = [
    ("TrainingJobName", "Equals", "Renga-1"),
    ("TrainingJobName", "In", "renga, 1"),
    ("CreationTime", "LessThan", "2026-11-29T12:00:00"),
    ("HyperParameters.rate", "GreaterThan", "0"),  # a whole number is compared with the whole part
    ("HyperParameters.kind", "GreaterThan", "1"),
    ("HyperParameters.none", "LessThan", "1"),
    ("InputDataConfig.ChannelName", "NotEquals", "test"),
    ("Tags.team", "Equals", "A"),
]


@pytest.mark.parametrize("written", TRUE, ids=" ".join)
def test_a_filter_holds(written: tuple[str, ...]) -> None:
    assert matches(written)


@pytest.mark.parametrize("written", FALSE, ids=" ".join)
def test_a_filter_does_not_hold(written: tuple[str, ...]) -> None:
    assert not matches(written)


WRONG = [
    (("Nothing", "Equals", "1"), "Nothing: no property of this resource has this name."),
    (("ModelArtifacts.Nothing", "Exists"), "ModelArtifacts.Nothing: no property"),
    (("TrainingJobName.x", "Exists"), "TrainingJobName.x: no property"),
    (("TrainingJobName", "GreaterThan", "a"), "TrainingJobName: GreaterThan is for numbers and times, and the property is a text."),
    (("BillableTimeInSeconds", "Contains", "9"), "BillableTimeInSeconds: Contains is for texts, and the property is a number."),
    (("BillableTimeInSeconds", "Equals", "x"), "BillableTimeInSeconds: 'x' is no number, and the property is one."),
    (("CreationTime", "Equals", "yesterday"), "CreationTime: 'yesterday' is no time. Give one like"),
    (("EnableManagedSpotTraining", "Equals", "yes"), "EnableManagedSpotTraining: 'yes' is neither true nor false."),
    (("ModelArtifacts", "Equals", "x"), "ModelArtifacts: is a structure. Name one of its members"),
    (("HyperParameters.rate", "LessThan", "x"), "HyperParameters.rate: LessThan is for numbers, and 'x' is none."),
    (("TrainingJobName", "Equals"), "TrainingJobName: Equals needs a Value."),
]  # fmt: skip


@pytest.mark.parametrize(("written", "sentence"), WRONG)
def test_a_filter_that_is_none_is_refused_before_any_record_is_read(written: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(Invalid) as refused:
        matches(written)
    assert refused.value.message.startswith(sentence)


def test_expressions_join_their_parts() -> None:
    yes, no = ("TrainingJobName", "Equals", "renga-1"), ("TrainingJobName", "Equals", "x")
    assert not matches(yes, no)
    assert matches(yes, no, Operator="Or")
    inner = {"Filters": [{"Name": "TrainingJobName", "Value": "renga-1"}, {"Name": "Tags.none", "Operator": "Exists"}]}
    assert matches(yes, SubExpressions=[{**inner, "Operator": "Or"}])
    assert not matches(yes, SubExpressions=[inner])
    assert matches(SubExpressions=[{"SubExpressions": [{**inner, "Operator": "Or"}]}])
    assert compiled(None, SHAPE)(RECORD)


def nested(name: str, *filters: tuple[str, ...]) -> dict[str, Any]:
    written = [dict(zip(("Name", "Operator", "Value"), each, strict=False)) for each in filters]
    return {"NestedFilters": [{"NestedPropertyName": name, "Filters": written}]}


def test_nested_filters_hold_for_one_element_together() -> None:
    channel, uri = "InputDataConfig.ChannelName", "InputDataConfig.DataSource.S3DataSource.S3Uri"
    assert matches(**nested("InputDataConfig", (channel, "Equals", "train"), (uri, "Contains", "cats")))
    assert not matches(**nested("InputDataConfig", (channel, "Equals", "train"), (uri, "Contains", "dogs")))
    for given in (
        nested("ModelArtifacts", (channel, "Exists")),
        nested("InputDataConfig", ("TrainingJobName", "Exists")),
    ):
        with pytest.raises(Invalid):
            matches(**given)


def test_an_expression_has_parts_and_not_too_many() -> None:
    with pytest.raises(Invalid, match="SearchExpression: empty"):
        compiled({}, SHAPE)
    many = [{"Name": "TrainingJobName", "Value": "a"}] * 20
    with pytest.raises(Invalid, match="more than 50"):
        compiled({"Filters": many, "SubExpressions": [{"Filters": many}, {"Filters": many}]}, SHAPE)


def test_records_without_a_property_come_before_those_that_have_it_and_numbers_before_texts() -> None:
    def key(value: str | None) -> tuple[int, Any]:
        found = searched_properties.find(SHAPE, "HyperParameters.size")
        return sort_key(found, {"HyperParameters": {} if value is None else {"size": value}})

    assert sorted(["b", "10", None, "9.5", "a"], key=key) == [None, "9.5", "10", "a", "b"]


def test_every_property_that_is_suggested_can_be_searched() -> None:
    names = list(searched_properties.names(SHAPE))
    assert {"TrainingJobName", "InputDataConfig.DataSource.S3DataSource.S3Uri", "VpcConfig.Subnets"} <= set(names)
    assert all(
        searched_properties.find(SHAPE, name).type is not searched_properties.PropertyType.COMPOUND for name in names
    )
