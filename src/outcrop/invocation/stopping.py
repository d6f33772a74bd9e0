"""Stop sequences over a text that arrives in pieces: nothing from a stop sequence on ever leaves."""

from typing import NamedTuple


class _Match(NamedTuple):
    """Where a stop sequence stands; the first to end wins, and of two that end together the longer."""

    end: int
    start: int
    stop: str


class StopScanner:
    """Lets text through up to the first stop sequence, however the text is cut into pieces.

    The first is the one that is complete first; of two that are complete at the same letter, the longer. An end of the
    text that may yet become a stop sequence is held back until that is decided. Special tokens are no text and never
    leave, but a stop sequence may be spelled with them: they are met where it has them, and passed over where not.
    """

    def __init__(self, stop_sequences: tuple[str, ...]) -> None:
        self._stops = tuple(stop for stop in stop_sequences if stop)
        self._held = ""
        self._special: list[bool] = []  # of each letter held, whether it spells a special token
        self.met: str | None = None
        "The stop sequence that ended the text."

    def push(self, text: str, *, special: bool = False) -> str:
        """The text that may leave now, after more text or a special token. After `met` is set there is no more."""
        if self.met is not None:
            return ""
        if not self._stops:
            return "" if special else text
        self._held += text
        self._special += [special] * len(text)
        matches = [match for stop in self._stops for match in self._matches(stop)]
        if matches:
            first = min(matches)
            self.met = first.stop
            return self._release(first.start, forget=True)
        return self._release(min(self._undecided(stop) for stop in self._stops))

    def finish(self) -> str:
        """The text that was held back, once no more comes."""
        return self._release(len(self._held), forget=True)

    def _matches(self, stop: str) -> list[_Match]:
        """The first place of `stop` in the text with its special tokens, and the first in the text without them."""
        found = []
        at = self._held.find(stop)
        if at >= 0:
            found.append(_Match(at + len(stop), at, stop))
        if any(self._special):
            shown, places = self._shown()
            at = shown.find(stop)
            if at >= 0:
                found.append(_Match(places[at + len(stop) - 1] + 1, places[at], stop))
        return found

    def _undecided(self, stop: str) -> int:
        """The index from where on the text may yet become `stop`."""
        begin = len(self._held) - overlap(self._held, stop)
        if any(self._special):
            shown, places = self._shown()
            length = overlap(shown, stop)
            if length:
                begin = min(begin, places[len(shown) - length])
        return begin

    def _shown(self) -> tuple[str, list[int]]:
        """The held text without its special tokens, and where each of its letters stands."""
        places = [at for at, special in enumerate(self._special) if not special]
        return "".join(self._held[at] for at in places), places

    def _release(self, end: int, *, forget: bool = False) -> str:
        """The text before `end`, which leaves; with `forget`, the rest is dropped."""
        text, special = self._held[:end], self._special[:end]
        self._held = "" if forget else self._held[end:]
        self._special = [] if forget else self._special[end:]
        return "".join(letter for letter, hidden in zip(text, special, strict=True) if not hidden)


def overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that begins `stop`."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
