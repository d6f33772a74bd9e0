"""SDK 2.x of SageMaker: a pipeline of two training steps and a condition is upserted twice, started, and waited for.

What a notebook does, against whatever AWS_ENDPOINT_URL names. Takes the ARN of a role, and a folder for its files.
"""

import json
import sys
import tarfile
from pathlib import Path

from sagemaker.inputs import TrainingInput
from sagemaker.pytorch import PyTorch
from sagemaker.s3 import S3Downloader
from sagemaker.workflow.condition_step import ConditionStep
from sagemaker.workflow.conditions import ConditionGreaterThan
from sagemaker.workflow.execution_variables import ExecutionVariables
from sagemaker.workflow.fail_step import FailStep
from sagemaker.workflow.functions import Join
from sagemaker.workflow.parameters import ParameterInteger
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.pipeline_context import PipelineSession
from sagemaker.workflow.steps import TrainingStep

ROLE, FOLDER = sys.argv[1], Path(sys.argv[2])
SCRIPT = """
import argparse, glob, os, tarfile
parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int)
args, _ = parser.parse_known_args()
before = glob.glob("/opt/ml/input/data/model/model.tar.gz")
epochs = int(tarfile.open(before[0]).extractfile("epochs").read()) if before else 0
with open(os.path.join(os.environ["SM_MODEL_DIR"], "epochs"), "w") as file:
    file.write(str(epochs + args.epochs))
print(f"trained {args.epochs} epochs after {epochs}", flush=True)
"""


def main() -> None:
    source = FOLDER / "source"
    source.mkdir()
    (source / "train.py").write_text(SCRIPT)
    session = PipelineSession(default_bucket="notebook")
    epochs = ParameterInteger("Epochs", default_value=2)

    def estimator() -> PyTorch:
        return PyTorch(
            entry_point="train.py",
            source_dir=str(source),
            role=ROLE,
            instance_count=1,
            instance_type="ml.m5.xlarge",
            framework_version="2.6.0",
            py_version="py312",
            hyperparameters={"epochs": epochs},
            output_path=Join(on="/", values=["s3://notebook/runs", ExecutionVariables.PIPELINE_EXECUTION_ID]),
            sagemaker_session=session,
            disable_profiler=True,
        )

    first = TrainingStep("First", step_args=estimator().fit())
    model = first.properties.ModelArtifacts.S3ModelArtifacts
    second = TrainingStep("Second", step_args=estimator().fit({"model": TrainingInput(model)}))
    check = ConditionStep(
        "Check",
        conditions=[ConditionGreaterThan(left=epochs, right=9)],
        if_steps=[FailStep("TooMany", error_message=Join(on=" ", values=["too many epochs:", epochs]))],
        else_steps=[second],
    )
    pipeline = Pipeline("notebook-pipeline", parameters=[epochs], steps=[first, check], sagemaker_session=session)
    pipeline.upsert(role_arn=ROLE, tags=[{"Key": "team", "Value": "a"}])
    pipeline.upsert(role_arn=ROLE, description="again", tags=[{"Key": "team", "Value": "b"}])
    print("described", pipeline.describe()["PipelineDescription"], len(json.loads(pipeline.definition())["Steps"]))
    execution = pipeline.start(parameters={"Epochs": 3})
    execution.wait(delay=2)
    print("status", execution.describe()["PipelineExecutionStatus"])
    steps = {step["StepName"]: step for step in execution.list_steps()}
    print("steps", sorted((name, step["StepStatus"]) for name, step in steps.items()))
    print("parameters", execution.list_parameters()["PipelineParameters"])
    arn = steps["Second"]["Metadata"]["TrainingJob"]["Arn"]
    job = next(
        each["TrainingJobName"]
        for each in session.sagemaker_client.list_training_jobs(NameContains="Second")["TrainingJobSummaries"]
        if each["TrainingJobArn"] == arn
    )
    told = session.sagemaker_client.describe_training_job(TrainingJobName=job)
    S3Downloader.download(
        told["ModelArtifacts"]["S3ModelArtifacts"], str(FOLDER / "fetched"), sagemaker_session=session
    )
    with tarfile.open(FOLDER / "fetched" / "model.tar.gz") as tar:
        member = next(each for each in tar if each.name.endswith("epochs"))
        file = tar.extractfile(member)
        print("trained", file.read().decode() if file else None)
    failed = pipeline.start(parameters={"Epochs": 10})
    try:
        failed.wait(delay=2)
    except Exception as error:  # what the SDK raises is botocore's WaiterError
        print("failed", type(error).__name__)
    print("reason", failed.describe()["FailureReason"])
    pipeline.delete()
    print("deleted")


if __name__ == "__main__":
    main()
