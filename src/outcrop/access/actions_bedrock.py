"""Which permissions an operation of Bedrock needs, for all four of its services: they share the prefix `bedrock:`.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonbedrock.html
"""

import re

from outcrop import arn as arns
from outcrop.access.needs import Asked, Need

SERVICE = "bedrock.amazonaws.com"

THINGS: dict[str, tuple[str, str]] = {
    "CustomModel": ("modelIdentifier", "custom-model"),
    "CustomModelDeployment": ("customModelDeploymentIdentifier", "custom-model-deployment"),
    "EvaluationJob": ("jobIdentifier", "evaluation-job"),
    "Guardrail": ("guardrailIdentifier", "guardrail"),
    "GuardrailVersion": ("guardrailIdentifier", "guardrail"),
    "ImportedModel": ("modelIdentifier", "imported-model"),
    "InferenceProfile": ("inferenceProfileIdentifier", "inference-profile"),
    "ModelCopyJob": ("jobArn", "model-copy-job"),
    "ModelCustomizationJob": ("jobIdentifier", "model-customization-job"),
    "ModelImportJob": ("jobIdentifier", "model-import-job"),
    "ModelInvocationJob": ("jobIdentifier", "model-invocation-job"),
    "PromptRouter": ("promptRouterArn", "prompt-router"),
    "ProvisionedModelThroughput": ("provisionedModelId", "provisioned-model"),
}
"""What Get, Stop, Delete and Update of a thing name it by, and the kind in its ARN."""

NEW: dict[str, tuple[str, ...]] = {
    "CreateCustomModel": ("custom-model/*",),
    "CreateEvaluationJob": ("evaluation-job/*",),
    "CreateGuardrail": ("guardrail/*",),
    "CreateInferenceProfile": ("application-inference-profile/*",),
    "CreateModelCopyJob": ("model-copy-job/*",),
    "CreateModelCustomizationJob": ("custom-model/{base}*", "model-customization-job/{base}*"),
    "CreateModelImportJob": ("model-import-job/*", "imported-model/*"),
    "CreateModelInvocationJob": ("model-invocation-job/*",),
    "CreatePromptRouter": ("prompt-router/*",),
}
"""What a create makes, where its permission is about that: its id is not known yet, so only a pattern that covers all
ids covers it. Deployments and provisioned throughput are asked about the model they are made from, as by AWS."""

MODELS: dict[str, str] = {
    "CreateCustomModelDeployment": "modelArn",
    "CreateModelCopyJob": "sourceModelArn",
    "CreateModelCustomizationJob": "baseModelIdentifier",
    "CreateModelInvocationJob": "modelId",
    "CreateProvisionedModelThroughput": "modelId",
    "GetFoundationModel": "modelIdentifier",
    "GetFoundationModelAvailability": "modelId",
    "UpdateProvisionedModelThroughput": "desiredModelId",
    "UpdateCustomModelDeployment": "modelArn",
    "Converse": "modelId",
    "ConverseStream": "modelId",
    "CountTokens": "modelId",
    "InvokeModel": "modelId",
    "InvokeModelWithBidirectionalStream": "modelId",
    "InvokeModelWithResponseStream": "modelId",
    "StartAsyncInvoke": "modelId",
}
"""The member that names a model which the operation uses."""

AGENTS: dict[str, str] = {
    "agentId": "agent",
    "flowIdentifier": "flow",
    "promptIdentifier": "prompt",
    "knowledgeBaseId": "knowledge-base",
    "sessionIdentifier": "session",
}
"""The members that name a thing of the agents' services, and the kind in its ARN."""

ACTIONS = {
    "Converse": "InvokeModel",
    "ConverseStream": "InvokeModelWithResponseStream",
    "StartAsyncInvoke": "InvokeModel",
    "RetrieveAndGenerateStream": "RetrieveAndGenerate",
}
_NAMED = ("custom-model", "provisioned-model", "custom-model-deployment", "imported-model")
_PROFILE = re.compile(r"^(us|us-gov|eu|apac|jp|au|ca|sa|global)\.")
_ID_IN_ARN = re.compile(r"^[a-z0-9]{12}$")


def needs(asked: Asked) -> list[Need]:
    """The needs of one operation of Bedrock: on every resource it touches, and to pass on the role it names."""
    action = f"bedrock:{ACTIONS.get(asked.operation, asked.operation)}"
    resources = _resources(asked) or ["*"]
    context = _context(asked, resources)
    return [
        *(Need(action=action, resource=resource, context=context) for resource in resources),
        *_guardrail(asked),
        *asked.pass_role("roleArn", SERVICE),
    ]


def _resources(asked: Asked) -> list[str]:
    params, found = asked.params, []
    model = params.get(MODELS.get(asked.operation, ""))
    if isinstance(model, str):
        found += _model(asked, model)
    base = _base_id(model) if isinstance(model, str) else ""
    new = [each.format(base=base) for each in NEW.get(asked.operation, ())]
    found += [arns.bedrock(asked.region, asked.account, each) for each in new]
    member, kind = THINGS.get(_noun(asked.operation), ("", ""))
    if member in params and not found:
        found.append(asked.arn("bedrock", kind, str(params[member])))
    elif member in params and asked.operation.startswith("Update"):
        found.insert(0, asked.arn("bedrock", kind, str(params[member])))
    found += [
        str(params[each]) for each in ("resourceARN", "resourceArn", "invocationArn", "policyArn") if each in params
    ]
    return found + _agents(asked)


def _agents(asked: Asked) -> list[str]:
    """What the agents' services speak about: the alias where one is named, else the thing itself."""
    params = asked.params
    if "agentAliasId" in params and "agentId" in params:
        return [asked.arn("bedrock", "agent-alias", f"{params['agentId']}/{params['agentAliasId']}")]
    alias = params.get("flowAliasIdentifier") or (params.get("aliasIdentifier") if "flowIdentifier" in params else None)
    if alias is not None and "flowIdentifier" in params:
        flow = asked.arn("bedrock", "flow", str(params["flowIdentifier"]))
        return [str(alias) if arns.is_arn(str(alias)) else f"{flow}/alias/{alias}"]
    # A knowledge base given to an agent is a change of the agent.
    return [asked.arn("bedrock", kind, str(params[member])) for member, kind in AGENTS.items() if member in params][:1]


def _noun(operation: str) -> str:
    for verb in ("Get", "Stop", "Delete", "Update", "Create"):
        if operation.startswith(verb):
            return operation.removeprefix(verb)
    return operation


def _model(asked: Asked, model: str) -> list[str]:
    """The ARN of a model named by ARN, name or id. An inference profile needs the model behind it too."""
    if arns.is_arn(model):
        return [model]
    # Names given by customers hold no point and no colon, ids of foundation models do.
    for kind in () if {".", ":"} & set(model) else _NAMED:
        known = asked.find(kind, model)
        if known:
            return [known]
    if _PROFILE.match(model):
        profile = arns.bedrock(asked.region, asked.account, f"inference-profile/{model}")
        return [profile, arns.foundation_model(asked.region, model.partition(".")[2])]
    if _ID_IN_ARN.match(model):
        return [arns.bedrock(asked.region, asked.account, f"provisioned-model/{model}")]
    return [arns.foundation_model(asked.region, model)]


def _base_id(model: str) -> str:
    """The base model's id and a slash, which stand before the new id in ARNs of jobs and custom models."""
    own = arns.parse(model)
    if own is None:
        return f"{model}/"
    if own.kind == "foundation-model":
        return f"{own.tail}/"
    return f"{own.tail.partition('/')[0]}/" if own.kind == "custom-model" else ""


def _context(asked: Asked, resources: list[str]) -> dict[str, str]:
    """Bedrock's own condition keys: the profile on whose account a model is invoked, and the guardrail in its way."""
    profiles = [each for each in resources if "inference-profile/" in each]
    context = {"bedrock:InferenceProfileArn": profiles[0]} if profiles else {}
    config = asked.params.get("guardrailConfig") or asked.params
    identifier, version = config.get("guardrailIdentifier"), config.get("guardrailVersion")
    if asked.service == "bedrock-runtime" and identifier:
        arn = asked.arn("bedrock", "guardrail", str(identifier))
        # A draft has no number behind its ARN.
        context["bedrock:GuardrailIdentifier"] = arn if version in (None, "DRAFT") else f"{arn}:{version}"
    return context


def _guardrail(asked: Asked) -> list[Need]:
    """A guardrail applied on the way is an action of its own."""
    if asked.service != "bedrock-runtime" or asked.operation == "ApplyGuardrail":
        return []
    config = asked.params.get("guardrailConfig") or asked.params
    identifier = config.get("guardrailIdentifier")
    if not identifier:
        return []
    return [Need(action="bedrock:ApplyGuardrail", resource=asked.arn("bedrock", "guardrail", str(identifier)))]
