"""`outcrop knowledge add`: a knowledge base, its data sources, and an ingestion of each, with a bar of its progress."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from outcrop import arn as arns
from outcrop.catalog.catalog import Catalog
from outcrop.cli.export import client, installation
from outcrop.cli.ingestion_progress import followed
from outcrop.cli.knowledge_bases import KnowledgeBaseName, data_sources, embedding_models, encoder_arn, found_by, named
from outcrop.cli.knowledge_files import DocumentSource, make_bucket, num_documents, read_source, send
from outcrop.errors import Conflict, Invalid
from outcrop.settings import Settings

STOOD_IN_FOR, STAND_IN = "amazon.titan-embed-text-v2:0", "outcrop.starter-v1"
"Without an embedding model, a text model stands in for this one: then words alone find."


@dataclass(frozen=True, kw_only=True)
class AddOptions:
    """The knowledge base that sources are added to, and how it is made where it is not there."""

    name: str
    encoder: str | None
    chunk_tokens: int | None
    region: str
    is_same_cut: bool = False
    "Whether the knowledge base's name says how it was cut, so that what is there was cut as asked."


@dataclass(frozen=True, kw_only=True)
class Added:
    """The ingestion jobs of the sources, in the order of the command line."""

    base: KnowledgeBaseName
    jobs: Sequence[Mapping[str, Any]]

    def tell(self, *, as_json: bool) -> int:
        """Print how it ended; 1 where an ingestion or a document failed."""
        failed = any(is_failed(job) for job in self.jobs)
        if as_json:
            told = {"knowledgeBaseId": self.base.id, "ingestionJobs": self.jobs}
            print(json.dumps(told, indent=2, ensure_ascii=False, default=str))
        elif failed:
            print(f"What failed: outcrop knowledge status {self.base.name}")
        else:
            print(f'Ask it: outcrop ask {self.base.name} "…"')
        return int(failed)


def add_sources(settings: Settings, given: Sequence[str], options: AddOptions, *, quiet: bool) -> Added:
    """Add sources to a knowledge base, and wait until all are ingested. Raises Invalid, Conflict."""
    if not given:
        raise Invalid("knowledge add: no source. Name a folder, a file, or s3://bucket/prefix/.")
    tell: Callable[[str], None] = (lambda _line: None) if quiet else lambda line: print(line, flush=True)
    bucket = f"knowledge-{installation(settings).account}-{options.region}"
    sources = [read_source(each, options.name, bucket) for each in given]
    _check_distinct(sources)
    agent, s3 = (client(settings, service, options.region) for service in ("bedrock-agent", "s3"))
    base = _knowledge_base(settings, agent, options, tell)
    there = {each["name"]: each for each in data_sources(agent, base)}
    jobs = [_ingested(s3, agent, base, source, there, options, tell, quiet=quiet) for source in sources]
    return Added(base=base, jobs=jobs)


def is_failed(job: Mapping[str, Any]) -> bool:
    """Whether an ingestion, or a document in it, failed."""
    num_failed: int = job["statistics"]["numberOfDocumentsFailed"]
    return num_failed > 0 or job["status"] != "COMPLETE"


def told_counts(statistics: Mapping[str, int]) -> str:
    """The counts of an ingestion in words."""
    counted = {
        "looked at": "numberOfDocumentsScanned",
        "new": "numberOfNewDocumentsIndexed",
        "changed": "numberOfModifiedDocumentsIndexed",
        "deleted": "numberOfDocumentsDeleted",
        "failed": "numberOfDocumentsFailed",
    }
    return ", ".join(f"{statistics[member]:,} {word}" for word, member in counted.items())


def _check_distinct(sources: Sequence[DocumentSource]) -> None:
    for source in sources:
        same = [each.place for each in sources if each.name == source.name]
        if len(same) > 1:
            raise Conflict(f"{same[0]} and {same[1]} would both be the data source {source.name}. Rename one of them.")


def _knowledge_base(
    settings: Settings, agent: Any, options: AddOptions, tell: Callable[[str], None]
) -> KnowledgeBaseName:
    """The knowledge base of this name, made where it is not there."""
    catalog, there = Catalog(settings.home), named(agent, options.region, options.name)
    if there is not None:
        _check_same_encoder(agent, there, options, catalog)
        return there
    model_arn = arns.foundation_model(options.region, options.encoder or _encoder(catalog, tell))
    made = agent.create_knowledge_base(
        name=options.name,
        roleArn=installation(settings).service_role_arn,
        knowledgeBaseConfiguration={
            "type": "VECTOR",
            "vectorKnowledgeBaseConfiguration": {"embeddingModelArn": model_arn},
        },
    )["knowledgeBase"]
    tell(f"{options.name} is knowledge base {made['knowledgeBaseId']}, found by {found_by(catalog, model_arn)}.")
    return KnowledgeBaseName(id=made["knowledgeBaseId"], name=options.name, region=options.region)


def _check_same_encoder(agent: Any, base: KnowledgeBaseName, options: AddOptions, catalog: Catalog) -> None:
    told = encoder_arn(agent.get_knowledge_base(knowledgeBaseId=base.id)["knowledgeBase"])
    if options.encoder is not None and catalog.find(options.encoder) != catalog.find(told):
        raise Conflict(
            f"--encoder {options.encoder}: {base.name} was made with {told.rpartition('/')[2]}, which cannot be "
            "changed. Leave --encoder out, or give the knowledge base another name."
        )


def _encoder(catalog: Catalog, tell: Callable[[str], None]) -> str:
    """The id of an embedding model on this machine, or of one that a text model stands in for."""
    found = embedding_models(catalog)
    real = [model.id for model in found if not model.stands_in]
    if real:
        return real[0]
    tell(
        "No embedding model is on this machine, so that words alone find. `outcrop pull` and `outcrop register` bring "
        "one, for a new knowledge base."
    )
    return found[0].id if found else catalog.alias(STOOD_IN_FOR, STAND_IN).id


def _ingested(
    s3: Any,
    agent: Any,
    base: KnowledgeBaseName,
    source: DocumentSource,
    there: Mapping[str, Mapping[str, Any]],
    options: AddOptions,
    tell: Callable[[str], None],
    *,
    quiet: bool,
) -> Mapping[str, Any]:
    """The ended ingestion job of a source, whose files were put into its bucket before."""
    known = there.get(source.name)
    if known is not None:
        _check_known(known, source, options)
    if source.files:
        make_bucket(s3, source.bucket, base.region)
        sent = send(s3, source)
        removed = f", {sent.removed:,} deleted" if sent.removed else ""
        tell(f"{source.place}: {len(source.files):,} files, {sent.put:,} put{removed} in {source.uri}")
    source_id = known["dataSourceId"] if known is not None else _make_source(agent, base, source, options)
    ids = {"knowledgeBaseId": base.id, "dataSourceId": source_id}
    job = agent.start_ingestion_job(**ids)["ingestionJob"]
    job = followed(agent, job, num_documents(s3, source), name=base.name, quiet=quiet)
    tell(f"{source.name}: {told_counts(job['statistics'])}.")
    for reason in job.get("failureReasons", ()):
        tell(f"  {reason}")
    return job


def _check_known(known: Mapping[str, Any], source: DocumentSource, options: AddOptions) -> None:
    if known.get("description") != source.description:
        raise Conflict(
            f"{source.place}: the data source {source.name} is {known.get('description', 'another one')} already. "
            "Rename the folder or file, or put it into another knowledge base."
        )
    if options.chunk_tokens is not None and not options.is_same_cut:
        raise Conflict(
            f"--chunk-tokens: {source.name} was cut already, which cannot be changed. Leave it out, or give the "
            "knowledge base another name."
        )


def _make_source(agent: Any, base: KnowledgeBaseName, source: DocumentSource, options: AddOptions) -> str:
    where: dict[str, Any] = {"bucketArn": f"arn:aws:s3:::{source.bucket}"}
    if source.prefix:
        where["inclusionPrefixes"] = [source.prefix]
    cut: dict[str, Any] = {}
    if options.chunk_tokens is not None:
        fixed = {"maxTokens": options.chunk_tokens, "overlapPercentage": 10}
        chunking = {"chunkingStrategy": "FIXED_SIZE", "fixedSizeChunkingConfiguration": fixed}
        cut = {"vectorIngestionConfiguration": {"chunkingConfiguration": chunking}}
    made = agent.create_data_source(
        knowledgeBaseId=base.id,
        name=source.name,
        description=source.description,
        dataSourceConfiguration={"type": "S3", "s3Configuration": where},
        **cut,
    )
    return str(made["dataSource"]["dataSourceId"])
