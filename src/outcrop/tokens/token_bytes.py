"""The bytes of every token of a model, read from its `tokenizer.json` alone.

`Tokenizer` knows them too, one by one; opening it takes a second that an engine in the middle of its answers has not.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from outcrop.tokens.model_files import read_spec
from outcrop.tokens.pieces import piece_reader


class TokenBytes(NamedTuple):
    """The bytes of tokens by their ids."""

    of: dict[int, bytes]
    "A special token has its spelling, which is never text."
    special: frozenset[int]


def read_token_bytes(model_dir: Path) -> TokenBytes:
    """The tokens of a Hugging Face directory. Raises Invalid naming the file that is missing or wrong."""
    spec = read_spec(model_dir)
    read = piece_reader(spec.get("decoder"))
    of = {token_id: read(piece) for piece, token_id in _pieces(spec["model"]["vocab"])}
    added = spec.get("added_tokens", [])
    of |= {token["id"]: read(token["content"]) for token in added if not token["special"]}
    special = {token["id"]: token["content"].encode() for token in added if token["special"]}
    return TokenBytes(of | special, frozenset(special))


def _pieces(vocab: Any) -> Iterator[tuple[str, int]]:
    """Pieces with their ids: by name, or with their scores in the order of the ids."""
    if isinstance(vocab, dict):
        yield from vocab.items()
    else:
        yield from ((piece, number) for number, (piece, _score) in enumerate(vocab))
