"""The place of a guardrail in an invocation: between the model's answer and whoever reads it.

Invocations know no guardrail; they hand every answer to a `Guarding`, where the request brings one (`guardrails/`).
"""

from collections.abc import Sequence
from typing import Any, Protocol

from outcrop.invocation.exchange import AnswerPiece, Finished


class AnswerGuard(Protocol):
    """The guard of one streamed answer."""

    @property
    def over(self) -> bool:
        """Whether the answer has been ended: what the model still makes is not asked for."""

    async def take(self, item: AnswerPiece | Finished) -> Sequence[AnswerPiece | Finished]:
        """The items that may be shown after one more item of the answer."""


class Guarding(Protocol):
    """The guard of all answers of one request."""

    @property
    def instead(self) -> Finished | None:
        """The answer that stands in place of the model's, where the request itself was blocked."""

    @property
    def intervened(self) -> bool:
        """Whether anything was blocked or masked so far."""

    def streamed(self) -> AnswerGuard:
        """A guard for one streamed answer."""

    async def whole(self, finished: Finished) -> Finished:
        """A whole answer as it may be shown."""

    def trace(self) -> dict[str, Any] | None:
        """The trace for Converse, where it was asked for."""

    def body_members(self) -> dict[str, Any]:
        """The members that a body of InvokeModel tells of the guardrail."""
