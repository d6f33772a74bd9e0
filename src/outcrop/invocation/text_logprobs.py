"""Log probabilities of an answer's tokens, which leave together with the text that the tokens spell."""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from outcrop.inference.request import TokenLogprob
from outcrop.tokens.tokenizer import IncrementalDecoder, Tokenizer


class SpelledToken(NamedTuple):
    """A token's bytes of UTF-8, and its log probability in nats."""

    spelling: bytes
    logprob: float
    id: int = -1
    "In the vocabulary; -1 where a remote model has not told it."

    @property
    def text(self) -> str:
        """The spelling, where half characters are U+FFFD."""
        return self.spelling.decode("utf-8", "replace")


class TextLogprob(NamedTuple):
    """A token of the answer, and those that were likeliest in its place."""

    token: SpelledToken
    likeliest: tuple[SpelledToken, ...]
    offset: int
    "Characters of the answer before it."


class TextLogprobs:
    """The log probabilities of one answer: taken in token by token, given out with the text."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = IncrementalDecoder(tokenizer)
        self._made = 0
        self._shown = 0
        self._waiting: deque[TextLogprob] = deque()

    def add(self, made: TokenLogprob) -> None:
        """Take in a token that is part of the text; what ends an answer is none."""
        likeliest = tuple(self._spelled(*one) for one in made.likeliest) if made.likeliest else ()
        self._waiting.append(TextLogprob(self._spelled(made.token, made.logprob), likeliest, self._made))
        self._made += len(self._decoder.push((made.token,)))

    def with_text(self, text: str) -> tuple[TextLogprob, ...]:
        """The tokens that begin within the text that leaves now, or before it."""
        self._shown += len(text)
        return tuple(self._leaving(self._shown))

    def rest(self) -> tuple[TextLogprob, ...]:
        """All others, when the answer ended by itself; after a stop sequence they are no part of it."""
        return tuple(self._leaving(self._made + 1))

    def _leaving(self, before: int) -> Iterator[TextLogprob]:
        while self._waiting and self._waiting[0].offset < before:
            yield self._waiting.popleft()

    def _spelled(self, token: int, logprob: float) -> SpelledToken:
        spelling = self._tokenizer.bytes_of(token) or (self._tokenizer.token(token) or "").encode()
        return SpelledToken(spelling, logprob, token)
