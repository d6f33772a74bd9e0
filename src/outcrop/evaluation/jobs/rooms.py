"""The rooms that evaluation jobs use, whoever opens them."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from outcrop.invocation.background.rooms import AskingRooms


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


class EvaluationRooms(AskingRooms, Protocol):
    """Everything a request for an evaluation job, and the job itself, may touch."""

    def knowledge_under(self, role_arn: str, region: str) -> KnowledgeUnderRole:
        """The knowledge bases of the region under this role."""
        ...
