"""SageMaker's plain values: training jobs, tuning jobs, endpoints, and the requests of the hub's forms."""

import ast
from datetime import UTC, datetime, timedelta
from typing import Any

from outcrop.console.views.endpoint_views import endpoint_page
from outcrop.console.views.hub_requests import HubForm, deployment_calls, hub_fields, program, training_call
from outcrop.console.views.metric_chart import amount, metric_chart
from outcrop.console.views.training_views import training_page, tuning_page

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
BEGAN = NOW - timedelta(minutes=10)
JOB: dict[str, Any] = {
    "TrainingJobName": "verses",
    "TrainingJobStatus": "InProgress",
    "CreationTime": BEGAN,
    "LastModifiedTime": NOW,
    "TrainingStartTime": BEGAN + timedelta(minutes=1),
    "AlgorithmSpecification": {
        "TrainingImage": "1.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2",
        "MetricDefinitions": [{"Name": "loss", "Regex": "x"}, {"Name": "speed", "Regex": "y"}],
    },
    "HyperParameters": {"epochs": "3", "sagemaker_program": '"train.py"'},
    "InputDataConfig": [
        {"ChannelName": "train", "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/data/"}}}
    ],
    "OutputDataConfig": {"S3OutputPath": "s3://b/out/"},
    "ResourceConfig": {"InstanceCount": 2, "InstanceType": "ml.m5.xlarge"},
    "SecondaryStatusTransitions": [
        {"Status": "Starting", "StartTime": BEGAN, "EndTime": BEGAN + timedelta(minutes=1), "StatusMessage": "ready"},
        {"Status": "Training", "StartTime": BEGAN + timedelta(minutes=1)},
    ],
    "TuningJobArn": "arn:aws:sagemaker:us-east-1:1:hyper-parameter-tuning-job/search",
}


def test_a_running_training_job_tells_what_it_went_through_and_a_chart_for_each_metric() -> None:
    points = {"loss": [(BEGAN + timedelta(minutes=2), 3.0), (BEGAN + timedelta(minutes=3), 2.0)]}
    page = training_page(JOB, points, NOW, "en")
    assert [(each.status, each.took, each.is_now) for each in page.transitions] == [
        ("Starting", "1 min", False),
        ("Training", "9 min", True),
    ]
    assert [(each.name, each.last, each.chart is not None) for each in page.charts] == [
        ("loss", "2", True),
        ("speed", "–", False),
    ]
    assert (page.row.took, page.is_running, page.tuning_job) == ("10 min", True, "search")
    assert page.hyper == [("epochs", "3")]
    assert dict(page.facts)["sagemaker.instances"] == "2 × ml.m5.xlarge"
    assert page.channels[0].place == "s3://b/data/"


def test_an_ended_job_tells_its_last_values_when_its_points_are_gone() -> None:
    ended = JOB | {
        "TrainingJobStatus": "Failed",
        "FailureReason": "AlgorithmError: no weights",
        "TrainingEndTime": BEGAN + timedelta(minutes=4),
        "FinalMetricDataList": [{"MetricName": "speed", "Value": 12345.6, "Timestamp": NOW}],
    }
    page = training_page(ended, {}, NOW, "en")
    assert [(each.name, each.last) for each in page.charts] == [("loss", "–"), ("speed", "12,346")]
    assert (page.failure, page.is_running, page.row.took) == ("AlgorithmError: no weights", False, "4 min")
    assert page.transitions[-1].took == ""


def test_amounts_have_the_digits_that_count() -> None:
    assert [amount(value) for value in (0.000_123_45, 2.5, 12_345.678, 0)] == ["0.0001234", "2.5", "12,346", "0"]
    assert metric_chart("loss", [], BEGAN).chart is None


def trial(number: int, value: float | None, rate: str) -> dict[str, Any]:
    told: dict[str, Any] = {
        "TrainingJobName": f"t{number}",
        "TrainingJobStatus": "Completed",
        "CreationTime": BEGAN + timedelta(minutes=number),
        "TunedHyperParameters": {"rate": rate, "kind": '"lora"'},
    }
    if value is None:
        return told | {"TrainingJobStatus": "InProgress"}
    return told | {"FinalHyperParameterTuningJobObjectiveMetric": {"MetricName": "loss", "Value": value}}


def test_a_tuning_job_tells_its_trials_and_the_best_so_far() -> None:
    job = {
        "HyperParameterTuningJobName": "search",
        "HyperParameterTuningJobStatus": "InProgress",
        "CreationTime": BEGAN,
        "HyperParameterTuningJobConfig": {
            "Strategy": "Bayesian",
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
        },
        "TrainingJobStatusCounters": {"Completed": 3, "InProgress": 1},
        "BestTrainingJob": {"TrainingJobName": "t2"},
    }
    trials = [trial(4, None, "0.5"), trial(3, 2.5, "0.1"), trial(2, 1.0, "0.00123456"), trial(1, 2.0, "1e-05")]
    page = tuning_page(job, trials, NOW, "en")
    assert (page.names, page.objective, page.is_running) == (["kind", "rate"], "loss · Minimize", True)
    assert [(each.name, each.objective, each.is_best) for each in page.trials] == [
        ("t4", "", False),
        ("t3", "2.5", False),
        ("t2", "1", True),
        ("t1", "2", False),
    ]
    assert page.trials[2].tried == ["lora", "0.001235"]
    assert page.chart is not None
    best, each_trial = page.chart.lines
    assert (best.last, each_trial.last) == ("1.000", "2.500")
    assert [axis.name for axis in page.study.axes] == ["kind", "rate", "loss"]
    assert [line.number for line in page.study.lines] == [1, 3, 2], "by their beginnings, the best over the others"


ENDPOINT: dict[str, Any] = {
    "EndpointName": "e",
    "EndpointConfigName": "c",
    "EndpointStatus": "Updating",
    "CreationTime": BEGAN,
    "ProductionVariants": [
        {"VariantName": "AllTraffic", "CurrentWeight": 1.0, "CurrentInstanceCount": 1, "DesiredInstanceCount": 3}
    ],
}


def test_an_endpoint_tells_its_variants_with_requests_latency_and_errors() -> None:
    minute = timedelta(minutes=1)
    points = {
        "AllTraffic": {
            "Invocations": [(BEGAN, 3.0), (BEGAN + minute, 4.0), (BEGAN + 2 * minute, 0.0)],
            "ModelLatency": [(BEGAN, 250_000.0), (BEGAN + minute, 500_000.0)],
            "Invocation4XXErrors": [(BEGAN, 1.0)],
        }
    }
    config = {"ProductionVariants": [{"VariantName": "AllTraffic", "ModelName": "m"}]}
    component = {
        "InferenceComponentName": "adapter",
        "InferenceComponentStatus": "InService",
        "Specification": {"BaseInferenceComponentName": "base"},
        "RuntimeConfig": {"CurrentCopyCount": 2},
    }
    page = endpoint_page(ENDPOINT, config, [component], points, since=BEGAN, now=NOW, language="en")
    variant, adapter = page.parts
    assert (variant.model, variant.copies, variant.weight) == ("m", "1 → 3", "1")
    assert variant.figures == [
        ("sagemaker.invocations", "7"),
        ("sagemaker.latency", "0.50 s"),
        ("sagemaker.errors", "1"),
        ("sagemaker.last_asked", "9 min ago"),
    ]
    assert [each.name for each in variant.charts] == ["sagemaker.each_minute", "sagemaker.latency_s"]
    assert (adapter.name, adapter.model, adapter.copies, adapter.status) == ("adapter", "base", "2", "InService")
    assert page.can_be_asked


DOCUMENT: dict[str, Any] = {
    "HostingEcrUri": "tgi",
    "HostingArtifactUri": "s3://content/m/",
    "HostingArtifactS3DataType": "S3Prefix",
    "HostingArtifactCompressionType": "None",
    "InferenceEnvironmentVariables": [{"Name": "HF_MODEL_ID", "Default": "/opt/ml/model"}],
    "TrainingEcrUri": "outcrop-training",
    "TrainingArtifactUri": "s3://content/m/",
    "TrainingScriptUri": "s3://content/code.tar.gz",
    "TrainingMetrics": [{"Name": "loss", "Regex": "x"}],
    "TrainingVolumeSize": 30,
    "MaxRuntimeInSeconds": 3600,
    "Hyperparameters": [
        {"Name": "epoch", "Default": "3", "Min": 1, "Max": 100, "Scope": "algorithm"},
        {"Name": "peft_type", "Default": "lora", "Options": ["lora", "None"], "Scope": "algorithm"},
        {"Name": "sagemaker_program", "Default": "train.py", "Scope": "container"},
    ],
}
FORM = HubForm(
    name="n",
    role="arn:aws:iam::1:role/r",
    instance_type="ml.m5.xlarge",
    instances=2,
    data="s3://b/data/",
    output="s3://b/out/",
    hyper={"epoch": "5", "peft_type": "", "evil": "x"},
)


def test_a_fine_tuning_is_asked_for_as_jumpstart_asks() -> None:
    operation, members = training_call(DOCUMENT, FORM)
    assert operation == "create_training_job"
    assert members["HyperParameters"] == {"epoch": '"5"', "peft_type": '"lora"', "sagemaker_program": '"train.py"'}
    channels = {each["ChannelName"]: each["DataSource"]["S3DataSource"]["S3Uri"] for each in members["InputDataConfig"]}
    assert channels == {"training": "s3://b/data/", "model": "s3://content/m/", "code": "s3://content/code.tar.gz"}


def test_a_deployment_is_three_calls_that_name_each_other() -> None:
    model, config, endpoint = deployment_calls(DOCUMENT, FORM)
    assert [each.operation for each in (model, config, endpoint)] == [
        "create_model",
        "create_endpoint_config",
        "create_endpoint",
    ]
    assert config.members["ProductionVariants"][0]["InitialInstanceCount"] == 2
    assert model.members["PrimaryContainer"]["Environment"] == {"HF_MODEL_ID": "/opt/ml/model"}
    ast.parse(program([model, config, endpoint]))


def test_a_form_has_the_hyperparameters_that_people_choose() -> None:
    first, others = hub_fields(DOCUMENT, {"epoch": "7"})
    assert [(each.name, each.value, each.options, each.limits) for each in first] == [
        ("epoch", "7", [], "1 – 100"),
        ("peft_type", "lora", ["lora", "None"], ""),
    ]
    assert others == []
