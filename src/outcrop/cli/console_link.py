"""The console's port, and the one-time links that open it as the administrator."""

import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from outcrop.cli import export
from outcrop.cli.listening import PortTaken, check_console_port, free_port
from outcrop.errors import Invalid, MachineTrouble
from outcrop.settings import PARTS_FILE, Settings

if TYPE_CHECKING:
    from outcrop.access.installation import Installation


def with_console_port(settings: Settings, asked: int | None) -> Settings:
    """The settings with the console's port. One that was not asked for gives way to a free one where it is taken."""
    if asked is not None:
        if not 0 < asked < 1 << 16:
            raise Invalid(f"--console-port: {asked} is out of range. Give a number from 1 to 65535.")
        return replace(settings, console_port=asked)
    if "OUTCROP_CONSOLE_PORT" in os.environ or settings.console_url:
        return settings
    try:
        check_console_port(settings)
    except PortTaken:
        return replace(settings, console_port=free_port(settings.host))
    except MachineTrouble:
        return settings  # the host is none of this machine's, which the check of the API's port tells
    return settings


def link_to(settings: Settings, made: "Installation") -> str:
    """A new link into the console at the settings' address."""
    from outcrop.access.console_links import LinkedKey, make_link  # and what seals, which no other command needs

    token = make_link(settings.keys, LinkedKey(made.access_key_id, made.secret_access_key))
    return f"{settings.console_endpoint}/enter?link={token}"


def new_link(settings: Settings) -> str:
    """A new link into the console that runs on this home. Raises MachineTrouble where none does."""
    try:
        told = json.loads((settings.home / PARTS_FILE).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise MachineTrouble(f"{settings.home}: nothing runs on this home. `outcrop up` starts it.") from error
    if "console" not in told:
        raise MachineTrouble(f"{settings.home}: it runs without a console. Start it without --no-console.")
    return link_to(replace(settings, console_url=told["console"]), export.installation(settings))
