"""The permissions that an operation of Bedrock needs, for all four of its services.

They share the prefix `bedrock:`.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonbedrock.html
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from outcrop import arn as arns
from outcrop.access.needs import knowledge
from outcrop.access.needs.named import FOUNDATION, PROFILE, Named
from outcrop.access.needs.named import named as find_named
from outcrop.access.needs.required_permissions import RequestedOperation, RequiredPermission, passing
from outcrop.store.resources import Row

SERVICE = "bedrock.amazonaws.com"
REMOTE = "outcrop:Remote"
"The condition key that tells whether an invocation goes to a remote model."

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
    "CreateModelCustomizationJob": ("custom-model/{base}/*", "model-customization-job/{base}/*"),
    "CreateModelImportJob": ("model-import-job/*", "imported-model/*"),
    "CreateModelInvocationJob": ("model-invocation-job/*",),
    "CreatePromptRouter": ("prompt-router/*",),
}
"""What a create makes, where its permission is about that: its id is not known yet, so only a pattern that covers all
ids covers it. Deployments and provisioned throughput are asked about the model they are made from, as by AWS."""

SEVERAL = ("jobIdentifiers",)
"Members that name several resources, by their ARNs: each of them has to be allowed."

_BASES = ("custom-model", FOUNDATION)
_INVOKED = (FOUNDATION, "provisioned-model", "custom-model-deployment", "custom-model", "imported-model", PROFILE)
MODELS: dict[str, tuple[str, tuple[str, ...]]] = {
    "CreateCustomModelDeployment": ("modelArn", ("custom-model",)),
    "CreateModelCopyJob": ("sourceModelArn", ("custom-model",)),
    "CreateModelCustomizationJob": ("baseModelIdentifier", _BASES),
    "CreateModelInvocationJob": ("modelId", _INVOKED),
    "CreateProvisionedModelThroughput": ("modelId", _BASES),
    "GetFoundationModel": ("modelIdentifier", (FOUNDATION,)),
    "GetFoundationModelAvailability": ("modelId", (FOUNDATION,)),
    "UpdateProvisionedModelThroughput": ("desiredModelId", _BASES),
    "UpdateCustomModelDeployment": ("modelArn", ("custom-model",)),
    "Converse": ("modelId", _INVOKED),
    "ConverseStream": ("modelId", _INVOKED),
    "CountTokens": ("modelId", _INVOKED),
    "InvokeModel": ("modelId", _INVOKED),
    "InvokeModelWithBidirectionalStream": ("modelId", _INVOKED),
    "InvokeModelWithResponseStream": ("modelId", _INVOKED),
    "StartAsyncInvoke": ("modelId", _INVOKED),
}
"""The member that names a model which the operation uses, and the kinds it may be of, in the order they are tried."""

TAGGED = ("resourceARN", "resourceArn")
_ON_RECORD = (
    "custom-model",
    "custom-model-deployment",
    "evaluation-job",
    "guardrail",
    "imported-model",
    "model-customization-job",
    "model-import-job",
    "model-invocation-job",
    "provisioned-model",
)
_TAGGABLE = {"bedrock-agent": ("knowledge-base",)}
"Kinds with tags of their own in the agents' services."

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


def named(asked: RequestedOperation, member: str) -> Named:
    """The resource that a member of the request stands for. Decisions and handlers ask here, and nowhere else."""
    if asked.operation == "Rerank":
        return find_named(_reranker(asked), (FOUNDATION,), asked)
    if asked.operation in knowledge.OPERATIONS:
        named_model = knowledge.model_named(asked, member)
        return find_named(named_model, (FOUNDATION,) if member == knowledge.RERANKING else _INVOKED, asked)
    model, kinds = MODELS.get(asked.operation, ("", ()))
    if member != model:
        thing, kind = THINGS.get(_noun(asked.operation), ("", ""))
        kinds = (kind,) if member == thing else _TAGGABLE.get(asked.service, _ON_RECORD)
    return find_named(str(asked.params[member]), kinds, asked)


def needs(asked: RequestedOperation) -> list[RequiredPermission]:
    """The needs of one operation of Bedrock: on every resource it touches, and to pass on the role it names."""
    if asked.operation == "Rerank":
        # The act itself knows no resource; the model behind it is invoked.
        models = _of(named(asked, "modelArn"))
        return [
            RequiredPermission(action="bedrock:Rerank"),
            *(replace(each, action="bedrock:InvokeModel") for each in models),
        ]
    if asked.operation in knowledge.OPERATIONS:
        return [*knowledge.needs_without_models(asked), *_invocations(asked)]
    action = f"bedrock:{ACTIONS.get(asked.operation, asked.operation)}"
    touched = _touched(asked) or [RequiredPermission(action=action)]
    context = _context(asked, touched)
    return [
        *(replace(each, action=action, context=context) for each in touched),
        *_guardrail(asked),
        *asked.pass_role("roleArn", SERVICE),
        *_role_of_log(asked),
    ]


def _invocations(asked: RequestedOperation) -> list[RequiredPermission]:
    """The models that a question to a knowledge base, or about a document, invokes."""
    members = (knowledge.ANSWERING, knowledge.RERANKING)
    guarded = knowledge.guardrail_named(asked) or (None, None)
    found = []
    for member in members if asked.operation in knowledge.GENERATING else members[1:]:
        if knowledge.model_named(asked, member):
            thing = named(asked, member)
            touched = _of(thing)
            context = {**_profile(touched), **_remote(thing), **_guardrail_key(asked, *guarded)}
            found += [replace(each, action="bedrock:InvokeModel", context=context) for each in touched]
    return found


def _role_of_log(asked: RequestedOperation) -> list[RequiredPermission]:
    """The role that writes records of invocations to a log group, which the request names within its configuration."""
    role = asked.params.get("loggingConfig", {}).get("cloudWatchConfig", {}).get("roleArn")
    return [passing(role, SERVICE)] if isinstance(role, str) else []


def _touched(asked: RequestedOperation) -> list[RequiredPermission]:
    """The resources that the operation touches."""
    found: list[RequiredPermission] = []
    member, _ = THINGS.get(_noun(asked.operation), ("", ""))
    model, _ = MODELS.get(asked.operation, ("", ()))
    if member in asked.params and member != model:
        found += _of(named(asked, member))
    if isinstance(asked.params.get(model), str):
        found += _of(named(asked, model))
    found += _new(asked, model)
    found += [RequiredPermission(action="", resource=named(asked, each).arn) for each in TAGGED if each in asked.params]
    found += [
        RequiredPermission(action="", resource=str(each)) for name in SEVERAL for each in asked.params.get(name) or ()
    ]
    found += [
        RequiredPermission(action="", resource=str(asked.params[each]))
        for each in ("invocationArn", "policyArn")
        if each in asked.params
    ]
    return found + [RequiredPermission(action="", resource=each) for each in _agents(asked)]


def _reranker(asked: RequestedOperation) -> str:
    """The model that Rerank names, three levels down."""
    place: Any = asked.params
    for member in ("rerankingConfiguration", "bedrockRerankingConfiguration", "modelConfiguration", "modelArn"):
        place = place.get(member) if isinstance(place, Mapping) else None
    return str(place or "")


def _of(thing: Named) -> list[RequiredPermission]:
    """An inference profile needs the model behind it too."""
    own = RequiredPermission(action="", resource=thing.arn, also=thing.also, behind=thing.behind, shown=thing.shown)
    if thing.profile is None:
        return [own]
    return [RequiredPermission(action="", resource=thing.profile, shown=thing.shown), replace(own, shown="")]


def _new(asked: RequestedOperation, model: str) -> list[RequiredPermission]:
    """The resources that a request makes, with all ids of its base in place, whichever of them a policy writes."""
    made = NEW.get(asked.operation, ())
    bases = _ids_of_base(asked, model) if any("{base}" in each for each in made) else ("",)
    found = []
    for each in made:
        own, *also = (arns.bedrock(asked.region, asked.account, each.format(base=base)) for base in bases)
        found.append(RequiredPermission(action="", resource=own, also=tuple(also)))
    return found


def _agents(asked: RequestedOperation) -> list[str]:
    """The resource of a request to the agents' services: the alias where one is named, else the thing itself."""
    params = asked.params
    if "agentAliasId" in params and "agentId" in params:
        return [asked.arn("bedrock", "agent-alias", f"{params['agentId']}/{params['agentAliasId']}")]
    alias = params.get("flowAliasIdentifier") or (params.get("aliasIdentifier") if "flowIdentifier" in params else None)
    if alias is not None and "flowIdentifier" in params:
        flow = asked.arn("bedrock", "flow", str(params["flowIdentifier"]))
        return [str(alias) if arns.is_arn(str(alias)) else f"{flow}/alias/{alias}"]
    # A knowledge base given to an agent is a change of the agent.
    return [_by_id(asked, kind, str(params[member])) for member, kind in AGENTS.items() if member in params][:1]


def _by_id(asked: RequestedOperation, kind: str, value: str) -> str:
    """The ARN of a thing of the agents' services. They are named by id or ARN, never by a name, which another may have
    chosen to look like an id."""
    return value if arns.is_arn(value) else arns.bedrock(asked.region, asked.account, f"{kind}/{value}")


def _noun(operation: str) -> str:
    if operation == "ListGuardrails":  # of one, where one is named: its versions
        return "Guardrail"
    for verb in ("Get", "Stop", "Delete", "Update", "Create", "Apply"):
        if operation.startswith(verb):
            return operation.removeprefix(verb)
    return operation


def _ids_of_base(asked: RequestedOperation, member: str) -> tuple[str, ...]:
    """The ids of the base model, which stand in the ARNs of jobs and custom models. The full one is what they hold."""
    thing = named(asked, member)
    base = thing.foundation
    if thing.kind == "custom-model":
        parent = asked.find(thing.kind, thing.arn)
        base = asked.foundation(json.loads(parent.document)["baseId"]) if isinstance(parent, Row) else None
    if base is not None:
        return tuple(dict.fromkeys((base.names[-1], *base.names)))
    tail = thing.arn.partition("/")[2]
    return (tail if thing.kind == FOUNDATION else tail.rpartition("/")[0],)


def _context(asked: RequestedOperation, touched: list[RequiredPermission]) -> dict[str, str]:
    """Bedrock's own condition keys: the profile on whose account a model is invoked, and the guardrail in its way.

    One is ours: whether the request would leave this installation.
    """
    context = _profile(touched)
    if asked.service == "bedrock-runtime" and isinstance(asked.params.get("modelId"), str):
        context |= _remote(named(asked, "modelId"))
    config = asked.params.get("guardrailConfig") or asked.params
    if asked.service == "bedrock-runtime":
        context |= _guardrail_key(asked, config.get("guardrailIdentifier"), config.get("guardrailVersion"))
    return context


def _guardrail_key(asked: RequestedOperation, identifier: str | None, version: str | None) -> dict[str, str]:
    """The condition key by which an administrator can demand a guardrail. A draft has no number behind its ARN."""
    if not identifier:
        return {}
    arn = asked.arn("bedrock", "guardrail", str(identifier))
    return {"bedrock:GuardrailIdentifier": arn if version in (None, "DRAFT") else f"{arn}:{version}"}


def _profile(touched: list[RequiredPermission]) -> dict[str, str]:
    """The condition key that tells the inference profile on whose account a model is invoked."""
    profiles = [each.resource for each in touched if "inference-profile/" in each.resource]
    return {"bedrock:InferenceProfileArn": profiles[0]} if profiles else {}


def _remote(thing: Named) -> dict[str, str]:
    """The condition key that tells whether an invocation of a model would leave this installation."""
    foundation = thing.foundation
    return {REMOTE: "true" if foundation is not None and foundation.remote is not None else "false"}


def _guardrail(asked: RequestedOperation) -> list[RequiredPermission]:
    """A guardrail applied on the way is an action of its own."""
    if asked.service != "bedrock-runtime" or asked.operation == "ApplyGuardrail":
        return []
    config = asked.params.get("guardrailConfig") or asked.params
    identifier = config.get("guardrailIdentifier")
    if not identifier:
        return []
    return [
        RequiredPermission(action="bedrock:ApplyGuardrail", resource=asked.arn("bedrock", "guardrail", str(identifier)))
    ]
