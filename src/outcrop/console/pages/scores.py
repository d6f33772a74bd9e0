"""Tunes of answers as pictures and as sound. The ABC stands in the address, so that nothing is kept for it.

Engraving and sounding happen in a process of their own, which gives its memory back and may not take long.
"""

import importlib.util
import subprocess
import sys
import threading

from starlette.responses import PlainTextResponse, Response

from outcrop.console.views.answer_kinds import FoundTune
from outcrop.console.visit import ConsoleVisit
from outcrop.machine.environment import inherited

_LONGEST_S = 30
_MOST_CHARACTERS = 8_000
_few_at_a_time = threading.BoundedSemaphore(2)
_KINDS = {"svg": "image/svg+xml", "wav": "audio/wav"}


def tune_address(visit: ConsoleVisit, tune: FoundTune) -> dict[str, str]:
    """The addresses of a tune's picture and sound; the picture's is empty where nothing can engrave it."""
    found = {kind: visit.url(f"/playground/tune.{kind}", abc=tune.abc, quote=tune.quote) for kind in _KINDS}
    return found if importlib.util.find_spec("verovio") else found | {"svg": ""}


def show(visit: ConsoleVisit) -> Response:
    """The picture or the sound of the tune that the address has."""
    kind, abc = str(visit.request.path_params["kind"]), visit.asked("abc")
    if kind not in _KINDS or not abc or len(abc) > _MOST_CHARACTERS:
        return PlainTextResponse(f"abc: give a tune of 1 to {_MOST_CHARACTERS:,} characters.\n", 400)
    command = [sys.executable, "-m", "outcrop.console.tune_process", kind, "'" if visit.asked("quote") == "'" else '"']
    try:
        with _few_at_a_time:
            made = subprocess.run(
                command, input=abc.encode(), capture_output=True, timeout=_LONGEST_S, check=False, env=inherited()
            )
    except subprocess.TimeoutExpired:
        return PlainTextResponse(f"abc: the tune takes over {_LONGEST_S} s.\n", 400)
    if made.returncode:
        said = made.stderr.decode("utf-8", "replace").strip().splitlines()
        return PlainTextResponse(f"{said[-1] if said else 'The tune cannot be shown.'}\n", 400)
    return Response(made.stdout, media_type=_KINDS[kind])
