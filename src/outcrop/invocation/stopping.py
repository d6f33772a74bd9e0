"""Stop sequences over a text that arrives in pieces: nothing from a stop sequence on ever leaves."""


class StopScanner:
    """Lets text through up to the first stop sequence, however the text is cut into pieces.

    The first is the one that is complete first; of two that are complete at the same letter, the longer. An end of the
    text that may yet become a stop sequence is held back until that is decided.
    """

    def __init__(self, stop_sequences: tuple[str, ...]) -> None:
        self._stops = tuple(stop for stop in stop_sequences if stop)
        self._held = ""
        self.met: str | None = None
        "The stop sequence that ended the text."

    def push(self, text: str) -> str:
        """The text that may leave now. After `met` is set there is no more."""
        if self.met is not None:
            return ""
        text = self._held + text
        ends = [(at + len(stop), -len(stop), stop) for stop in self._stops if (at := text.find(stop)) >= 0]
        if ends:
            end, _, self.met = min(ends)
            self._held = ""
            return text[: end - len(self.met)]
        keep = max((_overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def finish(self) -> str:
        """What was held back, once no more text comes."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that begins `stop`."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
