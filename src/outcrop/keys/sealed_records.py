"""Records of what is sealed: a job or a model keeps its data key wrapped, and works while that opens."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from outcrop.errors import Invalid, ServiceRefusal
from outcrop.keys.envelopes import WrappedKey

SEAL = "seal"
"The member of a job's and a model's document that keeps the wrapped data key."


def sealed_by(document: Mapping[str, Any]) -> WrappedKey | None:
    """The wrapped data key of a job or a custom model; None for one that is not sealed."""
    kept = document.get(SEAL)
    return None if kept is None else WrappedKey.of(kept)


def key_arn_of(document: Mapping[str, Any]) -> str | None:
    """The ARN of the KMS key of a job or a custom model, as it is told; None for none."""
    wrapped = sealed_by(document)
    return (wrapped.key_arn or None) if wrapped is not None else None


@contextmanager
def key_told(where: str = "") -> Iterator[None]:
    """Turn the refusals of KMS into one of Bedrock, which knows none of their codes."""
    try:
        yield
    except ServiceRefusal as refused:
        told = refused.message.rstrip(".")
        raise Invalid(f"{where}The KMS key of the model cannot be used: {told} ({refused.code}).") from refused
