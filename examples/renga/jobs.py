"""The booth's training jobs: a script of one's own, and JumpStart's with other hyperparameters."""

import io
import json
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .services import Booth, wait_while

SOURCE = Path(__file__).parent / "lora"
LOSSES = [
    {"Name": "renga:train-loss", "Regex": r"'loss': '?([0-9.e+-]+)"},
    {"Name": "renga:eval-loss", "Regex": r"'eval_loss': '?([0-9.e+-]+)"},
]
"In the lines that transformers' Trainer prints."
_RUNNING = ("InProgress", "Stopping")
_MOST_S = 24 * 3600


class JumpStartModel(NamedTuple):
    """A model of JumpStart's public bucket, by its specification."""

    bucket: str
    specification: Mapping[str, Any]

    @property
    def weights(self) -> str:
        """The prefix, or the archive, of its weights."""
        return f"s3://{self.bucket}/{self.specification['training_artifact_key']}"

    @property
    def script(self) -> str:
        return f"s3://{self.bucket}/{self.specification['training_script_key']}"

    def image(self, region: str) -> str:
        aliases = self.specification["training_instance_type_variants"]["regional_aliases"][region]
        return str(next(iter(aliases.values())))


def jumpstart_model(s3: Any, model_id: str) -> JumpStartModel:
    """The newest version of a model. Ends the program where there is none of this id."""
    bucket = f"jumpstart-cache-prod-{s3.meta.region_name}"
    manifest = json.loads(s3.get_object(Bucket=bucket, Key="models_manifest.json")["Body"].read())
    found = [entry for entry in manifest if entry["model_id"] == model_id]
    if not found:
        sys.exit(
            f"{bucket}: there is no model {model_id}. There are {', '.join(each['model_id'] for each in manifest)}."
        )
    newest = max(found, key=lambda entry: [int(part) for part in entry["version"].split(".")])
    return JumpStartModel(bucket, json.loads(s3.get_object(Bucket=bucket, Key=newest["spec_key"])["Body"].read()))


def start_script(
    booth: Booth,
    name: str,
    program: str,
    channels: Mapping[str, str],
    hyperparameters: Mapping[str, Any],
    *,
    metrics: list[dict[str, str]],
) -> str:
    """Start a job with a script of the folder `lora`; returns the job's name."""
    source = f"{name}/sourcedir.tar.gz"
    booth.s3.put_object(Bucket=booth.bucket, Key=source, Body=source_archive())
    own = {
        **hyperparameters,
        "sagemaker_program": program,
        "sagemaker_submit_directory": booth.uri(source),
        "sagemaker_region": booth.region,
    }
    return _start(booth, name, booth.training_image, channels, own, metrics, checkpoints=True)


def start_jumpstart(
    booth: Booth, name: str, model: JumpStartModel, channels: Mapping[str, str], hyperparameters: Mapping[str, Any]
) -> str:
    """Start a job with JumpStart's own script; returns the job's name."""
    defaults = {each["name"]: each["default"] for each in model.specification["hyperparameters"]}
    given = {"code": model.script, **channels}
    metrics = list(model.specification["metrics"])
    return _start(booth, name, model.image(booth.region), given, defaults | dict(hyperparameters), metrics)


def finished(booth: Booth, name: str) -> dict[str, Any]:
    """The job once it has ended. Ends the program where it did not end well."""
    job: dict[str, Any] = wait_while(
        _RUNNING, "TrainingJobStatus", lambda: booth.sagemaker.describe_training_job(TrainingJobName=name)
    )
    if job["TrainingJobStatus"] != "Completed":
        sys.exit(f"The job {name} ended as {job['TrainingJobStatus']}: {job.get('FailureReason', 'no reason is told')}")
    seconds = (job["TrainingEndTime"] - job["TrainingStartTime"]).total_seconds()
    told = ", ".join(f"{metric} {value:.3f}" for metric, value in metrics_of(job).items())
    print(f"  {name}: {seconds:.0f} s, {told}", flush=True)
    return job


def metrics_of(job: Mapping[str, Any]) -> dict[str, float]:
    """The last value of each metric of a job, by its name without what stands before the colon."""
    found = {each["MetricName"].rpartition(":")[2]: float(each["Value"]) for each in job.get("FinalMetricDataList", [])}
    return dict(sorted(found.items()))


def model_of(job: Mapping[str, Any]) -> str:
    return str(job["ModelArtifacts"]["S3ModelArtifacts"])


def source_archive() -> bytes:
    """The source folder as a tar.gz."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as tar:
        for path in sorted(SOURCE.iterdir()):
            if path.is_file():
                tar.add(path, arcname=path.name)
    return written.getvalue()


def _start(
    booth: Booth,
    name: str,
    image: str,
    channels: Mapping[str, str],
    hyperparameters: Mapping[str, Any],
    metrics: list[dict[str, str]],
    *,
    checkpoints: bool = False,
) -> str:
    kept = {"CheckpointConfig": {"S3Uri": booth.uri(f"{name}/checkpoints")}} if checkpoints else {}
    booth.sagemaker.create_training_job(
        TrainingJobName=name,
        RoleArn=booth.role,
        AlgorithmSpecification={
            "TrainingImage": image,
            "TrainingInputMode": "File",
            "MetricDefinitions": metrics,
        },
        # As the SDKs send them: every value is JSON.
        HyperParameters={key: json.dumps(value) for key, value in hyperparameters.items()},
        InputDataConfig=[
            {"ChannelName": channel, "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}}
            for channel, uri in channels.items()
        ],
        OutputDataConfig={"S3OutputPath": booth.uri("models")},
        ResourceConfig={"InstanceCount": 1, "InstanceType": booth.instance, "VolumeSizeInGB": 30},
        StoppingCondition={"MaxRuntimeInSeconds": _MOST_S},
        **kept,
    )
    return name
