"""The request of RetrieveAndGenerate, read: what is asked, of which passages, and how the answer is made."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from outcrop.errors import Invalid
from outcrop.knowledge import retrieving
from outcrop.knowledge.answering.answering import Orchestration
from outcrop.knowledge.answering.external import DATA_SOURCE, MOST_PASSAGES, SourceDocument
from outcrop.knowledge.answering.settings import ANSWERING, WritingSettings, read_settings
from outcrop.knowledge.answering.templates import PromptTemplate, read_generation, read_rewriting
from outcrop.knowledge.retrieving import RetrievalPlan

_CONFIG = "retrieveAndGenerateConfiguration"
_MEMBERS = {"KNOWLEDGE_BASE": "knowledgeBaseConfiguration", "EXTERNAL_SOURCES": "externalSourcesConfiguration"}
_EXTERNAL = "external"
"What a talk about documents of its requests is about."


@dataclass(frozen=True, kw_only=True)
class Sources:
    """The documents that a request brings or names."""

    documents: tuple[SourceDocument, ...]

    @property
    def custom(self) -> dict[str, bool]:
        """Whether the caller names them, by the data source that they count as."""
        return {DATA_SOURCE: all(document.uri is None for document in self.documents)}


@dataclass(frozen=True, kw_only=True)
class Questioned:
    """A question as it was asked."""

    text: str
    model_arn: str
    sources: str | Sources
    "The id of a knowledge base, or documents."
    retrieval: RetrievalPlan
    template: PromptTemplate
    settings: WritingSettings
    orchestration: Orchestration
    guardrail: tuple[str, str] | None = None
    "The id and the version of the guardrail that looks at question and answer."

    @property
    def subject(self) -> str:
        """The subject of a talk with this question."""
        return self.sources if isinstance(self.sources, str) else _EXTERNAL


def read_question(params: Mapping[str, Any]) -> Questioned:
    """The question of a request. Raises Invalid for what cannot be, and for what is not built, by name."""
    text = str(params["input"]["text"])
    if not text.strip():
        raise Invalid("input.text: blank. Ask something.")
    if params.get("sessionConfiguration"):
        raise Invalid(
            "sessionConfiguration.kmsKeyArn: encryption by a key of one's own is not built in Outcrop yet; sessions "
            "lie unencrypted in its home. Leave sessionConfiguration out, and encrypt the disk."
        )
    config, at = _chosen(params.get(_CONFIG))
    generation = config.get("generationConfiguration") or {}
    place = f"{at}.generationConfiguration"
    read = _external if "sources" in config else _knowledge_base
    return Questioned(
        text=text,
        model_arn=config["modelArn"],
        template=read_generation(generation.get("promptTemplate"), at=f"{place}.promptTemplate"),
        settings=read_settings(generation, at=place),
        guardrail=guardrail_of(generation),
        **read(config, at),
    )


def guardrail_of(config: Mapping[str, Any]) -> tuple[str, str] | None:
    """The guardrail that a configuration names, and its version."""
    named = config.get("guardrailConfiguration")
    return None if not named else (named["guardrailId"], named["guardrailVersion"])


def _chosen(given: Mapping[str, Any] | None) -> tuple[Mapping[str, Any], str]:
    """The configuration of the request's type, and where it stands."""
    if given is None:
        raise Invalid(f"{_CONFIG}: missing. Name a knowledge base or sources, and a model.")
    member = _MEMBERS[given["type"]]
    if member not in given:
        raise Invalid(f"{_CONFIG}.{member}: missing, where type is {given['type']}.")
    for other in given.keys() - {"type", member}:
        raise Invalid(f"{_CONFIG}.{other}: does not belong to type {given['type']}. Leave it out.")
    return given[member], f"{_CONFIG}.{member}"


def _knowledge_base(config: Mapping[str, Any], at: str) -> dict[str, Any]:
    orchestration = config.get("orchestrationConfiguration") or {}
    place = f"{at}.orchestrationConfiguration"
    settings = read_settings(orchestration, at=place)
    if settings.answering is not None:
        raise Invalid(f"{place}: additionalModelRequestFields.{ANSWERING} is about answers. Give it for generation.")
    return {
        "sources": config["knowledgeBaseId"],
        "retrieval": retrieving.read_plan(config.get("retrievalConfiguration"), at=f"{at}.retrievalConfiguration"),
        "orchestration": Orchestration(
            template=read_rewriting(orchestration.get("promptTemplate")),
            settings=settings,
            # The one value that the service model knows is QUERY_DECOMPOSITION.
            decomposes="type" in (orchestration.get("queryTransformationConfiguration") or {}),
        ),
    }


def _external(config: Mapping[str, Any], at: str) -> dict[str, Any]:
    documents = tuple(_document(source, f"{at}.sources.{n}") for n, source in enumerate(config["sources"]))
    return {
        "sources": Sources(documents=documents),
        "retrieval": RetrievalPlan(most=MOST_PASSAGES),
        "orchestration": Orchestration(),
    }


def _document(source: Mapping[str, Any], at: str) -> SourceDocument:
    member = {"S3": "s3Location", "BYTE_CONTENT": "byteContent"}[source["sourceType"]]
    if member not in source:
        raise Invalid(f"{at}.{member}: missing, where sourceType is {source['sourceType']}.")
    for other in source.keys() - {"sourceType", member}:
        raise Invalid(f"{at}.{other}: does not belong to sourceType {source['sourceType']}. Leave it out.")
    if member == "s3Location":
        return SourceDocument(uri=source[member]["uri"])
    given = source[member]
    return SourceDocument(name=given["identifier"], content_type=given["contentType"], content=given["data"])
