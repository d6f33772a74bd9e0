"""Whether a tokenizer fits its network: every id it can make must have a row in the embedding. No tensor is read."""

from pathlib import Path

from outcrop.errors import Invalid
from outcrop.network import headers
from outcrop.tokens.tokenizer import Tokenizer

_EMBEDDINGS = ("embed_tokens", "wte", "embed_in", "word_embeddings", "tok_embeddings", "embedding", "embeddings")
"Last name of the module that holds the embedding, in the families of transformers."


def check(folder: Path, tokenizer: Tokenizer) -> None:
    """Raises Invalid for a tokenizer whose ids lie beyond the embedding; a token for padding alone may.

    Padding is never an input here, and a text that spells the token is refused where it is read.
    """
    rows = num_embeddings(folder, tokenizer)
    if rows is None:
        return
    padding = {tokenizer.special_tokens.get("pad_token")} - {tokenizer.token(one) for one in tokenizer.eos_ids}
    beyond = {one: spelling for spelling, one in tokenizer.vocabulary().items() if one >= rows}
    bad = sorted(one for one, spelling in beyond.items() if spelling not in padding)
    if bad:
        more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        raise Invalid(
            f"{folder}: the tokenizer's token {beyond[bad[0]]!r} has id {bad[0]}{more}, beyond the {rows:,} rows of "
            "the network's embedding. Save the network after resize_token_embeddings(len(tokenizer)), or take the "
            "added tokens out of the tokenizer."
        )


def num_embeddings(folder: Path, tokenizer: Tokenizer) -> int | None:
    """Rows of the embedding by the files' headers, else by config.json; None where neither says."""
    tables = [
        shape[0]
        for name, shape in headers.shapes(folder).items()
        if len(shape) == 2 and name.endswith(".weight") and name.split(".")[-2:-1][0] in _EMBEDDINGS
    ]
    told = [*([max(tables)] if tables else []), *([tokenizer.num_embeddings] if tokenizer.num_embeddings else [])]
    return min(told, default=None)
