"""SDK 3.x of SageMaker: a ModelTrainer trains with its log streamed, its job is read as a resource, another has ranks.

What a notebook does, against whatever AWS_ENDPOINT_URL names, with the role and bucket that the SDK finds by itself.
Takes a folder for its files.
"""

import sys
from pathlib import Path

import boto3
from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.core.resources import TrainingJob
from sagemaker.core.training.configs import Compute, InputData, SourceCode, StoppingCondition
from sagemaker.train import ModelTrainer
from sagemaker.train.distributed import Torchrun

FOLDER = Path(sys.argv[1])
IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.6.0-cpu-py312-ubuntu22.04-sagemaker"
SCRIPT = """
import os
with open(os.path.join(os.environ["SM_CHANNEL_TRAIN"], "train.csv")) as file:
    rows = file.read().split()
print(f"epochs {os.environ['SM_HP_EPOCHS']} over {len(rows)} rows on {os.environ['SM_CURRENT_HOST']}", flush=True)
with open(os.path.join(os.environ["SM_MODEL_DIR"], "model.txt"), "w") as file:
    file.write(str(len(rows)))
"""
RANKS = """
import os
import torch
import torch.distributed as dist
dist.init_process_group("gloo")
seen = torch.tensor([1.0 + dist.get_rank()])
dist.all_reduce(seen)
print(f"rank {dist.get_rank()} of {dist.get_world_size()} on {os.environ['SM_CURRENT_HOST']}: {seen.item()}", flush=True)
if dist.get_rank() == 0:
    with open(os.path.join(os.environ["SM_MODEL_DIR"], "model.txt"), "w") as file:
        file.write(str(seen.item()))
dist.destroy_process_group()
"""


def main() -> None:
    source = FOLDER / "source"
    source.mkdir()
    (source / "train.py").write_text(SCRIPT)
    (source / "ranks.py").write_text(RANKS)
    data = FOLDER / "train"
    data.mkdir()
    (data / "train.csv").write_text("1\n2\n3\n")
    session = Session()
    role = boto3.client("iam").get_role(RoleName="sagemaker_execution_role")["Role"]["Arn"]
    print("role", role == get_execution_role(session) if _is_role() else role.endswith("/sagemaker_execution_role"))
    trainer = ModelTrainer(
        training_image=IMAGE,
        source_code=SourceCode(source_dir=str(source), entry_script="train.py"),
        compute=Compute(instance_type="ml.m5.xlarge", instance_count=1, volume_size_in_gb=10),
        stopping_condition=StoppingCondition(max_runtime_in_seconds=600),
        hyperparameters={"epochs": 2},
        base_job_name="trainer",
        role=role,
        sagemaker_session=session,
    )
    trainer.train(input_data_config=[InputData(channel_name="train", data_source=str(data))], wait=True, logs=True)
    job = trainer._latest_training_job
    print("status", job.training_job_status)
    read = TrainingJob.get(job.training_job_name)
    print("model", read.model_artifacts.s3_model_artifacts)
    together = ModelTrainer(
        training_image=IMAGE,
        source_code=SourceCode(source_dir=str(source), entry_script="ranks.py"),
        compute=Compute(instance_type="ml.m5.xlarge", instance_count=2, volume_size_in_gb=10),
        distributed=Torchrun(process_count_per_node=1),
        base_job_name="ranks",
        role=role,
        sagemaker_session=session,
    )
    together.train(wait=True, logs=True)
    job = together._latest_training_job
    print("ranks", job.training_job_status)
    streams = {"logGroupName": "/aws/sagemaker/TrainingJobs", "logStreamNamePrefix": job.training_job_name}
    for event in boto3.client("logs").filter_log_events(**streams)["events"]:
        if event["message"].startswith("rank "):
            print(event["message"])


def _is_role() -> bool:
    return ":assumed-role/" in boto3.client("sts").get_caller_identity()["Arn"]


if __name__ == "__main__":
    main()
