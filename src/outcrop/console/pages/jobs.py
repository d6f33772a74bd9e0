"""Jobs: the list, and one job while it runs and after."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from starlette.responses import Response

from outcrop.console.views.job_views import METRICS, job_page, job_row
from outcrop.console.visit import ConsoleVisit

_PAGE = 50
_FINE = timedelta(hours=3)
"Of younger runs each second is shown, of older ones each minute."
_MARGIN = timedelta(minutes=2)
_Points = dict[str, list[tuple[datetime, float]]]


def show(visit: ConsoleVisit) -> Response:
    return visit.page("jobs.html", living=living(visit))


def living(visit: ConsoleVisit) -> str:
    """The list, which changes while one looks."""
    token = {"nextToken": visit.asked("after")} if visit.asked("after") else {}
    found = visit.api.listed(
        "bedrock", "list_model_customization_jobs", "modelCustomizationJobSummaries", maxResults=_PAGE, **token
    )
    rows = [job_row(job, visit.now, visit.language) for job in found.items]
    return visit.text("jobs_living.html", rows=rows, found=found)


def show_one(visit: ConsoleVisit) -> Response:
    return visit.page("job.html", living=living_one(visit), arn=_asked_job(visit))


def living_one(visit: ConsoleVisit) -> str:
    """The job as it stands now."""
    job = visit.api.client("bedrock").get_model_customization_job(jobIdentifier=_asked_job(visit))
    page = job_page(job, _points(visit, job), visit.now, visit.language)
    return visit.text("job_living.html", job=page)


def stop(visit: ConsoleVisit) -> Response:
    """The job that the form names is asked to stop."""
    arn = visit.form.get("arn", "")
    visit.api.client("bedrock").stop_model_customization_job(jobIdentifier=arn)
    return visit.to(f"/jobs/{arn.rsplit('/', 1)[-1]}", arn=arn)


def _asked_job(visit: ConsoleVisit) -> str:
    return visit.asked("arn") or str(visit.request.path_params.get("job", ""))


def _points(visit: ConsoleVisit, job: Mapping[str, Any]) -> _Points:
    end = (job.get("endTime") or visit.now) + _MARGIN
    period = 1 if end - job["creationTime"] < _FINE else 60
    queries = [
        {
            "Id": f"m{number}",
            "MetricStat": {
                "Metric": {
                    "Namespace": "Outcrop/Jobs",
                    "MetricName": name,
                    "Dimensions": [{"Name": "JobArn", "Value": job["jobArn"]}],
                },
                "Period": period,
                "Stat": "Maximum" if name == "Step" else "Average",
            },
        }
        for number, name in enumerate(METRICS)
    ]
    told = visit.api.listed(
        "cloudwatch",
        "get_metric_data",
        "MetricDataResults",
        MetricDataQueries=queries,
        StartTime=job["creationTime"] - _MARGIN,
        EndTime=end,
        ScanBy="TimestampAscending",
    )
    return {
        METRICS[int(each["Id"][1:])]: list(zip(each["Timestamps"], each["Values"], strict=True)) for each in told.items
    }
