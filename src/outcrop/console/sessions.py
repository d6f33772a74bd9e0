"""Sessions of the console: who is signed in, in which browser, until when. They live in this process alone."""

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from outcrop.console.resource_names import ResourceNames
from outcrop.console.user_client import UserClient
from outcrop.console.watched_job import WatchedJobs

COOKIE = "outcrop_console"
LASTS_S = 12 * 3600
IDLE_S = 2 * 3600
_MOST = 1000
_MOST_STREAMS = 12
"Of one session at once: each is one open tab, and costs requests."


@dataclass(kw_only=True)
class ConsoleSession:
    """Somebody who signed in with an access key, in one browser."""

    api: UserClient
    browser: str
    "A digest of what the browser calls itself."
    began: float
    used: float
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    "It comes with each request that changes something; pages of other origins cannot read it."
    streams: int = 0
    watched: WatchedJobs = field(default_factory=WatchedJobs)
    "The jobs it looks at: a page that is loaded again, or sent as it changes, reads what is new."

    names: ResourceNames = field(default_factory=ResourceNames)
    "The names that its pages have asked for."

    def may_stream(self) -> bool:
        return self.streams < _MOST_STREAMS

    def has_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.token.encode())


class ConsoleSessions:
    """The sessions of one console, by the digest of their cookie."""

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._by_digest: dict[str, ConsoleSession] = {}
        self._lock = threading.Lock()

    def begin(self, api: UserClient, browser: str) -> str:
        """The cookie's value of a new session."""
        cookie, now = secrets.token_urlsafe(32), self._now()
        with self._lock:
            self._forget_ended(now)
            while len(self._by_digest) >= _MOST:
                self._by_digest.pop(min(self._by_digest, key=lambda each: self._by_digest[each].used)).api.close()
            session = ConsoleSession(api=api, browser=_digest(browser), began=now, used=now)
            self._by_digest[_digest(cookie)] = session
        return cookie

    def find(self, cookie: str, browser: str, *, is_use: bool = True) -> ConsoleSession | None:
        """The session of a cookie, if it is this browser's and has not ended. `is_use` keeps it from being idle."""
        with self._lock:
            session, now = self._by_digest.get(_digest(cookie)), self._now()
            if session is None or _has_ended(session, now) or session.browser != _digest(browser):
                return None
            if is_use:
                session.used = now
            return session

    def end(self, session: ConsoleSession) -> None:
        with self._lock:
            self._by_digest = {digest: each for digest, each in self._by_digest.items() if each is not session}
        session.api.close()

    def end_all(self) -> None:
        for session in list(self._by_digest.values()):
            self.end(session)

    def __len__(self) -> int:
        return len(self._by_digest)

    def _forget_ended(self, now: float) -> None:
        for digest in [digest for digest, each in self._by_digest.items() if _has_ended(each, now)]:
            self._by_digest.pop(digest).api.close()


def _has_ended(session: ConsoleSession, now: float) -> bool:
    return now - session.began > LASTS_S or now - session.used > IDLE_S


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
