"""Signing in, by an access key or by a one-time link, and signing out."""

from botocore.exceptions import ClientError
from starlette.responses import Response

from outcrop.access.console_links import take_link
from outcrop.console.sessions import COOKIE, ConsoleSessions
from outcrop.console.user_client import UserClient
from outcrop.console.visit import ConsoleVisit
from outcrop.settings import DEFAULT_REGION, Settings


class SigningIn:
    """The pages that make sessions and end them."""

    def __init__(self, settings: Settings, sessions: ConsoleSessions) -> None:
        self._settings = settings
        self._sessions = sessions
        self._trusted = None if settings.tls_ca is None else str(settings.tls_ca)

    def show(self, visit: ConsoleVisit) -> Response:
        """The form for an access key."""
        return visit.page("sign_in.html", why=visit.asked("why"), to=visit.asked("to"), problem="")

    def sign_in(self, visit: ConsoleVisit) -> Response:
        """A session for a key that the API takes."""
        form = visit.form
        api = UserClient(
            self._settings.endpoint,
            region=form.get("region", "").strip() or DEFAULT_REGION,
            key_id=form.get("key_id", "").strip(),
            secret=form.get("secret", "").strip(),
            token=form.get("session_token", "").strip() or None,
            trusted=self._trusted,
        )
        try:
            api.client("sts").get_caller_identity()
        except (ClientError, ValueError) as error:
            api.close()
            told = error.response["Error"]["Message"] if isinstance(error, ClientError) else visit.said("sign_in.wrong")
            return visit.page("sign_in.html", status=403, why="", to=form.get("to", ""), problem=told)
        return self._begun(visit, api, form.get("to", ""))

    def show_link(self, visit: ConsoleVisit) -> Response:
        """A page with a button: what only looks at addresses, as a preview does, uses no link up."""
        return visit.page("enter.html", link=visit.asked("link"))

    def enter(self, visit: ConsoleVisit) -> Response:
        """A session for a link that was not used yet."""
        key = take_link(self._settings.keys, visit.form.get("link", ""))
        if key is None:
            return visit.page("sign_in.html", status=403, why="", to="", problem=visit.said("sign_in.link_used"))
        api = UserClient(
            self._settings.endpoint,
            region=DEFAULT_REGION,
            key_id=key.key_id,
            secret=key.secret,
            trusted=self._trusted,
        )
        return self._begun(visit, api, "")

    def sign_out(self, visit: ConsoleVisit) -> Response:
        """The end of the session."""
        assert visit.session is not None
        self._sessions.end(visit.session)
        answer = visit.to("/sign-in", why="out")
        answer.delete_cookie(COOKIE, path=visit.prefix or "/")
        return answer

    def _begun(self, visit: ConsoleVisit, api: UserClient, to: str) -> Response:
        if visit.session is not None:
            self._sessions.end(visit.session)
        cookie = self._sessions.begin(api, visit.request.headers.get("user-agent", ""))
        is_ours = to.startswith("/") and not to.startswith("//") and "\\" not in to
        answer = visit.to("/")
        if is_ours:
            answer.headers["location"] = visit.prefix + to
        answer.set_cookie(
            COOKIE,
            cookie,
            path=visit.prefix or "/",
            httponly=True,
            samesite="strict",
            secure=self._settings.console_endpoint.startswith("https:"),
        )
        return answer
