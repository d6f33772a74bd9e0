"""The CreateHyperParameterTuningJob request, checked to the last of its training jobs and put on record as a job."""

import secrets
from collections.abc import Mapping
from typing import Any

from outcrop.arn import sagemaker as sagemaker_arn
from outcrop.errors import Invalid, NotFound, Refusal, ServiceRefusal
from outcrop.jobs.jobs import Jobs
from outcrop.sagemaker import training_request
from outcrop.sagemaker.rooms import TrainingRooms
from outcrop.sagemaker.tuning import children, outcome, plan
from outcrop.sagemaker.tuning.kind import KIND
from outcrop.sagemaker.tuning.plan import IDENTICAL, TuningPlan
from outcrop.sagemaker.tuning.states import LIFECYCLE, TuningStatus
from outcrop.store.resources import Resource
from outcrop.store.tags import check_number, tags_of


def create(
    house: TrainingRooms, params: Mapping[str, Any], *, region: str, owner: str, parent: str | None = None
) -> str:
    """Check the request, write the job's row, and return its ARN; a worker takes it from there. Raises Refusal.

    `parent` is the pipeline execution that creates it.
    """
    name = params["HyperParameterTuningJobName"]
    job_arn = sagemaker_arn(region, house.account, f"{KIND.name}/{name.lower()}")
    planned = plan.read(params)
    tags = tags_of("Tags", [{"key": tag["Key"], "value": tag["Value"]} for tag in params.get("Tags", [])])
    check_number(job_arn, tags)
    _check_training_jobs(house, planned, job_arn=job_arn, name=name)
    if planned.watches_values and not house.settings.points_kept.days:
        raise Invalid(
            "HyperParameterTuningJobConfig: Hyperband and TrainingJobEarlyStoppingType Auto read metric points, and "
            "none are kept here. Set OUTCROP_METRICS_DAYS to 1 or more, or choose another strategy and Off."
        )
    document = {
        "request": {member: value for member, value in params.items() if member != "Tags"},
        "seed": params["HyperParameterTuningJobConfig"].get("RandomSeed", secrets.randbits(31)),
        **_warm_start(house.jobs, params, planned, region=region),
    }
    with house.store.transaction():
        if house.store.resources.row(job_arn) is not None:
            raise ServiceRefusal(
                "ResourceInUse",
                "Tuning job names must be unique within an AWS account and region, and a tuning job with this name "
                f"already exists ({job_arn})",
                http_status=400,
            )
        house.jobs.add(KIND, job_arn=job_arn, name=name, region=region, document=document, owner=owner, parent=parent)
        house.store.tags.put(job_arn, tags)
    return job_arn


def _check_training_jobs(house: TrainingRooms, planned: TuningPlan, *, job_arn: str, name: str) -> None:
    """Check the requests that the tuning job will make. Raises Refusal, naming the definition."""
    for definition in planned.definitions:
        place = "TrainingJobDefinition" if definition.name is None else f"TrainingJobDefinitions.{definition.name}"
        if not {"ResourceConfig", "HyperParameterTuningResourceConfig"} & definition.request.keys():
            raise Invalid(f"{place}: give either ResourceConfig or HyperParameterTuningResourceConfig.")
        first = children.request_of(definition, {}, name=children.name_of(name, 0), tags={})
        try:
            training_request.check(house, first, job_arn=job_arn)
        except Invalid as wrong:
            raise Invalid(f"{place}.{wrong.message}") from wrong


def _warm_start(jobs: Jobs, params: Mapping[str, Any], planned: TuningPlan, *, region: str) -> dict[str, Any]:
    """The members of the job's document that tell of the tuning jobs it goes on from. Raises Invalid."""
    config = params.get("WarmStartConfig")
    if not config:
        return {}
    if len(planned.definitions) > 1:
        raise Invalid("WarmStartConfig: goes with one TrainingJobDefinition. Leave it out, or give one.")
    names = [each.get("HyperParameterTuningJobName", "") for each in config["ParentHyperParameterTuningJobs"]]
    if len(set(names)) < len(names):
        raise Invalid("WarmStartConfig.ParentHyperParameterTuningJobs: one is named twice. Name each once.")
    is_identical = config["WarmStartType"] == IDENTICAL
    parents = [_parent(jobs, name, region, planned, is_identical=is_identical) for name in names]
    objective = planned.definitions[0].objective
    bests = [best for each in parents if (best := outcome.overall_best(each.document, objective)) is not None]
    # As it is now: they may be deleted while this job runs.
    before = {"bestBefore": outcome.best_of(bests, objective)} if is_identical else {}
    return {"parents": [parent.arn for parent in parents], **before}


def _parent(jobs: Jobs, name: str, region: str, planned: TuningPlan, *, is_identical: bool) -> Resource:
    place = f"WarmStartConfig.ParentHyperParameterTuningJobs: {name}"
    try:
        parent = jobs.find(KIND, region, name)
    except NotFound as error:
        raise Invalid(f"{place} was not found. Name tuning jobs of this region.") from error
    if TuningStatus(parent.status) not in LIFECYCLE.ended:
        raise Invalid(f"{place} is {parent.status}. Wait for its end, or stop it.")
    try:
        theirs = plan.read(parent.document["request"]).definitions
    except Refusal as error:
        raise Invalid(f"{place} cannot be gone on from: {error.message}") from error
    (ours,) = planned.definitions
    if len(theirs) > 1:
        raise Invalid(f"{place} has several TrainingJobDefinitions. Name one that has one.")
    if theirs[0].objective != ours.objective:
        raise Invalid(
            f"{place} has another objective: {theirs[0].objective.type} {theirs[0].objective.metric}. Take it."
        )
    images = {each.request["AlgorithmSpecification"].get("TrainingImage") for each in (theirs[0], ours)}
    if is_identical and len(images) > 1:
        raise Invalid(f"{place} has another TrainingImage. Take the same, or choose TransferLearning.")
    return parent
