"""Home: the road with one's own counts, what runs, and what to do next."""

from starlette.responses import Response

from outcrop.console.pages.deployments import memory_of
from outcrop.console.views.home_view import next_step, road
from outcrop.console.views.job_views import job_row
from outcrop.console.visit import ConsoleVisit

_MOST = 100
"What there is more of is told with a plus: the page is sent again each second, and counting costs what listing does."
_RECENT = 5


def show(visit: ConsoleVisit) -> Response:
    memory, _ = memory_of(visit, [])
    return visit.page("home.html", living=living(visit), memory=memory)


def living(visit: ConsoleVisit) -> str:
    """The part of the page that changes while one looks."""
    api = visit.api
    listed = {
        "data": api.listed("s3", "list_buckets", "Buckets"),
        "jobs": api.listed(
            "bedrock", "list_model_customization_jobs", "modelCustomizationJobSummaries", maxResults=_MOST
        ),
        "models": api.listed("bedrock", "list_custom_models", "modelSummaries", maxResults=_MOST),
        "deployments": api.listed(
            "bedrock",
            "list_custom_model_deployments",
            "modelDeploymentSummaries",
            maxResults=_MOST,
            statusEquals="Active",
        ),
    }
    recent = [job_row(job, visit.now, visit.language) for job in listed["jobs"].items[:_RECENT]]
    return visit.text("home_living.html", stations=road(listed), following=next_step(listed), jobs=recent)
