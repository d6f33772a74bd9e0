"""SDK 2.x of SageMaker: a tuner searches, its best training job is found, its table read, its best model fetched.

What a notebook does, against whatever AWS_ENDPOINT_URL names. Takes the ARN of a role, and a folder for its files.
"""

import sys
import tarfile
from pathlib import Path

import sagemaker
from sagemaker.pytorch import PyTorch
from sagemaker.s3 import S3Downloader
from sagemaker.tuner import (
    CategoricalParameter,
    ContinuousParameter,
    HyperparameterTuner,
    IntegerParameter,
    WarmStartConfig,
    WarmStartTypes,
)

ROLE, FOLDER = sys.argv[1], Path(sys.argv[2])
SCRIPT = """
import argparse, os
parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int)
parser.add_argument("--learning-rate", type=float)
parser.add_argument("--width", type=int)
parser.add_argument("--optimizer")
args, _ = parser.parse_known_args()
for epoch in range(args.epochs):
    loss = abs(args.width - 16) + (args.optimizer == "sgd") + 1 / (epoch + 1)
    print(f"epoch {epoch} validation loss={loss:.3f};", flush=True)
with open(os.path.join(os.environ["SM_MODEL_DIR"], "model.txt"), "w") as file:
    file.write(f"{args.width} {args.optimizer}")
"""


def main() -> None:
    source = FOLDER / "source"
    source.mkdir()
    (source / "train.py").write_text(SCRIPT)
    session = sagemaker.Session(default_bucket="tuned")
    estimator = PyTorch(
        entry_point="train.py",
        source_dir=str(source),
        role=ROLE,
        instance_count=1,
        instance_type="ml.m5.xlarge",
        framework_version="2.6.0",
        py_version="py312",
        hyperparameters={"epochs": 2},
        sagemaker_session=session,
        disable_profiler=True,
    )
    search = {
        "estimator": estimator,
        "objective_metric_name": "validation:loss",
        "objective_type": "Minimize",
        "metric_definitions": [{"Name": "validation:loss", "Regex": "validation loss=([0-9.]+);"}],
        "hyperparameter_ranges": {
            "learning-rate": ContinuousParameter(1e-5, 1e-1, scaling_type="Logarithmic"),
            "width": IntegerParameter(8, 64),
            "optimizer": CategoricalParameter(["adam", "sgd"]),
        },
        "max_parallel_jobs": 2,
        "random_seed": 3,
    }
    tuner = HyperparameterTuner(
        **search, max_jobs=3, base_tuning_job_name="tuned", tags=[{"Key": "team", "Value": "a"}]
    )
    tuner.fit()
    print("status", tuner.describe()["HyperParameterTuningJobStatus"])
    best = tuner.best_training_job()
    frame = tuner.analytics().dataframe()
    print("columns", sorted(frame.columns))
    print("rows", len(frame), sorted(set(frame["TrainingJobStatus"])))
    row = frame.sort_values("FinalObjectiveValue").iloc[0]
    print("best", row["TrainingJobName"] == best)
    found = tuner.best_estimator()
    print("estimator", type(found).__name__, found.hyperparameters()["epochs"], found.latest_training_job.name == best)
    S3Downloader.download(found.model_data, str(FOLDER / "fetched"), sagemaker_session=session)
    with tarfile.open(FOLDER / "fetched" / "model.tar.gz") as tar:
        model = tar.extractfile("model.txt") or tar.extractfile("./model.txt")
        assert model is not None, "the script has written it"
        print("model", model.read().decode() == f"{int(row['width'])} {row['optimizer'].strip(chr(34))}")
    again = HyperparameterTuner.attach(tuner.latest_tuning_job.name, sagemaker_session=session)
    print("attached", again.best_training_job() == best)
    parents = WarmStartConfig(WarmStartTypes.IDENTICAL_DATA_AND_ALGORITHM, parents={tuner.latest_tuning_job.name})
    warm = HyperparameterTuner(**search, max_jobs=1, base_tuning_job_name="warm", warm_start_config=parents)
    warm.fit()
    told = warm.describe()
    print("warm", told["HyperParameterTuningJobStatus"], "OverallBestTrainingJob" in told)


if __name__ == "__main__":
    main()
