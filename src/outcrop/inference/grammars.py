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
from outcrop.tokens.tokenizer import Tokenizer

_KEPT = 64
"Compiled grammars that are kept, the latest used."
_MOST_LETTERS = 2**20


class GrammarState:
    """The place of one answer in its grammar."""

    def __init__(self, matcher: Any, num_ids: int) -> None:
        self._matcher = matcher
        self._num_ids = num_ids

    def allowed(self, end_ids: Iterable[int]) -> np.ndarray[Any, np.dtype[np.int64]]:
        """The ids that may come next, in order; those that end an answer are among them when it is whole.

        Raises ModelFailed where the grammar goes beyond the limits of one step.
        """
        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        self._check()
        may = np.unpackbits(bits, count=self._num_ids, bitorder="little")
        ends = [one for one in end_ids if one < self._num_ids]
        may[ends] = self._matcher.is_accepting()
        return np.flatnonzero(may)

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

        wrapped = llguidance.TokenizerWrapper(_Vocabulary(Tokenizer.open(self._folder), self._num_ids))
        return llguidance.LLTokenizer(wrapped, n_vocab=self._num_ids)


class _Vocabulary:
    """A tokenizer as llguidance wants it: the bytes of every id, as answers are decoded with them."""

    def __init__(self, tokenizer: Tokenizer, num_ids: int) -> None:
        self._tokenizer = tokenizer
        special = sorted(one for one in tokenizer.special_ids | set(tokenizer.eos_ids) if one < num_ids)
        self.special_token_ids = special
        self.eos_token_id = next((one for one in tokenizer.eos_ids if one < num_ids), 0)
        self.bos_token_id = None
        self.tokens = [tokenizer.bytes_of(one) for one in range(num_ids)]
        for one in special:
            self.tokens[one] = (tokenizer.token(one) or "").encode()

    def __call__(self, text: str) -> list[int]:
        """The ids of a text, which must come as text."""
        return self._tokenizer.encode(text, begin=False)


def _compile(vocabulary: Any, grammar: str) -> Any:
    import llguidance

    matcher = llguidance.LLMatcher(vocabulary, grammar, log_level=0)
    if matcher.is_error():
        raise Invalid(f"The form of the answer cannot be used: {_first_line(matcher.get_error())}.")
    return matcher


def _first_line(said: str) -> str:
    """What is wrong, without the place in a grammar that the caller did not write."""
    lines = [line.strip() for line in said.split("\n") if line.strip() and "|" not in line and line.strip() != "^"]
    return " ".join(lines[:4]).rstrip(".")[:400]
