"""The road on every database: a job asked for through the door, done by a worker, and the custom model that comes of it."""

from collections.abc import Iterator

import pytest

from outcrop.clock import SystemClock
from outcrop.customization.kind import KIND
from outcrop.jobs.leases import Leases
from outcrop.settings import Settings
from tests.support.homes import TINY, with_tiny_models
from tests.support.job_house import BUCKET, JobHouse
from tests.support.servers import Running, running_server


@pytest.fixture
def house(settings: Settings) -> Iterator[JobHouse]:
    made = JobHouse(with_tiny_models(settings.home), database_url=settings.database_url)
    yield made
    made.context.store.close()


@pytest.fixture
def server(house: JobHouse) -> Iterator[Running]:
    with running_server(house.settings.home, database_url=house.settings.database_url) as running:
        yield running


def test_a_job_becomes_a_custom_model(house: JobHouse, server: Running) -> None:
    bedrock = server.client("bedrock")
    # Given a job that is asked for twice, since the first answer was lost
    asked = {
        "jobName": "renga",
        "customModelName": "renga",
        "roleArn": house.role,
        "baseModelIdentifier": TINY,
        "clientRequestToken": "once",
        "trainingDataConfig": {"s3Uri": f"s3://{BUCKET}/train.jsonl"},
        "outputDataConfig": {"s3Uri": f"s3://{BUCKET}/out"},
        "hyperParameters": {"epochCount": "1", "batchSize": "4"},
        "jobTags": [{"key": "team", "value": "renga"}],
    }
    job = bedrock.create_model_customization_job(**asked)["jobArn"]
    assert bedrock.create_model_customization_job(**asked)["jobArn"] == job
    assert bedrock.list_tags_for_resource(resourceARN=job)["tags"] == asked["jobTags"]

    # when a worker takes it; another finds nothing to do meanwhile
    leases = Leases(house.context.store, [KIND])
    lease = leases.take("one", now=SystemClock().now())
    assert lease is not None
    assert lease.job == job
    assert leases.take("two", now=SystemClock().now()) is None
    assert house.work(job)
    leases.release(lease, now=SystemClock().now())

    # then it is completed, and its model is there by name, listed, and gone when it is deleted
    found = bedrock.get_model_customization_job(jobIdentifier="renga")
    assert found["status"] == "Completed", found.get("failureMessage")
    listed = bedrock.list_model_customization_jobs(statusEquals="Completed", nameContains="REN")
    assert [row["jobArn"] for row in listed["modelCustomizationJobSummaries"]] == [job]
    model = bedrock.get_custom_model(modelIdentifier="renga")
    assert model["jobArn"] == job
    objects = server.client("s3").list_objects_v2(Bucket=BUCKET, Prefix="out/")["Contents"]
    assert any(entry["Key"].endswith("step_wise_training_metrics.csv") for entry in objects)
    bedrock.delete_custom_model(modelIdentifier="renga")
    assert bedrock.list_custom_models()["modelSummaries"] == []
