"""What a client needs in its environment, and clients of our own that use the same."""

from typing import Any

from outcrop.access.access import Access
from outcrop.access.installation import Installation
from outcrop.clock import SystemClock
from outcrop.settings import DEFAULT_REGION, Settings
from outcrop.store.store import Store


def installation(settings: Settings) -> Installation:
    """The account of the home, with the administrator's key."""
    store = Store.open(settings)
    try:
        return Access.open(store, settings, SystemClock()).installation
    finally:
        store.close()


def environment(settings: Settings, made: Installation) -> dict[str, str]:
    """Variables that every AWS client understands, and the service role for `roleArn`."""
    return {
        "AWS_ENDPOINT_URL": settings.endpoint,
        "AWS_ACCESS_KEY_ID": made.access_key_id,
        "AWS_SECRET_ACCESS_KEY": made.secret_access_key,
        "AWS_DEFAULT_REGION": DEFAULT_REGION,
        "OUTCROP_ROLE_ARN": made.service_role_arn,
    }


def shell_lines(values: dict[str, str]) -> str:
    """Lines for a shell; no value holds a quote or a blank."""
    return "\n".join(f"export {name}={value}" for name, value in values.items())


def welcome(settings: Settings, made: Installation) -> str:
    """What `outcrop up` says once everything answers."""
    lines = shell_lines(environment(settings, made)).replace("export ", "    export ")
    return (
        f"Outcrop is up at {settings.endpoint} (account {made.account}, home {settings.home}).\n"
        f"Point any AWS client here:\n\n{lines}\n\n"
        f"OUTCROP_ROLE_ARN is a role for roleArn. `outcrop env` prints this again. Ctrl-C stops everything."
    )


def client(settings: Settings, service: str) -> Any:
    """A boto3 client of the running installation, as the administrator."""
    import boto3

    made = installation(settings)
    return boto3.client(
        service,
        endpoint_url=settings.endpoint,
        region_name=DEFAULT_REGION,
        aws_access_key_id=made.access_key_id,
        aws_secret_access_key=made.secret_access_key,
    )
