"""Knowledge bases as plain values: sources and their ingestion, documents, passages as they were cut, what is found."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from outcrop.console.views.amounts import age, duration

STRATEGIES = ("DEFAULT", "FIXED_SIZE", "HIERARCHICAL", "SEMANTIC", "NONE")
SEARCHES = ("HYBRID", "SEMANTIC")
ENDED = frozenset({"COMPLETE", "FAILED", "STOPPED"})
_COUNTS = (
    ("scanned", "numberOfDocumentsScanned"),
    ("added", "numberOfNewDocumentsIndexed"),
    ("modified", "numberOfModifiedDocumentsIndexed"),
    ("deleted", "numberOfDocumentsDeleted"),
    ("failed", "numberOfDocumentsFailed"),
)
_CHUNK, _SOURCE, _PAGE, _HEADINGS = (
    "x-amz-bedrock-kb-chunk-id",
    "x-amz-bedrock-kb-data-source-id",
    "x-amz-bedrock-kb-document-page-number",
    "x-outcrop-headings",
)
_FIXED_OVERLAP, _PARENT_TIMES, _OVERLAP_SHARE = 20, 4, 5
_SEMANTIC = {"bufferSize": 1, "breakpointPercentileThreshold": 95}


class KnowledgeRow(NamedTuple):
    """A knowledge base in a list."""

    id: str
    name: str
    status: str
    description: str
    age: str


class IngestionView(NamedTuple):
    """An ingestion job: its state, its counts, and which documents failed for which reason."""

    id: str
    status: str
    age: str
    took: str
    figures: list[tuple[str, str]]
    is_running: bool
    failures: list[tuple[str, str]]
    "Documents and reasons; the document is empty where the job itself failed."


class SourceView(NamedTuple):
    """A data source with its latest ingestion jobs, the newest first."""

    id: str
    name: str
    status: str
    place: str
    chunking: str
    jobs: list[IngestionView]

    @property
    def is_busy(self) -> bool:
        return any(job.is_running for job in self.jobs)


class DocumentRow(NamedTuple):
    """A document of a source."""

    identifier: str
    name: str
    status: str
    reason: str
    age: str


class CitedPassage(NamedTuple):
    """A passage as a search or a citation tells it, with what is needed to open it."""

    text: str
    document: str
    name: str
    page: str
    source: str
    chunk: str
    headings: str
    score: float | None

    @property
    def told_score(self) -> str:
        return "" if self.score is None else f"{self.score:.3f}"


class PassageView(NamedTuple):
    """A passage of a document as it was cut."""

    chunk: str
    text: str
    start: str
    end: str
    page: str
    headings: str
    number: int
    parent: int | None
    has_vector: bool
    is_cited: bool


class PassagesPage(NamedTuple):
    """A part of a document's passages, with the way to the parts around it."""

    document: str
    name: str
    status: str
    reason: str
    metadata: list[tuple[str, str]]
    num_passages: str
    passages: list[PassageView]
    before: int | None
    after: int | None


class KnowledgeForm(NamedTuple):
    """The values of the form for a knowledge base, and of that for a source."""

    name: str = ""
    role: str = ""
    encoder: str = ""
    bucket: str = ""
    prefix: str = ""
    strategy: str = STRATEGIES[0]
    tokens: str = ""


def read_form(values: Mapping[str, str]) -> KnowledgeForm:
    """The form of a posted page."""
    given = {name: values.get(name, "").strip() for name in KnowledgeForm._fields}
    if given["strategy"] not in STRATEGIES:
        given["strategy"] = STRATEGIES[0]
    return KnowledgeForm(**given)


def base_request(form: KnowledgeForm, region: str) -> dict[str, Any]:
    """The parameters of CreateKnowledgeBase."""
    encoder = form.encoder if form.encoder.startswith("arn:") else model_arn(form.encoder, region)
    return {
        "name": form.name,
        "roleArn": form.role,
        "knowledgeBaseConfiguration": {
            "type": "VECTOR",
            "vectorKnowledgeBaseConfiguration": {"embeddingModelArn": encoder},
        },
    }


def source_request(form: KnowledgeForm, knowledge_base: str) -> dict[str, Any]:
    """The parameters of CreateDataSource. Raises ValueError for a number of tokens that is none."""
    bucket = {"bucketArn": f"arn:aws:s3:::{form.bucket}"}
    s3 = bucket | ({"inclusionPrefixes": [form.prefix]} if form.prefix else {})
    request: dict[str, Any] = {
        "knowledgeBaseId": knowledge_base,
        "name": re.sub(r"[^0-9A-Za-z]+", "-", f"{form.bucket}-{form.prefix}")[:100].strip("-"),
        "dataSourceConfiguration": {"type": "S3", "s3Configuration": s3},
    }
    chunking = _chunking(form)
    if chunking is not None:
        request["vectorIngestionConfiguration"] = {"chunkingConfiguration": chunking}
    return request


def model_arn(model: str, region: str) -> str:
    """The ARN of a foundation model; an ARN is itself."""
    return model if model.startswith("arn:") else f"arn:aws:bedrock:{region}::foundation-model/{model}"


def knowledge_rows(summaries: Sequence[Mapping[str, Any]], now: datetime, language: str) -> list[KnowledgeRow]:
    """Rows in the order in which they are listed."""
    return [
        KnowledgeRow(
            told["knowledgeBaseId"],
            told["name"],
            told["status"],
            told.get("description", ""),
            age(told["updatedAt"], now, language),
        )
        for told in summaries
    ]


def source_view(
    source: Mapping[str, Any], jobs: Sequence[Mapping[str, Any]], now: datetime, language: str
) -> SourceView:
    """A source out of its details and the details of its jobs."""
    s3 = source["dataSourceConfiguration"].get("s3Configuration")
    place = "" if s3 is None else f"s3://{s3['bucketArn'].rsplit(':', 1)[-1]}/{s3.get('inclusionPrefixes', [''])[0]}"
    chunking = source.get("vectorIngestionConfiguration", {}).get("chunkingConfiguration", {})
    return SourceView(
        source["dataSourceId"],
        source["name"],
        source["status"],
        place,
        chunking.get("chunkingStrategy", STRATEGIES[0]),
        [ingestion_view(job, now, language) for job in jobs],
    )


def ingestion_view(job: Mapping[str, Any], now: datetime, language: str) -> IngestionView:
    """An ingestion job out of its details."""
    is_running = job["status"] not in ENDED
    end = now if is_running else job["updatedAt"]
    counts = job.get("statistics", {})
    return IngestionView(
        job["ingestionJobId"],
        job["status"],
        age(job["startedAt"], now, language),
        duration((end - job["startedAt"]).total_seconds(), language),
        [(f"knowledge.{key}", f"{counts.get(name, 0):,}") for key, name in _COUNTS],
        is_running,
        [_failure(reason) for reason in job.get("failureReasons", [])],
    )


def document_rows(details: Sequence[Mapping[str, Any]], now: datetime, language: str) -> list[DocumentRow]:
    """Documents as they are listed."""
    rows = []
    for told in details:
        identifier = told["identifier"].get("s3", {}).get("uri") or told["identifier"]["custom"]["id"]
        changed = age(told.get("updatedAt"), now, language)
        reason = told.get("statusReason", "")
        rows.append(DocumentRow(identifier, file_name(identifier), told["status"], reason, changed))
    return rows


def cited_passage(told: Mapping[str, Any]) -> CitedPassage:
    """A result of Retrieve, or a reference of a citation."""
    location, metadata = told["location"], told.get("metadata", {})
    document = location.get("s3Location", {}).get("uri") or location.get("customDocumentLocation", {}).get("id", "")
    page, headings = metadata.get(_PAGE), metadata.get(_HEADINGS, [])
    return CitedPassage(
        text=told["content"]["text"],
        document=document,
        name=file_name(document),
        page="" if page is None else f"{page:.0f}",
        source=str(metadata.get(_SOURCE, "")),
        chunk=str(metadata.get(_CHUNK, "")),
        headings=" › ".join([headings] if isinstance(headings, str) else headings),
        score=told.get("score"),
    )


def passages_page(told: Mapping[str, Any], chunk: str, *, most: int) -> PassagesPage:
    """The page of `GET /outcrop/passages`; `chunk` is the one that was cited."""
    document, first, num = told["document"], told["first"], told["numPassages"]
    passages = [
        PassageView(
            each["chunkId"],
            each["text"],
            f"{each['start']:,}",
            f"{each['end']:,}",
            "" if each["page"] is None else str(each["page"]),
            " › ".join(each["headings"]),
            first + number,
            each["parent"],
            each["hasVector"],
            each["chunkId"] == chunk,
        )
        for number, each in enumerate(told["passages"], start=1)
    ]
    return PassagesPage(
        document["identifier"],
        file_name(document["identifier"]),
        document["status"],
        document["statusReason"] or "",
        [(key, str(value)) for key, value in sorted(document["metadata"].items())],
        f"{num:,}",
        passages,
        max(0, first - most) if first else None,
        first + most if first + most < num else None,
    )


def file_name(identifier: str) -> str:
    """The last part of a URI, or an id as it is."""
    return identifier.rsplit("/", 1)[-1] if identifier.startswith("s3://") else identifier


def _failure(reason: str) -> tuple[str, str]:
    """The document and the reason of `s3://bucket/key: sentence`, as a job tells it."""
    document, colon, sentence = reason.partition(": ")
    return (document, sentence) if colon and document.startswith("s3://") else ("", reason)


def _chunking(form: KnowledgeForm) -> dict[str, Any] | None:
    if form.strategy == "DEFAULT":
        return None
    if not (form.tokens or "300").isdecimal():
        raise ValueError(f"{form.tokens}: no number of tokens.")
    tokens = int(form.tokens or 300)
    numbers: dict[str, tuple[str, dict[str, Any]]] = {
        "FIXED_SIZE": (
            "fixedSizeChunkingConfiguration",
            {"maxTokens": tokens, "overlapPercentage": _FIXED_OVERLAP},
        ),
        "HIERARCHICAL": (
            "hierarchicalChunkingConfiguration",
            {
                "levelConfigurations": [{"maxTokens": _PARENT_TIMES * tokens}, {"maxTokens": tokens}],
                "overlapTokens": max(1, tokens // _OVERLAP_SHARE),
            },
        ),
        "SEMANTIC": ("semanticChunkingConfiguration", {"maxTokens": tokens, **_SEMANTIC}),
    }
    if form.strategy not in numbers:
        return {"chunkingStrategy": form.strategy}
    member, values = numbers[form.strategy]
    return {"chunkingStrategy": form.strategy, member: values}
