"""A console in a thread of the test's process, and clients with a browser's manners."""

import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import httpx
from starlette.routing import Route

from outcrop.console import serve as console_process
from outcrop.console.app import Console
from outcrop.console.sessions import ConsoleSessions
from outcrop.settings import Settings
from tests.support.patience import PATIENCE_S, eventually
from tests.support.servers import Server, free_port

OPEN = frozenset({"/sign-in", "/enter", "/choose"})
"Pages for everybody. Every other route of the console asks who one is."
_PLACES = {"kind": "users", "name": "nobody"}
_STREAM = "/live"
_PLACE = re.compile(r"{(\w+)}")
_TOKEN = re.compile(r'data-token="([^"]+)"')


@dataclass(kw_only=True)
class RunningConsole:
    """A console that listens."""

    settings: Settings
    console: Console
    visitors: list[httpx.Client] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.settings.console_port}"

    def visitor(self, **headers: str) -> httpx.Client:
        """A browser that names its origin, follows redirects and keeps cookies."""
        given = {"origin": self.url, "user-agent": "a browser", **headers}
        opened = httpx.Client(base_url=self.url, headers=given, follow_redirects=True, timeout=PATIENCE_S)
        self.visitors.append(opened)
        return opened

    def signed_in(self, key_id: str, secret: str) -> httpx.Client:
        """A browser with a session of this access key."""
        browser = self.visitor()
        entered = browser.post("/sign-in", data={"key_id": key_id, "secret": secret})
        assert entered.status_code == 200, entered.text
        assert token_of(entered)
        return browser


def pages_of(console: Console) -> list[str]:
    """The address of every page for who is signed in, as the table of routes has them."""
    return [path for path, methods in _closed(console) if "GET" in methods and path != _STREAM]


def changes_of(console: Console) -> list[tuple[str, str]]:
    """Method and address of everything that changes something for who is signed in."""
    return [(method, path) for path, methods in _closed(console) for method in sorted(methods - {"GET", "HEAD"})]


def _closed(console: Console) -> list[tuple[str, set[str]]]:
    found = [(each.path, set(each.methods or ())) for each in console.routes if isinstance(each, Route)]
    return [
        (_PLACE.sub(lambda place: _PLACES.get(place[1], "none"), path), own) for path, own in found if path not in OPEN
    ]


def token_of(page: httpx.Response) -> str:
    """The token that a page gives its own requests; empty on a page for strangers."""
    found = _TOKEN.search(page.text)
    return found[1] if found else ""


@contextmanager
def running_console(
    server: Server, *, url: str = "", now: Callable[[], float] | None = None
) -> Iterator[RunningConsole]:
    """`url`: the address of a proxy that is said to be before it; `now`: the clock of its sessions."""
    settings = replace(server.settings, console_port=free_port(), console_url=url)
    console = Console(settings, sessions=ConsoleSessions(now=now) if now else None)
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    serving = console_process.serve(settings, stop=stop, console=console)
    thread = threading.Thread(target=loop.run_until_complete, args=(serving,))
    thread.start()
    running = RunningConsole(settings=settings, console=console)
    try:
        eventually(lambda: _answers(running))
        yield running
    finally:
        for visitor in running.visitors:
            visitor.close()
        loop.call_soon_threadsafe(stop.set)
        thread.join(timeout=PATIENCE_S)
        loop.close()


def _answers(running: RunningConsole) -> bool:
    try:
        return httpx.get(f"{running.url}/sign-in").status_code == 200
    except httpx.TransportError:
        return False
