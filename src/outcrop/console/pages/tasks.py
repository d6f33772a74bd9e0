"""Tasks: recipes, pulls, exports and forgetting that were begun here, each with what it says while it runs."""

from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError
from starlette.responses import Response

from outcrop.console.user_client import DENIED
from outcrop.console.views.amounts import age
from outcrop.console.visit import ConsoleVisit

_RUNNING = ("Waiting", "InProgress")


def show(visit: ConsoleVisit) -> Response:
    return visit.page("tasks.html", living=living(visit))


def living(visit: ConsoleVisit) -> str:
    """The tasks as they stand now; the one that the address names is open."""
    try:
        told, refused = visit.api.own("/outcrop/tasks", {})["tasks"], ""
    except ClientError as refusal:
        if refusal.response["Error"]["Code"] not in DENIED:
            raise
        told, refused = [], refusal.response["Error"]["Message"]
    return visit.text("tasks_living.html", tasks=[_row(visit, each) for each in told], refused=refused)


def stop(visit: ConsoleVisit) -> Response:
    """The task that the form names is ended."""
    visit.api.own("/outcrop/tasks/stop", {"id": visit.form.get("id", "")}, method="POST")
    return visit.to("/tasks", id=visit.form.get("id", ""))


def _row(visit: ConsoleVisit, task: dict[str, Any]) -> dict[str, Any]:
    return task | {
        "about": visit.name_of(task["about"]),
        "age": age(datetime.fromisoformat(task["began"]), visit.now, visit.language),
        "is_open": task["id"] == visit.asked("id"),
        "is_running": task["status"] in _RUNNING,
    }
