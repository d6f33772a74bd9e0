"""Jobs of all kinds that the public API lists, as one list: how each is asked for, and its row.

Lists are merged by the time at which jobs began. A place in the merged list is a place in each of them: the token of a
page and how many of its items were shown. It stands in the address, so an older page can be sent to a colleague.
"""

import base64
import heapq
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from outcrop.console.views.amounts import age, duration, model_id, short_name

RUNNING = frozenset(
    {"InProgress", "Stopping", "Submitted", "Validating", "Scheduled", "STARTING", "IN_PROGRESS", "STOPPING"}
)
STATUSES = ("InProgress", "Completed", "Failed", "Stopped")
"Those that every kind has, in the words of most."
_AGENT_STATUSES = {"InProgress": "IN_PROGRESS", "Completed": "COMPLETE", "Failed": "FAILED", "Stopped": "STOPPED"}


class ListedJobKind(NamedTuple):
    """A kind of job: the operation that lists it, and the members in which it tells what every job has."""

    name: str
    service: str
    operation: str
    member: str
    arn: str
    title: str
    status: str
    began: str
    ended: str
    describe: str
    "The operation that shows one."
    describe_by: str
    "The member of that request, and of the one that stops it, that names it."
    stop: str
    "The operation that stops one; empty where there is none."
    statuses: Sequence[str] = STATUSES
    "Those that may be filtered by."
    capitals: bool = False
    "SageMaker's way to write the members of a request."

    def params(self, *, status: str, name: str, token: str, most: int) -> dict[str, Any]:
        """The request of a page."""
        given: dict[str, Any] = {
            "maxResults": most,
            "statusEquals": status,
            "nameContains": name,
            "nextToken": token,
        }
        params = {key: value for key, value in given.items() if value}
        return {key[0].upper() + key[1:]: value for key, value in params.items()} if self.capitals else params


def _sagemaker(name: str, noun: str, ended: str) -> ListedJobKind:
    return ListedJobKind(
        name,
        "sagemaker",
        f"list_{name}s",
        f"{noun}Summaries",
        f"{noun}Arn",
        f"{noun}Name",
        f"{noun}Status",
        "CreationTime",
        ended,
        f"describe_{name}",
        f"{noun}Name",
        f"stop_{name}",
        capitals=True,
    )


def _bedrock(name: str, operation: str, member: str, began: str, describe: str, stop: str) -> ListedJobKind:
    return ListedJobKind(
        name,
        "bedrock",
        operation,
        member,
        "jobArn",
        "jobName",
        "status",
        began,
        "endTime",
        describe,
        "jobIdentifier",
        stop,
    )


CUSTOMIZATION = "customization"
INGESTION = "ingestion"
KINDS = (
    _bedrock(CUSTOMIZATION, "list_model_customization_jobs", "modelCustomizationJobSummaries", "creationTime",
             "get_model_customization_job", "stop_model_customization_job"),
    _bedrock("import", "list_model_import_jobs", "modelImportJobSummaries", "creationTime", "get_model_import_job", "")
    ._replace(statuses=("InProgress", "Completed", "Failed")),
    _bedrock("batch", "list_model_invocation_jobs", "invocationJobSummaries", "submitTime",
             "get_model_invocation_job", "stop_model_invocation_job"),
    _bedrock("evaluation", "list_evaluation_jobs", "jobSummaries", "creationTime", "get_evaluation_job",
             "stop_evaluation_job"),
    ListedJobKind(INGESTION, "bedrock-agent", "list_ingestion_jobs", "ingestionJobSummaries", "ingestionJobId",
                  "ingestionJobId", "status", "startedAt", "updatedAt", "get_ingestion_job", "", "stop_ingestion_job"),
    _sagemaker("training_job", "TrainingJob", "TrainingEndTime"),
    _sagemaker("hyper_parameter_tuning_job", "HyperParameterTuningJob", "HyperParameterTuningEndTime"),
    _sagemaker("transform_job", "TransformJob", "TransformEndTime"),
)  # fmt: skip
_PAGES = {
    "evaluation": "/evaluations/",
    "training_job": "/sagemaker/training/",
    "hyper_parameter_tuning_job": "/sagemaker/tuning/",
}
BY_NAME = {kind.name: kind for kind in KINDS}


class ListedJobRow(NamedTuple):
    """A job of any kind in the list."""

    id: str
    arn: str
    kind: str
    name: str
    status: str
    about: str
    "What it works on or with: a base model, a data source."
    age: str
    took: str

    @property
    def page(self) -> str:
        """The page of a kind that has its own; empty for those that the page of jobs shows."""
        return f"{_PAGES[self.kind]}{self.id}" if self.kind in _PAGES else ""


class MergedPlace(NamedTuple):
    """A place in the merged list: of each kind the token of a page, and how many items were shown."""

    tokens: Mapping[str, str]
    shown: Mapping[str, int]
    over: frozenset[str]
    "Kinds of which there are no more."


START = MergedPlace({}, {}, frozenset())


def read_place(text: str) -> MergedPlace:
    """The place that an address names; the start for one that is none."""
    try:
        tokens, shown, over = json.loads(base64.urlsafe_b64decode(text.encode()))
        place = MergedPlace(
            {str(key): str(value) for key, value in tokens.items() if key in BY_NAME},
            {str(key): int(value) for key, value in shown.items() if key in BY_NAME},
            frozenset(str(each) for each in over),
        )
    except (ValueError, TypeError, AttributeError):
        return START
    return place


def write_place(place: MergedPlace) -> str:
    """The place for an address; empty where nothing is left."""
    told = json.dumps([place.tokens, place.shown, sorted(place.over)], separators=(",", ":"))
    return base64.urlsafe_b64encode(told.encode()).decode()


class KindPage(NamedTuple):
    """A page of one kind: its items, the newest first, and the token of the next."""

    items: Sequence[Mapping[str, Any]]
    more: str


def merge(
    pages: Mapping[str, KindPage], place: MergedPlace, most: int
) -> tuple[list[tuple[str, Mapping[str, Any]]], MergedPlace | None]:
    """The newest `most` jobs of these pages with their kinds, and the place after them; None at the end."""
    waiting: list[tuple[float, int, int, str]] = []
    for number, (name, page) in enumerate(pages.items()):
        began = BY_NAME[name].began
        unseen = range(place.shown.get(name, 0), len(page.items))
        waiting += [(-page.items[index][began].timestamp(), number, index, name) for index in unseen]
    chosen = heapq.nsmallest(most, waiting)
    found = [(name, pages[name].items[index]) for _, _, index, name in chosen]
    tokens, shown, over = {}, {}, set(place.over)
    for name, page in pages.items():
        so_far = place.shown.get(name, 0) + sum(each[3] == name for each in chosen)
        if so_far < len(page.items):
            tokens[name], shown[name] = place.tokens.get(name, ""), so_far
        elif page.more:
            tokens[name] = page.more
        else:
            over.add(name)
    after = MergedPlace({key: value for key, value in tokens.items() if value}, shown, frozenset(over))
    return found, None if over >= pages.keys() else after


def status_of(kind: ListedJobKind, status: str) -> str:
    """The word of a kind for a status that is filtered by; empty where all are wanted."""
    return _AGENT_STATUSES.get(status, status) if kind.name == INGESTION else status


def listed_row(
    kind: str, told: Mapping[str, Any], now: datetime, language: str, name_of: Callable[[str], str] | None = None
) -> ListedJobRow:
    """A row of a summary of any kind; `name_of` gives a model's name by its ARN."""
    of = BY_NAME[kind]
    status, began = told[of.status], told[of.began]
    end = told.get(of.ended) or (now if status in RUNNING else told.get("lastModifiedTime"))
    return ListedJobRow(
        id=short_name(told[of.arn]),
        arn=place_of(kind, told),
        kind=kind,
        name=told[of.title],
        status=_STATUS_WORDS.get(status, status),
        about=_about(kind, told, name_of or base_of),
        age=age(began, now, language),
        took=duration(max(0.0, (end - began).total_seconds()), language) if end else "",
    )


def place_of(kind: str, told: Mapping[str, Any]) -> str:
    """The name by which a job is asked for again: its ARN, or the ids of an ingestion."""
    if kind == INGESTION:
        return f"{told['knowledgeBaseId']}/{told['dataSourceId']}/{told['ingestionJobId']}"
    return str(told[BY_NAME[kind].arn])


def request_of(kind: ListedJobKind, place: str) -> dict[str, str]:
    """The members by which a job is described or stopped."""
    if kind.name == INGESTION:
        base, source, job = [*place.split("/"), "", ""][:3]
        return {"knowledgeBaseId": base, "dataSourceId": source, "ingestionJobId": job}
    return {kind.describe_by: short_name(place) if kind.capitals else place}


_STATUS_WORDS = {
    "STARTING": "InProgress",
    "IN_PROGRESS": "InProgress",
    "COMPLETE": "Completed",
    "FAILED": "Failed",
    "STOPPING": "Stopping",
    "STOPPED": "Stopped",
}


def _about(kind: str, told: Mapping[str, Any], name_of: Callable[[str], str]) -> str:
    if kind == CUSTOMIZATION:
        return name_of(told["baseModelArn"])
    if kind == "import":
        return str(told.get("importedModelName", ""))
    if kind == "batch":
        return name_of(told["modelId"])
    if kind == "evaluation":
        return ", ".join(name_of(each) for each in [*told.get("modelIdentifiers", []), *told.get("ragIdentifiers", [])])
    return str(told.get("description") or told.get("Strategy") or "")


def base_of(arn: str) -> str:
    """A model's name as people say it: a foundation model's id, or the last part of an ARN."""
    return model_id(arn) if "foundation-model" in arn else short_name(arn)
