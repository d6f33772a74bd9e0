"""Bedrock's list operations. Rows are put on record as the rooms do: no job needs to run for them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from outcrop.customization.states import Phase
from outcrop.jobs.states import PhaseStatus
from outcrop.store.resources import Resource
from tests.support.listings.listing import Listing, client_of
from tests.support.servers import Running

START = datetime(2026, 5, 4, tzinfo=UTC)
STARTER = "arn:aws:bedrock:us-east-1::foundation-model/outcrop.starter-v1"
MODELS = [f"arn:aws:bedrock:us-east-1:123456789012:custom-model/outcrop.starter-v1:0:2k/model{n:07}" for n in range(2)]
IMPORTED = "arn:aws:bedrock:us-east-1:123456789012:imported-model/imported0000"
FOUNDATIONS = [f"{STARTER}:0:2k", "arn:aws:bedrock:us-east-1::foundation-model/amazon.titan-text-lite-v1:0:4k"]


def bedrock(operation: str, kind: str, rows: str, name: str, **fields: Any) -> Listing:
    """A listing of rows of one kind, with names and creation times."""
    times = fields.pop("times", ("creationTimeAfter", "creationTimeBefore", "creationTime"))
    after, before, created = times
    filters = {
        "nameContains": ("ROW-3", lambda row: row[name] == "row-3"),
        after: (START + timedelta(minutes=2), lambda row: row[created] > START + timedelta(minutes=2)),
        before: (START + timedelta(minutes=2), lambda row: row[created] < START + timedelta(minutes=2)),
    }
    return Listing(
        service="bedrock",
        operation=operation,
        rows=lambda answer: answer[rows],
        name_of=lambda row: row[name],
        add=adding(kind, fields.pop("states"), fields.pop("document")),
        remove=lambda house, row: remove(house, kind, row),
        filters=filters | fields.pop("filters"),
        sorted_by=created,
        size="maxResults",
        tokens={"nextToken": "nextToken"},
        **fields,
    )


def adding(kind: str, states: list[str], document: Callable[[int], dict[str, Any]]) -> Callable[[Running, int], str]:
    def add(house: Running, number: int) -> str:
        at = START + timedelta(minutes=number)
        row = Resource(
            arn=f"arn:aws:bedrock:us-east-1:{house.platform.account}:{kind}/row{number:09}",
            kind=kind,
            region="us-east-1",
            name=f"row-{number}",
            status=states[number % len(states)],
            created=at,
            updated=at,
            document=document(number),
        )
        house.platform.store.resources.add(row)
        return f"row-{number}"

    return add


def remove(house: Running, kind: str, name: str) -> None:
    row = house.platform.store.resources.find(kind, "us-east-1", name)
    assert row is not None
    house.platform.store.resources.remove(row.arn)


def job(_: int) -> dict[str, Any]:
    return {
        "baseModelArn": FOUNDATIONS[0],
        "outputModelName": "m",
        "modelArn": MODELS[0],
        "customizationType": "FINE_TUNING",
        "statusDetails": {phase: {"status": PhaseStatus.NOT_STARTED} for phase in Phase},
    }


def custom_model(number: int) -> dict[str, Any]:
    """Of one base or the other; a third of them on top of another custom model."""
    base = number % 2
    return {
        "baseId": ["outcrop.starter-v1", "amazon.titan-text-lite-v1"][base],
        "baseModelArn": MODELS[0] if number % 3 == 0 else FOUNDATIONS[base],
        "foundationModelArn": FOUNDATIONS[base],
        "customizationType": "FINE_TUNING",
    }


def deployment(number: int) -> dict[str, Any]:
    return {"modelArn": MODELS[number % 2], "desiredModelArn": MODELS[number % 2]}


def batch_job(_: int) -> dict[str, Any]:
    place = {"s3Uri": "s3://data/in.jsonl"}
    return {
        "modelArn": STARTER,
        "roleArn": "arn:aws:iam::123456789012:role/r",
        "modelInvocationType": "InvokeModel",
        "timeoutDurationInHours": 24,
        "jobExpirationTime": START.isoformat(),
        "inputDataConfig": {"s3InputDataConfig": place},
        "outputDataConfig": {"s3OutputDataConfig": place},
    }


def evaluation_job(number: int) -> dict[str, Any]:
    """The request for an evaluation job, of a model or a knowledge base by turns."""
    dataset = {"name": "d", "datasetLocation": {"s3Uri": "s3://data/in.jsonl"}}
    config = {"taskType": "General", "dataset": dataset, "metricNames": ["Builtin.Correctness"]}
    rag = {
        "knowledgeBaseConfig": {"retrieveConfig": {"knowledgeBaseId": "K", "knowledgeBaseRetrievalConfiguration": {}}}
    }
    models = {"models": [{"bedrockModel": {"modelIdentifier": "outcrop.starter-v1"}}]}
    return {
        "application": ["ModelEvaluation", "RagEvaluation"][number % 2],
        "roleArn": "arn:aws:iam::123456789012:role/r",
        "evaluationConfig": {"automated": {"datasetMetricConfigs": [config]}},
        "inferenceConfig": {"ragConfigs": [rag]} if number % 2 else models,
        "outputDataConfig": {"s3Uri": "s3://data/out/"},
        "models": {},
    }


def throughput(number: int) -> dict[str, Any]:
    model = [FOUNDATIONS[0], MODELS[0]][number % 2]
    return {
        "modelArn": model,
        "desiredModelArn": model,
        "foundationModelArn": FOUNDATIONS[0],
        "modelUnits": 1,
        "commitmentDuration": None,
        "commitmentExpirationTime": None,
    }


def guardrail(number: int) -> dict[str, Any]:
    return {
        "name": f"row-{number}",
        "policies": {},
        "blockedInputMessaging": "in",
        "blockedOutputsMessaging": "out",
        "lastVersion": 0,
    }


def import_job(number: int) -> dict[str, Any]:
    return {"importedModelName": f"model-{number}", "importedModelArn": IMPORTED}


def imported_model(_: int) -> dict[str, Any]:
    return {"modelArchitecture": "llama", "instructSupported": True}


def make_aliases(house: Running) -> None:
    """Models of other providers, one of them for fine-tuning alone."""
    for model_id in ("amazon.titan-text-lite-v1", "meta.llama2-13b-v1:0"):
        house.platform.catalog.alias(model_id, "outcrop.starter-v1")


def tagged(house: Running) -> str:
    return f"arn:aws:bedrock:us-east-1:{house.platform.account}:custom-model/outcrop.starter-v1:0:2k/listedlisted"


def tag_a_model(house: Running) -> None:
    row = Resource(
        arn=tagged(house),
        kind="custom-model",
        region="us-east-1",
        name="listed",
        status="Active",
        created=START,
        updated=START,
        document=custom_model(0),
    )
    house.platform.store.resources.add(row)


def add_tag(house: Running, number: int) -> str:
    client_of(house, "bedrock").tag_resource(resourceARN=tagged(house), tags=[{"key": f"row-{number}", "value": ""}])
    return f"row-{number}"


def remove_tag(house: Running, key: str) -> None:
    client_of(house, "bedrock").untag_resource(resourceARN=tagged(house), tagKeys=[key])


LISTINGS = [
    bedrock(
        "ListModelCustomizationJobs",
        "model-customization-job",
        "modelCustomizationJobSummaries",
        "jobName",
        states=["InProgress", "Stopped"],
        document=job,
        filters={"statusEquals": ("Stopped", lambda row: row["status"] == "Stopped")},
    ),
    bedrock(
        "ListModelInvocationJobs",
        "model-invocation-job",
        "invocationJobSummaries",
        "jobName",
        times=("submitTimeAfter", "submitTimeBefore", "submitTime"),
        states=["Submitted", "InProgress", "Completed"],
        document=batch_job,
        filters={"statusEquals": ("Completed", lambda row: row["status"] == "Completed")},
    ),
    bedrock(
        "ListEvaluationJobs",
        "evaluation-job",
        "jobSummaries",
        "jobName",
        states=["InProgress", "Failed", "Completed"],
        document=evaluation_job,
        filters={
            "statusEquals": ("Failed", lambda row: row["status"] == "Failed"),
            "nameContains": ("row-3", lambda row: row["jobName"] == "row-3"),
            "applicationTypeEquals": ("RagEvaluation", lambda row: row["applicationType"] == "RagEvaluation"),
        },
    ),
    bedrock(
        "ListCustomModels",
        "custom-model",
        "modelSummaries",
        "modelName",
        states=["Active", "Failed"],
        document=custom_model,
        filters={
            "modelStatus": ("Failed", lambda row: row["modelStatus"] == "Failed"),
            "baseModelArnEquals": (MODELS[0], lambda row: row["baseModelArn"] == MODELS[0]),
            "foundationModelArnEquals": (STARTER, lambda row: row["baseModelName"] == "outcrop.starter-v1"),
            "isOwned": (False, lambda _: False),
        },
    ),
    bedrock(
        "ListModelImportJobs",
        "model-import-job",
        "modelImportJobSummaries",
        "jobName",
        states=["InProgress", "Failed"],
        document=import_job,
        filters={"statusEquals": ("Failed", lambda row: row["status"] == "Failed")},
    ),
    bedrock(
        "ListImportedModels",
        "imported-model",
        "modelSummaries",
        "modelName",
        states=["Active"],
        document=imported_model,
        filters={},
    ),
    bedrock(
        "ListCustomModelDeployments",
        "custom-model-deployment",
        "modelDeploymentSummaries",
        "customModelDeploymentName",
        times=("createdAfter", "createdBefore", "createdAt"),
        states=["Active", "Creating", "Updating"],
        document=deployment,
        filters={
            "statusEquals": ("Active", lambda row: row["status"] == "Active"),
            "modelArnEquals": (MODELS[1], lambda row: row["modelArn"] == MODELS[1]),
        },
    ),
    bedrock(
        "ListProvisionedModelThroughputs",
        "provisioned-model",
        "provisionedModelSummaries",
        "provisionedModelName",
        states=["InService", "Updating"],
        document=throughput,
        filters={
            "statusEquals": ("Updating", lambda row: row["status"] == "Updating"),
            "modelArnEquals": (STARTER, lambda row: row["modelArn"] == FOUNDATIONS[0]),
        },
    ),
    Listing(
        service="bedrock",
        operation="ListGuardrails",
        rows=lambda answer: answer["guardrails"],
        name_of=lambda row: row["name"],
        add=adding("guardrail", ["READY"], guardrail),
        remove=lambda house, row: remove(house, "guardrail", row),
        filters={"guardrailIdentifier": ("row000000003", lambda row: row["id"] == "row000000003")},
        size="maxResults",
        tokens={"nextToken": "nextToken"},
    ),
    Listing(
        service="bedrock",
        operation="ListFoundationModels",
        rows=lambda answer: answer["modelSummaries"],
        name_of=lambda row: row["modelId"],
        prepare=make_aliases,
        filters={
            "byProvider": ("outcrop", lambda row: row["providerName"] == "Outcrop"),
            "byCustomizationType": (
                "CONTINUED_PRE_TRAINING",
                # once each: by the id that is customized
                lambda row: (
                    "CONTINUED_PRE_TRAINING" in row["customizationsSupported"]
                    and "PROVISIONED" in row["inferenceTypesSupported"]
                ),
            ),
            "byOutputModality": ("IMAGE", lambda row: "IMAGE" in row["outputModalities"]),
            "byInferenceType": ("PROVISIONED", lambda row: "PROVISIONED" in row["inferenceTypesSupported"]),
        },
    ),
    Listing(
        service="bedrock",
        operation="ListTagsForResource",
        rows=lambda answer: answer["tags"],
        name_of=lambda row: row["key"],
        prepare=tag_a_model,
        add=add_tag,
        remove=remove_tag,
        asked=lambda house: {"resourceARN": tagged(house)},
    ),
]
