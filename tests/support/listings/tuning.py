"""List operations of SageMaker's tuning jobs, and Search."""

from datetime import timedelta

from outcrop.sagemaker.training_kind import KIND as TRAINING
from outcrop.sagemaker.training_states import TrainingStatus
from outcrop.store.resources import Resource
from tests.support.listings.listing import Listing
from tests.support.listings.sagemaker import START, STATES, add_job, minute_of, place_of, remove_job
from tests.support.servers import Running


def tuning_place(house: Running, name: str) -> str:
    return f"arn:aws:sagemaker:us-east-1:{house.platform.account}:hyper-parameter-tuning-job/{name}"


def add_tuning_job(house: Running, number: int) -> str:
    at, name = START + timedelta(minutes=number), f"row-{number}"
    config = {
        "Strategy": "Random",
        "ResourceLimits": {"MaxParallelTrainingJobs": 1},
        "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
    }
    request = {"HyperParameterTuningJobConfig": config, "TrainingJobDefinition": {}}
    row = Resource(
        arn=tuning_place(house, name),
        kind="hyper-parameter-tuning-job",
        region="us-east-1",
        name=name,
        status=STATES[number % len(STATES)],
        created=at,
        updated=at,
        document={"request": request},
    )
    house.platform.store.resources.add(row)
    return name


def remove_tuning_job(house: Running, name: str) -> None:
    house.platform.store.resources.remove(tuning_place(house, name))


def make_parent(house: Running) -> None:
    add_tuning_job(house, 100)


def add_child(house: Running, number: int) -> str:
    """A training job of the tuning job row-100; the first has no objective."""
    name, parent = f"child-{number}", tuning_place(house, "row-100")
    tuning = {
        "job": parent, "number": number, "definition": 0, "definitionName": None, "tuned": {"rate": "1"},
        "metric": "loss", "maximize": False,
    }  # fmt: skip
    request = {"OutputDataConfig": {"S3OutputPath": "s3://b/"}, "TrainingJobName": name}
    metrics = {"loss": {"MetricName": "loss", "Value": float(number), "Timestamp": START.isoformat()}} if number else {}
    document = {"request": request, "transitions": [], "tuning": tuning, "finalMetrics": metrics}
    jobs = house.platform.jobs
    jobs.add(TRAINING, job_arn=place_of(house, name), name=name, region="us-east-1", document=document, parent=parent)
    status = "Completed" if number % 2 else "Stopped"
    jobs.end(place_of(house, name), TrainingStatus(status))
    return name


def remove_child(house: Running, name: str) -> None:
    house.platform.jobs.forget(place_of(house, name))


LISTINGS = [
    Listing(
        service="sagemaker",
        operation="ListHyperParameterTuningJobs",
        rows=lambda answer: answer["HyperParameterTuningJobSummaries"],
        name_of=lambda row: row["HyperParameterTuningJobName"],
        add=add_tuning_job,
        remove=remove_tuning_job,
        filters={
            "NameContains": ("OW-2", lambda row: "ow-2" in row["HyperParameterTuningJobName"]),
            "StatusEquals": ("Completed", lambda row: row["HyperParameterTuningJobStatus"] == "Completed"),
            "CreationTimeAfter": (
                START + timedelta(minutes=1),
                lambda row: minute_of(row, "CreationTime") > START + timedelta(minutes=1),
            ),
            "CreationTimeBefore": (
                START + timedelta(minutes=2),
                lambda row: minute_of(row, "CreationTime") < START + timedelta(minutes=2),
            ),
            "LastModifiedTimeAfter": (
                START + timedelta(minutes=2),
                lambda row: minute_of(row, "LastModifiedTime") > START + timedelta(minutes=2),
            ),
            "LastModifiedTimeBefore": (
                START + timedelta(minutes=3),
                lambda row: minute_of(row, "LastModifiedTime") < START + timedelta(minutes=3),
            ),
        },
        not_filters=frozenset({"SortBy", "SortOrder"}),
        size="MaxResults",
        largest=100,
        wrong_sizes=(0, 101),
        tokens={"NextToken": "NextToken"},
    ),
    Listing(
        service="sagemaker",
        operation="ListTrainingJobsForHyperParameterTuningJob",
        rows=lambda answer: answer["TrainingJobSummaries"],
        name_of=lambda row: row["TrainingJobName"],
        prepare=make_parent,
        add=add_child,
        remove=remove_child,
        asked=lambda _house: {"HyperParameterTuningJobName": "row-100"},
        filters={
            "StatusEquals": ("Completed", lambda row: row["TrainingJobStatus"] == "Completed"),
            "SortBy": (
                "FinalObjectiveMetricValue",
                lambda row: "FinalHyperParameterTuningJobObjectiveMetric" in row,
            ),
        },
        not_filters=frozenset({"SortOrder"}),
        size="MaxResults",
        largest=100,
        wrong_sizes=(0, 101),
        tokens={"NextToken": "NextToken"},
    ),
    Listing(
        service="sagemaker",
        operation="Search",
        rows=lambda answer: [each["TrainingJob"] for each in answer["Results"]],
        name_of=lambda row: row["TrainingJobName"],
        add=add_job,
        remove=remove_job,
        asked=lambda _house: {"Resource": "TrainingJob"},
        filters={
            "SearchExpression": (
                {"Filters": [{"Name": "TrainingJobStatus", "Operator": "Equals", "Value": "Completed"}]},
                lambda row: row["TrainingJobStatus"] == "Completed",
            ),
        },
        refused={"VisibilityConditions": [{"Key": "k", "Value": "v"}], "CrossAccountFilterOption": "CrossAccount"},
        not_filters=frozenset({"SortBy", "SortOrder"}),
        size="MaxResults",
        largest=100,
        wrong_sizes=(0, 101),
        tokens={"NextToken": "NextToken"},
    ),
]  # fmt: skip
