"""Hyperparameter tuning jobs in tests: their requests, and what became of them."""

from typing import Any

from tests.support.patience import eventually
from tests.support.training_programs import BUCKET, ENDS, IMAGE, TrainingJobs, archive

OBJECTIVE = "score"
PARABOLA = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--rate", type=float)
asked, _ = parser.parse_known_args()
print(f"score={(asked.rate - 3) ** 2:.6f};", flush=True)
open("/opt/ml/model/rate", "w").write(str(asked.rate))
"""
"A script whose objective is least where the rate is 3."
RANGES: dict[str, Any] = {"ContinuousParameterRanges": [{"Name": "rate", "MinValue": "0", "MaxValue": "10"}]}


class TuningJobs:
    """The tuning jobs of one installation."""

    def __init__(self, training: TrainingJobs) -> None:
        self.training = training
        self.sagemaker = training.sagemaker

    def request(
        self,
        name: str,
        *,
        script: str = PARABOLA,
        strategy: str = "Random",
        ranges: Any = None,
        most: int | None = 3,
        parallel: int = 2,
        config: dict[str, Any] | None = None,
        definition: dict[str, Any] | None = None,
        **members: Any,
    ) -> dict[str, Any]:
        """A CreateHyperParameterTuningJob request as the SDK would send it."""
        code = f"code/{name}/sourcedir.tar.gz"
        self.training.put(code, archive({"train.py": script}))
        limits = {"MaxParallelTrainingJobs": parallel} | ({} if most is None else {"MaxNumberOfTrainingJobs": most})
        return {
            "HyperParameterTuningJobName": name,
            "HyperParameterTuningJobConfig": {
                "Strategy": strategy,
                "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": OBJECTIVE},
                "ResourceLimits": limits,
                "ParameterRanges": ranges or RANGES,
                "RandomSeed": 7,
            }
            | (config or {}),
            "TrainingJobDefinition": self.definition(code) | (definition or {}),
        } | members

    def definition(self, code: str) -> dict[str, Any]:
        return {
            "StaticHyperParameters": {
                "sagemaker_program": '"train.py"',
                "sagemaker_submit_directory": f'"s3://{BUCKET}/{code}"',
            },
            "AlgorithmSpecification": {
                "TrainingImage": IMAGE,
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": OBJECTIVE, "Regex": "score=([0-9.]+);"}],
            },
            "RoleArn": self.training.role,
            "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out/"},
            "HyperParameterTuningResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge"},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        }

    def start(self, name: str, **asked: Any) -> str:
        self.sagemaker.create_hyper_parameter_tuning_job(**self.request(name, **asked))
        return name

    def describe(self, name: str) -> dict[str, Any]:
        told: dict[str, Any] = self.sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
        return told

    def ended(self, name: str) -> dict[str, Any]:
        """The tuning job, once it has ended."""
        told: dict[str, Any] = eventually(lambda: self._ended(name))
        return told

    def run(self, name: str, **asked: Any) -> dict[str, Any]:
        return self.ended(self.start(name, **asked))

    def children(self, name: str, **asked: Any) -> list[dict[str, Any]]:
        """The training jobs of a tuning job, by their names."""
        found: list[dict[str, Any]] = self.sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=name, MaxResults=100, **asked
        )["TrainingJobSummaries"]
        return found

    def _ended(self, name: str) -> dict[str, Any] | None:
        told = self.describe(name)
        return told if told["HyperParameterTuningJobStatus"] in ENDS else None
