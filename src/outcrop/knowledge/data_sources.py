"""Data sources of a knowledge base: what of a request is real here, and what is read from their rows."""

from collections.abc import Mapping
from typing import Any

from outcrop.errors import Invalid
from outcrop.knowledge.chunking.strategy import Chunking, ChunkingStrategy, read_chunking
from outcrop.knowledge.knowledge_bases import KnowledgeBases
from outcrop.store.damage import understood
from outcrop.store.resources import Resource

S3, CUSTOM = "S3", "CUSTOM"
_KEPT = ("description", "dataSourceConfiguration", "vectorIngestionConfiguration")
_FIXED = {
    "chunkingConfiguration": "chunking cannot be changed after a data source was created",
    "parsingConfiguration": "parsing cannot be changed after a data source was created",
}


def check(knowledge_base: Resource, params: Mapping[str, Any], account: str) -> dict[str, Any]:
    """The document of the data source that a CreateDataSource request asks for. Raises Invalid."""
    _check(params, knowledge_base, account)
    document = {member: params[member] for member in _KEPT if member in params}
    return {**document, "dataDeletionPolicy": params.get("dataDeletionPolicy", "DELETE")}


def update_source(
    knowledge_bases: KnowledgeBases,
    knowledge_base: Resource,
    source: Resource,
    params: Mapping[str, Any],
    account: str,
) -> Resource:
    """Check an UpdateDataSource request and change the row. What it leaves out of chunking and parsing stays.

    Raises Invalid for a change of what cannot be changed, and Conflict.
    """
    with understood(source.arn):
        before = dict(source.document)
        ingestion = before.get("vectorIngestionConfiguration", {})
        kind = before["dataSourceConfiguration"]["type"]
    wanted = params.get("vectorIngestionConfiguration", ingestion)
    for member, why in _FIXED.items():
        if wanted.get(member) != ingestion.get(member):
            raise Invalid(f"vectorIngestionConfiguration.{member}: {why}. Give it as it was, or create another source.")
    if params["dataSourceConfiguration"]["type"] != kind:
        raise Invalid(f"dataSourceConfiguration.type: it is {kind}, and cannot be changed. Create another data source.")
    _check(params, knowledge_base, account)
    document = {member: params[member] for member in _KEPT if member in params}
    document["vectorIngestionConfiguration"] = ingestion
    document["knowledgeBaseArn"] = before["knowledgeBaseArn"]
    document["dataDeletionPolicy"] = params.get("dataDeletionPolicy", before["dataDeletionPolicy"])
    return knowledge_bases.change(source, params["name"], document)


def kind_of(source: Resource) -> str:
    """The type of a data source: S3 or CUSTOM."""
    with understood(source.arn):
        return str(source.document["dataSourceConfiguration"]["type"])


def chunking_of(source: Resource) -> Chunking:
    """The chunking of a data source."""
    with understood(source.arn):
        ingestion: Mapping[str, Any] = source.document.get("vectorIngestionConfiguration", {})
        return read_chunking(ingestion.get("chunkingConfiguration"))


def _check(params: Mapping[str, Any], knowledge_base: Resource, account: str) -> None:
    _check_configuration(params["dataSourceConfiguration"], account)
    if params.get("serverSideEncryptionConfiguration", {}).get("kmsKeyArn"):
        raise Invalid(
            "serverSideEncryptionConfiguration.kmsKeyArn: encryption by a key of one's own is not built in Outcrop "
            "yet; passages lie unencrypted in its home. Leave it out, and encrypt the disk."
        )
    ingestion = params.get("vectorIngestionConfiguration", {})
    for member, what in _UNREAL.items():
        if member in ingestion:
            raise Invalid(f"vectorIngestionConfiguration.{member}: {what}. Leave it out.")
    chunking = read_chunking(ingestion.get("chunkingConfiguration"))
    if chunking.strategy is ChunkingStrategy.SEMANTIC and knowledge_base.document["dimensions"] is None:
        raise Invalid(
            "chunkingStrategy: SEMANTIC needs vectors of sentences, and a text model, which makes none, stands in for "
            "this knowledge base's embedding model. Choose another strategy, or another model."
        )


_UNREAL = {
    "parsingConfiguration": "parsing by a model (BEDROCK_FOUNDATION_MODEL, BEDROCK_DATA_AUTOMATION) is not built in "
    "Outcrop; the text of documents is read without one",
    "customTransformationConfiguration": "transformations by Lambda functions are not built in Outcrop",
    "contextEnrichmentConfiguration": "enrichment by a model is not built in Outcrop",
}


def _check_configuration(configuration: Mapping[str, Any], account: str) -> None:
    kind = configuration["type"]
    if kind not in (S3, CUSTOM):
        raise Invalid(
            f"dataSourceConfiguration.type: {kind}: data sources of this kind are not built in Outcrop. Use S3, or "
            "CUSTOM and IngestKnowledgeBaseDocuments."
        )
    if kind == S3:
        s3 = configuration.get("s3Configuration")
        if s3 is None:
            raise Invalid("dataSourceConfiguration: s3Configuration is missing, where type is S3.")
        owner = s3.get("bucketOwnerAccountId", account)
        if owner != account:
            raise Invalid(
                f"s3Configuration.bucketOwnerAccountId: {owner} is another account than that of this installation, "
                f"{account}, which owns every bucket here. Leave it out."
            )
