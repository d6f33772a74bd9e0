"""Tokens with their probabilities, as they stream: pieces of text that can be shown, whatever the tokenizer cut."""

import math
from collections.abc import Mapping, Sequence
from typing import Any


class SpelledPieces:
    """The tokens of one answer, joined to pieces of whole characters. A token may be a part of a letter's bytes."""

    def __init__(self) -> None:
        self._bytes = b""
        self._logprob = 0.0
        self._likeliest: list[list[Any]] = []

    def take(self, told: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The pieces that OpenAI's `logprobs.content` completes."""
        found = []
        for token in told:
            if not self._bytes:
                self._likeliest = [
                    [each["token"], round(math.exp(each["logprob"]), 4)] for each in token["top_logprobs"]
                ]
            self._bytes += bytes(token["bytes"] or token["token"].encode())
            self._logprob += token["logprob"]
            try:
                text = self._bytes.decode()
            except UnicodeDecodeError:
                continue
            found.append(self._piece(text))
        return found

    def rest(self) -> list[dict[str, Any]]:
        """The piece that is left of an answer that ended within a letter."""
        return [self._piece(self._bytes.decode("utf-8", "replace"))] if self._bytes else []

    def _piece(self, text: str) -> dict[str, Any]:
        piece = {"text": text, "p": round(math.exp(self._logprob), 4), "top": self._likeliest}
        self._bytes, self._logprob, self._likeliest = b"", 0.0, []
        return piece
