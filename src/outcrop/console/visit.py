"""A visit of a page: what the browser asked for, in which language and theme, and who is signed in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from outcrop.console import language as languages
from outcrop.console.sessions import ConsoleSession
from outcrop.console.user_client import UserClient

THEMES = ("auto", "light", "dark")
LANGUAGE_COOKIE, THEME_COOKIE = "outcrop_language", "outcrop_theme"
_FOLDER = Path(__file__).parent
_pages = Environment(
    loader=FileSystemLoader(_FOLDER / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
NAVIGATION = (
    "home", "models", "data", "customize", "jobs", "deployments", "playground", "knowledge", "evaluations", "sagemaker",
    "access",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ConsoleVisit:
    """A request for a page, and the ways to answer it."""

    request: Request
    prefix: str
    session: ConsoleSession | None
    form: Mapping[str, str] = field(default_factory=dict)
    "The fields of a form that was sent."

    @property
    def api(self) -> UserClient:
        assert self.session is not None, "pages are shown to who is signed in"
        return self.session.api

    @property
    def language(self) -> str:
        chosen = self.request.cookies.get(LANGUAGE_COOKIE, "")
        if chosen in languages.LANGUAGES:
            return chosen
        return languages.preferred(self.request.headers.get("accept-language", ""))

    @property
    def theme(self) -> str:
        chosen = self.request.cookies.get(THEME_COOKIE, "")
        return chosen if chosen in THEMES else THEMES[0]

    @property
    def now(self) -> datetime:
        return datetime.now(UTC)

    def asked(self, name: str) -> str:
        """A value of the address, empty where it is not given."""
        return self.request.query_params.get(name, "")

    def said(self, key: str, /, **values: Any) -> str:
        return languages.said(self.language, key, **values)

    def url(self, path: str, **query: str) -> str:
        """The address of a page of ours, behind whatever prefix."""
        more = f"?{urlencode(query)}" if query else ""
        return f"{self.prefix}{quote(path, safe='/:')}{more}"

    def with_query(self, path: str, pairs: Sequence[tuple[str, str]], **more: str) -> str:
        """The address of a page of ours with these pairs."""
        return f"{self.prefix}{path}?{urlencode([*pairs, *more.items()])}"

    def status(self, word: str) -> str:
        """A status of the API in the language of the page; one that is not known here, as it is."""
        return languages.texts_of(self.language).get(f"status.{word}", word)

    def kind(self, word: str) -> str:
        """A customization type in the language of the page."""
        return languages.texts_of(self.language).get(f"kind.{word}", word)

    def name_of(self, arn: str) -> str:
        """The name of a model, or of its like, by its ARN."""
        assert self.session is not None, "pages are shown to who is signed in"
        return self.session.names.of(self.session.api, arn)

    def to(self, path: str, **query: str) -> Response:
        """Sends the browser on to a page of ours."""
        return RedirectResponse(self.url(path, **query), status_code=303)

    def page(self, template: str, *, status: int = 200, **values: Any) -> Response:
        """The page of a template, whole."""
        return HTMLResponse(self.text(template, **values), status_code=status)

    def text(self, template: str, **values: Any) -> str:
        """The text of a template."""
        return _pages.get_template(template).render(
            visit=self,
            t=self.said,
            url=self.url,
            navigation=NAVIGATION,
            languages=languages.LANGUAGES,
            themes=THEMES,
            here=self.request.url.path.removeprefix(self.prefix) or "/",
            token="" if self.session is None else self.session.token,
            **values,
        )
