"""The rooms below that knowledge bases use, whoever opens them."""

from typing import Protocol

from outcrop.access.access import Access
from outcrop.catalog.catalog import Catalog
from outcrop.clock import Clock
from outcrop.data.data import Data
from outcrop.invocation.resolve import Targets
from outcrop.jobs.asking_loop import AskingLoop
from outcrop.jobs.jobs import Jobs
from outcrop.knowledge.indexes import Indexes
from outcrop.knowledge.knowledge_bases import KnowledgeBases
from outcrop.settings import Settings
from outcrop.store.store import Store


class EmbeddingRooms(Protocol):
    """The rooms that making vectors for a knowledge base needs."""

    @property
    def access(self) -> Access: ...

    @property
    def catalog(self) -> Catalog: ...

    @property
    def targets(self) -> Targets: ...


class KnowledgeRooms(EmbeddingRooms, Protocol):
    """Everything a request about knowledge bases, and their jobs, may touch."""

    settings: Settings
    clock: Clock

    @property
    def account(self) -> str: ...

    @property
    def store(self) -> Store: ...

    @property
    def data(self) -> Data: ...

    @property
    def jobs(self) -> Jobs: ...

    @property
    def knowledge_bases(self) -> KnowledgeBases: ...

    @property
    def knowledge_indexes(self) -> Indexes: ...

    @property
    def asking_loop(self) -> AskingLoop: ...
