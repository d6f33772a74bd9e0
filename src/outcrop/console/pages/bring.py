"""Models that come in, go out, and forget: each begins a task, whose page shows how far it is."""

from botocore.exceptions import ClientError
from starlette.responses import Response

from outcrop.console.visit import ConsoleVisit


def show(visit: ConsoleVisit, *, problem: str = "") -> Response:
    return visit.page("bring.html", problem=problem, given=visit.form)


def bring(visit: ConsoleVisit) -> Response:
    """A model is pulled from a hub or a bucket, or registered from a folder of the server's machine."""
    place = visit.form.get("place", "").strip()
    more = {name: text for name in ("id", "name", "context") if (text := visit.form.get(name, "").strip())}
    is_folder = place.startswith(("/", "~", "."))
    path, query = ("/outcrop/register", {"place": place}) if is_folder else ("/outcrop/pull", {"model": place})
    try:
        task = visit.api.own(path, query | more, method="POST")
    except ClientError as refusal:
        return show(visit, problem=refusal.response["Error"]["Message"])
    return visit.to("/tasks", id=task["id"])


def export(visit: ConsoleVisit) -> Response:
    """The model's files begin to be written to the place that the form names."""
    query = {name: visit.form.get(name, "").strip() for name in ("model", "place", "form")}
    task = visit.api.own("/outcrop/export", {key: text for key, text in query.items() if text}, method="POST")
    return visit.to("/tasks", id=task["id"])


def forget(visit: ConsoleVisit) -> Response:
    """The plan of what it takes to forget some records, or, where the form says so, the forgetting itself."""
    names = ("model", "line", "matching", "name", "yes", "swap")
    query = {name: text for name in names if (text := visit.form.get(name, "").strip())}
    task = visit.api.own("/outcrop/forget", dict(query), method="POST")
    return visit.to("/tasks", id=task["id"])
