"""Rows of token ids for pre-training: documents drawn from the languages in fixed shares of bytes, laid end to end.

A language's documents come in a new random order each time round. The stream depends on the seed alone, so a resumed
run finds its place by skipping the documents it has already drawn.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from starter import corpus

SHARES = {"en": 0.46, "ja": 0.46, "abc": 0.08}


@dataclass(frozen=True, kw_only=True)
class TokenizedDocument:
    ids: NDArray[np.int16]
    """`<|begin|>`, the text, `<|end|>`."""
    size_bytes: int


def tokenize(documents: Sequence[corpus.Document], tokenizer: Tokenizer) -> dict[str, list[TokenizedDocument]]:
    """The documents by language."""
    begin, end = tokenizer.token_to_id("<|begin|>"), tokenizer.token_to_id("<|end|>")
    by_language: dict[str, list[TokenizedDocument]] = {language: [] for language in SHARES}
    encodings = tokenizer.encode_batch([document.text for document in documents], add_special_tokens=False)
    for document, encoding in zip(documents, encodings, strict=True):
        ids = np.array([begin, *encoding.ids, end], dtype=np.int16)
        tokenized = TokenizedDocument(ids=ids, size_bytes=len(document.text.encode()))
        by_language[document.language].append(tokenized)
    return by_language


class Mixture:
    """The endless stream. A new one with `num_drawn` goes on after the last document drawn, without that one's rest."""

    def __init__(self, documents: dict[str, list[TokenizedDocument]], *, seed: int, num_drawn: int = 0) -> None:
        self._stream = _draw(documents, random.Random(seed))
        self._buffer = np.zeros(0, dtype=np.int16)
        self.num_drawn = 0
        self.drawn_bytes = dict.fromkeys(SHARES, 0)
        while self.num_drawn < num_drawn:
            self._next()

    def rows(self, num_rows: int, row_length: int) -> tuple[torch.Tensor, torch.Tensor]:
        """ids_BT and labels_BT: the label of a position is the next token of the stream."""
        needed = num_rows * row_length + 1
        parts, size = [self._buffer], len(self._buffer)
        while size < needed:
            parts.append(self._next())
            size += len(parts[-1])
        stream = np.concatenate(parts)
        self._buffer = stream[needed - 1 :]
        window = torch.from_numpy(stream[:needed].astype(np.int64))
        return window[:-1].view(num_rows, row_length), window[1:].view(num_rows, row_length)

    def _next(self) -> NDArray[np.int16]:
        language, document = next(self._stream)
        self.num_drawn += 1
        self.drawn_bytes[language] += document.size_bytes
        return document.ids


def _draw(
    documents: dict[str, list[TokenizedDocument]], generator: random.Random
) -> Iterator[tuple[str, TokenizedDocument]]:
    drawn = dict.fromkeys(SHARES, 0)
    rounds = {language: _rounds(pile, generator) for language, pile in documents.items()}
    while True:
        language = min(SHARES, key=lambda name: drawn[name] / SHARES[name])  # the one furthest behind its share
        document = next(rounds[language])
        drawn[language] += document.size_bytes
        yield language, document


def _rounds(pile: list[TokenizedDocument], generator: random.Random) -> Iterator[TokenizedDocument]:
    while True:
        yield from generator.sample(pile, len(pile))
