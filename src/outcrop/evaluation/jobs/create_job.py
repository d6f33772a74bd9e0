"""The CreateEvaluationJob request, checked and put on record as a job.

Everything that can be refused is refused here. What only the records can show is found when the job runs.
"""

from collections.abc import Mapping
from typing import Any

from outcrop import arn as arns
from outcrop.catalog.base_model import BaseModel
from outcrop.errors import Invalid
from outcrop.evaluation.jobs.kind import KIND
from outcrop.evaluation.jobs.plan import (
    AnswerSource,
    EvaluationPlan,
    SourceKind,
)
from outcrop.evaluation.jobs.request import kept_params, read_plan
from outcrop.evaluation.jobs.rooms import EvaluationRooms
from outcrop.invocation.background.models import INVOKED, check_may_invoke, model_arn
from outcrop.invocation.resolve import NO_TEXT
from outcrop.network.model_task import ModelTask
from outcrop.store.idempotency import digest_of
from outcrop.store.tags import tags_of

EXTRACTIVE = "outcrop.extractive-v1"
"By this id RetrieveAndGenerate is asked for extracts; no model has it."
_PROBE = "Anybody there?"
"The question with which a knowledge base's configuration is checked; nobody is asked it."


def create(house: EvaluationRooms, params: Mapping[str, Any], *, region: str, account: str, owner: str) -> str:
    """Check the request, write the job's row, and return its ARN; a light worker takes it from there.

    `owner` is the user or role that asks. The same clientRequestToken gets the first ARN again. Raises Invalid,
    NotFound.
    """
    token, scope = params.get("clientRequestToken"), f"{region}:CreateEvaluationJob"
    before = house.store.idempotency.recall(scope, token, digest_of(params)) if token else None
    if before is not None:
        return str(before["jobArn"])
    tags = tags_of("jobTags", params.get("jobTags"))
    job_arn = arns.bedrock(region, account, f"{KIND.name}/{arns.new_id()}")
    if params.get("customerEncryptionKeyId"):
        raise Invalid(
            "customerEncryptionKeyId: encryption by a key of one's own is not built in Outcrop yet; files lie "
            "unencrypted in its home. Leave it out, and encrypt the disk."
        )
    plan = read_plan(params)
    data = house.data.under(params["roleArn"], source_arn=job_arn)
    for dataset in plan.datasets:
        data.find(dataset.uri)
    data.check_output(params["outputDataConfig"]["s3Uri"])
    document = {
        **kept_params(params),
        "application": plan.application.value,
        "models": _models(house, plan, region=region, role_arn=params["roleArn"]),
    }

    def add() -> dict[str, Any]:
        house.jobs.add(KIND, job_arn=job_arn, name=params["jobName"], region=region, document=document, owner=owner)
        house.store.tags.put(job_arn, tags)
        return {"jobArn": job_arn}

    return str(house.store.idempotency.once(scope, token, params, add)["jobArn"])


def _models(house: EvaluationRooms, plan: EvaluationPlan, *, region: str, role_arn: str) -> dict[str, str]:
    """The ARN of each model that the job asks, by its identifier in the request.

    Raises Invalid, NotFound for one that is not there, or that the role may not ask.
    """
    wanted = [each.identifier for each in plan.sources if each.kind is SourceKind.MODEL]
    wanted += [each for each in (plan.judge, plan.custom_judge) if each is not None]
    wanted += [_answering(each) for each in plan.sources if each.kind is SourceKind.RETRIEVE_AND_GENERATE]
    found: dict[str, str] = {}
    for identifier in dict.fromkeys(wanted):
        found[identifier] = _arn_of(house, identifier, region)
        if found[identifier] != arns.foundation_model(region, EXTRACTIVE):
            check_may_invoke(house, role_arn, found[identifier])
    for source in plan.sources:
        if source.kind in (SourceKind.RETRIEVE, SourceKind.RETRIEVE_AND_GENERATE):
            house.knowledge_under(role_arn, region).check(knowledge_params(source, _PROBE, found))
    return found


def _arn_of(house: EvaluationRooms, identifier: str, region: str) -> str:
    thing, row = house.access.find_named(region, identifier, INVOKED)
    if thing.arn == arns.foundation_model(region, EXTRACTIVE):
        return thing.arn
    if isinstance(thing.foundation, BaseModel) and thing.foundation.task is not ModelTask.TEXT:
        raise Invalid(f"{identifier}: {NO_TEXT}")
    resource = None if row is None else row.resource()
    return model_arn(house, thing, resource, model_id=identifier, region=region)


def _answering(source: AnswerSource) -> str:
    """The model that a knowledge base's answers are written by."""
    return str(source.params["retrieveAndGenerateConfiguration"]["knowledgeBaseConfiguration"]["modelArn"])


def knowledge_params(source: AnswerSource, question: str, models: Mapping[str, str]) -> dict[str, Any]:
    """The parameters of Retrieve, or of RetrieveAndGenerate, for one question, with models by their ARNs."""
    if source.kind is SourceKind.RETRIEVE:
        return {**source.params, "retrievalQuery": {"text": question}}
    config = source.params["retrieveAndGenerateConfiguration"]
    base = {**config["knowledgeBaseConfiguration"], "modelArn": models[_answering(source)]}
    return {
        "input": {"text": question},
        "retrieveAndGenerateConfiguration": {"type": "KNOWLEDGE_BASE", "knowledgeBaseConfiguration": base},
    }
