"""Jobs: one list of all kinds, one job while it runs and after, and several over one another."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError
from starlette.responses import Response

from outcrop.console.views import job_kinds
from outcrop.console.views.amounts import moment_text
from outcrop.console.views.described_job import described_job
from outcrop.console.views.job_kinds import CUSTOMIZATION, INGESTION, KindPage, ListedJobKind, MergedPlace
from outcrop.console.views.job_views import SEARCH, JobTold, job_page
from outcrop.console.views.overlay import MOST_JOBS, overlay
from outcrop.console.views.study_view import study_gain
from outcrop.console.visit import ConsoleVisit
from outcrop.console.watched_job import MEASURES, WatchedJob

_PAGE = 50
_MOST_BASES = 20
_MOST_INGESTIONS = 200
_STUDY = "training_artifacts/study.json"
_INVALID = frozenset({"ValidationException", "ValidationError"})


def show(visit: ConsoleVisit) -> Response:
    return visit.page(
        "jobs.html",
        living=living(visit),
        kinds=[kind.name for kind in job_kinds.KINDS],
        statuses=job_kinds.STATUSES,
        kind=_asked_kind(visit),
        wanted=visit.asked("status"),
        name=visit.asked("name"),
    )


def living(visit: ConsoleVisit) -> str:
    """The list, which changes while one looks."""
    place, refused = job_kinds.read_place(visit.asked("after")), []
    wanted = [kind for kind in job_kinds.KINDS if _asked_kind(visit) in ("", kind.name) and kind.name not in place.over]
    status = visit.asked("status")
    pages: dict[str, KindPage] = {}
    for kind in wanted:
        if status and status not in kind.statuses:
            continue
        page, sentence = _kind_page(visit, kind, place)
        pages[kind.name] = page
        if sentence:
            refused.append((kind.name, sentence))
    found, after = job_kinds.merge(pages, place, _PAGE)
    rows = [job_kinds.listed_row(kind, told, visit.now, visit.language, visit.name_of) for kind, told in found]
    filters = [(key, visit.asked(key)) for key in ("kind", "status", "name") if visit.asked(key)]
    more = "" if after is None else visit.with_query("/jobs", filters, after=job_kinds.write_place(after))
    return visit.text("jobs_living.html", rows=rows, refused=refused, more=more, is_filtered=bool(filters))


def show_one(visit: ConsoleVisit) -> Response:
    kind = _asked_kind(visit) or CUSTOMIZATION
    living = living_one if kind == CUSTOMIZATION else living_other
    page = "job" if kind == CUSTOMIZATION else "other_job"
    return visit.page("job.html", living=living(visit), page=page, arn=_asked_job(visit))


def living_one(visit: ConsoleVisit) -> str:
    """A customization job as it stands now."""
    job = visit.api.client("bedrock").get_model_customization_job(jobIdentifier=_asked_job(visit))
    page = job_page(job, _told(visit, job), visit.now, visit.language, visit.name_of)
    return visit.text("job_living.html", job=page)


def living_other(visit: ConsoleVisit) -> str:
    """A job of another kind as it stands now."""
    kind, place = job_kinds.BY_NAME[_asked_kind(visit)], _asked_job(visit)
    told = getattr(visit.api.client(kind.service), kind.describe)(**job_kinds.request_of(kind, place))
    job = described_job(kind, told.get("ingestionJob", told), visit.now, visit.language)
    return visit.text("other_job_living.html", job=job, kind=kind, place=place)


def show_overlay(visit: ConsoleVisit) -> Response:
    return visit.page("overlay.html", living=living_overlay(visit))


def living_overlay(visit: ConsoleVisit) -> str:
    """Several jobs on one chart; the address names them and the measure."""
    arns = list(dict.fromkeys(each for each in visit.request.query_params.getlist("job") if each))[:MOST_JOBS]
    measure = visit.asked("measure") if visit.asked("measure") in MEASURES else MEASURES[0]
    found = []
    for arn in arns:
        job = visit.api.client("bedrock").get_model_customization_job(jobIdentifier=arn)
        watched = _watched(visit, job["jobArn"])
        watched.look(visit.api, has_ended=job["status"] not in job_kinds.RUNNING)
        found.append((job, watched.curves, watched.refused))
    page = overlay(found, measure)
    return visit.text("overlay_living.html", overlay=page, measure=measure, measures=MEASURES, arns=arns)


def show_log(visit: ConsoleVisit) -> Response:
    """Lines of the workers' logs about a job."""
    arn, before = visit.asked("arn"), visit.asked("before")
    told = visit.api.own("/outcrop/log", {"job": arn, **({"before": before} if before else {})})
    lines = [
        (moment_text(str(line.pop("time", ""))), str(line.pop("level", "")), str(line.pop("event", "")), _rest(line))
        for line in told["lines"]
    ]
    return visit.page("job_log.html", arn=arn, id=arn.rsplit("/", 1)[-1], lines=lines, more=len(lines) >= 500)


def stop(visit: ConsoleVisit) -> Response:
    """The job that the form names is asked to stop."""
    place = visit.form.get("arn", "")
    kind = job_kinds.BY_NAME.get(visit.form.get("kind", ""), job_kinds.BY_NAME[CUSTOMIZATION])
    getattr(visit.api.client(kind.service), kind.stop)(**job_kinds.request_of(kind, place))
    more = {} if kind.name == CUSTOMIZATION else {"kind": kind.name}
    return visit.to(f"/jobs/{place.rsplit('/', 1)[-1]}", arn=place, **more)


def take_checkpoint(visit: ConsoleVisit) -> Response:
    """A custom model is made of the checkpoint that the form names, to be deployed from its page."""
    arn, uri, step = (visit.form.get(name, "") for name in ("arn", "uri", "step"))
    bedrock = visit.api.client("bedrock")
    job = bedrock.get_model_customization_job(jobIdentifier=arn)
    name = f"{job['outputModelName'][:40]}-step-{step}-{datetime.now(UTC):%H%M%S}"
    made = bedrock.create_custom_model(
        modelName=name, modelSourceConfig={"s3DataSource": {"s3Uri": uri}}, roleArn=job["roleArn"]
    )
    return visit.to("/models/custom", arn=made["modelArn"])


def _asked_job(visit: ConsoleVisit) -> str:
    return visit.asked("arn") or str(visit.request.path_params.get("job", ""))


def _asked_kind(visit: ConsoleVisit) -> str:
    return visit.asked("kind") if visit.asked("kind") in job_kinds.BY_NAME else ""


def _kind_page(visit: ConsoleVisit, kind: ListedJobKind, place: MergedPlace) -> tuple[KindPage, str]:
    """A page of one kind, and the sentence with which it was refused."""
    status = visit.asked("status") if visit.asked("status") in job_kinds.STATUSES else ""
    if kind.name == INGESTION:
        return _ingestions(visit, job_kinds.status_of(kind, status))
    name = visit.asked("name")
    params = kind.params(status=status, name=name, token=place.tokens.get(kind.name, ""), most=_PAGE)
    try:
        found = visit.api.listed(kind.service, kind.operation, kind.member, **params)
    except ClientError as refusal:
        if not name or refusal.response["Error"]["Code"] not in _INVALID:
            raise
        return KindPage([], ""), ""  # no job of this kind can have such letters in its name
    return KindPage(found.items, found.more), found.refused


def _ingestions(visit: ConsoleVisit, status: str) -> tuple[KindPage, str]:
    """Ingestion jobs, which are listed of one data source at a time; their names are ids."""
    api, found, name = visit.api, [], visit.asked("name")
    bases = api.listed("bedrock-agent", "list_knowledge_bases", "knowledgeBaseSummaries", maxResults=_MOST_BASES)
    filters = [{"attribute": "STATUS", "operator": "EQ", "values": [status]}] if status else []
    for base in bases.items:
        place = {"knowledgeBaseId": base["knowledgeBaseId"]}
        for source in api.listed("bedrock-agent", "list_data_sources", "dataSourceSummaries", **place).items:
            jobs = api.listed(
                "bedrock-agent",
                "list_ingestion_jobs",
                "ingestionJobSummaries",
                **place,
                dataSourceId=source["dataSourceId"],
                maxResults=_MOST_INGESTIONS,
                **({"filters": filters} if filters else {}),
            )
            about = {"description": f"{base['name']} · {source['name']}"}
            found += [each | about for each in jobs.items if name in each["ingestionJobId"]]
    found.sort(key=lambda each: each["startedAt"], reverse=True)
    return KindPage(found, ""), bases.refused


def _told(visit: ConsoleVisit, job: Mapping[str, Any]) -> JobTold:
    watched = _watched(visit, job["jobArn"])
    watched.look(visit.api, has_ended=job["status"] not in job_kinds.RUNNING)
    if SEARCH in job.get("hyperParameters", {}) and watched.wants_study():
        watched.study = _study(visit, job)
        watched.gain = None if watched.study is None else study_gain(watched.study)
    return JobTold(
        curves=watched.curves,
        last_step=watched.last_step,
        events=list(watched.events),
        answered=list(watched.answered),
        checkpoints=list(watched.checkpoints),
        study=watched.study,
        gain=watched.gain,
        refused=watched.refused,
    )


def _watched(visit: ConsoleVisit, arn: str) -> WatchedJob:
    assert visit.session is not None
    return visit.session.watched.of(arn)


def _study(visit: ConsoleVisit, job: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The study in the job's output, where it is there and the user may read it."""
    bucket, _, prefix = job["outputDataConfig"]["s3Uri"].removeprefix("s3://").partition("/")
    folder = f"model-customization-job-{job['jobArn'].rsplit('/', 1)[-1]}"
    key = "/".join(part for part in (prefix.strip("/"), folder, _STUDY) if part)
    try:
        told = json.loads(visit.api.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
    except (ClientError, ValueError):
        return None
    return told if isinstance(told, dict) and isinstance(told.get("trials"), list) else None


def _rest(line: Mapping[str, Any]) -> str:
    members = {name: value for name, value in line.items() if name not in ("job", "logger", "traceback")}
    told = ", ".join(f"{name} {value}" for name, value in members.items())
    return "\n".join(part for part in (told, str(line.get("traceback", ""))) if part)
