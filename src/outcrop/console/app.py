"""The console, an ASGI application: its routes, and what every page needs before it is asked.

Pages are plain functions that run in threads, since they wait for the API. A page is a client of the public API with
the key of whoever is signed in; what that key may not do is refused by the API, and the page says so.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl

from anyio import to_thread
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, ParamValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from outcrop.console import language as languages
from outcrop.console import live, playground_stream, signing_in, uploading, voting
from outcrop.console.guard import SAFE, ConsoleGuard
from outcrop.console.pages import (
    access,
    bakeoffs,
    bring,
    customize,
    data,
    deployments,
    evaluations,
    home,
    jobs,
    knowledge,
    models,
    playground,
    policies,
    ratings,
    recipes,
    sagemaker_endpoints,
    sagemaker_hub,
    sagemaker_training,
    scores,
    tasks,
    trail,
)
from outcrop.console.sessions import COOKIE, ConsoleSessions
from outcrop.console.user_client import DENIED, KEY_ENDED
from outcrop.console.visit import LANGUAGE_COOKIE, THEME_COOKIE, THEMES, ConsoleVisit
from outcrop.settings import Settings

Page = Callable[[ConsoleVisit], Response]
AsyncPage = Callable[[ConsoleVisit], Awaitable[Response]]
TOKEN_HEADER = "x-console-token"
_log = logging.getLogger("outcrop.console")
_MOST_FORM_BYTES = 1 << 20
_FORM = "application/x-www-form-urlencoded"
_COOKIES_LAST_S = 365 * 86_400


class Console:
    """The application over one installation's settings."""

    def __init__(self, settings: Settings, *, sessions: ConsoleSessions | None = None) -> None:
        self.settings = settings
        self.sessions = ConsoleSessions() if sessions is None else sessions
        self.is_stopping = False
        signing = signing_in.SigningIn(settings, self.sessions)
        self.routes = [
            Route("/sign-in", self._open(signing.show), methods=["GET"]),
            Route("/sign-in", self._open(signing.sign_in), methods=["POST"]),
            Route("/enter", self._open(signing.show_link), methods=["GET"]),
            Route("/enter", self._open(signing.enter), methods=["POST"]),
            Route("/sign-out", self._closed(signing.sign_out), methods=["POST"]),
            Route("/choose", self._open(_choose), methods=["POST"]),
            Route("/", self._closed(home.show)),
            Route("/models", self._closed(models.show)),
            Route("/models/custom", self._closed(models.show_custom)),
            Route("/models/deploy", self._closed(models.deploy), methods=["POST"]),
            Route("/models/delete", self._closed(models.delete), methods=["POST"]),
            Route("/data", self._closed(data.show)),
            Route("/data/recipes", self._closed(recipes.show)),
            Route("/data/recipes", self._closed(recipes.run), methods=["POST"]),
            Route("/data/recipes/{recipe}", self._closed(recipes.show_one)),
            Route("/tasks", self._closed(tasks.show)),
            Route("/tasks/stop", self._closed(tasks.stop), methods=["POST"]),
            Route("/models/bring", self._closed(bring.show)),
            Route("/models/bring", self._closed(bring.bring), methods=["POST"]),
            Route("/models/export", self._closed(bring.export), methods=["POST"]),
            Route("/models/forget", self._closed(bring.forget), methods=["POST"]),
            Route("/models/tag", self._closed(models.tag), methods=["POST"]),
            Route("/data/make", self._closed(data.make), methods=["POST"]),
            Route("/data/upload", self._streaming(uploading.upload), methods=["PUT"]),
            Route("/data/report", self._closed(data.report)),
            Route("/data/report/body", self._closed(data.report_body)),
            Route("/customize", self._closed(customize.show)),
            Route("/customize", self._closed(customize.create), methods=["POST"]),
            Route("/customize/estimate", self._closed(customize.estimate)),
            Route("/jobs", self._closed(jobs.show)),
            Route("/jobs/stop", self._closed(jobs.stop), methods=["POST"]),
            Route("/jobs/checkpoint", self._closed(jobs.take_checkpoint), methods=["POST"]),
            Route("/jobs/overlay", self._closed(jobs.show_overlay)),
            Route("/jobs/log", self._closed(jobs.show_log)),
            Route("/jobs/{job}", self._closed(jobs.show_one)),
            Route("/deployments", self._closed(deployments.show)),
            Route("/deployments/delete", self._closed(deployments.delete), methods=["POST"]),
            Route("/knowledge", self._closed(knowledge.show)),
            Route("/knowledge", self._closed(knowledge.make), methods=["POST"]),
            Route("/knowledge/ingest", self._closed(knowledge.ingest), methods=["POST"]),
            Route("/knowledge/stop", self._closed(knowledge.stop), methods=["POST"]),
            Route("/knowledge/delete-source", self._closed(knowledge.delete_source), methods=["POST"]),
            Route("/knowledge/delete", self._closed(knowledge.delete), methods=["POST"]),
            Route("/knowledge/{id}", self._closed(knowledge.show_one)),
            Route("/knowledge/{id}", self._closed(knowledge.add_source), methods=["POST"]),
            Route("/knowledge/{id}/passages", self._closed(knowledge.passages)),
            Route("/evaluations", self._closed(evaluations.show)),
            Route("/evaluations/new", self._closed(evaluations.new)),
            Route("/evaluations/new", self._closed(evaluations.make), methods=["POST"]),
            Route("/evaluations/bakeoffs", self._closed(bakeoffs.show)),
            Route("/evaluations/stop", self._closed(evaluations.stop), methods=["POST"]),
            Route("/evaluations/delete", self._closed(evaluations.delete), methods=["POST"]),
            Route("/evaluations/{job}", self._closed(evaluations.show_one)),
            Route("/sagemaker", self._closed(sagemaker_training.show)),
            Route("/sagemaker/training/stop", self._closed(sagemaker_training.stop), methods=["POST"]),
            Route("/sagemaker/training/{job}", self._closed(sagemaker_training.show_one)),
            Route("/sagemaker/tuning", self._closed(sagemaker_training.show_tuning)),
            Route("/sagemaker/tuning/stop", self._closed(sagemaker_training.stop_tuning), methods=["POST"]),
            Route("/sagemaker/tuning/{job}", self._closed(sagemaker_training.show_one_tuning)),
            Route("/sagemaker/endpoints", self._closed(sagemaker_endpoints.show)),
            Route("/sagemaker/endpoints/invoke", self._closed(sagemaker_endpoints.invoke), methods=["POST"]),
            Route("/sagemaker/endpoints/delete", self._closed(sagemaker_endpoints.delete), methods=["POST"]),
            Route("/sagemaker/endpoints/{endpoint}", self._closed(sagemaker_endpoints.show_one)),
            Route("/sagemaker/hub", self._closed(sagemaker_hub.show)),
            Route("/sagemaker/hub/deploy", self._closed(sagemaker_hub.deploy), methods=["POST"]),
            Route("/sagemaker/hub/train", self._closed(sagemaker_hub.train), methods=["POST"]),
            Route("/sagemaker/hub/{model}", self._closed(sagemaker_hub.show_one)),
            Route("/access", self._closed(access.show)),
            Route("/access/create", self._closed(access.create), methods=["POST"]),
            Route("/access/change", self._closed(access.change), methods=["POST"]),
            Route("/access/roles", self._closed(access.show_roles)),
            Route("/access/policies", self._closed(policies.show)),
            Route("/access/policies/create", self._closed(policies.create), methods=["POST"]),
            Route("/access/policies/change", self._closed(policies.change), methods=["POST"]),
            Route("/access/policy", self._closed(policies.show_one)),
            Route("/access/simulate", self._closed(access.simulate)),
            Route("/access/trail", self._closed(trail.show)),
            Route("/access/{kind}/{name}", self._closed(access.show_one)),
            Route("/playground", self._closed(playground.show)),
            Route("/playground/code", self._closed(playground.code), methods=["POST"]),
            Route("/playground/vote", self._streaming(voting.vote), methods=["POST"]),
            Route("/playground/ratings", self._closed(ratings.show)),
            Route("/playground/ratings", self._closed(ratings.make_feedback), methods=["POST"]),
            Route("/playground/tune.{kind}", self._closed(scores.show)),
            Route("/playground/answers", self._streaming(playground_stream.answers), methods=["POST"]),
            Route("/live", self._streaming(lambda visit: live.stream(visit, self))),
            Mount("/static", StaticFiles(directory=Path(__file__).parent / "static")),
        ]
        self._prefix = ConsoleGuard(_nothing, url=settings.console_url).prefix
        self.application = ConsoleGuard(
            Starlette(routes=self.routes, exception_handlers={404: self._not_there}), url=settings.console_url
        )

    def visit(self, request: Request, *, is_use: bool = True) -> ConsoleVisit:
        """The visit of a request, with its session if it has one."""
        browser = request.headers.get("user-agent", "")
        session = self.sessions.find(request.cookies.get(COOKIE, ""), browser, is_use=is_use)
        return ConsoleVisit(request=request, prefix=self._prefix, session=session)

    def _open(self, page: Page) -> Callable[[Request], Awaitable[Response]]:
        """A page for everybody."""

        async def answer(request: Request) -> Response:
            visit = self.visit(request)
            if request.method not in SAFE:
                visit = replace(visit, form=await _form(request))
            return await to_thread.run_sync(self._answered, page, visit)

        return answer

    def _closed(self, page: Page) -> Callable[[Request], Awaitable[Response]]:
        """A page for who is signed in; what changes something needs the session's token."""

        async def answer(request: Request) -> Response:
            visit = self.visit(request)
            if visit.session is None:
                return self._sign_in_first(visit)
            if request.method not in SAFE:
                visit = replace(visit, form=await _form(request))
                if not visit.session.has_token(visit.form.get("token", "")):  # type: ignore[union-attr]
                    return PlainTextResponse("token: it is missing or another session's. Load the page again.\n", 403)
            return await to_thread.run_sync(self._answered, page, visit)

        return answer

    def _streaming(self, page: AsyncPage) -> Callable[[Request], Awaitable[Response]]:
        """An answer or a body that streams, for who is signed in."""

        async def answer(request: Request) -> Response:
            visit = self.visit(request, is_use=request.method not in SAFE)
            if visit.session is None:
                return PlainTextResponse("Sign in first.\n", 401)
            if request.method not in SAFE and not visit.session.has_token(request.headers.get(TOKEN_HEADER, "")):
                return PlainTextResponse("token: it is missing or another session's. Load the page again.\n", 403)
            try:
                return await page(visit)
            except (ClientError, BotoCoreError, HTTPClientError) as error:
                return PlainTextResponse(sentence_of(error) + "\n", 400)

        return answer

    def _sign_in_first(self, visit: ConsoleVisit) -> Response:
        if visit.request.method not in SAFE:
            return PlainTextResponse("The session has ended. Sign in again.\n", 401)
        there = visit.request.url.path.removeprefix(self._prefix)
        query = visit.request.url.query
        return visit.to("/sign-in", to=f"{there}?{query}" if query else there)

    def _answered(self, page: Page, visit: ConsoleVisit) -> Response:
        try:
            return page(visit)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in KEY_ENDED and visit.session is not None:
                self.sessions.end(visit.session)
                return visit.to("/sign-in", why="ended")
            status = 403 if code in DENIED else error.response["ResponseMetadata"].get("HTTPStatusCode", 400)
            key = "error.denied" if code in DENIED else "error.refused"
            return visit.page("error.html", status=status, title=key, sentence=sentence_of(error))
        except ParamValidationError as error:
            return visit.page("error.html", status=400, title="error.refused", sentence=str(error))
        except (BotoCoreError, HTTPClientError) as error:
            return visit.page("error.html", status=502, title="error.no_server", sentence=sentence_of(error))
        except Exception:
            _log.exception("page failed")
            return visit.page("error.html", status=500, title="error.failed", sentence=visit.said("error.logged"))

    async def _not_there(self, request: Request, _: Exception) -> Response:
        visit = self.visit(request)
        if visit.session is None:
            return self._sign_in_first(visit)
        return visit.page("error.html", status=404, title="error.not_found", sentence=request.url.path)


def sentence_of(error: Exception) -> str:
    """The API's own sentence, or why it could not be asked."""
    if isinstance(error, ClientError):
        told = error.response["Error"]
        return str(told.get("Message") or told["Code"])
    return str(error)


def _choose(visit: ConsoleVisit) -> Response:
    """Sets the language or the theme, and goes back to the page."""
    back = visit.form.get("back", "/")
    answer = RedirectResponse(visit.prefix + (back if back.startswith("/") and not back.startswith("//") else "/"), 303)
    for name, cookie, allowed in (("language", LANGUAGE_COOKIE, languages.LANGUAGES), ("theme", THEME_COOKIE, THEMES)):
        if visit.form.get(name) in allowed:
            answer.set_cookie(
                cookie,
                visit.form[name],
                max_age=_COOKIES_LAST_S,
                path=visit.prefix or "/",
                samesite="strict",
                httponly=True,
            )
    return answer


async def _form(request: Request) -> dict[str, str]:
    if request.headers.get("content-type", "").split(";")[0] != _FORM:
        return {}
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _MOST_FORM_BYTES:
            return {}
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


async def _nothing(*_: object) -> None:
    """No application: what is asked for is the guard's reading of the address alone."""
