"""Vectors of texts from an embedding model of the API, for scores that compare meanings."""

import asyncio
from collections.abc import Sequence

from outcrop.evaluation.api_client import ApiAddress, ApiClient
from outcrop.evaluation.scores.similarity import Encode


def encoder(address: ApiAddress, model: str) -> Encode:
    """The function that asks the model for vectors; a blank text has a vector of zeros, near to nothing.

    It is for a thread without an event loop of its own. Raises NotFound, Invalid where it is no embedding model.
    """

    def encode(texts: Sequence[str]) -> Sequence[Sequence[float]]:
        wanted = [text for text in texts if text.strip()]
        vectors = iter(asyncio.run(_vectors(address, model, wanted)) if wanted else [])
        found = [next(vectors) if text.strip() else None for text in texts]
        width = next((len(vector) for vector in found if vector is not None), 1)
        return [[0.0] * width if vector is None else vector for vector in found]

    return encode


async def _vectors(address: ApiAddress, model: str, texts: Sequence[str]) -> list[list[float]]:
    api = ApiClient(address=address)
    try:
        told = await api.post("/embeddings", {"model": model, "input": list(texts)})
    finally:
        await api.aclose()
    return [each["embedding"] for each in sorted(told["data"], key=lambda each: int(each["index"]))]
