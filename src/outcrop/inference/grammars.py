"""Grammars that say which token may come next, by llguidance; imported with the first request that has one.

A grammar is compiled aside, before its request joins the others, and kept for the next that has the same. What a
request may say depends on its own tokens only, so a grammar changes nobody else's answer.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from outcrop.errors import Invalid, ModelFailed
from outcrop.tokens.token_bytes import TokenBytes, read_token_bytes

_KEPT = 64
"Compiled grammars that are kept, the latest used."
_MOST_LETTERS = 2**20
# Where only one text can follow, the library would take the tokens that the tokenizer makes of it. So any of them may
# come that begins it, the network chooses, and nothing has to be encoded here.
_NOT_FORCED = '\n%llguidance {"no_forcing": true}'


AllowedIds = np.ndarray[Any, np.dtype[np.bool_]]
"One flag for each id."


class GrammarState:
    """The place of one answer in its grammar."""

    def __init__(self, matcher: Any, num_ids: int) -> None:
        self._matcher = matcher
        self._num_ids = num_ids

    def allowed(self, end_ids: Iterable[int]) -> AllowedIds:
        """Whether each id may come next; those that end an answer may when it is whole.

        Raises ModelFailed where the grammar goes beyond the limits of one step.
        """
        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        self._check()
        may = np.unpackbits(bits, count=self._num_ids, bitorder="little").view(np.bool_)
        may[[one for one in end_ids if one < self._num_ids]] = self._matcher.is_accepting()
        return may

    def take(self, token: int) -> bool:
        """Go on with a token; whether the answer is whole and nothing can follow."""
        self._matcher.consume_token(token)
        self._check()
        return bool(self._matcher.is_stopped())

    def _check(self) -> None:
        if self._matcher.is_error():
            raise ModelFailed(f"The form of the answer cannot be held: {_first_line(self._matcher.get_error())}.")


class Grammars:
    """The grammars of one model, compiled over its vocabulary."""

    def __init__(self, folder: Path, num_ids: int) -> None:
        """`num_ids` counts the ids that the network knows; it may be more or less than the tokenizer has."""
        self._folder = folder
        self._num_ids = num_ids
        self._lock = threading.Lock()
        self._vocabulary: Any = None
        self._compiled: OrderedDict[str, Any] = OrderedDict()

    def compile(self, grammar: str) -> None:
        """Compile a grammar, in whatever thread has the time. Raises Invalid where it is none."""
        if len(grammar) > _MOST_LETTERS:
            raise Invalid(f"The form of the answer has more than {_MOST_LETTERS:,} letters. Make it smaller.")
        self._of(grammar)

    def begin(self, grammar: str) -> GrammarState:
        """The beginning of an answer; a grammar that was compiled before takes no time."""
        return GrammarState(self._of(grammar).deep_copy(), self._num_ids)

    def _of(self, grammar: str) -> Any:
        with self._lock:
            if grammar in self._compiled:
                self._compiled.move_to_end(grammar)
                return self._compiled[grammar]
            vocabulary = self._vocabulary = self._vocabulary or self._read_vocabulary()
        compiled = _compile(vocabulary, grammar)
        with self._lock:
            self._compiled[grammar] = compiled
            while len(self._compiled) > _KEPT:
                self._compiled.popitem(last=False)
        return compiled

    def _read_vocabulary(self) -> Any:
        import llguidance

        vocabulary = _Vocabulary(read_token_bytes(self._folder), self._num_ids)
        return llguidance.LLTokenizer(llguidance.TokenizerWrapper(vocabulary), n_vocab=self._num_ids + 1)


class _Vocabulary:
    """The bytes of every id, as answers are decoded with them, in the way llguidance asks for them."""

    def __init__(self, tokens: TokenBytes, num_ids: int) -> None:
        # The library's end is an id that nobody has: which ids end an answer is the request's to say.
        self.eos_token_id = num_ids
        self.bos_token_id = None
        self.special_token_ids = [*sorted(one for one in tokens.special if one < num_ids), num_ids]
        self.tokens = [*(tokens.of.get(one, b"") for one in range(num_ids)), b"<end>"]

    def __call__(self, text: str) -> list[int]:
        """The ids of a text. Nobody asks for them where no token is forced."""
        raise AssertionError(f"{len(text)} letters to encode, in a process without a tokenizer")


def _compile(vocabulary: Any, grammar: str) -> Any:
    import llguidance

    matcher = llguidance.LLMatcher(vocabulary, grammar + _NOT_FORCED, log_level=0)
    if matcher.is_error():
        raise Invalid(f"The form of the answer cannot be used: {_first_line(matcher.get_error())}.")
    return matcher


def _first_line(said: str) -> str:
    """The problem in a message of the library, without the lines of the grammar."""
    lines = [line.strip() for line in said.split("\n") if line.strip() and "|" not in line and line.strip() != "^"]
    return " ".join(lines[:4]).rstrip(".")[:400]
