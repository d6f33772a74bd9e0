"""The address where the server may listen, tried before anything is started.

Where it cannot be had, the error says what to do.
"""

import errno
import ipaddress
import socket
import ssl
import urllib.error
import urllib.request
from pathlib import Path

from outcrop.errors import MachineTrouble
from outcrop.settings import Settings

_FIRST_FREE_FOR_ALL = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")


class PortTaken(MachineTrouble):
    """Another program listens there, or this user may not: another port will do."""


def check_port(settings: Settings) -> None:
    """Raises MachineTrouble when the server cannot listen at the address, PortTaken when the port is the reason."""
    _bind(settings.host, settings.port)


def check_console_port(settings: Settings) -> None:
    """Raises PortTaken when the console cannot listen at its port."""
    try:
        _bind(settings.host, settings.console_port)
    except PortTaken as error:
        raise PortTaken(
            f"{settings.host}:{settings.console_port}: the console cannot listen there. Choose another port with "
            "--console-port, or do without it: --no-console."
        ) from error


def free_port(host: str) -> int:
    """A port nobody listens on right now. Raises MachineTrouble for an address that is not this machine's."""
    return _bind(host, 0)


def answers(settings: Settings, *, timeout_s: float = 2) -> bool:
    """Whether a server answers at the endpoint, be it that something is wrong with it."""
    # Never through a proxy of the environment, which knows nothing of this machine's own addresses.
    opener = opener_of(settings)
    try:
        with opener.open(f"{settings.endpoint}/health", timeout=timeout_s) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError as told:
        return told.code == 503
    except (urllib.error.URLError, OSError, ValueError):
        return False


def opener_of(settings: Settings) -> urllib.request.OpenerDirector:
    """An opener for pages of the endpoint, which trusts its certificate and goes through no proxy."""
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if settings.tls_cert is not None or settings.tls_ca is not None:
        context = ssl.create_default_context()
        if settings.tls_ca is not None:
            context.load_verify_locations(settings.tls_ca)
        handlers.append(urllib.request.HTTPSHandler(context=context))
    return urllib.request.build_opener(*handlers)


def _bind(host: str, port: int) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    place = f"[{host}]:{port}" if _is_ipv6(host) else f"{host}:{port}"
    try:
        address = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)[0][4]
        if ipaddress.ip_address(str(address[0]).partition("%")[0]).is_multicast:
            raise OSError(errno.EADDRNOTAVAIL, "an address of many machines")
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            return int(probe.getsockname()[1])
    except (socket.gaierror, UnicodeError) as error:
        raise MachineTrouble(
            f"{place}: cannot listen there (no address is known for {host!r}). Give --host an address of this machine, "
            "such as 127.0.0.1, without http:// and port."
        ) from error
    except OSError as error:
        trouble = PortTaken if error.errno in (errno.EADDRINUSE, errno.EACCES) else MachineTrouble
        raise trouble(f"{place}: cannot listen there ({error.strerror}). {_mend(error, port)}") from error


def _is_ipv6(host: str) -> bool:
    try:
        return isinstance(ipaddress.ip_address(host), ipaddress.IPv6Address)
    except ValueError:
        return False


def _mend(error: OSError, port: int) -> str:
    match error.errno:
        case errno.EACCES:
            return (
                f"Port {port} is one of those below {_first_free_for_all()} that only the administrator opens. Choose "
                "a higher one with --port."
            )
        case errno.EADDRNOTAVAIL | errno.EAFNOSUPPORT:
            return (
                "This machine has no such address. Choose one of its own with --host: 127.0.0.1 for this machine "
                "alone, 0.0.0.0 for everybody who reaches it."
            )
    return "Stop the program that holds the port, or choose another with --port."


def _first_free_for_all() -> int:
    try:
        return int(_FIRST_FREE_FOR_ALL.read_text())
    except (OSError, ValueError):
        return 1024  # as everywhere but on Linux
