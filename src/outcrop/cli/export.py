"""The environment variables that a client needs, and clients of our own that use the same."""

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from outcrop.clock import SystemClock
from outcrop.keys import door_certificate
from outcrop.settings import DEFAULT_REGION, Settings

if TYPE_CHECKING:
    from outcrop.access.installation import Installation


def installation(settings: Settings) -> "Installation":
    """The account of the home, with the administrator's key."""
    from outcrop.house import House

    with House.open(settings, SystemClock()) as house:
        return house.access.installation


def environment(settings: Settings, made: "Installation", *, for_sagemaker: bool = False) -> dict[str, str]:
    """Variables that every AWS client understands, and the service role for `roleArn`.

    `for_sagemaker`: also what the SageMaker SDKs need.
    """
    more = {}
    if for_sagemaker:
        from outcrop.cli import sagemaker_sdk

        more = sagemaker_sdk.variables(settings, made)
    return {
        "AWS_ENDPOINT_URL": settings.endpoint,
        **({} if settings.tls_ca is None else {"AWS_CA_BUNDLE": str(settings.tls_ca)}),
        "AWS_ACCESS_KEY_ID": made.access_key_id,
        "AWS_SECRET_ACCESS_KEY": made.secret_access_key,
        "AWS_DEFAULT_REGION": DEFAULT_REGION,
        "OUTCROP_ROLE_ARN": made.service_role_arn,
        **more,
    }


def shell_lines(values: dict[str, str]) -> str:
    """Lines for a shell."""
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in values.items())


def welcome(settings: Settings, made: "Installation", *, console: bool = False) -> str:
    """The text that `outcrop up` prints once everything answers."""
    from outcrop.cli.console_link import link_to

    lines = shell_lines(environment(settings, made)).replace("export ", "    export ")
    pinned = "" if settings.tls_ca is None else f"SHA-256 of {settings.tls_ca}:\n\n{_folded(settings.tls_ca)}\n\n"
    opened = f"The console, for a browser:\n\n    {link_to(settings, made)}\n\n" if console else ""
    return (
        f"Outcrop is up at {settings.endpoint} (account {made.account}, home {settings.home}).\n"
        f"Point any AWS client here:\n\n{lines}\n\n"
        f"{pinned}{opened}"
        f"OUTCROP_ROLE_ARN is a role for roleArn. `outcrop env` prints this again. Ctrl-C stops everything."
    )


def _folded(certificate: Path) -> str:
    """The fingerprint of a certificate, in two lines."""
    told = door_certificate.fingerprint(certificate)
    return f"    {told[:48]}\n    {told[48:]}"


def client(settings: Settings, service: str, region: str = DEFAULT_REGION) -> Any:
    """A boto3 client of the running installation, as the administrator.

    Nothing that the environment says of AWS counts for it: no profile, no proxy, no configuration file.
    """
    import boto3
    import botocore.session
    from botocore.config import Config

    made = installation(settings)
    nowhere = (None, None, os.devnull, None)
    core = botocore.session.Session(
        session_vars={"profile": (None, None, None, None), "config_file": nowhere, "credentials_file": nowhere}
    )
    session = boto3.Session(
        botocore_session=core,
        region_name=region,
        aws_access_key_id=made.access_key_id,
        aws_secret_access_key=made.secret_access_key,
    )
    config = Config(proxies={}, retries={"mode": "standard", "total_max_attempts": 3}, defaults_mode="legacy")
    trusted = None if settings.tls_ca is None else str(settings.tls_ca)
    return session.client(service, endpoint_url=settings.endpoint, verify=trusted, config=config)


def clients(settings: Settings, service: str, region: str | None) -> dict[str, Any]:
    """Clients by region: of the one asked for, else of all that have records."""
    return {each: client(settings, service, each) for each in ([region] if region else _regions(settings))}


def _regions(settings: Settings) -> list[str]:
    from outcrop.house import House

    with House(settings, SystemClock()) as house:
        return house.store.resources.regions() or [DEFAULT_REGION]
