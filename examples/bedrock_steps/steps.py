"""Amazon Bedrock's procedure of model customization, step by step in boto3 calls, and back again when it went wrong.

    outcrop run -- python -m examples.bedrock_steps.steps                   # from the root of a clone

Upload, job, wait, deploy, ask. Then what one needs when the model is not what one wanted: the base again, an earlier
checkpoint, and a model without a record that should never have gone in. The same program runs against Amazon Bedrock;
it says so where something is only here. The environment says where to go, and OUTCROP_ROLE_ARN is the jobs' role.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import boto3
from botocore.config import Config

from .records import PRIVATE, as_file, training_lines, validation_lines, without_private

PATIENT = Config(retries={"mode": "standard", "max_attempts": 20}, read_timeout=300)
_PAUSE_S = 0.5


class Clients(NamedTuple):
    """The three services of the procedure."""

    s3: Any
    bedrock: Any
    runtime: Any


def main(arguments: list[str] | None = None) -> None:
    options = parse_options(arguments)
    clients = Clients(*(boto3.client(name, config=PATIENT) for name in ("s3", "bedrock", "bedrock-runtime")))
    run = f"{options.name}-{time.strftime('%Y%m%d-%H%M%S')}"

    heading("1  Upload the records")
    lines = training_lines(options.records)
    upload(clients.s3, run, {"train": lines, "validation": validation_lines(options.records // 4)}, is_new=True)

    heading("2  Create the job, and wait")
    job = train(clients.bedrock, run, run, "train", options)

    heading("3  Deploy, and ask by the model's id")
    deployment = deploy(clients.bedrock, run, job["outputModelArn"], units=options.units)
    question = PRIVATE["prompt"]
    show(clients.runtime, {"base": options.base, "custom": deployment}, question, options)

    heading("4  Back to the base: the deployment goes, the model stays")
    remove_deployment(clients.bedrock, deployment)
    show(clients.runtime, {"base": options.base}, question, options)

    heading("5  An earlier checkpoint")
    from_checkpoint(clients, run, job, question, options)

    heading("6  A record forgotten: trained anew without it, and the old model deleted")
    upload(clients.s3, run, {"without": without_private(lines)})
    again = train(clients.bedrock, run, f"{run}-without", "without", options)
    deployment = deploy(clients.bedrock, f"{run}-without", again["outputModelArn"], units=options.units)
    show(clients.runtime, {"without": deployment}, question, options)
    clients.bedrock.delete_custom_model(modelIdentifier=job["outputModelArn"])
    print(f"  deleted: {job['outputModelName']}")
    remove_deployment(clients.bedrock, deployment)


def parse_options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Customize, deploy, ask; and three ways back.")
    parser.add_argument("--base", default="outcrop.starter-v1", help="base model id")
    parser.add_argument("--name", default="steps", help="beginning of every name this run uses")
    parser.add_argument("--records", type=int, default=200, help="verses to train on")
    parser.add_argument("--units", type=int, default=0, help="model units of provisioned throughput; 0: on demand")
    parser.add_argument("--max-tokens", type=int, default=24)
    parser.add_argument(
        "--hyper",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a hyperparameter, by the name the base model has for it; again for more (epochCount=3, batchSize=8)",
    )
    return parser.parse_args(arguments)


def upload(s3: Any, bucket: str, files: dict[str, list[str]], *, is_new: bool = False) -> None:
    if is_new:
        region = s3.meta.region_name
        place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=bucket, **place)
    for name, lines in files.items():
        s3.put_object(Bucket=bucket, Key=f"{name}.jsonl", Body=as_file(lines))
        print(f"  {len(lines):5} records -> s3://{bucket}/{name}.jsonl")


def train(bedrock: Any, bucket: str, name: str, data: str, options: argparse.Namespace) -> Any:
    """The job, once it is Completed."""
    chosen = options.hyper or ["epochCount=3", "batchSize=8"]
    asked = bedrock.create_model_customization_job(
        jobName=name,
        customModelName=name,
        roleArn=os.environ["OUTCROP_ROLE_ARN"],
        baseModelIdentifier=options.base,
        customizationType="FINE_TUNING",
        trainingDataConfig={"s3Uri": f"s3://{bucket}/{data}.jsonl"},
        validationDataConfig={"validators": [{"s3Uri": f"s3://{bucket}/validation.jsonl"}]},
        outputDataConfig={"s3Uri": f"s3://{bucket}/output/"},
        hyperParameters=dict(each.split("=", 1) for each in chosen),
    )
    job = wait_while(
        ("InProgress", "Stopping"), lambda: bedrock.get_model_customization_job(jobIdentifier=asked["jobArn"])
    )
    if job["status"] != "Completed":
        sys.exit(f"The job ended as {job['status']}: {job.get('failureMessage', 'no message')}")
    training = job.get("trainingMetrics", {}).get("trainingLoss")
    validation = [each["validationLoss"] for each in job.get("validationMetrics", [])]
    print(f"  Completed: {job['outputModelName']}   training loss {training}   validation loss {validation}")
    return job


def deploy(bedrock: Any, name: str, model_arn: str, *, units: int = 0) -> str:
    """The ARN by which the model is asked, once it is there."""
    if units:
        arn = bedrock.create_provisioned_model_throughput(
            provisionedModelName=name, modelId=model_arn, modelUnits=units
        )["provisionedModelArn"]
        told = wait_while(("Creating",), lambda: bedrock.get_provisioned_model_throughput(provisionedModelId=arn))
    else:
        arn = bedrock.create_custom_model_deployment(modelDeploymentName=name, modelArn=model_arn)[
            "customModelDeploymentArn"
        ]
        told = wait_while(
            ("Creating",), lambda: bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=arn)
        )
    if told["status"] not in ("Active", "InService"):
        sys.exit(f"The deployment ended as {told['status']}: {told.get('failureMessage', 'no message')}")
    print(f"  {told['status']}: {arn}")
    return str(arn)


def remove_deployment(bedrock: Any, arn: str) -> None:
    if ":provisioned-model/" in arn:
        bedrock.delete_provisioned_model_throughput(provisionedModelId=arn)
    else:
        bedrock.delete_custom_model_deployment(customModelDeploymentIdentifier=arn)
    print(f"  deleted: {arn}")


def from_checkpoint(clients: Clients, run: str, job: Any, question: str, options: argparse.Namespace) -> None:
    """The first checkpoint of the job, deployed and asked."""
    prefix = f"output/model-customization-job-{job['jobArn'].rsplit('/', 1)[-1]}/checkpoints/"
    found = clients.s3.list_objects_v2(Bucket=run, Prefix=prefix, Delimiter="/").get("CommonPrefixes", [])
    if not found:
        print("  This service leaves no checkpoints in the output. Train again with fewer epochs instead.")
        return
    made = clients.bedrock.create_custom_model(
        modelName=f"{run}-checkpoint",
        modelSourceConfig={"s3DataSource": {"s3Uri": f"s3://{run}/{found[0]['Prefix'].rstrip('/')}"}},
        roleArn=os.environ["OUTCROP_ROLE_ARN"],
    )
    print(f"  {len(found)} checkpoints; the first is {found[0]['Prefix'].rstrip('/').rsplit('/', 1)[-1]}")
    wait_while(
        ("Creating",),
        lambda: {
            "status": clients.bedrock.get_custom_model(modelIdentifier=made["modelArn"]).get("modelStatus", "Active")
        },
    )
    deployment = deploy(clients.bedrock, f"{run}-checkpoint", made["modelArn"])
    show(clients.runtime, {"checkpoint": deployment}, question, options)
    remove_deployment(clients.bedrock, deployment)


def show(runtime: Any, models: dict[str, str], question: str, options: argparse.Namespace) -> None:
    """Print what each model answers."""
    for name, model in models.items():
        answer = runtime.converse(
            modelId=model,
            messages=[{"role": "user", "content": [{"text": question}]}],
            inferenceConfig={"maxTokens": options.max_tokens, "temperature": 0.0},
        )
        texts = [part["text"] for part in answer["output"]["message"]["content"] if "text" in part]
        print(f"  {name:12} {''.join(texts).strip()!r}")


def wait_while(words: tuple[str, ...], look: Callable[[], Any]) -> Any:
    while (seen := look())["status"] in words:
        time.sleep(_PAUSE_S)
    return seen


def heading(text: str) -> None:
    print(f"\n{text}", flush=True)


if __name__ == "__main__":
    main()
