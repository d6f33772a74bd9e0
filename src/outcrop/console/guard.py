"""The outer door of the console: hosts, origins, the path behind a proxy, and the headers of every answer.

A page of another origin may make a browser send requests here. It is shut out three times over: cookies are
SameSite=Strict, what changes something must come from our own origin, and carries a token that only our pages know. A
foreign name that is made to point at this machine (DNS rebinding) is no host of ours.
"""

import ipaddress
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.responses import PlainTextResponse

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

SAFE = frozenset({"GET", "HEAD"})
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # under no-referrer, browsers name no origin with a form
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class ConsoleGuard:
    """An ASGI application before the console's own. `url` is its address behind a proxy, or empty."""

    def __init__(self, application: Application, *, url: str = "") -> None:
        self._application = application
        self._behind = urlsplit(url)
        self.prefix = self._behind.path.rstrip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._application(scope, receive, send)
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        problem = self._problem(scope["method"], headers)

        async def with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                more = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                if b"cache-control" not in given:
                    kept = b"no-cache" if "/static/" in scope["path"] else b"no-store"
                    more.append((b"cache-control", kept))
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        if problem:
            await PlainTextResponse(problem, status_code=403)(scope, receive, with_headers)
            return None
        # A proxy may take the prefix off, or leave it: either way the same page is found.
        path = scope["path"]
        if self.prefix and (path == self.prefix or path.startswith(f"{self.prefix}/")):
            scope = {**scope, "path": path[len(self.prefix) :] or "/"}
        await self._application(scope, receive, with_headers)
        return None

    def _problem(self, method: str, headers: dict[str, str]) -> str:
        host = headers.get("host", "")
        if not self._is_ours(host):
            return "Host: this name is not the console's. Open it by its address, or set OUTCROP_CONSOLE_URL.\n"
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none") and method not in SAFE:
            return "Origin: requests that change something come from the console's own pages.\n"
        if method in SAFE:
            return ""
        origin = urlsplit(headers.get("origin", ""))
        schemes = (self._behind.scheme,) if host == self._behind.netloc else ("http", "https")
        if origin.netloc != host or origin.scheme not in schemes:
            return "Origin: requests that change something come from the console's own pages.\n"
        return ""

    def _is_ours(self, host: str) -> bool:
        """Whether a Host header names us: by an address, which nobody can rebind, as localhost, or as the proxy."""
        if self._behind.netloc and host == self._behind.netloc:
            return True
        name = urlsplit(f"//{host}").hostname or ""
        if name == "localhost":
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True
