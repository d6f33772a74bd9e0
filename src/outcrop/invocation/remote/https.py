"""HTTP to the servers of remote models: the one place of the server from which data leaves this machine.

TLS is verified, with the authorities of the system and of certifi; SSL_CERT_FILE names others. Redirects are not
followed, for a key would go with them; proxies are not asked.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import cache
from ssl import SSLContext
from typing import Any

import httpcore

from outcrop.errors import ModelFailed, NotReady, ServiceRefusal

_SECONDS_TO_CONNECT = 10.0
# The first answer waits for the prompt to be read, and for whoever else asks there.
_SECONDS_BETWEEN_ANSWERS = 300.0
_LONGEST_BODY = 64 * 2**20
_IDLE_CONNECTIONS = 16
_IDLE_S = 60.0
_NOT_TRUSTED = ("CERTIFICATE_VERIFY_FAILED", "certificate verify failed", "Hostname mismatch")
_BROKEN = (httpcore.NetworkError, httpcore.ProtocolError)


@dataclass(frozen=True, kw_only=True)
class RemoteAnswer:
    """The head of a remote server's answer, and its body piece by piece."""

    status: int
    headers: Mapping[str, str]
    "Names in lower case."
    pieces: AsyncIterator[bytes]

    async def read(self) -> bytes:
        """The whole body. Raises ModelFailed for one without end."""
        body = b""
        async for piece in self.pieces:
            body += piece
            if len(body) > _LONGEST_BODY:
                raise ModelFailed(f"The remote server's answer is longer than {_LONGEST_BODY:,} bytes.")
        return body


class RemoteBroken(Exception):
    """The connection to a remote server broke after its answer had begun."""


class RemoteHttp:
    """Connections to one remote server, `host` in sentences; `aclose` it. For one event loop."""

    def __init__(self, host: str, *, read_s: float = _SECONDS_BETWEEN_ANSWERS) -> None:
        self.host = host
        self._read_s = read_s
        self._pools: dict[str, httpcore.AsyncConnectionPool] = {}

    async def aclose(self) -> None:
        for pool in self._pools.values():
            await pool.aclose()

    @asynccontextmanager
    async def post(self, url: str, headers: Mapping[str, str], content: bytes) -> AsyncGenerator[RemoteAnswer, None]:
        """The answer to a request, whatever its status. Leaving early closes the connection.

        Raises NotReady where nobody is there, ModelTimeoutException where no answer comes, ModelFailed for a server
        that proves to be another, and RemoteBroken where the body breaks off.
        """
        try:
            async with self._pool(url).stream(
                "POST", url, headers=[(n.encode(), v.encode()) for n, v in headers.items()], content=content,
                extensions={"timeout": {"connect": _SECONDS_TO_CONNECT, "read": self._read_s, "write": self._read_s}},
            ) as response:  # fmt: skip
                told = {name.decode().lower(): value.decode("latin-1") for name, value in response.headers}
                async with aclosing(self._pieces(response)) as pieces:
                    yield RemoteAnswer(status=response.status, headers=told, pieces=pieces)
        except (httpcore.ConnectError, httpcore.ConnectTimeout) as problem:
            raise self._unreachable(problem) from problem
        except httpcore.TimeoutException as problem:
            raise took_too_long(self.host) from problem
        except _BROKEN as problem:
            raise NotReady(f"{self.host} hung up ({type(problem).__name__}). Ask again in a moment.") from problem

    async def _pieces(self, response: httpcore.Response) -> AsyncGenerator[bytes, None]:
        try:
            async for piece in response.aiter_stream():
                yield piece
        except httpcore.TimeoutException as problem:
            raise RemoteBroken(f"{self.host} has said nothing for {self._read_s:.0f} s.") from problem
        except _BROKEN as problem:
            raise RemoteBroken(f"{self.host} hung up ({type(problem).__name__}).") from problem

    def _pool(self, url: str) -> httpcore.AsyncConnectionPool:
        scheme = url.partition(":")[0]
        if scheme not in self._pools:
            context = trusted() if scheme == "https" else None
            self._pools[scheme] = httpcore.AsyncConnectionPool(
                ssl_context=context,
                max_connections=None,
                max_keepalive_connections=_IDLE_CONNECTIONS,
                keepalive_expiry=_IDLE_S,
            )
        return self._pools[scheme]

    def _unreachable(self, problem: Exception) -> Exception:
        if any(words in str(problem) for words in _NOT_TRUSTED):
            return ModelFailed(
                f"{self.host} does not prove to be that host: its certificate is not trusted, so nothing was sent. "
                "Where it is signed by an authority of your own, name that in SSL_CERT_FILE."
            )
        return NotReady(f"{self.host} cannot be reached ({type(problem).__name__}). Ask again in a moment.")


def took_too_long(host: str) -> ServiceRefusal:
    """The refusal of a request that a remote server did not answer in time."""
    sentence = f"{host} took too long to answer. Send the request again, or a shorter one."
    return ServiceRefusal("ModelTimeoutException", sentence, http_status=408)


@cache
def trusted() -> SSLContext:
    """The authorities that a server's certificate may be signed by. Read once: it takes as long as a small request."""
    context: Any = httpcore.default_ssl_context()
    assert isinstance(context, SSLContext)
    return context
