"""SDK 2.x of SageMaker: a foundation model is found in JumpStart, fine-tuned on instructions, deployed and asked.

What a notebook does, against whatever AWS_ENDPOINT_URL names. Takes the ARN of a role, a folder for its files, and the
id of a model. Then the same model is curated in a hub of one's own, and found there.
"""

import json
import sys
import tarfile
from pathlib import Path

import boto3
import sagemaker
from sagemaker import hyperparameters, image_uris, metric_definitions, model_uris, script_uris
from sagemaker.jumpstart.estimator import JumpStartEstimator
from sagemaker.jumpstart.hub.hub import Hub
from sagemaker.jumpstart.model import JumpStartModel
from sagemaker.jumpstart.notebook_utils import list_jumpstart_models
from sagemaker.s3 import S3Downloader

ROLE, FOLDER, MODEL = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
INSTANCE = "ml.g5.2xlarge"
TEMPLATE = {"prompt": "Answer.\n\n{instruction}", "completion": "{response}"}


def main() -> None:
    session = sagemaker.Session(default_bucket="jumpstart-notebook")
    print("models", list_jumpstart_models())
    print("of the task", list_jumpstart_models("task == textgeneration"))
    defaults = hyperparameters.retrieve_default(model_id=MODEL, model_version="*")
    print("epochs", defaults["epoch"], "method", defaults["peft_type"])
    found = metric_definitions.retrieve_default(model_id=MODEL, model_version="*")
    print("metrics", [each["Name"] for each in found])
    for scope in ("training", "inference"):
        image = image_uris.retrieve(
            region=None, framework=None, model_id=MODEL, model_version="*", image_scope=scope, instance_type=INSTANCE
        )
        print(scope, image.rpartition("/")[2].partition(":")[0])
    print("artifact", model_uris.retrieve(model_id=MODEL, model_version="*", model_scope="training"))
    print("script", script_uris.retrieve(model_id=MODEL, model_version="*", script_scope="training"))

    records = [{"instruction": f"What is {number} and one?", "response": f"It is {number + 1}."} for number in range(8)]
    (FOLDER / "data").mkdir()
    (FOLDER / "data" / "train.jsonl").write_text("".join(f"{json.dumps(record)}\n" for record in records))
    (FOLDER / "data" / "template.json").write_text(json.dumps(TEMPLATE))
    data = session.upload_data(str(FOLDER / "data"), key_prefix="fine-tuning")
    estimator = JumpStartEstimator(
        model_id=MODEL,
        model_version="*",
        role=ROLE,
        instance_type=INSTANCE,
        environment={"accept_eula": "true"},
        sagemaker_session=session,
        disable_output_compression=False,
    )
    chosen = {"instruction_tuned": "True", "epoch": "1", "per_device_train_batch_size": "4", "max_input_length": "256"}
    hyperparameters.validate(model_id=MODEL, model_version="*", hyperparameters=defaults | chosen)
    estimator.set_hyperparameters(**chosen)
    estimator.fit({"training": data}, logs="All")
    name = estimator.latest_training_job.name
    job = boto3.client("sagemaker").describe_training_job(TrainingJobName=name)
    print("status", job["TrainingJobStatus"])
    print("final metrics", sorted(each["MetricName"] for each in job["FinalMetricDataList"]))
    S3Downloader.download(estimator.model_data, str(FOLDER / "fetched"), sagemaker_session=session)
    with tarfile.open(FOLDER / "fetched" / "model.tar.gz") as tar:
        print("files", sorted(member.name.removeprefix("./") for member in tar if member.isfile()))
    again = JumpStartEstimator.attach(name, sagemaker_session=session)
    print("attached", again.model_id == MODEL)
    model = JumpStartModel(model_id=MODEL, role=ROLE, sagemaker_session=session)
    print("examples", [example.prompt_key for example in model.retrieve_all_examples()])
    print("model data", model.model_data["S3DataSource"]["S3Uri"].rpartition("/v")[0])
    print("environment", model.env["HF_MODEL_ID"])
    asked = TEMPLATE["prompt"].format(**records[0]) + "\n\n### Response:\n"
    predictors = {
        "the model": model.deploy(instance_type=INSTANCE, wait=False),
        "the fine-tuned model": estimator.deploy(instance_type=INSTANCE, wait=False),
    }
    for name, predictor in predictors.items():
        session.wait_for_endpoint(predictor.endpoint_name, poll=1)
        ask(name, predictor, asked)
    curate(session)


def ask(name: str, predictor: sagemaker.Predictor, prompt: str) -> None:
    """An answer of an endpoint, which is then removed with its model."""
    answer = predictor.predict({"inputs": prompt, "parameters": {"max_new_tokens": 4}})
    print()  # behind the marks of the waiting
    print(name, "answers", isinstance(answer[0]["generated_text"], str))
    predictor.delete_model()
    predictor.delete_endpoint()


def curate(session: sagemaker.Session) -> None:
    """A hub of one's own, with a reference to the model."""
    hub = Hub(hub_name="team", sagemaker_session=session)
    hub.create(description="What the team uses")
    public = hub.list_sagemaker_public_hub_models()["hub_content_summaries"]
    arn = next(each["hub_content_arn"] for each in public if each["hub_content_name"] == MODEL)
    hub.create_model_reference(model_arn=arn, model_name=MODEL)
    print("in the hub", [each["HubContentName"] for each in hub.list_models()["hub_content_summaries"]])
    told = hub.describe_model(MODEL)
    print("of the hub", told.hub_content_type, len(told.hub_content_document.hyperparameters) > 10)
    estimator = JumpStartEstimator(
        model_id=MODEL, hub_name="team", role=ROLE, instance_type=INSTANCE, sagemaker_session=session
    )
    print("by the hub", estimator.image_uri.rpartition("/")[2].partition(":")[0], estimator.hyperparameters()["epoch"])
    model = JumpStartModel(model_id=MODEL, hub_name="team", role=ROLE, sagemaker_session=session)
    print("hub's data", model.model_data["S3DataSource"]["S3Uri"].rpartition("/v")[0])
    print("hub's environment", model.env["HF_MODEL_ID"])
    hub.delete_model_reference(MODEL)
    hub.delete()


if __name__ == "__main__":
    main()
