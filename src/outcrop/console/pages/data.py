"""Data: buckets and their objects, uploads, and the preflight report of an object as a page."""

from botocore.exceptions import ClientError
from starlette.responses import HTMLResponse, Response

from outcrop.console.views.amounts import age, model_id, size
from outcrop.console.views.job_request import KINDS
from outcrop.console.views.model_views import model_cards
from outcrop.console.views.report_view import report_page
from outcrop.console.visit import ConsoleVisit

_MOST_OBJECTS = 500


def show(visit: ConsoleVisit) -> Response:
    buckets = visit.api.listed("s3", "list_buckets", "Buckets")
    names = [each["Name"] for each in buckets.items]
    chosen = visit.asked("bucket") or (names[0] if names else "")
    objects = []
    if chosen:
        found = visit.api.client("s3").list_objects_v2(Bucket=chosen, MaxKeys=_MOST_OBJECTS)
        objects = [
            (each["Key"], size(each["Size"]), age(each["LastModified"], visit.now, visit.language))
            for each in found.get("Contents", [])
        ]
    return visit.page("data.html", buckets=buckets, names=names, chosen=chosen, objects=objects)


def make(visit: ConsoleVisit) -> Response:
    """A new bucket."""
    name = visit.form.get("bucket", "").strip()
    visit.api.client("s3").create_bucket(Bucket=name)
    return visit.to("/data", bucket=name)


def report(visit: ConsoleVisit) -> Response:
    """The page of a report, which its script fills: making one takes seconds."""
    cards = model_cards(visit.api.listed("bedrock", "list_foundation_models", "modelSummaries").items)
    bases = [card.id for card in cards if card.customizations]
    base = visit.asked("base") or (bases[0] if bases else "")
    return visit.page(
        "report.html",
        uri=visit.asked("uri"),
        base=model_id(base),
        bases=bases,
        kind=visit.asked("kind") or KINDS[0],
        kinds=KINDS,
    )


def report_body(visit: ConsoleVisit) -> Response:
    """The report itself, made anew: a report that was kept has none of the texts that are shown here."""
    query = {"train": visit.asked("uri"), "base": visit.asked("base"), "type": visit.asked("kind") or KINDS[0]}
    query["again"] = "true"
    try:
        told = visit.api.own("/outcrop/preflight", query)
    except ClientError as refusal:
        return HTMLResponse(visit.text("refused.html", sentence=refusal.response["Error"]["Message"]))
    return HTMLResponse(
        visit.text("report_body.html", report=report_page(told, visit.language), uri=visit.asked("uri"))
    )
