"""Options that many commands share, and the installation they speak about."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from cyclopts import Parameter

from outcrop import settings as settings_of
from outcrop.errors import MachineTrouble
from outcrop.keys.door_certificate import CERTIFICATE
from outcrop.settings import PARTS_FILE, Settings

Home = Annotated[
    Path | None, Parameter(name="--home", help="Folder of all data (default: OUTCROP_HOME, else your data folder).")
]
Host = Annotated[str | None, Parameter(name="--host", help="Address to listen on (default 127.0.0.1).")]
Port = Annotated[int | None, Parameter(name="--port", help="Port of the API (default 4580).")]
Region = Annotated[
    str | None, Parameter(name="--region", help="This region only; without it, every region that has records.")
]
ForSageMaker = Annotated[
    bool,
    Parameter(
        name="--sagemaker",
        negative="",
        help="Also what the SageMaker SDKs need: a configuration, and PYTHONPATH for their address of STS.",
    ),
]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON for programs.")]


def as_running(settings: Settings) -> Settings:
    """The settings with the address of the `outcrop up` that runs on this home, if one does. Raises MachineTrouble."""
    file = settings.home / PARTS_FILE
    if not file.is_file():
        return settings
    try:
        told = json.loads(file.read_text("utf-8"))
        place = urlsplit(told["endpoint"])
        host, port, secure = place.hostname, place.port, place.scheme == "https"
        trusted = Path(told["trusted"]) if told.get("trusted") else None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MachineTrouble(
            f"{file}: not what `outcrop up` writes. Stop it, remove the file, and start it again."
        ) from error
    found = replace(settings, host=host or settings.host, port=port or settings.port)
    if not secure:
        return replace(found, tls_cert=None, tls_key=None, tls_ca=None)
    return replace(found, tls_cert=settings.tls_cert or settings.keys / CERTIFICATE, tls_ca=trusted)


def check_begun(settings: Settings) -> None:
    """Raises MachineTrouble for a home on which nothing was ever started, or whose records are where nobody named."""
    from outcrop.store.store import check_place

    check_place(settings)
    if not (settings.home / "outcrop.db").exists() and not settings.database_url:
        raise MachineTrouble(f"{settings.home}: nothing was ever started here. Run `outcrop up` first.")


def running(home: Path | None) -> Settings:
    """Raises MachineTrouble when nothing runs on the home."""
    settings = settings_of.read(home=home)
    if not (settings.home / PARTS_FILE).is_file():
        raise MachineTrouble(f"{settings.home}: nothing runs on this home. Start it with `outcrop up`.")
    return as_running(settings)
