"""Passages copied into an index of S3 Vectors, where QueryVectors and ListVectors show them."""

from collections.abc import Sequence

from outcrop.errors import Invalid, NotFound
from outcrop.knowledge.stores.configuration import VectorIndexPlace
from outcrop.knowledge.stores.copies import CopiedPassage, in_batches
from outcrop.vectors.indexes import VectorIndexes
from outcrop.vectors.records import VectorIndex

TEXT, METADATA = "AMAZON_BEDROCK_TEXT", "AMAZON_BEDROCK_METADATA"
"Keys of a vector's metadata that no filter may name: a text is longer than what filters read."


class VectorIndexCopy:
    """A `PassageCopy` in an index of S3 Vectors: a vector for each passage, by its chunk id."""

    def __init__(self, indexes: VectorIndexes, place: VectorIndexPlace) -> None:
        self._indexes = indexes
        self._arn = place.arn

    def put(self, passages: Sequence[CopiedPassage]) -> None:
        """Raises Invalid for what S3 Vectors does not take, NotFound where the index is gone."""
        index = self._indexes.find(self._arn)
        for some in in_batches(passages):
            self._indexes.put(index, [_vector(each) for each in some if each.vector is not None])

    def remove(self, chunk_ids: Sequence[str]) -> None:
        try:
            index = self._indexes.find(self._arn)
        except NotFound:
            return  # and its vectors with it
        for some in in_batches(chunk_ids):
            self._indexes.remove(index, some)

    def close(self) -> None:
        pass


def check_index(index: VectorIndex, *, dimensions: int | None) -> None:
    """Raises Invalid for an index that cannot hold a knowledge base's passages. Without vectors, it holds none."""
    if dimensions is not None and index.dimension != dimensions:
        raise Invalid(
            f"the dimension of the index {index.arn} is {index.dimension}, and the embedding model makes vectors of "
            f"{dimensions} numbers. Create an index of dimension {dimensions}, or name dimensions in "
            "bedrockEmbeddingModelConfiguration"
        )
    filterable = [key for key in (TEXT, METADATA) if key not in index.unfilterable]
    if filterable:
        raise Invalid(
            f"the index {index.arn} would filter by {' and '.join(filterable)}, which is too long for that. Create an "
            f'index with metadataConfiguration={{"nonFilterableMetadataKeys": ["{TEXT}", "{METADATA}"]}}'
        )


def _vector(passage: CopiedPassage) -> dict[str, object]:
    metadata = {**passage.custom, **passage.reserved, TEXT: passage.text, METADATA: passage.about}
    return {"key": passage.chunk_id, "data": {"float32": passage.vector}, "metadata": metadata}
