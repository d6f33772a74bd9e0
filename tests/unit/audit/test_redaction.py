"""Redaction: no member that may hold a secret, a prompt or a body comes into the record, of any operation."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from outcrop.api.operations import OPERATIONS
from outcrop.audit.redaction import HIDDEN, LARGEST, error_message, request_parameters, response_elements
from outcrop.protocol import service_model
from outcrop.protocol.shapes import ListShape, MapShape, Shape, StructureShape

SECRET = "wholly-unspeakable"
_DEEPEST = 5


def value(shape: Shape, *, deep: int = 0, secret: bool = False) -> Any:
    """A value of a shape in which every sensitive text, every blob and every document is the secret."""
    secret = secret or bool(shape.metadata.get("sensitive"))
    if isinstance(shape, StructureShape):
        if shape.is_document_type:
            return {"any": SECRET}
        if deep > _DEEPEST:
            return {}
        return {name: value(member, deep=deep + 1, secret=secret) for name, member in shape.members.items()}
    if isinstance(shape, ListShape):
        return [value(shape.member, deep=deep + 1, secret=secret)] if deep <= _DEEPEST else []
    if isinstance(shape, MapShape):
        return {"k": value(shape.value, deep=deep + 1, secret=secret)} if deep <= _DEEPEST else {}
    match shape.type_name:
        case "blob":
            return SECRET.encode()
        case "timestamp":
            return datetime(2026, 5, 4, tzinfo=UTC)
        case "boolean":
            return True
        case "integer" | "long":
            return 2**70
        case "float" | "double":
            return 0.5
    return SECRET if secret else "plain"


@pytest.mark.parametrize("service", OPERATIONS)
def test_nothing_sensitive_is_told_of_any_operation(service: str) -> None:
    for operation in OPERATIONS[service]:
        model = service_model.operation(service, operation)
        params = value(model.input_shape) if model.input_shape is not None else {}
        told = request_parameters(service, operation, params)
        assert SECRET not in told, operation
        assert not told or isinstance(json.loads(told), dict)
        if model.output_shape is not None:
            assert SECRET not in response_elements(service, operation, value(model.output_shape)), operation
        if SECRET in str(params):
            sentence = f"1 validation error detected: Value {SECRET[2:14]}... failed"
            assert error_message(sentence, service, operation, params) == "", operation


def told(service: str, operation: str, **params: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(request_parameters(service, operation, params) or "{}")
    return found


def test_secrets_are_known_by_their_names_also_within_maps() -> None:
    asked = told(
        "sagemaker",
        "CreateTrainingJob",
        TrainingJobName="j",
        HyperParameters={"epochs": "3", "hf_token": SECRET, "db_password": SECRET},
        Environment={"anything": SECRET},
    )
    assert asked["hyperParameters"] == {"epochs": "3", "hf_token": HIDDEN, "db_password": HIDDEN}
    assert asked["environment"] == HIDDEN
    session = {"AccessKeyId": "ASIA", "SecretAccessKey": SECRET, "SessionToken": SECRET}
    made = json.loads(response_elements("sts", "AssumeRole", {"Credentials": session}))
    assert made["credentials"] == {"accessKeyId": "ASIA", "secretAccessKey": HIDDEN, "sessionToken": HIDDEN}


def test_policies_are_told_of_requests_and_not_of_answers() -> None:
    policy = '{"Statement": []}'
    asked = told("iam", "CreateRole", RoleName="r", AssumeRolePolicyDocument=policy)
    assert asked == {"roleName": "r", "assumeRolePolicyDocument": policy}
    made = json.loads(
        response_elements("iam", "CreateRole", {"Role": {"AssumeRolePolicyDocument": policy, "Arn": "a"}})
    )
    assert made == {"role": {"assumeRolePolicyDocument": HIDDEN, "arn": "a"}}


def test_calls_that_carry_data_tell_only_what_names_a_resource() -> None:
    assert told("bedrock-runtime", "InvokeModel", modelId="m", body=b"x", trace="ENABLED") == {"modelId": "m"}
    assert told("s3", "PutObject", Bucket="b", Key="k", Metadata={"a": SECRET}) == {"bucketName": "b", "key": "k"}
    assert error_message(f"{SECRET}?", "bedrock-runtime", "InvokeModel", {"modelId": "m"}) == ""


def test_members_that_are_too_large_are_left_out_and_counted() -> None:
    asked = told("iam", "CreateUser", UserName="x" * LARGEST)
    assert asked["omitted"] is True
    assert asked["originalSize"] > LARGEST


def test_a_sentence_is_told_where_it_quotes_nothing_hidden() -> None:
    sentence = "The user with name jane cannot be found."
    assert error_message(sentence, "iam", "DeleteUser", {"UserName": "jane"}) == sentence
    assert error_message(sentence, "iam", "DeleteUser", None) == ""
