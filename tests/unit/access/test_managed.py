"""AWS-managed policies: there under the names that programs attach, and none allows more than AWS's own."""

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest

from outcrop.access.policies.managed import AWS_MANAGED
from outcrop.access.policies.new_documents import parse_new_managed
from outcrop.access.records.policies import ManagedPolicy
from outcrop.protocol import service_model

published = pytest.importorskip("moto.iam.aws_managed_policies", reason="moto brings a copy of what AWS publishes")
THEIRS: dict[str, Any] = json.loads(published.aws_managed_policies_data)
PREFIX = "arn:aws:iam::aws:policy/"


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def meant(statement: dict[str, Any]) -> Iterator[str]:
    """The actions of a statement; of a service that is known here, the operations that its patterns cover."""
    for pattern in listed(statement.get("Action", [])):
        service = pattern.partition(":")[0]
        names = service_model.load(service).operation_names if service in service_model.SERVICES else []
        found = [action for name in names if fnmatchcase(action := f"{service}:{name}", pattern)]
        yield from found if "*" in pattern and found else [pattern]


def covers(theirs: dict[str, Any], action: str, resource: str) -> bool:
    """Whether one statement of theirs allows it, conditions aside; a pattern of ours has to lie inside of theirs."""
    actions = listed(theirs.get("Action", []))
    spared = listed(theirs.get("NotAction", ["*"]))
    names_it = any(fnmatchcase(action, each) for each in actions) or not any(
        fnmatchcase(action, each) for each in spared
    )
    return (
        theirs["Effect"] == "Allow"
        and names_it
        and any(fnmatchcase(resource, each) for each in listed(theirs.get("Resource", "*")))
    )


READS_ALL = {f"{PREFIX}ReadOnlyAccess"}
"""Its listing at AWS is behind the newest operations of Bedrock, which it is to read all the same."""


@pytest.mark.parametrize(
    "policy", [AWS_MANAGED[arn] for arn in sorted(AWS_MANAGED.keys() - READS_ALL)], ids=lambda policy: policy.name
)
def test_a_policy_is_amazons_and_allows_no_more(policy: ManagedPolicy) -> None:
    theirs = THEIRS[policy.name]
    assert (policy.path, policy.created.isoformat()) == (theirs["Path"], theirs["CreateDate"])
    assert policy.arn == f"{PREFIX}{policy.path[1:]}{policy.name}"
    for statement in json.loads(policy.document)["Statement"]:
        for action in meant(statement):
            for resource in listed(statement["Resource"]):
                found = any(covers(each, action, resource) for each in listed(theirs["Document"]["Statement"]))
                assert found, f"{policy.name}: {action} on {resource}"


def test_every_document_is_one_that_could_be_written() -> None:
    for policy in AWS_MANAGED.values():
        assert parse_new_managed(policy.document).statements


@pytest.mark.parametrize(
    "name",
    [
        "AmazonEC2ContainerRegistryReadOnly",
        "AmazonEC2ContainerRegistryPowerUser",
        "AmazonOpenSearchServiceFullAccess",
        "AmazonOpenSearchServiceReadOnlyAccess",
        "service-role/AWSLambdaBasicExecutionRole",
        "AWSLambda_FullAccess",
        "SecretsManagerReadWrite",
        "CloudWatchLogsReadOnlyAccess",
        "AWSKeyManagementServicePowerUser",
        "AWSCloudTrail_ReadOnlyAccess",
        "AmazonDynamoDBFullAccess",
        "AWSStepFunctionsFullAccess",
        "AmazonBedrockLimitedAccess",
    ],
)
def test_a_policy_that_programs_of_this_field_attach_is_there(name: str) -> None:
    assert f"{PREFIX}{name}" in AWS_MANAGED
