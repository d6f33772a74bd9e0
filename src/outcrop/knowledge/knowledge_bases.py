"""Knowledge bases and their data sources on record.

A knowledge base's row has its name, which no other of the region has. A data source's name is its own within the
knowledge base, so its row has both. The ARN of a data source, and of an ingestion job, begins with that of its
knowledge base; clients see the ids alone.
"""

from collections.abc import Callable, Mapping
from typing import Any

from outcrop import arn as arns
from outcrop.clock import Clock
from outcrop.errors import Conflict, NotFound
from outcrop.knowledge.states import DataSourceStatus, KnowledgeBaseStatus
from outcrop.store.changing import Change, change
from outcrop.store.resources import NameTaken, Resource
from outcrop.store.store import Store

KNOWLEDGE_BASE, DATA_SOURCE, INGESTION_JOB = "knowledge-base", "data-source", "ingestion-job"
"Kinds of rows."


class KnowledgeBases:
    """The knowledge bases of an installation, with their data sources."""

    def __init__(self, store: Store, clock: Clock, account: str) -> None:
        self._store = store
        self._clock = clock
        self._account = account
        store.references.index(DATA_SOURCE, "knowledgeBaseArn")
        store.references.index(INGESTION_JOB, "knowledgeBaseArn", "dataSourceArn")

    def arn(self, region: str, knowledge_base_id: str, data_source_id: str = "") -> str:
        """The ARN of a knowledge base, or of a data source in it."""
        source = f"/{DATA_SOURCE}/{data_source_id}" if data_source_id else ""
        return arns.bedrock(region, self._account, f"{KNOWLEDGE_BASE}/{knowledge_base_id}{source}")

    def new_arn(self, region: str) -> str:
        """The ARN of a knowledge base that is to be."""
        return self.arn(region, arns.new_agents_id())

    def add(self, arn: str, region: str, name: str, document: Mapping[str, Any]) -> Resource:
        """A new knowledge base. Raises Conflict when the name is in use."""
        taken = f"KnowledgeBase with name {name} already exists."
        return self._add(
            arn, KNOWLEDGE_BASE, region, name, KnowledgeBaseStatus.ACTIVE, {**document, "name": name}, taken
        )

    def add_source(self, knowledge_base: Resource, name: str, document: Mapping[str, Any]) -> Resource:
        """A new data source. Raises Conflict when its name is in use in this knowledge base."""
        arn = f"{knowledge_base.arn}/{DATA_SOURCE}/{arns.new_agents_id()}"
        kept = {**document, "name": name, "knowledgeBaseArn": knowledge_base.arn}
        taken = f"DataSource with name {name} already exists."
        full = _full_name(knowledge_base.arn, name)
        return self._add(arn, DATA_SOURCE, knowledge_base.region, full, DataSourceStatus.AVAILABLE, kept, taken)

    def find(self, region: str, knowledge_base_id: str) -> Resource:
        """The knowledge base with this id. Raises NotFound."""
        return self.get(self.arn(region, knowledge_base_id))

    def get(self, arn: str) -> Resource:
        """The knowledge base with this ARN. Raises NotFound."""
        row = self._store.resources.get(arn)
        if row is None or row.kind != KNOWLEDGE_BASE:
            raise NotFound(f"KnowledgeBase with id {id_of(arn)} does not exist.")
        return row

    def find_source(self, region: str, knowledge_base_id: str, data_source_id: str) -> Resource:
        """The data source with this id in the knowledge base with that one. Raises NotFound."""
        self.find(region, knowledge_base_id)
        return self.get_source(self.arn(region, knowledge_base_id, data_source_id))

    def get_source(self, arn: str) -> Resource:
        """The data source with this ARN. Raises NotFound."""
        row = self._store.resources.get(arn)
        if row is None or row.kind != DATA_SOURCE:
            raise NotFound(f"DataSource with id {id_of(arn)} does not exist.")
        return row

    def sources(self, knowledge_base_arn: str) -> list[Resource]:
        """The data sources of a knowledge base, oldest first."""
        return self._store.references.naming(DATA_SOURCE, ["knowledgeBaseArn"], knowledge_base_arn)

    def change(self, row: Resource, name: str, document: Mapping[str, Any]) -> Resource:
        """A knowledge base or data source with another name and other members. Raises Conflict when it is in use."""
        full = name if row.kind == KNOWLEDGE_BASE else _full_name(row.document["knowledgeBaseArn"], name)
        try:
            return self._store.resources.replace(
                row, at=self._clock.now(), name=full, document={**document, "name": name}
            )
        except NameTaken as error:
            raise Conflict(f"{_NOUN[row.kind]} with name {name} already exists.") from error

    def begin_deletion(self, source: Resource) -> Resource:
        """Let a data source be DELETING, until its passages are gone."""
        return self._decide(source.arn, lambda _row: Change(status=DataSourceStatus.DELETING))

    def fail_deletion(self, source_arn: str, reason: str) -> None:
        """Note why the passages of a data source could not be taken out."""

        def decide(row: Resource) -> Change:
            return Change(DataSourceStatus.DELETE_UNSUCCESSFUL, {**row.document, "failureReasons": [reason]})

        self._decide(source_arn, decide)

    def jobs(self, member: str, arn: str) -> list[Resource]:
        """The ingestion jobs whose knowledgeBaseArn or dataSourceArn this is, oldest first."""
        return self._store.references.naming(INGESTION_JOB, [member], arn)

    def remove(self, row: Resource) -> None:
        """Forget a knowledge base or data source, with its tags."""
        with self._store.transaction():
            self._store.resources.remove(row.arn)
            self._store.tags.clear(row.arn)

    def _decide(self, arn: str, decide: Callable[[Resource], Change]) -> Resource:
        return change(self._store.resources, arn, at=self._clock.now(), decide=decide)

    def _add(
        self, arn: str, kind: str, region: str, name: str, status: str, document: Mapping[str, Any], taken: str
    ) -> Resource:
        now = self._clock.now()
        row = Resource(
            arn=arn, kind=kind, region=region, name=name, status=status, created=now, updated=now, document={**document}
        )
        try:
            return self._store.resources.add(row)
        except NameTaken as error:
            raise Conflict(taken) from error


_NOUN = {KNOWLEDGE_BASE: "KnowledgeBase", DATA_SOURCE: "DataSource"}


def id_of(arn: str) -> str:
    """The id at the end of an ARN."""
    return arn.rsplit("/", 1)[-1]


def _full_name(knowledge_base_arn: str, name: str) -> str:
    return f"{id_of(knowledge_base_arn)}/{name}"
