"""Every operation of every service, built or not, has an action, and names no resource that is no ARN."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import botocore.session
import pytest
from botocore.model import OperationModel, Shape

from outcrop import arn as arns
from outcrop.access.needs.actions import needs
from outcrop.access.needs.required_permissions import RequestedOperation
from outcrop.protocol.service_model import SERVICES

FREE = {"GetCallerIdentity", "GetSessionToken"}
"""What nobody can be denied, or what nobody needs a permission for."""
PREFIXES = {
    "bedrock-agent": "bedrock",
    "bedrock-agent-runtime": "bedrock",
    "bedrock-runtime": "bedrock",
    "sagemaker-runtime": "sagemaker",
}


def sample(shape: Shape, deep: int = 0) -> Any:
    """Every member down to the second level, required ones below."""
    found: Any = shape
    match shape.type_name:
        case "structure":
            wanted = found.members if deep < 2 else {name: found.members[name] for name in found.required_members}
            return {name: sample(member, deep + 1) for name, member in wanted.items() if deep < 5}
        case "list":
            return [sample(found.member, deep + 1)] if deep < 5 else []
        case "map":
            return {"key": sample(found.value, deep + 1)} if deep < 5 else {}
        case "boolean":
            return True
        case "integer" | "long" | "float" | "double":
            return 1
        case _:
            return "value"


@lru_cache
def operations_of(service: str) -> list[OperationModel]:
    model = botocore.session.get_session().get_service_model(service)
    return [model.operation_model(name) for name in model.operation_names]


def asked(service: str, operation: OperationModel, *, everything: bool) -> RequestedOperation:
    shape = operation.input_shape
    given = sample(shape) if shape is not None else {}
    required = shape.required_members if shape is not None else []
    return RequestedOperation(
        service=service,
        operation=operation.name,
        params=given if everything else {name: given[name] for name in required},
        region="eu-west-1",
        account="123456789012",
        find=lambda _kind, _name: None,
        caller_arn="arn:aws:iam::123456789012:user/jane",
    )


def wrong(service: str, operation: OperationModel) -> Iterator[str]:
    prefix = PREFIXES.get(service, service)
    for everything in (False, True):
        found = needs(asked(service, operation, everything=everything))
        if not found and operation.name not in FREE:
            yield f"{operation.name}: no need at all"
        for need in found:
            if not re.fullmatch(rf"({prefix}|iam|bedrock):[A-Z][A-Za-z0-9]*", need.action):
                yield f"{operation.name}: {need.action}"
            # "value" stands where the caller itself gave what should be an ARN.
            if need.resource not in ("*", "value") and not arns.is_arn(need.resource):
                yield f"{operation.name}: {need.resource}"


@pytest.mark.parametrize("service", SERVICES)
def test_every_operation_needs_an_action_on_a_resource(service: str) -> None:
    assert [line for operation in operations_of(service) for line in wrong(service, operation)] == []
