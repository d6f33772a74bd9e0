"""Deployments and engines: what can be asked, what is in memory, use, and price so far."""

from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError
from starlette.responses import Response

from outcrop.console.pages.metric_points import AskedMetric, points_of
from outcrop.console.user_client import DENIED
from outcrop.console.views.amounts import age
from outcrop.console.views.memory_view import MemoryPage, memory_page
from outcrop.console.visit import ConsoleVisit

_PAGE = 50
_HOUR = timedelta(hours=1)
_NIGHT = timedelta(hours=24)
_MINUTE_S, _HOUR_S = 60, 3600
_YOUNG_S = 5.0
"Since the page lives, and to look at every deployment takes longer than to list them."


def show(visit: ConsoleVisit) -> Response:
    return visit.page("deployments.html", living=living(visit))


def living(visit: ConsoleVisit) -> str:
    """The list, which changes while one looks."""
    token = {"nextToken": visit.asked("after")} if visit.asked("after") else {}
    found = visit.api.listed(
        "bedrock", "list_custom_model_deployments", "modelDeploymentSummaries", maxResults=_PAGE, **token
    )
    ages = [age(each["createdAt"], visit.now, visit.language) for each in found.items]
    provisioned = visit.api.listed(
        "bedrock", "list_provisioned_model_throughputs", "provisionedModelSummaries", maxResults=_PAGE
    )
    arns = [each["customModelDeploymentArn"] for each in found.items]
    arns += [each["provisionedModelArn"] for each in provisioned.items]
    memory, why_not = memory_of(visit, arns)
    return visit.text(
        "deployments_living.html", found=found, ages=ages, provisioned=provisioned, memory=memory, why_not=why_not
    )


def memory_of(visit: ConsoleVisit, arns: list[str]) -> tuple[MemoryPage | None, str]:
    """Memory, use and prices; None for who may not know, with the sentence."""
    try:
        told = visit.api.own_lately("/outcrop/memory", within_s=_YOUNG_S)
    except ClientError as refusal:
        if refusal.response["Error"]["Code"] not in DENIED:
            raise
        return None, str(refusal.response["Error"]["Message"])
    page = memory_page(told, _traffic(visit, arns), _endpoints(visit), visit.now, visit.language)
    return page, ""


def delete(visit: ConsoleVisit) -> Response:
    """The deployment or throughput that the form names is deleted; its model stays."""
    arn = visit.form.get("arn", "")
    if ":provisioned-model/" in arn:
        visit.api.client("bedrock").delete_provisioned_model_throughput(provisionedModelId=arn)
    else:
        visit.api.client("bedrock").delete_custom_model_deployment(customModelDeploymentIdentifier=arn)
    return visit.to("/deployments")


def _traffic(visit: ConsoleVisit, arns: list[str]) -> dict[str, tuple[float, float]]:
    """Requests and mean milliseconds of the last hour, by what was invoked."""
    asked = [
        AskedMetric("AWS/Bedrock", metric, {"ModelId": arn}, statistic)
        for arn in arns
        for metric, statistic in (("Invocations", "Sum"), ("InvocationLatency", "Average"))
    ]
    points = points_of(visit, asked, since=visit.now - _HOUR, until=visit.now + _HOUR, period_s=_HOUR_S)
    found = {}
    for place, arn in enumerate(arns):
        requests, latency = points[2 * place : 2 * place + 2]
        if requests:
            found[arn] = (sum(value for _, value in requests), latency[-1][1] if latency else 0.0)
    return found


def _endpoints(visit: ConsoleVisit) -> list[tuple[dict[str, Any], datetime | None]]:
    """Endpoints of SageMaker, each with the last minute in which it was asked, as far as a day goes back."""
    found = visit.api.listed("sagemaker", "list_endpoints", "Endpoints", MaxResults=_PAGE).items
    serving = [each for each in found if each["EndpointStatus"] == "InService"]
    series = visit.api.listed(
        "cloudwatch", "list_metrics", "Metrics", Namespace="AWS/SageMaker", MetricName="Invocations"
    )
    variants = {
        name: {item["Name"]: item["Value"] for item in each["Dimensions"]}
        for each in series.items
        for name in [next((item["Value"] for item in each["Dimensions"] if item["Name"] == "EndpointName"), "")]
    }
    asked = [each for each in serving if each["EndpointName"] in variants]
    points = points_of(
        visit,
        [AskedMetric("AWS/SageMaker", "Invocations", variants[each["EndpointName"]], "Sum") for each in asked],
        since=visit.now - _NIGHT,
        until=visit.now + _HOUR,
        period_s=_MINUTE_S,
    )
    last = {each["EndpointName"]: values[-1][0] for each, values in zip(asked, points, strict=True) if values}
    return [(each, last.get(each["EndpointName"])) for each in serving]
