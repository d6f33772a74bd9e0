"""The rooms that evaluation jobs use, whoever opens them."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from outcrop.access.access import Access
from outcrop.catalog.catalog import Catalog
from outcrop.clock import Clock
from outcrop.data.data import Data
from outcrop.invocation.resolve import Targets
from outcrop.jobs.asking_loop import AskingLoop
from outcrop.jobs.jobs import Jobs
from outcrop.settings import Settings
from outcrop.store.store import Store


class PassageAnswer(Protocol):
    """An answer from passages, in the form of RetrieveAndGenerate."""

    @property
    def text(self) -> str: ...

    @property
    def citations(self) -> list[dict[str, Any]]: ...

    @property
    def passages(self) -> list[dict[str, Any]]:
        """The references that it was made from."""


class KnowledgeUnderRole(Protocol):
    """The knowledge bases of a region, asked under a role with the parameters of Bedrock's operations."""

    def check(self, params: Mapping[str, Any]) -> None:
        """Raises Refusal for a question that cannot be asked."""

    async def retrieve(self, params: Mapping[str, Any]) -> list[dict[str, Any]]: ...

    async def retrieve_and_generate(
        self, params: Mapping[str, Any], turns: Sequence[tuple[str, str]] = ()
    ) -> PassageAnswer: ...


class EvaluationRooms(Protocol):
    """Everything a request for an evaluation job, and the job itself, may touch."""

    settings: Settings
    clock: Clock

    @property
    def store(self) -> Store: ...

    @property
    def access(self) -> Access: ...

    @property
    def data(self) -> Data: ...

    @property
    def catalog(self) -> Catalog: ...

    @property
    def jobs(self) -> Jobs: ...

    @property
    def targets(self) -> Targets: ...

    @property
    def asking_loop(self) -> AskingLoop: ...

    def knowledge_under(self, role_arn: str, region: str) -> KnowledgeUnderRole:
        """The knowledge bases of the region under this role."""
        ...
