"""Values judged by the shapes, in AWS's words; patterns of Java as Python's."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outcrop.errors import Invalid
from outcrop.protocol import patterns, service_model, validate

ROLE = "arn:aws:iam::123456789012:role/OutcropServiceRole"
JOB = {
    "jobName": "first-job",
    "customModelName": "first-model",
    "roleArn": ROLE,
    "baseModelIdentifier": "amazon.titan-text-express-v1",
    "trainingDataConfig": {"s3Uri": "s3://bucket/train.jsonl"},
    "outputDataConfig": {"s3Uri": "s3://bucket/out/"},
}

# Not one pattern of Bedrock, S3, STS or IAM. These two are no Java either: `$` is followed by a count.
INEXPRESSIBLE = {"CustomerMetadataKey", "CustomerMetadataValue"}


def problems(operation: str, params: dict[str, Any], service: str = "bedrock") -> list[str]:
    shape = service_model.operation(service, operation).input_shape
    assert shape is not None
    return validate.violations(shape, params)


def problem(operation: str, params: dict[str, Any], service: str = "bedrock") -> str:
    (sentence,) = problems(operation, params, service)
    return sentence


def test_every_pattern_of_every_service_can_be_checked_but_two() -> None:
    inexpressible = set()
    for service in service_model.SERVICES:
        model = service_model.load(service)
        for name in model.shape_names:
            pattern = model.shape_for(name).metadata.get("pattern")
            if pattern and patterns.compiled(pattern) is None:
                inexpressible.add(name)
    assert inexpressible == INEXPRESSIBLE


@pytest.mark.parametrize(
    ("pattern", "fits", "fails"),
    [
        (r"[\p{L}\p{Z}\p{N}_.:/=+\-@]+", "Müller 日本/1", "a*b"),
        (r"\p{Print}+", "a b~", "a\tb"),
        (r"[\w-_]*", "a-_b", "a b"),
        (r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\t]*", "a\U0001f600", "a\n"),
        (r"^abc$", "abc", "abc\n"),
        (r"[a-z]+", "abc", "abcD"),
    ],
)
def test_a_java_pattern_means_in_python_what_it_meant(pattern: str, fits: str, fails: str) -> None:
    expression = patterns.compiled(pattern)
    assert expression is not None
    assert expression.fullmatch(fits)
    assert not expression.fullmatch(fails)


@pytest.mark.parametrize(("ambiguous", "plain"), patterns.AMBIGUOUS.items())
@given(text=st.text("a0-./_", max_size=10))
def test_a_pattern_that_was_made_unambiguous_accepts_the_same(ambiguous: str, plain: str, text: str) -> None:
    assert bool(re.fullmatch(ambiguous, text)) == bool(re.fullmatch(plain, text))


@pytest.mark.parametrize("evil", ["-", "a", "a-", "-.", "0", "/", "a/"])
def test_no_name_can_stop_the_server(evil: str) -> None:
    # Would take years where a pattern reads a run of characters in exponentially many ways.
    name = "a" + evil * 60 + "\x00"
    for job in ("jobName", "customModelName", "baseModelIdentifier", "roleArn"):
        assert problems("CreateModelCustomizationJob", JOB | {job: name})
    assert problems("GetModelCustomizationJob", {"jobIdentifier": name})
    assert problems("CreateModelInvocationJob", {"jobName": name})


def test_a_right_request_has_no_violation() -> None:
    assert problems("CreateModelCustomizationJob", JOB) == []


@pytest.mark.parametrize(
    "model_id",
    [
        "amazon.titan-text-express-v1",
        "amazon.nova-lite-v1:0",
        "us.anthropic.claude-3-5-sonnet-20240620-v1:0",
        "meta.llama3-8b-instruct-v1:0:8k",
        "arn:aws:bedrock:us-east-1::foundation-model/amazon.titan-text-express-v1",
        "arn:aws:bedrock:us-east-1:123456789012:provisioned-model/abc123def456",
        "arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/abc123def456",
        "arn:aws:bedrock:us-east-1:123456789012:imported-model/abc123def456",
    ],
)
def test_every_documented_kind_of_model_id_is_accepted(model_id: str) -> None:
    assert problems("InvokeModel", {"modelId": model_id, "body": b"{}"}, "bedrock-runtime") == []
    messages = [{"role": "user", "content": [{"text": "hi"}]}]
    assert problems("Converse", {"modelId": model_id, "messages": messages}, "bedrock-runtime") == []


def test_all_violations_are_told_together_in_the_order_of_the_model() -> None:
    shape = service_model.operation("bedrock", "CreateModelCustomizationJob").input_shape
    assert shape is not None
    wrong = {key: value for key, value in JOB.items() if key != "roleArn"} | {"jobName": "no spaces here"}
    with pytest.raises(Invalid) as raised:
        validate.check(shape, wrong)
    assert raised.value.message == (
        "2 validation errors detected: "
        "Value 'no spaces here' at 'jobName' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9\\+\\-\\.])*; "
        "Value null at 'roleArn' failed to satisfy constraint: Member must not be null"
    )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"customizationType": "TUNING"},
            "Value 'TUNING' at 'customizationType' failed to satisfy constraint: Member must satisfy enum value set: "
            "[FINE_TUNING, CONTINUED_PRE_TRAINING, DISTILLATION, REINFORCEMENT_FINE_TUNING, IMPORTED]",
        ),
        (
            {"trainingDataConfig": {"s3Uri": "http://bucket/x"}},
            "Value 'http://bucket/x' at 'trainingDataConfig.s3Uri' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: s3://[a-z0-9][-.a-z0-9]{1,61}[a-z0-9]"
            "(?:/[-!_*'().a-z0-9A-Z]+(?:/[-!_*'().a-z0-9A-Z]+)*)?/?",
        ),
        (
            {"jobTags": [{"key": "k", "value": "v"}, {"key": "k"}]},
            "Value null at 'jobTags.2.member.value' failed to satisfy constraint: Member must not be null",
        ),
    ],
)
def test_a_violation_names_the_value_its_place_and_the_constraint(change: dict[str, Any], sentence: str) -> None:
    assert problem("CreateModelCustomizationJob", JOB | change) == sentence


def test_lengths_and_ranges_are_checked() -> None:
    assert problem("ListCustomModels", {"maxResults": 0}) == (
        "Value '0' at 'maxResults' failed to satisfy constraint: Member must have value greater than or equal to 1"
    )
    assert problem("ListCustomModels", {"nextToken": "t" * 2049}).endswith(
        "...' at 'nextToken' failed to satisfy constraint: Member must have length less than or equal to 2048"
    )


def test_of_simple_items_the_list_is_named_with_all_that_is_asked_of_each() -> None:
    arn = "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.titan-text-express-v1:0/abc123def456"
    assert problem("UntagResource", {"resourceARN": arn, "tagKeys": ["a", "b*"]}) == (
        "Value '[a, b*]' at 'tagKeys' failed to satisfy constraint: Member must satisfy constraint: "
        "[Member must have length less than or equal to 128, Member must have length greater than or equal to 1, "
        "Member must satisfy regular expression pattern: [a-zA-Z0-9\\s._:/=+@-]*, Member must not be null]"
    )


def test_of_a_map_the_map_is_named() -> None:
    params = {"modelId": "amazon.nova-lite-v1:0", "requestMetadata": {"a": "b", "k": "ü"}}
    assert problem("Converse", params, "bedrock-runtime") == (
        "Value at 'requestMetadata' failed to satisfy constraint: Map value must satisfy constraint: "
        "[Member must have length less than or equal to 256, Member must have length greater than or equal to 0, "
        "Member must satisfy regular expression pattern: [a-zA-Z0-9\\s:_@$#=/+,-.]{0,256}, Member must not be null]"
    )


def test_a_flood_of_violations_is_counted_but_not_told_in_full() -> None:
    shape = service_model.operation("bedrock", "TagResource").input_shape
    assert shape is not None
    with pytest.raises(Invalid) as raised:
        validate.check(shape, {"resourceARN": ROLE, "tags": [{}] * 5000})
    assert raised.value.message.startswith("10002 validation errors detected: ")
    assert raised.value.message.endswith("; and 9902 more")


def test_a_sensitive_value_is_not_repeated() -> None:
    params = {"modelId": "amazon.nova-lite-v1:0", "messages": [{"role": "narrator", "content": [{"text": "secret"}]}]}
    sentence = problem("Converse", params, "bedrock-runtime")
    assert "secret" not in sentence
    assert sentence.startswith("Value 'narrator' at 'messages.1.member.role'")
