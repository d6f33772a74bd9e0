"""Options that many commands share, and the installation they speak about."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from outcrop import settings as settings_of
from outcrop.errors import MachineTrouble
from outcrop.settings import PARTS_FILE, Settings

Home = Annotated[
    Path | None, Parameter(name="--home", help="Folder of all data (default: OUTCROP_HOME, else your data folder).")
]
Host = Annotated[str | None, Parameter(name="--host", help="Address to listen on (default 127.0.0.1).")]
Port = Annotated[int | None, Parameter(name="--port", help="Port of the API (default 4580).")]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON for programs.")]


def as_running(settings: Settings) -> Settings:
    """With the port of the `outcrop up` that runs on this home, if one does."""
    try:
        parts = json.loads((settings.home / PARTS_FILE).read_text())
    except FileNotFoundError:
        return settings
    endpoint: Any = parts["endpoint"]
    return replace(settings, port=int(endpoint.rsplit(":", 1)[1]))


def running(home: Path | None) -> Settings:
    settings = settings_of.read(home=home)
    if not (settings.home / PARTS_FILE).is_file():
        raise MachineTrouble(f"{settings.home}: nothing runs on this home. Start it with `outcrop up`.")
    return as_running(settings)
