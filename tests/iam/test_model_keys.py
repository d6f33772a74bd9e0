"""KMS keys of models: who may make a sealed model, and who may ask it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from outcrop.deployments.states import ON_DEMAND
from outcrop.keys.sealed_folder import KEY_CONTEXT
from tests.support.servers import Running

BASE, BUCKET, REGION = "outcrop.starter-v1", "model-keys", "us-east-1"


def let(iam: Any, user: str, *actions: str, **more: Any) -> None:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*", **more}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    iam.put_user_policy(UserName=user, PolicyName=actions[0].partition(":")[0], PolicyDocument=json.dumps(document))


@pytest.fixture
def key(server: Running) -> str:
    made: str = server.client("kms").create_key()["KeyMetadata"]["Arn"]
    return made


@pytest.fixture
def model(server: Running, key: str) -> str:
    """The ARN of a deployment of a sealed custom model, on record."""
    house = server.platform
    model_arn = f"arn:aws:bedrock:{REGION}:{house.account}:custom-model/{BASE}:0:2k/sealedmodel1"
    folder = house.models.folder(model_arn)
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text("{}")
    seal = house.envelopes.make(key, {KEY_CONTEXT: model_arn}).wrapped.document()
    foundation = f"arn:aws:bedrock:{REGION}::foundation-model/{BASE}:0:2k"
    document = {"baseId": BASE, "foundationModelArn": foundation, "baseModelArn": foundation, "promptFormat": "text"}
    house.models.add(
        model_arn=model_arn,
        name="sealed",
        region=REGION,
        created=house.clock.now(),
        document={**document, "seal": seal},
    )
    row = house.deployments.create(
        ON_DEMAND,
        name="sealed",
        region=REGION,
        account=house.account,
        model_arn=model_arn,
        details={"description": None},
    )
    house.deployments.serve(row)
    return row.arn


def refusal(action: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as refused:
        action()
    return f"{refused.value.response['Error']['Code']}: {refused.value.response['Error']['Message']}"


def test_a_sealed_model_is_made_and_asked_by_whom_its_key_lets_in(
    server: Running, iam: Any, user: str, client_of: Callable[..., Any], key: str, model: str
) -> None:
    s3 = server.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="train.jsonl", Body=b'{"prompt": "a", "completion": "b"}\n' * 4)
    let(iam, user, "bedrock:*")
    let(iam, user, "iam:PassRole")
    bedrock, runtime = client_of(user, "bedrock"), client_of(user, "bedrock-runtime")

    def make() -> Any:
        return bedrock.create_model_customization_job(
            jobName="sealed", customModelName="job", roleArn=server.installation.service_role_arn,
            baseModelIdentifier=BASE, trainingDataConfig={"s3Uri": f"s3://{BUCKET}/train.jsonl"},
            outputDataConfig={"s3Uri": f"s3://{BUCKET}/out"}, customModelKmsKeyId=key,
        )  # fmt: skip

    def ask() -> Any:
        return runtime.invoke_model(modelId=model, body=json.dumps({"inputText": "hi"}))

    # Whoever may do everything in Bedrock and nothing with the key is refused, by name of what is missing
    assert refusal(make).startswith("AccessDeniedException: ")
    assert "kms:DescribeKey" in refusal(make)
    assert "kms:Decrypt" in refusal(ask)

    # Who may use it, but not through Bedrock, is refused too
    let(iam, user, "kms:*", Condition={"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}})
    assert "kms:DescribeKey" in refusal(make)
    assert "kms:Decrypt" in refusal(ask)

    # Through Bedrock it is made and told; a disabled key is told before anything is asked of an engine
    through = {"StringEquals": {"kms:ViaService": "bedrock.us-east-1.amazonaws.com"}}
    let(iam, user, "kms:*", Condition=through)
    made = make()["jobArn"]
    assert bedrock.get_model_customization_job(jobIdentifier=made)["outputModelKmsKeyArn"] == key
    assert bedrock.get_custom_model(modelIdentifier="sealed")["modelKmsKeyArn"] == key
    server.client("kms").disable_key(KeyId=key)
    assert refusal(ask).startswith("ValidationException: The KMS key of the model cannot be used: ")
