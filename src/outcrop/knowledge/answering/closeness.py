"""The closeness of texts in meaning, as the encoder of a knowledge base has it.

It is a second opinion on what the words do not tell. An encoder that cannot be asked at this moment has none: the words
decide alone then, and the log says so.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from outcrop import logs
from outcrop.errors import Refusal
from outcrop.inference.client import EngineAway, UnknownAdapter

if TYPE_CHECKING:
    from outcrop.knowledge.embedding import PassageEncoder

Closeness = Callable[[str, Sequence[str]], Awaitable[Sequence[float]]]
"The cosines of a text with others."
_log = logging.getLogger("outcrop.knowledge")


def closeness_of(encoder: "PassageEncoder | None") -> Closeness | None:
    """The opinion of an encoder, where there is one."""
    if encoder is None:
        return None

    async def closeness(text: str, others: Sequence[str]) -> Sequence[float]:
        try:
            own, *vectors = await encoder.documents([text, *others])
        except (Refusal, EngineAway, UnknownAdapter) as problem:
            logs.tell(_log, "an encoder has no opinion on an answer", level=logging.WARNING, reason=str(problem))
            return [0.0] * len(others)
        return [sum(first * second for first, second in zip(own, vector, strict=True)) for vector in vectors]

    return closeness
