"""The closeness of texts in meaning, as the encoder of a knowledge base has it."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from outcrop.knowledge.embedding import PassageEncoder

Closeness = Callable[[str, Sequence[str]], Awaitable[Sequence[float]]]
"The cosines of a text with others."


def closeness_of(encoder: "PassageEncoder | None") -> Closeness | None:
    """The opinion of an encoder, where there is one."""
    if encoder is None:
        return None

    async def closeness(text: str, others: Sequence[str]) -> Sequence[float]:
        own, *vectors = await encoder.documents([text, *others])
        return [sum(first * second for first, second in zip(own, vector, strict=True)) for vector in vectors]

    return closeness
