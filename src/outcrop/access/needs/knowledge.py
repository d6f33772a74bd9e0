"""The permissions to ask knowledge bases: the search, the models that answer and rerank, and objects that are read.

RetrieveAndGenerate itself knows no resource. It needs what it does: bedrock:Retrieve on the knowledge base,
bedrock:InvokeModel on the models, and s3:GetObject on the object that is asked about.

https://docs.aws.amazon.com/bedrock/latest/userguide/kb-permissions.html
"""

from collections.abc import Iterator, Mapping
from typing import Any

from outcrop import arn as arns
from outcrop.access.needs.required_permissions import RequestedOperation, RequiredPermission

ANSWERING, RERANKING = "modelArn", "rerankingModelArn"
"What `named` calls the two models that a question may name."
GENERATING = ("RetrieveAndGenerate", "RetrieveAndGenerateStream")
OPERATIONS = ("Retrieve", *GENERATING)
_SEARCH = ("retrievalConfiguration", "vectorSearchConfiguration")
_RERANKER = ("rerankingConfiguration", "bedrockRerankingConfiguration", "modelConfiguration", "modelArn")


def model_named(asked: RequestedOperation, member: str) -> str:
    """The model that a question names as its answering or reranking model; empty where it names none."""
    config = _configuration(asked)
    path = (*_SEARCH, *_RERANKER) if member == RERANKING else ("modelArn",)
    return str(_at(config, *path) or "")


def knowledge_base(asked: RequestedOperation) -> str | None:
    """The ARN of the knowledge base that is asked, always by its id: names belong to whoever gives them."""
    identifier = _configuration(asked).get("knowledgeBaseId")
    return None if identifier is None else arns.bedrock(asked.region, asked.account, f"knowledge-base/{identifier}")


def needs_without_models(asked: RequestedOperation) -> list[RequiredPermission]:
    """The permissions of a question beside those to invoke its models."""
    found = [] if asked.operation == "Retrieve" else [RequiredPermission(action="bedrock:RetrieveAndGenerate")]
    base = knowledge_base(asked)
    if base is not None:
        found.append(RequiredPermission(action="bedrock:Retrieve", resource=base))
    found += [RequiredPermission(action="s3:GetObject", resource=arn) for arn in _objects(asked)]
    guardrail = guardrail_named(asked)
    if guardrail:
        arn = asked.arn("bedrock", "guardrail", guardrail[0])
        found.append(RequiredPermission(action="bedrock:ApplyGuardrail", resource=arn))
    if model_named(asked, RERANKING):
        found.append(RequiredPermission(action="bedrock:Rerank"))
    return found


def guardrail_named(asked: RequestedOperation) -> tuple[str, str] | None:
    """The guardrail that a question names, and its version."""
    place: Any = _configuration(asked)
    if asked.operation != "Retrieve":
        place = place.get("generationConfiguration") or {}
    named = place.get("guardrailConfiguration")
    return None if not named else (str(named["guardrailId"]), str(named["guardrailVersion"]))


def _objects(asked: RequestedOperation) -> Iterator[str]:
    for source in _configuration(asked).get("sources") or ():
        uri = _at(source, "s3Location", "uri")
        if isinstance(uri, str):
            yield f"arn:aws:s3:::{uri.removeprefix('s3://')}"


def _configuration(asked: RequestedOperation) -> Mapping[str, Any]:
    """The part of a request that names the knowledge base, or the sources, and the models."""
    if asked.operation == "Retrieve":
        return asked.params
    given = asked.params.get("retrieveAndGenerateConfiguration") or {}
    external = given.get("type") == "EXTERNAL_SOURCES"
    return given.get("externalSourcesConfiguration" if external else "knowledgeBaseConfiguration") or {}


def _at(place: Any, *path: str) -> Any:
    for member in path:
        place = place.get(member) if isinstance(place, Mapping) else None
    return place
