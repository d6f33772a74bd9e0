"""The task of a model: what it makes of the text that it is given. Plain values, without tensors."""

from enum import StrEnum


class ModelTask(StrEnum):
    """The one thing that a model answers with: text, vectors, or scores."""

    TEXT = "text"
    EMBEDDING = "embedding"
    RERANKING = "reranking"
