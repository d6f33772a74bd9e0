"""The permissions that a request needs: service, operation and parameters become pairs of action and resource.

S3, Bedrock, IAM and the services around them have files of their own; STS and SageMaker stand here. What is in no table
needs `<service>:<Operation>` on `*`.
"""

import re
from collections.abc import Callable, Mapping

from outcrop.access.needs import (
    bedrock,
    hubs,
    iam,
    kms,
    monitoring,
    s3,
    s3vectors,
)
from outcrop.access.needs.required_permissions import RequestedOperation, RequiredPermission, passing
from outcrop.store.resources import Row

PREFIX = {"sagemaker-runtime": "sagemaker"}
"""The prefix of a service's actions, where it is not its own name."""
_SAGEMAKER_NOUN = re.compile(
    r"^(?:Create|Describe|Update|Stop|Start|Delete|Get|Put|BatchGet|Associate|Disassociate|ListTrainingJobsFor)"
    r"([A-Z]\w*?)"
    r"(?:WeightsAndCapacities|RuntimeConfig|Policy)?$"
)
_SAGEMAKER_KINDS = {
    "AutoMLJob": "automl-job",
    "AutoMLJobV2": "automl-job",
    "Trial": "experiment-trial",
    "TrialComponent": "experiment-trial-component",
}
"""Kinds in ARNs that are not the noun in lower case with dashes."""
_OF_PIPELINES = {"ListPipelineExecutions", "StartPipelineExecution"}
"""Operations on executions that name their pipeline. The others name the execution by its ARN."""
_DEFINITIONS = ("PipelineDefinition", "PipelineDefinitionS3Location")
_FREE = {"GetCallerIdentity", "GetSessionToken"}
"""AWS: no permission is needed, and an explicit deny changes nothing."""
_TAG_MEMBERS = ("tags", "Tags", "TagsList", "jobTags")
_TAG_KEY_MEMBERS = ("tagKeys", "TagKeys")


def needs(asked: RequestedOperation) -> list[RequiredPermission]:
    """Everything that must be allowed, in the order in which it is asked; empty for what nobody can be denied."""
    rule = _RULES.get(asked.service)
    if rule is not None:
        return rule(asked)
    return [RequiredPermission(action=f"{PREFIX.get(asked.service, asked.service)}:{asked.operation}")]


def tags_in(asked: RequestedOperation) -> dict[str, str]:
    """The tags that a request brings, for the condition keys aws:RequestTag/… and aws:TagKeys."""
    found: dict[str, str] = {}
    for member in _TAG_MEMBERS:
        given = asked.params.get(member) or ()
        if isinstance(given, dict):  # as CloudWatch Logs sends them
            found |= {str(key): str(value) for key, value in given.items()}
            continue
        for tag in given:
            if isinstance(tag, dict) and len(tag) <= 2:
                pair = {name.lower(): value for name, value in tag.items()}
                if "tagkey" in pair:  # as KMS names them
                    pair = {"key": pair["tagkey"], "value": pair.get("tagvalue", "")}
                found[str(pair.get("key", ""))] = str(pair.get("value", ""))
    return found


def tag_keys_in(asked: RequestedOperation, tags: Mapping[str, str]) -> tuple[str, ...]:
    """The keys of the tags that a request brings, which are given, or takes away."""
    named = [str(key) for member in _TAG_KEY_MEMBERS for key in asked.params.get(member) or ()]
    return tuple(dict.fromkeys((*tags, *named)))


def _sts(asked: RequestedOperation) -> list[RequiredPermission]:
    if asked.operation in _FREE:
        return []
    return [RequiredPermission(action=f"sts:{asked.operation}", resource=str(asked.params.get("RoleArn", "*")))]


def _sagemaker(asked: RequestedOperation) -> list[RequiredPermission]:
    if hubs.is_about_hubs(asked.operation):
        return hubs.needs(asked)
    return [
        RequiredPermission(action=f"sagemaker:{asked.operation}", resource=_sagemaker_resource(asked)),
        *asked.pass_role("RoleArn", "sagemaker.amazonaws.com"),
        *asked.pass_role("ExecutionRoleArn", "sagemaker.amazonaws.com"),
        *(passing(role, "sagemaker.amazonaws.com") for role in _roles_of_definitions(asked)),
        *(passing(role, "sagemaker.amazonaws.com") for role in _kept_role(asked)),
    ]


def _roles_of_definitions(asked: RequestedOperation) -> list[str]:
    """The roles of the training jobs that a tuning job is to create, each once."""
    given = [asked.params.get("TrainingJobDefinition"), *(asked.params.get("TrainingJobDefinitions") or ())]
    roles = [each.get("RoleArn") for each in given if isinstance(each, Mapping)]
    return list(dict.fromkeys(role for role in roles if isinstance(role, str)))


def _kept_role(asked: RequestedOperation) -> list[str]:
    """The role under which a pipeline runs what an update without a role gives it."""
    given = asked.params
    if asked.operation != "UpdatePipeline" or "RoleArn" in given or not any(given.get(each) for each in _DEFINITIONS):
        return []
    row = asked.find("pipeline", given["PipelineName"])
    if not isinstance(row, Row) or not row.is_sound:
        return []  # there is none to be changed, or it cannot be read
    return [str(row.resource().document["RoleArn"])]


def _sagemaker_resource(asked: RequestedOperation) -> str:
    if asked.operation in _OF_PIPELINES:
        return asked.arn("sagemaker", "pipeline", asked.params["PipelineName"])
    if "PipelineExecutionArn" in asked.params:
        return str(asked.params["PipelineExecutionArn"])
    found = _SAGEMAKER_NOUN.match(asked.operation)
    noun = "Endpoint" if asked.service == "sagemaker-runtime" else found.group(1) if found else ""
    arn, name = asked.params.get(f"{noun}Arn"), asked.params.get(f"{noun.removesuffix('V2')}Name")
    if not isinstance(name, str):
        return str(arn or asked.params.get("ResourceArn", "*"))
    dashed = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", noun).lower()
    return asked.arn("sagemaker", _SAGEMAKER_KINDS.get(noun, dashed), name)


_RULES: dict[str, Callable[[RequestedOperation], list[RequiredPermission]]] = {
    "application-autoscaling": monitoring.autoscaling,
    "bedrock": bedrock.needs,
    "bedrock-agent": bedrock.needs,
    "bedrock-agent-runtime": bedrock.needs,
    "bedrock-runtime": bedrock.needs,
    "cloudtrail": monitoring.cloudtrail,
    "cloudwatch": monitoring.cloudwatch,
    "iam": iam.needs,
    "kms": kms.needs,
    "logs": monitoring.logs,
    "s3": s3.needs,
    "s3vectors": s3vectors.needs,
    "sagemaker": _sagemaker,
    "sagemaker-runtime": _sagemaker,
    "sts": _sts,
}
