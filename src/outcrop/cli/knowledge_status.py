"""`outcrop knowledge status`: documents by state, the last ingestion of each data source, and what failed, and why."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from outcrop.catalog.catalog import Catalog
from outcrop.cli.knowledge_adding import told_counts
from outcrop.cli.knowledge_bases import KnowledgeBaseName, data_sources, encoder_arn, found_by
from outcrop.settings import Settings

_LABEL = 16
_UNREAD = ("FAILED", "PARTIALLY_INDEXED", "METADATA_PARTIALLY_INDEXED", "METADATA_UPDATE_FAILED", "IGNORED")
"States of documents that are not wholly in the index."


@dataclass(frozen=True, kw_only=True)
class SourceStatus:
    """A data source with its documents by state, and its last ingestion."""

    name: str
    id: str
    place: str
    states: Mapping[str, int]
    unread: Mapping[str, str]
    "Documents that are not wholly in the index, each with the reason."
    last: Mapping[str, Any] | None
    "The last ingestion job."

    @property
    def is_failed(self) -> bool:
        """Whether a document is not in the index as it should be, or the last ingestion ended badly."""
        return bool(self.unread) or (self.last is not None and self.last["status"] == "FAILED")

    def to_json(self) -> dict[str, Any]:
        """The status for programs."""
        return {
            "name": self.name,
            "dataSourceId": self.id,
            "place": self.place,
            "documents": dict(self.states),
            "failed": dict(self.unread),
            "lastIngestionJob": self.last,
        }


def print_status(settings: Settings, agent: Any, base: KnowledgeBaseName, *, as_json: bool) -> int:
    """1 where a document, or the last ingestion of a data source, failed."""
    told = agent.get_knowledge_base(knowledgeBaseId=base.id)["knowledgeBase"]
    sources = [_source_status(agent, base, each) for each in data_sources(agent, base)]
    if as_json:
        about = {"knowledgeBaseId": base.id, "name": base.name, "region": base.region, "status": told["status"]}
        shown = {**about, "dataSources": [source.to_json() for source in sources]}
        print(json.dumps(shown, indent=2, ensure_ascii=False, default=str))
    else:
        by = found_by(Catalog(settings.home), encoder_arn(told))
        print("\n".join(_lines(base, told, by, sources)))
    return int(any(source.is_failed for source in sources))


def _source_status(agent: Any, base: KnowledgeBaseName, summary: Mapping[str, Any]) -> SourceStatus:
    ids = {"knowledgeBaseId": base.id, "dataSourceId": summary["dataSourceId"]}
    where = agent.get_data_source(**ids)["dataSource"]["dataSourceConfiguration"]
    states, unread = Counter[str](), dict[str, str]()
    for document in _documents(agent, ids):
        states[document["status"]] += 1
        if document["status"] in _UNREAD:
            unread[_identifier(document)] = document.get("statusReason", "")
    jobs = agent.list_ingestion_jobs(**ids, maxResults=1)["ingestionJobSummaries"]
    return SourceStatus(
        name=summary["name"],
        id=ids["dataSourceId"],
        place=_place(where),
        states=dict(states),
        unread=unread,
        last=jobs[0] if jobs else None,
    )


def _documents(agent: Any, ids: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for page in agent.get_paginator("list_knowledge_base_documents").paginate(**ids):
        yield from page["documentDetails"]


def _identifier(document: Mapping[str, Any]) -> str:
    told = document["identifier"]
    return str(told["s3"]["uri"] if "s3" in told else told["custom"]["id"])


def _place(where: Mapping[str, Any]) -> str:
    if "s3Configuration" not in where:
        return "documents that programs put in"
    place = where["s3Configuration"]
    bucket = place["bucketArn"].rpartition(":")[2]
    return ", ".join(f"s3://{bucket}/{prefix}" for prefix in place.get("inclusionPrefixes", [""]))


def _lines(base: KnowledgeBaseName, told: Mapping[str, Any], by: str, sources: list[SourceStatus]) -> Iterator[str]:
    yield _line("knowledge base", f"{base.name} ({base.id}, {base.region})")
    yield _line("status", told["status"])
    yield _line("found by", by)
    for reason in told.get("failureReasons", ()):
        yield _line("reason", reason)
    for source in sources:
        yield ""
        yield _line("data source", f"{source.name} ({source.id})")
        yield _line("place", source.place)
        yield _line("documents", ", ".join(f"{n:,} {state}" for state, n in sorted(source.states.items())) or "none")
        if source.last is not None:
            yield _line("last ingestion", f"{source.last['status']}, {source.last['startedAt']:%Y-%m-%d %H:%M} UTC")
            yield _line("", told_counts(source.last["statistics"]))
        for identifier, reason in source.unread.items():
            yield _line("not indexed", identifier)
            yield _line("", reason)


def _line(label: str, value: str) -> str:
    return f"{label:<{_LABEL}}{value}".rstrip()
