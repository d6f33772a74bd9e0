"""Names of models and their like, where a listing tells the ARN alone."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from outcrop import arn as arns
from outcrop.console.user_client import KEY_ENDED, UserClient
from outcrop.console.views.job_kinds import base_of

_MOST = 2000


class _NamedBy(NamedTuple):
    """The operation that describes a kind of resource, and where its answer has the name."""

    service: str
    operation: str
    request: Callable[[str], Mapping[str, str]]
    name: Callable[[Mapping[str, Any]], str]


_KINDS = {
    "custom-model": _NamedBy(
        "bedrock", "get_custom_model", lambda arn: {"modelIdentifier": arn}, lambda told: told["modelName"]
    ),
    "custom-model-deployment": _NamedBy(
        "bedrock",
        "get_custom_model_deployment",
        lambda arn: {"customModelDeploymentIdentifier": arn},
        lambda told: told["modelDeploymentName"],
    ),
    "provisioned-model": _NamedBy(
        "bedrock",
        "get_provisioned_model_throughput",
        lambda arn: {"provisionedModelId": arn},
        lambda told: told["provisionedModelName"],
    ),
    "imported-model": _NamedBy(
        "bedrock", "get_imported_model", lambda arn: {"modelIdentifier": arn}, lambda told: told["modelName"]
    ),
    "knowledge-base": _NamedBy(
        "bedrock-agent",
        "get_knowledge_base",
        lambda arn: {"knowledgeBaseId": arn.rpartition("/")[2]},
        lambda told: told["knowledgeBase"]["name"],
    ),
}


class ResourceNames:
    """The names that one session has asked for, each once. They do not change as long as the resource is there."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def of(self, api: UserClient, arn: str) -> str:
        """The name; the last part of the ARN for what is gone, or what the user may not look at."""
        parsed = arns.parse(arn)
        described = None if parsed is None else _KINDS.get(parsed.kind)
        if described is None:
            return base_of(arn)
        if arn not in self._known:
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[arn] = _asked(api, arn, described)
        return self._known[arn]


def _asked(api: UserClient, arn: str, described: _NamedBy) -> str:
    try:
        told = getattr(api.client(described.service), described.operation)(**described.request(arn))
    except ClientError as refusal:
        if refusal.response["Error"]["Code"] in KEY_ENDED:
            raise
        return base_of(arn)
    return described.name(told)
