"""Remote models of the catalogue: a model on a server of somebody else's, and how it is spoken to. Values and checks.

Credentials are no part of it: they lie sealed in the database (`invocation/remote/credentials.py`).
"""

import ipaddress
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import SplitResult, urlsplit

from outcrop.errors import Invalid

_LOOPBACK = "localhost"


class RemoteApi(StrEnum):
    """The protocol of a remote server."""

    OPENAI = "openai"
    "OpenAI's, which many servers speak."
    BEDROCK = "bedrock"
    "Bedrock's own, at AWS."


@dataclass(frozen=True, kw_only=True)
class RemoteModel:
    """A model at a URL, by the name that its server has for it."""

    api: RemoteApi
    url: str
    "What its paths begin with, as `remote_url` makes it."
    model: str
    region: str = ""
    "Of AWS; empty for others."
    completes: bool = False
    "Whether raw prompts go to /completions; otherwise they are put as what a user says."

    @property
    def host(self) -> str:
        """The host, and the port where one is named: all that sentences and logs tell of the address."""
        return urlsplit(self.url).netloc

    @property
    def origin(self) -> str:
        """Scheme, host and port: where credentials may be sent to, and nowhere else."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


def remote_url(given: str) -> str:
    """The URL in one spelling, without a slash at its end. Raises Invalid for one that must not be used."""
    try:
        parts = urlsplit(given.strip())
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise Invalid(f"--url: {error}. Write it as https://host/v1.") from error
    if parts.username is not None or parts.password is not None:
        raise Invalid("--url: holds credentials, which would be shown. Give them with --api-key-from.")
    if parts.scheme not in ("https", "http") or not host:
        raise Invalid(f"--url: {given!r} is no address of a server. Write it as https://host/v1.")
    if parts.query or parts.fragment:
        raise Invalid(f"--url: {given!r} has a query or a fragment. Give what comes before /chat/completions.")
    if parts.scheme == "http" and not _is_this_machine(host):
        raise Invalid(
            f"--url: {host} would be spoken to without encryption, key and prompts included. Use https; plain http is "
            "for servers on this machine, or the near end of a tunnel."
        )
    return _spelled(parts)


def aws_url(region: str) -> str:
    """The address of real Bedrock's runtime in a region."""
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"https://bedrock-runtime.{region}.{domain}"


def _spelled(parts: SplitResult) -> str:
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == _LOOPBACK
