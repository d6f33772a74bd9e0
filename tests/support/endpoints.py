"""Endpoints of SageMaker in tests: models made of source, their requests, and what they answer."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from tests.support.patience import eventually
from tests.support.training_programs import Clients, archive

_ACCOUNT = "763104351884.dkr.ecr.us-east-1.amazonaws.com"
PYTORCH = f"{_ACCOUNT}/pytorch-inference:2.6.0-cpu-py312"
HUGGINGFACE = f"{_ACCOUNT}/huggingface-pytorch-inference:2.6.0-transformers4.51.3-cpu-py312-ubuntu22.04"
TGI = f"{_ACCOUNT}/huggingface-pytorch-tgi-inference:2.7.0-tgi3.3.6-gpu-py311-cu124-ubuntu22.04"
LMI = f"{_ACCOUNT}/djl-inference:0.36.0-lmi20.0.0-cu128-v1.0"
BUCKET = "models"
IN_CHANGE = ("Creating", "Updating", "RollingBack")


def name_environments(home: Path) -> None:
    """Let the images of toolkits stand for the interpreter that the tests run in."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    families = {"pytorch": "pytorch-inference", "huggingface": "huggingface-pytorch-inference", "own": "own-server"}
    lines = []
    for serving, repository in families.items():
        lines += ["[[family]]", f'name = "{serving}-here"', f'repositories = ["{repository}"]']
        lines += [f'serving = "{serving}"', f'python = "{sys.executable}"']
    lines.append('serve = ["/opt/ml/environment/bin/python", "/opt/ml/model/serve.py"]')
    (home / "images.toml").write_text("\n".join(lines))


class Endpoints:
    """The endpoints of one installation."""

    def __init__(self, house: Clients, role: str) -> None:
        self.s3, self.sagemaker = house.client("s3"), house.client("sagemaker")
        self.runtime = house.client("sagemaker-runtime")
        self.role = role
        self.s3.create_bucket(Bucket=BUCKET)

    def component(self, endpoint: str, name: str, **specification: Any) -> dict[str, Any]:
        """An inference component of one copy, once it is in service."""
        copies = {} if "BaseInferenceComponentName" in specification else {"RuntimeConfig": {"CopyCount": 1}}
        self.sagemaker.create_inference_component(
            InferenceComponentName=name, EndpointName=endpoint, Specification=specification, **copies
        )
        told = self.settled_component(name)
        assert told["InferenceComponentStatus"] == "InService", told.get("FailureReason")
        return told

    def settled_component(self, name: str) -> dict[str, Any]:
        told: dict[str, Any] = eventually(lambda: self._settled_component(name))
        return told

    def model(
        self,
        name: str,
        *,
        files: Mapping[str, str | bytes] | None = None,
        image: str = PYTORCH,
        environment: Mapping[str, str] | None = None,
        **container: Any,
    ) -> str:
        """A model whose artifact holds these files."""
        if files is not None:
            key = f"{name}/model.tar.gz"
            self.s3.put_object(Bucket=BUCKET, Key=key, Body=archive(files))
            container["ModelDataUrl"] = f"s3://{BUCKET}/{key}"
        definition = {"Image": image, "Environment": dict(environment or {}), **container}
        self.sagemaker.create_model(ModelName=name, PrimaryContainer=definition, ExecutionRoleArn=self.role)
        return name

    def upload(self, folder: Path, prefix: str) -> str:
        """The files of a folder as objects; returns the prefix that they lie under."""
        for path in folder.rglob("*"):
            if path.is_file():
                self.s3.upload_file(str(path), BUCKET, f"{prefix}/{path.relative_to(folder).as_posix()}")
        return f"s3://{BUCKET}/{prefix}/"

    def config(self, name: str, *variants: Mapping[str, Any], **members: Any) -> str:
        """A configuration; without variants, of the model of the same name."""
        usual = {"VariantName": "AllTraffic", "InitialInstanceCount": 1, "InstanceType": "ml.m5.xlarge"}
        given = [usual | dict(variant) for variant in variants or ({"ModelName": name},)]
        self.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=given, **members)
        return name

    def deploy(self, name: str, *variants: Mapping[str, Any], **members: Any) -> dict[str, Any]:
        """An endpoint of this name, once nobody works on it any more."""
        self.config(name, *variants, **members)
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name, Tags=[])
        return self.settled(name)

    def settled(self, name: str) -> dict[str, Any]:
        told: dict[str, Any] = eventually(lambda: self._settled(name))
        return told

    def counts(self, name: str) -> tuple[int, int]:
        """The current and the desired number of instances of the first variant."""
        (variant, *_) = self.sagemaker.describe_endpoint(EndpointName=name)["ProductionVariants"]
        return variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]

    def scale(self, name: str, count: int) -> dict[str, Any]:
        wanted = [{"VariantName": "AllTraffic", "DesiredInstanceCount": count}]
        self.sagemaker.update_endpoint_weights_and_capacities(EndpointName=name, DesiredWeightsAndCapacities=wanted)
        return self.settled(name)

    def ask(self, name: str, body: Any, **members: Any) -> Any:
        """The answer to a JSON body, read as JSON."""
        given = {"Body": json.dumps(body), "ContentType": "application/json"} | members
        return json.loads(self.runtime.invoke_endpoint(EndpointName=name, **given)["Body"].read())

    def error(self, name: str, body: Any, **members: Any) -> dict[str, Any]:
        """The error that a JSON body gets."""
        try:
            answer = self.ask(name, body, **members)
        except ClientError as error:
            told: dict[str, Any] = error.response
            return told
        raise AssertionError(f"it was answered: {answer}")

    def object(self, uri: str) -> bytes:
        """The bytes of an object; none where it is not there."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        try:
            found: bytes = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        except self.s3.exceptions.NoSuchKey:
            return b""
        return found

    def transform(self, name: str, model: str, *, prefix: str, output: str) -> dict[str, Any]:
        """A batch transform job over lines of JSON, once it has ended."""
        source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{prefix}"}}
        self.sagemaker.create_transform_job(
            TransformJobName=name,
            ModelName=model,
            BatchStrategy="SingleRecord",
            TransformInput={"DataSource": source, "ContentType": "application/json", "SplitType": "Line"},
            TransformOutput={"S3OutputPath": f"s3://{BUCKET}/{output}", "AssembleWith": "Line"},
            TransformResources={"InstanceType": "ml.m5.xlarge", "InstanceCount": 1},
        )
        told: dict[str, Any] = eventually(lambda: self._transformed(name))
        return told

    def stream(self, name: str, body: Any, **members: Any) -> bytes:
        """The parts of a stream, put together."""
        answer = self.runtime.invoke_endpoint_with_response_stream(
            EndpointName=name, Body=json.dumps(body), ContentType="application/json", **members
        )
        return b"".join(event["PayloadPart"]["Bytes"] for event in answer["Body"])

    def _transformed(self, name: str) -> dict[str, Any] | None:
        told: dict[str, Any] = self.sagemaker.describe_transform_job(TransformJobName=name)
        return None if told["TransformJobStatus"] in ("InProgress", "Stopping") else told

    def _settled_component(self, name: str) -> dict[str, Any] | None:
        told: dict[str, Any] = self.sagemaker.describe_inference_component(InferenceComponentName=name)
        return None if told["InferenceComponentStatus"] in IN_CHANGE else told

    def _settled(self, name: str) -> dict[str, Any] | None:
        told: dict[str, Any] = self.sagemaker.describe_endpoint(EndpointName=name)
        return None if told["EndpointStatus"] in IN_CHANGE else told
