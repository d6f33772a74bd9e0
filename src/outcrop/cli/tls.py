"""The certificate of `outcrop up`: our own, or the administrator's, tried before anything starts."""

from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from outcrop.clock import SystemClock
from outcrop.errors import MachineTrouble
from outcrop.keys import door_certificate
from outcrop.settings import Settings, make_home


def with_tls(
    settings: Settings,
    *,
    own: bool = False,
    cert: Path | None = None,
    key: Path | None = None,
    ca: Path | None = None,
) -> Settings:
    """The settings with the files of the certificate that was asked for, if one was. Raises MachineTrouble."""
    cert, key, ca = cert or settings.tls_cert, key or settings.tls_key, ca or settings.tls_ca
    own = own or (settings.tls and cert is None)
    if (cert is None) != (key is None) or (ca is not None and cert is None):
        raise MachineTrouble(
            "--tls-cert and --tls-key belong together, and --tls-ca to both. Give the files of a pair."
        )
    if own and cert is not None:
        raise MachineTrouble("--tls makes a certificate, and --tls-cert names one. Give one of them.")
    if cert is not None and key is not None:
        absolute = [path.expanduser().absolute() if path is not None else None for path in (cert, key, ca)]
        pair = [path for path in absolute[:2] if path is not None]
        host = urlsplit(settings.endpoint).hostname or settings.host
        found = door_certificate.given(pair[0], pair[1], absolute[2], host)
    elif own:
        make_home(settings)
        found = door_certificate.own(settings.keys, settings.host, now=SystemClock().now())
    else:
        return settings
    return replace(settings, tls=own, tls_cert=found.certificate, tls_key=found.key, tls_ca=found.trusted)
