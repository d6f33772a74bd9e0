"""A process that makes a picture or a sound of one tune: ABC comes in, SVG or WAV goes out.

python -m outcrop.console.tune_process svg '"' < tune.abc > tune.svg
"""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from outcrop.errors import Invalid, OutcropError
from outcrop.music.abc_files import AbcTune, tunes

_MOST_BARS = 400
_WIDTH = 420
"Of a column of the playground, roughly: a wider one would be made so small that nobody can read it."


def main(kind: str, quote: str) -> int:
    """Write the tune of standard input as `kind`; an error's sentence goes to standard error."""
    try:
        made = _made(kind, _tune(sys.stdin.buffer.read(), quote))
    except OutcropError as error:
        print(error, file=sys.stderr)
        return 1
    sys.stdout.buffer.write(made)
    return 0


def _tune(abc: bytes, quote: str) -> AbcTune:
    with tempfile.TemporaryDirectory(prefix="outcrop-tune-") as folder:
        file = Path(folder) / "answer.abc"
        file.write_bytes(abc)
        found = next(tunes(file, quote=quote), None)
    if found is None or not any(note.pitches for bar in found.music.part.bars for note in bar.notes):
        raise Invalid("The answer holds no tune that can be read.")
    if len(found.music.part.bars) > _MOST_BARS:
        raise Invalid(f"The tune has {len(found.music.part.bars):,} bars; {_MOST_BARS} are shown at most.")
    return found


def _made(kind: str, tune: AbcTune) -> bytes:
    part = replace(tune.music.part, name="")  # else it stands before the first line, and takes its room
    if kind == "svg":
        from outcrop.music.engraving import engraved

        return engraved(part, width=_WIDTH, one_page=True)[0].encode()
    from outcrop.music.sounding import wav_bytes

    return wav_bytes(part.bars)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
