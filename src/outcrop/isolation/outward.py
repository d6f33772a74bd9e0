"""The way out of a sandbox, seen from outside: a Unix socket, relayed to this installation's endpoint."""

import os
import selectors
import socket
import threading
from pathlib import Path

from outcrop.isolation.relay import MOST_CONNECTIONS, Relay

_CONNECTING_S = 5.0
_NAME = "endpoint"


class OutwardRelay:
    """Connections of a sandbox to the endpoint of this installation, and to nothing else."""

    def __init__(self, folder: Path, address: tuple[str, int] | Path, user: int | None) -> None:
        """`address`: a host and a port, or a Unix socket. `user` is who may connect, beside ourselves."""
        self._address = address
        self.path = folder / _NAME
        self.path.unlink(missing_ok=True)
        self._listening = socket.socket(socket.AF_UNIX)
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        # A socket's path has 107 bytes at most, and the folder's may have more.
        self._listening.bind(f"/proc/self/fd/{held}/{_NAME}")
        os.close(held)
        self.path.chmod(0o600)
        if user is not None:
            os.chown(self.path, user, user)
        self._listening.listen(MOST_CONNECTIONS)
        self._ending, self._end = os.pipe()
        self._thread = threading.Thread(target=self._relay, name="sandbox-relay", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End all connections, and take the socket away."""
        os.close(self._end)
        self._thread.join(2 * _CONNECTING_S)

    def _relay(self) -> None:
        with selectors.DefaultSelector() as selector, self._listening:
            ending = selector.register(self._ending, selectors.EVENT_READ)
            relay = Relay(self._listening, self._connect, selector)
            over = False
            while not over:
                for key, events in selector.select():
                    if key.fd == ending.fd:
                        over = True
                    else:
                        key.data(events)
            relay.close()
        os.close(self._ending)
        self.path.unlink(missing_ok=True)

    def _connect(self) -> socket.socket:
        if not isinstance(self._address, Path):
            return socket.create_connection(self._address, timeout=_CONNECTING_S)
        connected = socket.socket(socket.AF_UNIX)
        try:
            connected.settimeout(_CONNECTING_S)
            connected.connect(str(self._address))
        except OSError:
            connected.close()
            raise
        return connected
