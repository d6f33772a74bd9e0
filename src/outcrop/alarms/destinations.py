"""The destinations of notices: a webhook or a command, from the settings of the server and from nowhere else.

A webhook gets each notice as a POST with `X-Outcrop-Signature: sha256=HEX`, the HMAC of its timestamp, a dot and the
body, under the secret that the administrator gave both sides. A command gets it on its standard input.
"""

import hashlib
import hmac
import os
import shlex
import subprocess
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from outcrop.settings import Settings

_PATIENCE_S = 10.0
_COMMAND_PATIENCE_S = 30.0


class NotTaken(Exception):
    """Nobody took the notice this time; the sentence holds nothing of it, and nothing of what was answered."""


class Destination(Protocol):
    """Where notices go."""

    @property
    def name(self) -> str: ...

    def send(self, body: bytes, notice_id: str, now: datetime) -> None:
        """Raises NotTaken."""


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """An address that is told by HTTP."""

    url: str
    secret: str = field(repr=False)
    name = "webhook"

    def send(self, body: bytes, notice_id: str, now: datetime) -> None:
        """Post the notice. A redirect is not followed: it would lead where nobody meant it to. Raises NotTaken."""
        import httpx  # when the first notice leaves: few installations send any

        at = str(int(now.timestamp()))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "outcrop",
            "X-Outcrop-Message-Id": notice_id,
            "X-Outcrop-Timestamp": at,
            "X-Outcrop-Signature": f"sha256={signature(self.secret, at, body)}",
        }
        try:
            with httpx.Client(timeout=_PATIENCE_S, follow_redirects=False, trust_env=False) as client:
                status = client.post(self.url, content=body, headers=headers).status_code
        except httpx.HTTPError as error:
            raise NotTaken(f"the webhook cannot be reached ({type(error).__name__})") from error
        if not 200 <= status < 300:
            raise NotTaken(f"the webhook answered {status}")


@dataclass(frozen=True, kw_only=True)
class NoticeCommand:
    """A program that reads the notice from its standard input."""

    command: str
    name = "command"

    def send(self, body: bytes, notice_id: str, now: datetime) -> None:  # noqa: ARG002
        """Run the program, without a shell, and without this installation's own settings. Raises NotTaken."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("OUTCROP_", "AWS_"))}
        try:
            ended = subprocess.run(
                shlex.split(self.command),
                input=body,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_COMMAND_PATIENCE_S,
                env={**kept, "OUTCROP_NOTICE_ID": notice_id},
                check=False,
            )
        except (OSError, ValueError, IndexError, subprocess.TimeoutExpired) as error:
            raise NotTaken(f"the command could not be run ({type(error).__name__})") from error
        if ended.returncode != 0:
            raise NotTaken(f"the command ended with exit code {ended.returncode}")


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """The HMAC by which a receiver knows that the notice is this installation's, and when it was sent."""
    return hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


def destinations_of(settings: Settings) -> list[Destination]:
    """The destinations that the administrator named; none as a rule."""
    found: list[Destination] = []
    if settings.alarm_webhook:
        found.append(Webhook(url=settings.alarm_webhook, secret=settings.alarm_secret))
    if settings.alarm_command:
        found.append(NoticeCommand(command=settings.alarm_command))
    return found
