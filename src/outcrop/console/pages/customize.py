"""Customize: a customization job in four steps, all of whose values stand in the page's address."""

from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError
from starlette.responses import HTMLResponse, Response

from outcrop.console.pages.catalogue import cards_of, entry_of
from outcrop.console.pages.roles import BEDROCK, roles_for
from outcrop.console.views import job_request
from outcrop.console.views.amounts import base_id, model_id
from outcrop.console.views.catalogue_view import HERE, method_problems
from outcrop.console.views.hyper_effects import effects_of
from outcrop.console.views.job_request import CustomizationForm, HyperField, read_form
from outcrop.console.views.report_view import run_figures
from outcrop.console.visit import ConsoleVisit

_MOST_BUCKETS, _MOST_OBJECTS = 20, 200
_DATA = (".jsonl", ".json", ".csv", ".parquet", ".gz", ".zst", ".txt")


def show(visit: ConsoleVisit) -> Response:
    """The step that the address names, else the first that has something to ask."""
    form = read_form(visit.request.query_params)
    step = visit.asked("step")
    if step not in job_request.STEPS:
        step = job_request.first_missing(form)
    return _step(visit, form, step)


def create(visit: ConsoleVisit) -> Response:
    """The job, or the last step again with the sentence that refused it."""
    form = read_form(visit.form)
    try:
        made = visit.api.client("bedrock").create_model_customization_job(**job_request.request_of(form))
    except ClientError as refusal:
        return _step(visit, form, "review", problem=refusal.response["Error"]["Message"])
    return visit.to(f"/jobs/{made['jobArn'].rsplit('/', 1)[-1]}", arn=made["jobArn"])


def estimate(visit: ConsoleVisit) -> Response:
    """The effect of the values that the page has now: steps, time, memory, price."""
    form = read_form(visit.request.query_params)
    query: dict[str, str | list[str]] = {"train": form.train, "base": base_id(form.model), "type": form.kind}
    query |= {"hyper": form.hyper_pairs} | ({"validation": form.validation} if form.validation else {})
    try:
        told = visit.api.own("/outcrop/preflight", query)
    except ClientError as refusal:
        return HTMLResponse(visit.text("refused.html", sentence=refusal.response["Error"]["Message"]))
    refused = [problem["sentence"] for file in told["files"] for problem in file["problems"][:3]]
    run = run_figures(told.get("forecast"), visit.language)
    effects = effects_of(_fields(visit, form), form, told, visit.language)
    return HTMLResponse(visit.text("estimate.html", run=run, refused=refused, form=form, effects=effects))


def _step(visit: ConsoleVisit, form: CustomizationForm, step: str, *, problem: str = "") -> Response:
    asking = {"model": _ask_model, "data": _ask_data, "hyper": _ask_hyper, "review": _ask_review}[step]
    template, values, form = asking(visit, form)
    return visit.page(
        template,
        form=form,
        step=step,
        steps=job_request.STEPS,
        problem=problem,
        reached=job_request.STEPS.index(job_request.first_missing(form)),
        **values,
    )


def _ask_model(visit: ConsoleVisit, form: CustomizationForm) -> tuple[str, dict[str, Any], CustomizationForm]:
    found = cards_of(visit)
    cards = [card for card in found.cards if card.customizations and card.state == HERE]
    return "customize_model.html", {"cards": cards, "refused": found.refused}, form


def _ask_data(visit: ConsoleVisit, form: CustomizationForm) -> tuple[str, dict[str, Any], CustomizationForm]:
    buckets = visit.api.listed("s3", "list_buckets", "Buckets")
    uris = []
    for bucket in buckets.items[:_MOST_BUCKETS]:
        found = visit.api.listed("s3", "list_objects_v2", "Contents", Bucket=bucket["Name"], MaxKeys=_MOST_OBJECTS)
        uris += [f"s3://{bucket['Name']}/{each['Key']}" for each in found.items if each["Key"].lower().endswith(_DATA)]
    values = {"uris": uris, "kinds": job_request.KINDS, "refused": buckets.refused}
    return "customize_data.html", values, form


def _ask_hyper(visit: ConsoleVisit, form: CustomizationForm) -> tuple[str, dict[str, Any], CustomizationForm]:
    return "customize_hyper.html", {"fields": _fields(visit, form)}, form


def _fields(visit: ConsoleVisit, form: CustomizationForm) -> list[HyperField]:
    """The fields that go with the form's base model."""
    told = entry_of(visit, base_id(form.model))
    if told is None:
        return job_request.fields_of(None, {})
    return job_request.fields_of(told["models"][0], method_problems(told, visit.language))


def _ask_review(visit: ConsoleVisit, form: CustomizationForm) -> tuple[str, dict[str, Any], CustomizationForm]:
    roles = roles_for(visit, BEDROCK)
    form = form._replace(
        name=form.name or f"{model_id(form.model).split('.')[-1]}-{datetime.now(UTC):%m%d-%H%M%S}",
        role=form.role or (roles[0] if roles else ""),
        output=form.output or job_request.default_output(form.train),
    )
    request = job_request.request_of(form)
    code = {"boto3": job_request.boto3_code(request), "cli": job_request.cli_code(request)}
    return "customize_review.html", {"roles": roles, "code": code}, form
