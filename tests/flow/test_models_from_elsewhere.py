"""Models that others trained come in by their bucket, their archive or their folder, and answer as they do elsewhere."""

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers
from botocore.exceptions import ClientError

from outcrop.cli.app import run
from tests.support.endpoints import TGI, Endpoints
from tests.support.homes import TINY, with_tiny_models
from tests.support.patience import eventually
from tests.support.servers import Installed, installed
from tests.support.tiny import tiny_model

BUCKET, PROMPT, MOST = "elsewhere", "What is the capital of the country?", 10
pytestmark = pytest.mark.filterwarnings("ignore")  # of other people's libraries


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_tiny_models(tmp_path_factory.mktemp("elsewhere") / "home")


@pytest.fixture(scope="module")
def house(home: Path) -> Iterator[Installed]:
    with installed(home) as running:
        running.client("s3").create_bucket(Bucket=BUCKET)
        yield running


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that is not in the catalogue."""
    return tiny_model(tmp_path_factory.mktemp("made") / "network", "qwen2", seed=5, chat=True)


@pytest.fixture(scope="module")
def adapter(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter of PEFT's own, with random numbers for what it learnt, of a base that it names as the catalogue does."""
    base = loaded(home / "tiny")
    base.name_or_path = TINY
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        config = peft.LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "up_proj"], task_type="CAUSAL_LM")
        made = peft.get_peft_model(base, config)
        for name, parameter in made.named_parameters():
            if "lora_B" in name:
                parameter.data.normal_(std=0.2)
    folder = tmp_path_factory.mktemp("made") / "verses-adapter"
    made.save_pretrained(folder)
    return folder


def loaded(folder: Path) -> Any:
    return transformers.AutoModelForCausalLM.from_pretrained(folder, local_files_only=True).eval()


def greedy(network: Any, folder: Path, text: str) -> str:
    """What transformers answers to a prompt."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    ids = tokenizer(text, return_tensors="pt").input_ids
    with torch.inference_mode():
        made = network.generate(input_ids=ids, max_new_tokens=MOST, do_sample=False)
    return str(tokenizer.decode(made[0, ids.shape[1] :], skip_special_tokens=True))


def invoked(house: Installed, model: str, body: dict[str, Any]) -> dict[str, Any]:
    said = house.client("bedrock-runtime").invoke_model(modelId=model, body=json.dumps(body))
    found: dict[str, Any] = json.loads(said["body"].read())
    return found


def upload(house: Installed, folder: Path, prefix: str) -> str:
    for path in folder.iterdir():
        house.client("s3").upload_file(str(path), BUCKET, f"{prefix}/{path.name}")
    return f"s3://{BUCKET}/{prefix}/"


def test_an_imported_model_answers_by_its_arn_in_every_body(house: Installed, network: Path) -> None:
    bedrock = house.client("bedrock")
    # Given a Hugging Face directory in a bucket
    uri = upload(house, network, "models/qwen")
    # when it is imported
    job = bedrock.create_model_import_job(
        jobName="bring-it",
        importedModelName="brought",
        roleArn=house.role,
        modelDataSource={"s3DataSource": {"s3Uri": uri}},
        jobTags=[{"key": "of", "value": "job"}],
        importedModelTags=[{"key": "of", "value": "model"}],
    )["jobArn"]
    eventually(lambda: bedrock.get_model_import_job(jobIdentifier=job)["status"] != "InProgress")
    ended = bedrock.get_model_import_job(jobIdentifier="bring-it")
    assert ended["status"] == "Completed", ended.get("failureMessage")
    arn = ended["importedModelArn"]
    # then it is on record, with what it is
    told = bedrock.get_imported_model(modelIdentifier="brought")
    assert {name: told[name] for name in ("modelArn", "jobArn", "modelArchitecture", "instructSupported")} == {
        "modelArn": arn,
        "jobArn": job,
        "modelArchitecture": "qwen2",
        "instructSupported": True,
    }
    assert told["customModelUnits"] == {"customModelUnitsPerModelCopy": 1, "customModelUnitsVersion": "v1.0"}
    assert [row["modelArn"] for row in bedrock.list_imported_models()["modelSummaries"]] == [arn]
    assert [row["importedModelArn"] for row in bedrock.list_model_import_jobs()["modelImportJobSummaries"]] == [arn]
    assert bedrock.list_tags_for_resource(resourceARN=arn)["tags"] == [{"key": "of", "value": "model"}]
    assert bedrock.list_tags_for_resource(resourceARN=job)["tags"] == [{"key": "of", "value": "job"}]
    # and it answers as transformers does, in each body
    there = loaded(network)
    plain = greedy(there, network, PROMPT)
    llama = invoked(house, arn, {"prompt": PROMPT, "max_gen_len": MOST, "temperature": 0})
    assert llama["generation"] == plain
    completion = invoked(house, arn, {"prompt": PROMPT, "max_tokens": MOST, "temperature": 0})
    assert (completion["object"], completion["choices"][0]["text"]) == ("text_completion", plain)
    turns = [{"role": "user", "content": PROMPT}]
    chat = invoked(house, arn, {"messages": turns, "max_tokens": MOST, "temperature": 0})
    said = house.client("bedrock-runtime").converse(
        modelId=arn,
        messages=[{"role": "user", "content": [{"text": PROMPT}]}],
        inferenceConfig={"maxTokens": MOST, "temperature": 0.0},
    )
    assert chat["object"] == "chat.completion"
    assert chat["choices"][0]["message"]["content"] == said["output"]["message"]["content"][0]["text"] != plain
    # until it is deleted
    bedrock.delete_imported_model(modelIdentifier="brought")
    with pytest.raises(ClientError, match="was not found") as gone:
        invoked(house, arn, {"prompt": PROMPT, "max_gen_len": MOST})
    assert gone.value.response["Error"]["Code"] == "ResourceNotFoundException"
    assert bedrock.list_imported_models()["modelSummaries"] == []
    eventually(lambda: not list(house.settings.models.glob("imported-*")))


def deployed_answer(house: Installed, name: str, model: str) -> str:
    bedrock = house.client("bedrock")
    made = bedrock.create_custom_model_deployment(modelDeploymentName=name, modelArn=model)["customModelDeploymentArn"]
    eventually(
        lambda: bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=made)["status"] != "Creating"
    )
    row = bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=made)
    assert row["status"] == "Active", row.get("failureMessage")
    return str(invoked(house, made, {"prompt": PROMPT, "max_gen_len": MOST, "temperature": 0})["generation"])


def test_an_archive_of_another_trainer_becomes_a_custom_model(house: Installed, home: Path, adapter: Path) -> None:
    # Given model.tar.gz, as a training job of SageMaker leaves it
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(adapter, arcname="output")
    house.client("s3").put_object(Bucket=BUCKET, Key="jobs/one/model.tar.gz", Body=packed.getvalue())
    bedrock = house.client("bedrock")
    # when a custom model is made of it
    source = {"s3DataSource": {"s3Uri": f"s3://{BUCKET}/jobs/one/"}}
    arn = bedrock.create_custom_model(modelName="packed", modelSourceConfig=source, roleArn=house.role)["modelArn"]
    told = bedrock.get_custom_model(modelIdentifier=arn)
    assert (told["modelStatus"], told["customizationType"]) == ("Creating", "IMPORTED")
    with pytest.raises(ClientError, match="The custom model packed is being created"):
        bedrock.create_custom_model_deployment(modelDeploymentName="early", modelArn=arn)
    with pytest.raises(ClientError, match=r"is being created\. Delete it once it is Active or Failed"):
        bedrock.delete_custom_model(modelIdentifier=arn)
    eventually(lambda: bedrock.get_custom_model(modelIdentifier=arn)["modelStatus"] != "Creating")
    told = bedrock.get_custom_model(modelIdentifier=arn)
    assert told["modelStatus"] == "Active", told.get("failureMessage")
    assert f":foundation-model/{TINY}:" in told["baseModelArn"]
    # then it is served, once the engine agrees, and answers as PEFT does
    there = peft.PeftModel.from_pretrained(loaded(home / "tiny"), str(adapter))
    assert deployed_answer(house, "packed", arn) == greedy(there, home / "tiny", PROMPT)


def test_an_adapters_folder_is_registered_as_a_custom_model(
    house: Installed, home: Path, adapter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["register", str(adapter), "--name", "verses", "--home", str(home)]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"verses is a custom model of {TINY}: arn:aws:bedrock:us-east-1:")
    model = house.client("bedrock").get_custom_model(modelIdentifier="verses")
    assert (model["modelStatus"], model["customizationType"]) == ("Active", "IMPORTED")
    there = peft.PeftModel.from_pretrained(loaded(home / "tiny"), str(adapter))
    assert deployed_answer(house, "verses", model["modelArn"]) == greedy(there, home / "tiny", PROMPT)


def test_an_archive_that_is_no_model_fails_with_its_reason(house: Installed) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        link = tarfile.TarInfo("config.json")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    house.client("s3").put_object(Bucket=BUCKET, Key="bad/model.tar.gz", Body=packed.getvalue())
    bedrock = house.client("bedrock")
    source = {"s3DataSource": {"s3Uri": f"s3://{BUCKET}/bad/model.tar.gz"}}
    arn = bedrock.create_custom_model(modelName="bad", modelSourceConfig=source, roleArn=house.role)["modelArn"]
    eventually(lambda: bedrock.get_custom_model(modelIdentifier=arn)["modelStatus"] != "Creating")
    told = bedrock.get_custom_model(modelIdentifier=arn)
    assert told["modelStatus"] == "Failed"
    assert "model.tar.gz: 'config.json' is a link or a device. Pack ordinary files only." in told["failureMessage"]
    with pytest.raises(ClientError, match="The custom model bad is Failed"):
        bedrock.create_custom_model_deployment(modelDeploymentName="never", modelArn=arn)
    bedrock.delete_custom_model(modelIdentifier=arn)


def test_an_adapter_is_an_inference_component_on_its_base(house: Installed, home: Path, adapter: Path) -> None:
    # Given an endpoint without a model, and a component with the base
    endpoints = Endpoints(house, house.role)
    component = {"VariantName": "AllTraffic", "InitialInstanceCount": 1, "InstanceType": "ml.g5.xlarge"}
    endpoints.sagemaker.create_endpoint_config(
        EndpointConfigName="components", ProductionVariants=[component], ExecutionRoleArn=house.role
    )
    endpoints.sagemaker.create_endpoint(EndpointName="components", EndpointConfigName="components")
    assert endpoints.settled("components")["EndpointStatus"] == "InService"
    endpoints.model("base", image=TGI, environment={"HF_MODEL_ID": TINY})
    needs = {"MinMemoryRequiredInMb": 512}
    endpoints.component("components", "base", ModelName="base", ComputeResourceRequirements=needs)
    # when an adapter is put on it, as a training job of SageMaker leaves it
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(adapter, arcname=".")
    house.client("s3").put_object(Bucket=BUCKET, Key="jobs/two/model.tar.gz", Body=packed.getvalue())
    artifact = {"ArtifactUrl": f"s3://{BUCKET}/jobs/two/model.tar.gz"}
    told = endpoints.component("components", "verses", BaseInferenceComponentName="base", Container=artifact)
    assert told["RuntimeConfig"] == {"DesiredCopyCount": 1, "CurrentCopyCount": 1}
    # then each answers as transformers and PEFT do
    asked = {"inputs": PROMPT, "parameters": {"max_new_tokens": MOST}}
    (plain,) = endpoints.ask("components", asked, InferenceComponentName="base")
    (tuned,) = endpoints.ask("components", asked, InferenceComponentName="verses")
    base = loaded(home / "tiny")
    assert plain["generated_text"] == greedy(base, home / "tiny", PROMPT)
    there = peft.PeftModel.from_pretrained(base, str(adapter))
    assert tuned["generated_text"] == greedy(there, home / "tiny", PROMPT)
    # and whoever names none, or deletes what others stand on, is told
    assert "Inference Component Name header is required" in endpoints.error("components", asked)["Error"]["Message"]
    sagemaker = endpoints.sagemaker
    with pytest.raises(ClientError, match="verses is an adapter on it"):
        sagemaker.delete_inference_component(InferenceComponentName="base")
    with pytest.raises(ClientError, match="while it has inference components"):
        sagemaker.delete_endpoint(EndpointName="components")
    # and a component without copies says so, and is counted
    runtime = {"CopyCount": 0}
    sagemaker.delete_inference_component(InferenceComponentName="verses")
    sagemaker.update_inference_component_runtime_config(InferenceComponentName="base", DesiredRuntimeConfig=runtime)
    endpoints.settled_component("base")
    assert "no copies now" in endpoints.error("components", asked, InferenceComponentName="base")["Error"]["Message"]
    sagemaker.delete_inference_component(InferenceComponentName="base")
    sagemaker.delete_endpoint(EndpointName="components")
