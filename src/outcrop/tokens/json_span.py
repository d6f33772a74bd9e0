"""The end of a JSON object or list in a text that arrives in pieces."""


class JsonSpan:
    """A scanner that finds where an object or list ends, reading each letter once; it checks nothing else."""

    def __init__(self, opening: str) -> None:
        """`opening`: the letters with which it may begin; all before the first of them is passed over."""
        self._opening = opening
        self._depth = 0
        self._in_string = False
        self._escaped = False
        self._read = 0

    def end(self, text: str, start: int = 0) -> int | None:
        """The index behind the value in `text`, which has grown since the last call. None while it goes on."""
        for at in range(max(self._read, start), len(text)):
            self._read = at + 1
            if self._step(text[at]):
                return at + 1
        return None

    def _step(self, letter: str) -> bool:
        if self._in_string:
            closes = letter == '"' and not self._escaped
            self._escaped = letter == "\\" and not self._escaped
            self._in_string = not closes
            return False
        if not self._depth:
            self._depth = int(letter in self._opening)
            return False
        self._in_string = letter == '"'
        self._depth += (letter in "{[") - (letter in "}]")
        return not self._depth
