"""Models from zero on the whole road: tried, trained, deployed, asked, trained further, and taken elsewhere."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from outcrop.cli.app import run
from tests.flow.test_methods import deployed, engines
from tests.support.homes import pairs, with_tiny_models
from tests.support.job_house import JobHouse
from tests.support.servers import Installed, installed

FROM_ZERO = {
    "outcrop.initialize": "random",
    "outcrop.layers": "1",
    "outcrop.width": "32",
    "outcrop.tokenizerSize": "280",
    "outcrop.learningRate": "0.01",
    "epochCount": "20",
}
TUNE = "X:1\nK:G\nGABc dedB|dedB dedB|c2ec B2dB|A2A2 A2BA|"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a model from zero, `zero`, and `answers`, an adapter that was trained on it."""
    made = with_tiny_models(tmp_path_factory.mktemp("home"))
    jobs = JobHouse(made)
    jobs.put("train.jsonl", (json.dumps({"input": TUNE}) + "\n").encode() * 8)
    trained(jobs, jobs.create("zero", validate=False, more=FROM_ZERO, pre_train=True))
    jobs.put("train.jsonl", pairs(8))
    more = {"outcrop.method": "lora", "outcrop.learningRate": "0.01", "epochCount": "1"}
    trained(jobs, jobs.create("answers", base="zero", validate=False, more=more))
    jobs.context.store.close()
    return made


def trained(jobs: JobHouse, job: str) -> None:
    jobs.work(job)
    ended = jobs.context.jobs.get(job)
    assert ended.status == "Completed", ended.document.get("failureMessage")


@pytest.fixture(scope="module")
def house(home: Path) -> Iterator[Installed]:
    with installed(home) as running:
        yield running


@pytest.mark.filterwarnings("ignore")  # of other people's libraries
def test_a_model_from_zero_is_deployed_asked_trained_further_and_exported(
    house: Installed, home: Path, tmp_path: Path
) -> None:
    bedrock, runtime = house.client("bedrock"), house.client("bedrock-runtime")
    zero, answers = (bedrock.get_custom_model(modelIdentifier=name) for name in ("zero", "answers"))
    assert zero["hyperParameters"]["outcrop.method"] == "full"
    assert answers["baseModelArn"] == zero["modelArn"]
    # When both are deployed, each after its engine has given the trainer's log probabilities
    deployments = [deployed(bedrock, model) for model in (zero, answers)]
    # then one engine, with one network, serves both,
    body = json.dumps({"prompt": TUNE[:24], "max_gen_len": 16, "temperature": 0})
    said = json.loads(runtime.invoke_model(modelId=deployments[0], body=body)["body"].read())
    turn = [{"role": "user", "content": [{"text": "Question 1: what is 1?"}]}]
    answered = runtime.converse(modelId=deployments[1], messages=turn, inferenceConfig={"maxTokens": 8})
    assert answered["usage"]["outputTokens"] >= 1
    assert sum("@" in name for name in engines(house)) == 1
    # the first says what transformers says with the exported files, in tokens of its own,
    for name in ("zero", "answers"):
        assert run(["export", name, str(tmp_path / name), "--home", str(home)]) == 0
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "zero", local_files_only=True)
    ids = tokenizer(TUNE[:24], return_tensors="pt").input_ids
    assert said["generation"] == continued(tmp_path / "zero", tokenizer, ids)
    assert said["prompt_token_count"] == ids.shape[1] < len(TUNE[:24])
    # and an adapter on it comes with its network and tokenizer.
    assert (tmp_path / "answers" / "tokenizer.json").read_bytes() == (tmp_path / "zero" / "tokenizer.json").read_bytes()
    assert json.loads((tmp_path / "answers" / "base" / "config.json").read_text())["hidden_size"] == 32


def continued(folder: Path, tokenizer: Any, ids: torch.Tensor) -> str:
    network = transformers.AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    with torch.no_grad():
        written = network.generate(ids, max_new_tokens=16, do_sample=False)
    return str(tokenizer.decode(written[0, ids.shape[1] :], skip_special_tokens=True))
