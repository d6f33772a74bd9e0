"""SageMaker's training jobs and tuning jobs: lists, and one with its metrics and its log while it runs."""

from datetime import timedelta

from starlette.responses import Response

from outcrop.console.pages.log_tail import log_tails
from outcrop.console.pages.metric_points import AskedMetric, points_of
from outcrop.console.views.training_views import metric_names, training_page, training_row, tuning_page, tuning_row
from outcrop.console.visit import ConsoleVisit

_PAGE = 50
_MOST_TRIALS = 100
_LOGS = NAMESPACE = "/aws/sagemaker/TrainingJobs"
_FINE = timedelta(hours=2)
_MARGIN = timedelta(minutes=2)


def show(visit: ConsoleVisit) -> Response:
    return visit.page("sagemaker_training.html", living=living(visit))


def living(visit: ConsoleVisit) -> str:
    """The list, which changes while one looks."""
    token = {"NextToken": visit.asked("after")} if visit.asked("after") else {}
    found = visit.api.listed("sagemaker", "list_training_jobs", "TrainingJobSummaries", MaxResults=_PAGE, **token)
    rows = [training_row(job, visit.now, visit.language) for job in found.items]
    return visit.text("sagemaker_training_living.html", rows=rows, found=found)


def show_one(visit: ConsoleVisit) -> Response:
    return visit.page("sagemaker_training_job.html", living=living_one(visit), name=_asked(visit))


def living_one(visit: ConsoleVisit) -> str:
    """The job as it stands now."""
    name = _asked(visit)
    job = visit.api.client("sagemaker").describe_training_job(TrainingJobName=name)
    names = metric_names(job)
    since, until = job["CreationTime"] - _MARGIN, (job.get("TrainingEndTime") or visit.now) + _MARGIN
    asked = [AskedMetric(NAMESPACE, metric, {"TrainingJobName": name}) for metric in names]
    points = points_of(visit, asked, since=since, until=until, period_s=1 if until - since < _FINE else 60)
    page = training_page(job, dict(zip(names, points, strict=True)), visit.now, visit.language)
    logs = log_tails(visit, _LOGS, f"{name}/")
    return visit.text("sagemaker_training_job_living.html", job=page, logs=logs, plain=str)


def stop(visit: ConsoleVisit) -> Response:
    """The job that the form names is asked to stop."""
    name = visit.form.get("name", "")
    visit.api.client("sagemaker").stop_training_job(TrainingJobName=name)
    return visit.to(f"/sagemaker/training/{name}")


def show_tuning(visit: ConsoleVisit) -> Response:
    return visit.page("sagemaker_tuning.html", living=living_tuning(visit))


def living_tuning(visit: ConsoleVisit) -> str:
    """The list of tuning jobs, which changes while one looks."""
    token = {"NextToken": visit.asked("after")} if visit.asked("after") else {}
    found = visit.api.listed(
        "sagemaker",
        "list_hyper_parameter_tuning_jobs",
        "HyperParameterTuningJobSummaries",
        MaxResults=_PAGE,
        SortBy="CreationTime",
        SortOrder="Descending",
        **token,
    )
    rows = [tuning_row(job, visit.now, visit.language) for job in found.items]
    return visit.text("sagemaker_tuning_living.html", rows=rows, found=found)


def show_one_tuning(visit: ConsoleVisit) -> Response:
    return visit.page("sagemaker_tuning_job.html", living=living_one_tuning(visit), name=_asked(visit))


def living_one_tuning(visit: ConsoleVisit) -> str:
    """The tuning job as it stands now, its trials with the best first."""
    name = _asked(visit)
    job = visit.api.client("sagemaker").describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    trials = visit.api.listed(
        "sagemaker",
        "list_training_jobs_for_hyper_parameter_tuning_job",
        "TrainingJobSummaries",
        HyperParameterTuningJobName=name,
        MaxResults=_MOST_TRIALS,
        SortBy="CreationTime",
        SortOrder="Descending",
    )
    page = tuning_page(job, trials.items, visit.now, visit.language)
    return visit.text("sagemaker_tuning_job_living.html", job=page, trials=trials)


def stop_tuning(visit: ConsoleVisit) -> Response:
    """The tuning job that the form names is asked to stop."""
    name = visit.form.get("name", "")
    visit.api.client("sagemaker").stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    return visit.to(f"/sagemaker/tuning/{name}")


def _asked(visit: ConsoleVisit) -> str:
    return visit.asked("arn") or str(visit.request.path_params.get("job", ""))
