"""SDK 2.x of SageMaker: an estimator fits with its log streamed, is attached to again, and its model is fetched.

What a notebook does, against whatever AWS_ENDPOINT_URL names. Takes the ARN of a role, and a folder for its files.
"""

import sys
import tarfile
from pathlib import Path

import boto3
import sagemaker
from sagemaker.analytics import TrainingJobAnalytics
from sagemaker.inputs import TrainingInput
from sagemaker.pytorch import PyTorch
from sagemaker.s3 import S3Downloader

ROLE, FOLDER = sys.argv[1], Path(sys.argv[2])
BUCKET = "notebook"
SCRIPT = """
import argparse, os
parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=1)
parser.add_argument("--learning-rate", type=float)
parser.add_argument("--model-dir", default=os.environ["SM_MODEL_DIR"])
args, _ = parser.parse_known_args()
with open(os.path.join(os.environ["SM_CHANNEL_TRAINING"], "train.csv")) as file:
    rows = file.read().split()
for epoch in range(args.epochs):
    print(f"epoch {epoch} loss={1 / (epoch + 1):.3f} over {len(rows)} rows", flush=True)
with open(os.path.join(args.model_dir, "model.txt"), "w") as file:
    file.write(f"{args.learning_rate} {len(rows)}")
"""


def main() -> None:
    source = FOLDER / "source"
    source.mkdir()
    (source / "train.py").write_text(SCRIPT)
    (FOLDER / "train.csv").write_text("1\n2\n3\n")
    session = sagemaker.Session(default_bucket=BUCKET)
    data = session.upload_data(str(FOLDER / "train.csv"), key_prefix="data")
    estimator = PyTorch(
        entry_point="train.py",
        source_dir=str(source),
        role=ROLE,
        instance_count=1,
        instance_type="ml.m5.xlarge",
        framework_version="2.6.0",
        py_version="py312",
        hyperparameters={"epochs": 3, "learning-rate": 1e-3},
        metric_definitions=[{"Name": "train:loss", "Regex": "loss=([0-9.]+)"}],
        sagemaker_session=session,
        base_job_name="notebook",
        disable_profiler=True,
    )
    estimator.fit({"training": TrainingInput(data, content_type="text/csv")}, logs="All")
    print("job", estimator.latest_training_job.name)
    print("model", estimator.model_data)
    S3Downloader.download(estimator.model_data, str(FOLDER / "fetched"), sagemaker_session=session)
    with tarfile.open(FOLDER / "fetched" / "model.tar.gz") as tar:
        print("files", sorted(member.name.removeprefix("./") for member in tar if member.isfile()))
    again = PyTorch.attach(estimator.latest_training_job.name, sagemaker_session=session)
    print("attached", again.hyperparameters()["epochs"], again.model_data == estimator.model_data)
    frame = TrainingJobAnalytics(
        estimator.latest_training_job.name, metric_names=["train:loss"], sagemaker_session=session
    ).dataframe()
    print("metrics", len(frame), frame["metric_name"].unique().tolist())
    client = boto3.client("sagemaker")
    found = client.list_training_jobs(NameContains="notebook", SortBy="CreationTime")["TrainingJobSummaries"]
    print("status", found[0]["TrainingJobStatus"])


if __name__ == "__main__":
    main()
