"""Links into the console that open once: an access key, sealed so that whoever holds the link opens it.

The link's secret is the key of the seal and lies nowhere; the file in `keys/console-links` is worthless without it. Who
opens a link takes its file away first, so that of two at once one comes in.
"""

import json
import os
import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from outcrop.keys.root_key import KEY_BYTES, Sealer
from outcrop.private import private_folder

_FOLDER = "console-links"
LASTS_S = 24 * 3600
"So long a link that nobody opens is good."


class LinkedKey(NamedTuple):
    """The access key that a link signs in with."""

    key_id: str
    secret: str


def make_link(keys: Path, key: LinkedKey, *, now: float | None = None) -> str:
    """The token of a new link, for the address `/enter?link=TOKEN`. Links that have ended are swept."""
    folder = private_folder(keys / _FOLDER)
    now = time.time() if now is None else now
    _sweep(folder, now)
    name, secret = secrets.token_hex(8), secrets.token_bytes(KEY_BYTES)
    told = json.dumps({"key_id": key.key_id, "secret": key.secret, "until": now + LASTS_S})
    with open(folder / name, "xb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        file.write(Sealer(secret).seal(told, about=name))
    return f"{name}.{secret.hex()}"


def take_link(keys: Path, token: str, *, now: float | None = None) -> LinkedKey | None:
    """The key of a link, which is no link any more. None for one that was used, has ended, or never was."""
    name, _, written = token.partition(".")
    if len(name) != 16 or not set(name) <= set("0123456789abcdef"):
        return None
    place = keys / _FOLDER / name
    try:
        sealer = Sealer(bytes.fromhex(written))
        found = sealer.open(place.read_bytes(), about=name)
        if found is None:
            return None
        place.unlink()
    except (OSError, ValueError):
        return None
    told = json.loads(found)
    if told["until"] < (time.time() if now is None else now):
        return None
    return LinkedKey(told["key_id"], told["secret"])


def _sweep(folder: Path, now: float) -> None:
    for place in folder.iterdir():
        with suppress(OSError):
            if place.stat().st_mtime < now - LASTS_S:
                place.unlink()
