"""The first page as plain values: the road with one's own counts, and what to do next."""

from collections.abc import Mapping
from typing import NamedTuple

from outcrop.console.user_client import Listed


class RoadStation(NamedTuple):
    """A station of the road: the key of its name, a count, and its page."""

    key: str
    told_count: str
    page: str


class NextStep(NamedTuple):
    """The next thing to do: the key of a sentence, and the page where it is done."""

    key: str
    page: str


STATIONS = (
    ("data", "/data"),
    ("jobs", "/jobs"),
    ("models", "/models"),
    ("deployments", "/deployments"),
    ("playground", "/playground"),
)


def road(listed: Mapping[str, Listed]) -> list[RoadStation]:
    """The stations with the counts of what was listed; the playground has none."""
    return [RoadStation(f"nav.{key}", listed[key].told_count if key in listed else "", page) for key, page in STATIONS]


def next_step(listed: Mapping[str, Listed]) -> NextStep:
    """The first station of the road that has nothing yet, or the end of it."""
    if not listed["data"].items:
        return NextStep("home.next_data", "/data")
    if any(job["status"] == "InProgress" for job in listed["jobs"].items):
        return NextStep("home.next_watch", "/jobs")
    if not listed["models"].items:
        return NextStep("home.next_customize", "/customize")
    if not listed["deployments"].items:
        return NextStep("home.next_deploy", "/models")
    return NextStep("home.next_compare", "/playground")
