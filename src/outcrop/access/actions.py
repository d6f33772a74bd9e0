"""Which permissions a request needs: service, operation and parameters become pairs of action and resource.

S3 and Bedrock have files of their own; IAM, STS and SageMaker stand here. What is in no table needs
`<service>:<Operation>` on `*`.
"""

import re
from collections.abc import Callable

from outcrop import arn as arns
from outcrop.access import actions_bedrock, actions_s3
from outcrop.access.names import arn_of
from outcrop.access.needs import Asked, Need

PREFIX = {"sagemaker-runtime": "sagemaker"}
"""The prefix of a service's actions, where it is not its own name."""
_SAGEMAKER_THING = re.compile(
    r"^(Create|Describe|Update|Stop|Delete)(TrainingJob|ProcessingJob|TransformJob|HyperParameterTuningJob|Model|Endpoint|"
    r"EndpointConfig|InferenceComponent|ModelPackage|ModelPackageGroup|NotebookInstance|Pipeline|Experiment|Trial)$"
)
_FREE = {"GetCallerIdentity", "GetSessionToken", "GetAccessKeyInfo"}
_TAG_MEMBERS = ("tags", "Tags", "jobTags")


def needs(asked: Asked) -> list[Need]:
    """Everything that must be allowed, in the order in which it is asked; empty for what nobody can be denied."""
    rule = _RULES.get(asked.service)
    if rule is not None:
        return rule(asked)
    return [Need(action=f"{PREFIX.get(asked.service, asked.service)}:{asked.operation}")]


def tags_in(asked: Asked) -> dict[str, str]:
    """The tags that a request brings, for the condition keys aws:RequestTag/… and aws:TagKeys."""
    found: dict[str, str] = {}
    for member in _TAG_MEMBERS:
        for tag in asked.params.get(member) or ():
            if isinstance(tag, dict) and len(tag) <= 2:
                pair = {name.lower(): value for name, value in tag.items()}
                found[str(pair.get("key", ""))] = str(pair.get("value", ""))
    return found


def _iam(asked: Asked) -> list[Need]:
    context = {"iam:PolicyARN": asked.params["PolicyArn"]} if asked.operation.startswith(("Attach", "Detach")) else {}
    return [Need(action=f"iam:{asked.operation}", resource=_iam_resource(asked), context=context)]


def _iam_resource(asked: Asked) -> str:
    params, operation = asked.params, asked.operation
    if operation in ("ListRoles", "ListUsers"):
        return arns.iam(asked.account, "role/" if operation == "ListRoles" else "user/")
    if "PolicyArn" in params and not {"RoleName", "UserName"} & params.keys():
        return str(params["PolicyArn"])
    for kind in ("role", "user"):
        name = params.get(f"{kind.capitalize()}Name")
        if isinstance(name, str):
            known = None if operation.startswith("Create") and "AccessKey" not in operation else asked.find(kind, name)
            return known or arn_of(asked.account, kind, str(params.get("Path", "/")), name)
    if operation == "CreatePolicy":
        return arn_of(asked.account, "policy", str(params.get("Path", "/")), str(params.get("PolicyName", "")))
    if operation in ("GetUser", "CreateAccessKey", "ListAccessKeys", "DeleteAccessKey"):
        return asked.caller_arn  # without a UserName they speak about the caller
    return "*"


def _sts(asked: Asked) -> list[Need]:
    if asked.operation in _FREE:
        return []
    return [Need(action=f"sts:{asked.operation}", resource=str(asked.params.get("RoleArn", "*")))]


def _sagemaker(asked: Asked) -> list[Need]:
    return [
        Need(action=f"sagemaker:{asked.operation}", resource=_sagemaker_resource(asked)),
        *asked.pass_role("RoleArn", "sagemaker.amazonaws.com"),
        *asked.pass_role("ExecutionRoleArn", "sagemaker.amazonaws.com"),
    ]


def _sagemaker_resource(asked: Asked) -> str:
    thing = _SAGEMAKER_THING.match(asked.operation)
    noun = thing.group(2) if thing else "Endpoint" if asked.service == "sagemaker-runtime" else ""
    name = asked.params.get(f"{noun}Name")
    if not isinstance(name, str):
        return str(asked.params.get("ResourceArn", "*"))
    kind = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", noun).lower()
    return asked.arn("sagemaker", kind, name)


_RULES: dict[str, Callable[[Asked], list[Need]]] = {
    "bedrock": actions_bedrock.needs,
    "bedrock-agent": actions_bedrock.needs,
    "bedrock-agent-runtime": actions_bedrock.needs,
    "bedrock-runtime": actions_bedrock.needs,
    "iam": _iam,
    "s3": actions_s3.needs,
    "sagemaker": _sagemaker,
    "sagemaker-runtime": _sagemaker,
    "sts": _sts,
}
