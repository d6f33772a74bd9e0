"""Evaluations: jobs that measure models and knowledge bases, and the report of one, read from where it was written."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError
from starlette.responses import Response

from outcrop.console.pages.roles import BEDROCK, roles_for
from outcrop.console.user_client import DENIED
from outcrop.console.views import evaluation_request
from outcrop.console.views.amounts import age, duration, short_name
from outcrop.console.views.evaluation_report import (
    ORDERS,
    OutputSet,
    in_order,
    is_output,
    metric_report,
    metrics_in,
    read_lines,
    records_part,
    with_notes,
)
from outcrop.console.views.evaluation_request import KINDS, TASKS, EvaluationForm, read_form
from outcrop.console.views.job_request import default_output
from outcrop.console.visit import ConsoleVisit

RUNNING = frozenset({"InProgress", "Stopping"})
_PAGE, _MOST_OBJECTS, _MOST_FILES, _MOST_FILE_BYTES = 50, 500, 10, 16 << 20
_MOST_BUCKETS = 20
_SUMMARY = "outcrop_summary.json"
_MARGIN = timedelta(minutes=2)


def show(visit: ConsoleVisit) -> Response:
    return visit.page("evaluations.html", living=living(visit))


def living(visit: ConsoleVisit) -> str:
    """The list, which changes while one looks."""
    token = {"nextToken": visit.asked("after")} if visit.asked("after") else {}
    found = visit.api.listed("bedrock", "list_evaluation_jobs", "jobSummaries", maxResults=_PAGE, **token)
    rows = [
        {
            "arn": each["jobArn"],
            "id": short_name(each["jobArn"]),
            "name": each["jobName"],
            "status": each["status"],
            "of": ", ".join(map(visit.name_of, each.get("modelIdentifiers") or each.get("ragIdentifiers") or ["–"])),
            "age": age(each["creationTime"], visit.now, visit.language),
        }
        for each in found.items
    ]
    return visit.text("evaluations_living.html", rows=rows, found=found)


def new(visit: ConsoleVisit) -> Response:
    """The form for a job, with the values that the address has."""
    return _asked(visit, read_form(visit.request.query_params))


def make(visit: ConsoleVisit) -> Response:
    """The job, or the form again with the sentence that refused it."""
    form = read_form(visit.form)
    try:
        made = visit.api.client("bedrock").create_evaluation_job(
            **evaluation_request.request_of(form, visit.api.region)
        )
    except ClientError as refusal:
        return _asked(visit, form, problem=refusal.response["Error"]["Message"])
    return visit.to(f"/evaluations/{short_name(made['jobArn'])}", arn=made["jobArn"])


def stop(visit: ConsoleVisit) -> Response:
    arn = visit.form.get("arn", "")
    visit.api.client("bedrock").stop_evaluation_job(jobIdentifier=arn)
    return visit.to(f"/evaluations/{short_name(arn)}", arn=arn)


def delete(visit: ConsoleVisit) -> Response:
    """The job is gone from the list; what it wrote stays."""
    arn = visit.form.get("arn", "")
    told = visit.api.client("bedrock").batch_delete_evaluation_job(jobIdentifiers=[arn])
    if told["errors"]:
        sentence = told["errors"][0].get("message", told["errors"][0]["code"])
        return visit.page("error.html", status=400, title="error.refused", sentence=sentence)
    return visit.to("/evaluations")


def show_one(visit: ConsoleVisit) -> Response:
    """A job; the report too, once there is one."""
    job = _job(visit)
    values: dict[str, Any] = {"arn": job["jobArn"], "job": job, "living": _living(visit, job)}
    if job["status"] not in RUNNING:
        values |= _report(visit, job)
    return visit.page("evaluation.html", is_running=job["status"] in RUNNING, **values)


def living_one(visit: ConsoleVisit) -> str:
    """The job as it stands now."""
    return _living(visit, _job(visit))


def _living(visit: ConsoleVisit, job: dict[str, Any]) -> str:
    end = visit.now if job["status"] in RUNNING else job.get("lastModifiedTime", visit.now)
    took = duration((end - job["creationTime"]).total_seconds(), visit.language)
    return visit.text(
        "evaluation_living.html",
        job=job,
        took=took,
        left=_questions(visit, job) if job["status"] in RUNNING else None,
        is_running=job["status"] in RUNNING,
    )


def _questions(visit: ConsoleVisit, job: dict[str, Any]) -> tuple[int, int] | None:
    """How many questions were asked, of how many; None before anything is known."""
    queries = [
        {
            "Id": name.lower(),
            "MetricStat": {
                "Metric": {
                    "Namespace": "Outcrop/Jobs",
                    "MetricName": name,
                    "Dimensions": [{"Name": "JobArn", "Value": job["jobArn"]}],
                },
                "Period": 60,
                "Stat": stat,
            },
        }
        for name, stat in (("QuestionsAsked", "Maximum"), ("QuestionsLeft", "Minimum"))
    ]
    told = visit.api.listed(
        "cloudwatch",
        "get_metric_data",
        "MetricDataResults",
        MetricDataQueries=queries,
        StartTime=job["creationTime"] - _MARGIN,
        EndTime=visit.now + _MARGIN,
        ScanBy="TimestampDescending",
    )
    newest = {each["Id"]: int(each["Values"][0]) for each in told.items if each["Values"]}
    asked, left = newest.get("questionsasked", 0), newest.get("questionsleft")
    return None if left is None else (asked, asked + left)


def _report(visit: ConsoleVisit, job: dict[str, Any]) -> dict[str, Any]:
    uri = f"{job['outputDataConfig']['s3Uri'].rstrip('/')}/{job['jobName']}/{short_name(job['jobArn'])}/"
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    try:
        sets, left_out = _sets(visit, bucket, prefix)
    except ClientError as refusal:
        if refusal.response["Error"]["Code"] not in DENIED | {"NoSuchBucket"}:
            raise
        return {"place": uri, "sets": [], "left_out": [], "refused": refusal.response["Error"]["Message"]}
    datasets = list(dict.fromkeys(each.dataset for each in sets))
    dataset = visit.asked("dataset") if visit.asked("dataset") in datasets else (datasets or [""])[0]
    models = [_model_of(each) for each in job["inferenceConfig"].get("models", ())]
    own = in_order([each for each in sets if each.dataset == dataset], models)
    summary = _summary(visit, bucket, prefix)
    metrics = metrics_in(own)
    metric = visit.asked("metric") if visit.asked("metric") in metrics else (metrics or [""])[0]
    order = visit.asked("order") if visit.asked("order") in ORDERS else ORDERS[0]
    first = int(visit.asked("first")) if visit.asked("first").isdecimal() else 0
    return {
        "place": uri,
        "sets": own,
        "left_out": left_out,
        "refused": "",
        "datasets": datasets,
        "dataset": dataset,
        "reports": [with_notes(metric_report(own, name), summary, dataset) for name in metrics],
        "metrics": metrics,
        "metric": metric,
        "orders": ORDERS if len(own) > 1 else [order for order in ORDERS if order != "difference"],
        "order": order,
        "part": records_part(own, metric, order, first) if metric else None,
    }


def _sets(visit: ConsoleVisit, bucket: str, prefix: str) -> tuple[list[OutputSet], list[str]]:
    """The lines in a job's folder, and the keys of objects that are too large to be shown."""
    s3 = visit.api.client("s3")
    found = s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=_MOST_OBJECTS).get("Contents", [])
    outputs = [each for each in found if is_output(each["Key"])]
    shown = [each["Key"] for each in outputs if each["Size"] <= _MOST_FILE_BYTES][:_MOST_FILES]
    sets = [read_lines(f"/{key[len(prefix) :]}", s3.get_object(Bucket=bucket, Key=key)["Body"].read()) for key in shown]
    return sets, [each["Key"] for each in outputs if each["Key"] not in shown]


def _model_of(config: dict[str, Any]) -> str:
    """A model as it stands in the keys of its output."""
    if "bedrockModel" in config:
        return short_name(config["bedrockModel"]["modelIdentifier"])
    return str(config.get("precomputedInferenceSource", {}).get("inferenceSourceIdentifier", ""))


def _summary(visit: ConsoleVisit, bucket: str, prefix: str) -> dict[str, Any]:
    """The summary that Outcrop writes beside the lines; nothing where another wrote them."""
    try:
        found = visit.api.client("s3").get_object(Bucket=bucket, Key=f"{prefix}{_SUMMARY}")
    except ClientError as refusal:
        if refusal.response["Error"]["Code"] != "NoSuchKey":
            raise
        return {}
    told: dict[str, Any] = json.loads(found["Body"].read())
    return told


def _asked(visit: ConsoleVisit, form: EvaluationForm, *, problem: str = "") -> Response:
    from outcrop.console.pages.playground import models_to_ask

    custom, foundation = models_to_ask(visit)
    roles, uris = roles_for(visit, BEDROCK), _data(visit)
    bases = visit.api.listed("bedrock-agent", "list_knowledge_bases", "knowledgeBaseSummaries").items
    form = form._replace(
        name=form.name or f"evaluation-{datetime.now(UTC):%m%d-%H%M%S}",
        role=form.role or (roles[0] if roles else ""),
        output=form.output
        or default_output(form.dataset or (uris[0] if uris else "")).replace("/output/", "/measured/"),
        metrics=form.metrics or evaluation_request.metrics_of(form.kind)[:1],
    )
    return visit.page(
        "evaluation_new.html",
        status=400 if problem else 200,
        form=form,
        problem=problem,
        kinds=KINDS,
        tasks=TASKS,
        computed=evaluation_request.COMPUTED,
        metrics=evaluation_request.metrics_of(form.kind),
        custom=custom,
        foundation=foundation,
        bases=[(each["knowledgeBaseId"], each["name"]) for each in bases],
        roles=roles,
        uris=uris,
    )


def _data(visit: ConsoleVisit) -> list[str]:
    uris = []
    for bucket in visit.api.listed("s3", "list_buckets", "Buckets").items[:_MOST_BUCKETS]:
        found = visit.api.listed("s3", "list_objects_v2", "Contents", Bucket=bucket["Name"], MaxKeys=_MOST_OBJECTS)
        uris += [f"s3://{bucket['Name']}/{each['Key']}" for each in found.items if each["Key"].endswith(".jsonl")]
    return uris


def _job(visit: ConsoleVisit) -> dict[str, Any]:
    arn = visit.asked("arn") or str(visit.request.path_params.get("job", ""))
    job: dict[str, Any] = visit.api.client("bedrock").get_evaluation_job(jobIdentifier=arn)
    return job
