"""SDK 2.x of SageMaker: models are deployed, asked, asked for streams, transformed with, and deleted.

What a notebook does, against whatever AWS_ENDPOINT_URL names. Takes the ARN of a role, a folder for its files, and the
id of a language model that the catalogue has.
"""

import json
import sys
import tarfile
from pathlib import Path

import sagemaker
from sagemaker.async_inference import AsyncInferenceConfig
from sagemaker.deserializers import JSONDeserializer
from sagemaker.huggingface import HuggingFaceModel, get_huggingface_llm_image_uri
from sagemaker.pytorch import PyTorchModel
from sagemaker.serializers import JSONSerializer

ROLE, FOLDER, MODEL = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
BUCKET = "notebook"
CODE = """
import json, os
def model_fn(model_dir):
    with open(os.path.join(model_dir, "weights.txt")) as file:
        return float(file.read())
def input_fn(data, content_type):
    return json.loads(data)
def predict_fn(data, model):
    return [model * number for number in data["numbers"]]
def output_fn(prediction, accept):
    return json.dumps(prediction)
"""


def main() -> None:
    session = sagemaker.Session(default_bucket=BUCKET)
    source = FOLDER / "source"
    source.mkdir()
    (source / "inference.py").write_text(CODE)
    (FOLDER / "weights.txt").write_text("2.5")
    with tarfile.open(FOLDER / "model.tar.gz", "w:gz") as tar:
        tar.add(FOLDER / "weights.txt", arcname="weights.txt")
    artifact = session.upload_data(str(FOLDER / "model.tar.gz"), key_prefix="models")
    model = PyTorchModel(
        model_data=artifact,
        role=ROLE,
        entry_point="inference.py",
        source_dir=str(source),
        framework_version="2.6.0",
        py_version="py312",
        sagemaker_session=session,
    )
    predictor = model.deploy(
        initial_instance_count=1,
        instance_type="ml.m5.xlarge",
        serializer=JSONSerializer(),
        deserializer=JSONDeserializer(),
    )
    print("predicted", predictor.predict({"numbers": [1, 2]}))
    print("transformed", transformed(model, session))
    predictor.delete_model()
    predictor.delete_endpoint()
    later = model.deploy(
        initial_instance_count=1,
        instance_type="ml.m5.xlarge",
        async_inference_config=AsyncInferenceConfig(output_path=f"s3://{BUCKET}/answers"),
        serializer=JSONSerializer(),
        deserializer=JSONDeserializer(),
    )
    asked = later.predict_async({"numbers": [4]})
    bucket, _, key = asked.output_path.removeprefix("s3://").partition("/")
    waiter = session.boto_session.client("s3").get_waiter("object_exists")
    waiter.wait(Bucket=bucket, Key=key, WaiterConfig={"Delay": 1, "MaxAttempts": 120})
    print("later", asked.get_result())  # `predict` leaves a thread that looks for a failure for a quarter of an hour
    later.delete_endpoint()
    text_model(session)
    print("endpoints", len(session.sagemaker_client.list_endpoints()["Endpoints"]))


def transformed(model: PyTorchModel, session: sagemaker.Session) -> list[object]:
    """The answers of a batch transform job."""
    (FOLDER / "rows.jsonl").write_text('{"numbers": [1]}\n{"numbers": [2, 3]}\n')
    rows = session.upload_data(str(FOLDER / "rows.jsonl"), key_prefix="rows")
    transformer = model.transformer(
        instance_count=1,
        instance_type="ml.m5.xlarge",
        strategy="SingleRecord",
        assemble_with="Line",
        output_path=f"s3://{BUCKET}/transformed",
    )
    transformer.transform(rows, content_type="application/json", split_type="Line", wait=True, logs=False)
    found = session.read_s3_file(BUCKET, "transformed/rows.jsonl.out")
    return [json.loads(line) for line in found.splitlines()]


def text_model(session: sagemaker.Session) -> None:
    """A language model, as TGI's image serves it."""
    model = HuggingFaceModel(
        role=ROLE,
        image_uri=get_huggingface_llm_image_uri("huggingface", version="3.3.6", session=session),
        env={"HF_MODEL_ID": MODEL, "SM_NUM_GPUS": "1"},
        sagemaker_session=session,
    )
    predictor = model.deploy(
        initial_instance_count=1, instance_type="ml.g5.2xlarge", container_startup_health_check_timeout=600
    )
    asked = {"inputs": "The weather today", "parameters": {"max_new_tokens": 6}}
    (answer,) = predictor.predict(asked)
    print("text", bool(answer["generated_text"]))
    pieces = b"".join(bytes(piece) for piece in predictor.predict_stream({**asked, "stream": True}))
    told = [json.loads(line.removeprefix(b"data:")) for line in pieces.split(b"\n\n") if line.strip()]
    print("streamed", told[-1]["generated_text"] == answer["generated_text"])
    chat = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 5}
    print("chat", predictor.predict(chat)["object"])
    predictor.delete_model()
    predictor.delete_endpoint()


if __name__ == "__main__":
    main()
