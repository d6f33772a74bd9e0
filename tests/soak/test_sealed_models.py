"""A sealed model from its job to its answers, with its worker and its engine killed on the way: nothing lies in clear,
and everything is as with a plain one.

Run by `make soak`.
"""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from safetensors.torch import load_file

from tests.support.homes import TINY, with_tiny_models
from tests.support.patience import eventually
from tests.support.plaintext_scan import PlaintextScan
from tests.support.servers import Installed, installed
from tests.unit.customization.test_sealed_jobs import FORMS, records

pytestmark = pytest.mark.soak
BUCKET = "sealed"
KILLS = 4


def start(house: Installed, name: str, **more: Any) -> None:
    house.client("bedrock").create_model_customization_job(
        jobName=name,
        customModelName=name,
        roleArn=house.role,
        baseModelIdentifier=TINY,
        trainingDataConfig={"s3Uri": f"s3://{BUCKET}/train.jsonl"},
        validationDataConfig={"validators": [{"s3Uri": f"s3://{BUCKET}/validation.jsonl"}]},
        outputDataConfig={"s3Uri": f"s3://{BUCKET}/{name}"},
        hyperParameters={"epochCount": "12", "batchSize": "4", "learningRate": "0.003"} | more.pop("hyper", {}),
        **more,
    )


def ended(house: Installed, name: str) -> Any:
    bedrock = house.client("bedrock")

    def look() -> Any:
        job = bedrock.get_model_customization_job(jobIdentifier=name)
        return job if job["status"] not in ("InProgress", "Stopping") else None

    return eventually(look)


def asked(house: Installed, deployment: str, prompt: str) -> str:
    def ask() -> Any:
        body = json.dumps({"inputText": prompt, "textGenerationConfig": {"maxTokenCount": 32, "temperature": 0}})
        try:
            return house.client("bedrock-runtime").invoke_model(modelId=deployment, body=body)["body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] in ("ModelNotReadyException", "ResourceNotFoundException"):
                return None
            raise

    answer: str = json.loads(eventually(ask))["results"][0]["outputText"]
    return answer


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_sealed_model_lives_as_a_plain_one_and_lies_nowhere_in_clear(method: str, tmp_path: Path) -> None:
    training, validation = records(60, seed=4), records(4, seed=5)
    home = with_tiny_models(tmp_path / "home")
    with installed(home, OUTCROP_SEAL="1") as house:
        s3, bedrock, kms = house.client("s3"), house.client("bedrock"), house.client("kms")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_object(Bucket=BUCKET, Key="train.jsonl", Body=training)
        s3.put_object(Bucket=BUCKET, Key="validation.jsonl", Body=validation)
        key = kms.create_key()["KeyMetadata"]["Arn"]
        scan = PlaintextScan({"training": training, "validation": validation}, known=FORMS)

        # A job whose worker is killed at random
        start(house, "sealed", customModelKmsKeyId=key, hyper={"outcrop.method": method})
        chance = random.Random(3)
        for _ in range(KILLS):
            wait_s = chance.uniform(0.5, 3)
            subprocess.run([sys.executable, "-c", f"import time; time.sleep({wait_s})"], check=True)
            pid = house.pid_of("worker")
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
            assert scan.files(home) == []
        job = ended(house, "sealed")
        assert job["status"] == "Completed", job.get("failureMessage")
        assert scan.files(home) == []

        # Deployed, asked, its engine killed, and asked again
        model = job["outputModelArn"]
        deployment = bedrock.create_custom_model_deployment(modelDeploymentName="sealed", modelArn=model)
        arn = deployment["customModelDeploymentArn"]
        prompt = json.loads(training.splitlines()[0])["prompt"]
        answer = asked(house, arn, prompt)
        for part in list(json.loads((home / "parts.json").read_text())["parts"]):
            if part.startswith("engine-") and (pid := house.pid_of(part)) is not None:
                os.kill(pid, signal.SIGKILL)
        assert asked(house, arn, prompt) == answer

        # Its key disabled, and enabled
        kms.disable_key(KeyId=key)
        with pytest.raises(ClientError, match="DisabledException"):
            asked(house, arn, prompt)
        kms.enable_key(KeyId=key)
        assert asked(house, arn, prompt) == answer

        # Exported, it is in clear where it was wanted, and there alone
        out = tmp_path / "out"
        command = [sys.executable, "-m", "outcrop.cli.app", "export", "sealed", str(out), "--home", str(home)]
        subprocess.run(command, check=True, env={**os.environ, **house.environment})
        weights = load_file(next(out.glob("*.safetensors")))
        learned = b"".join(each.numpy().tobytes() for name, each in weights.items() if "proj" in name)
        assert PlaintextScan({"training": training, "weights": learned}, known=FORMS).files(home) == []
    assert scan.files(home) == []
