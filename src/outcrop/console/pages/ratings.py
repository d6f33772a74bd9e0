"""Ratings: what the votes of blind comparisons say of the models, and training data out of them."""

from botocore.exceptions import ClientError
from starlette.responses import Response

from outcrop.console import vote_files
from outcrop.console.user_client import DENIED
from outcrop.console.views.rating_view import rating_rows
from outcrop.console.views.vote_lines import FORMS, CastVote, feedback_lines
from outcrop.console.visit import ConsoleVisit
from outcrop.console.vote_files import place_of

_GONE = frozenset({"NoSuchBucket"})


def show(visit: ConsoleVisit) -> Response:
    """The ratings of the place that the address names."""
    return _shown(visit, visit.asked("place") or default_place(visit))


def make_feedback(visit: ConsoleVisit) -> Response:
    """Training data beside the votes, in the form that was asked for; it is shown as a preflight report."""
    uri, form = visit.form.get("place", ""), visit.form.get("form", FORMS[0])
    try:
        place = place_of(uri)
    except ValueError as problem:
        return _shown(visit, uri, problem=str(problem))
    content = b"".join(feedback_lines(vote_files.read(visit.api, place), form if form in FORMS else FORMS[0]))
    if not content:
        return _shown(visit, uri, problem=visit.said("ratings.no_choice"))
    key = f"{place.prefix}feedback-{form if form in FORMS else FORMS[0]}.jsonl"
    visit.api.client("s3").put_object(Bucket=place.bucket, Key=key, Body=content, ContentType="application/jsonlines")
    return visit.to("/data/report", uri=f"s3://{place.bucket}/{key}")


def default_place(visit: ConsoleVisit) -> str:
    """A place for votes in the first bucket; empty where there is none."""
    buckets = visit.api.listed("s3", "list_buckets", "Buckets").items
    return f"s3://{buckets[0]['Name']}/playground/" if buckets else ""


def _shown(visit: ConsoleVisit, uri: str, *, problem: str = "") -> Response:
    votes: list[CastVote] = []
    try:
        if uri:
            votes = vote_files.read(visit.api, place_of(uri))
    except ValueError as wrong:
        problem = problem or str(wrong)
    except ClientError as refusal:
        if refusal.response["Error"]["Code"] not in DENIED | _GONE:
            raise
        problem = problem or refusal.response["Error"]["Message"]
    return visit.page(
        "ratings.html",
        status=400 if problem else 200,
        place=uri,
        problem=problem,
        num_votes=len(votes),
        rows=[row._replace(name=visit.name_of(row.model)) for row in rating_rows(votes)],
        num_chosen=sum(vote.best is not None for vote in votes),
        forms=FORMS,
        short_name=visit.name_of,
    )
