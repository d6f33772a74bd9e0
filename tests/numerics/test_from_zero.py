"""Models from zero: trained with a tokenizer of their own through a worker's rooms, killed anywhere, trained further."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from outcrop.network import random_weights
from outcrop.network.run_mode import ProbeVerdict, RunMode
from outcrop.probe import launch
from outcrop.probe.launch import ProbeReport
from outcrop.tokens.tokenizer import Tokenizer
from tests.support.homes import pairs, with_tiny_models
from tests.support.job_house import JobHouse, Killed

HYPER = {
    "outcrop.initialize": "random",
    "outcrop.layers": "1",
    "outcrop.width": "32",
    "outcrop.tokenizerSize": "270",
    "learningRate": "recommended",
    "epochCount": "3",
}
TUNES = [f"X:{n}\nK:G\n" + "|".join("GABc dedB"[(n + bar) % 5 :] for bar in range(4)) for n in range(24)]


def texts(tunes: list[str]) -> bytes:
    return "".join(json.dumps({"input": tune}) + "\n" for tune in tunes).encode()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobHouse]:
    opened = JobHouse(with_tiny_models(tmp_path_factory.mktemp("home")))
    opened.put("train.jsonl", texts(TUNES[:16]))
    opened.put("validation.jsonl", texts(TUNES[16:]))
    yield opened
    opened.context.store.close()


@pytest.fixture(autouse=True)
def packed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Networks that were tried; that one of the tiny base's family is packed is shown in the flow tests."""
    tried: list[Path] = []

    def demand(folder: Path) -> ProbeReport:
        tried.append(folder)
        return ProbeReport(verdict=ProbeVerdict(way=RunMode.PACKED), context=None)

    monkeypatch.setattr(launch, "demand", demand)
    return tried


@pytest.fixture(scope="module")
def made(house: JobHouse) -> str:
    """The job of a model from zero that nothing came between."""
    with pytest.MonkeyPatch.context() as patch:
        way = ProbeReport(verdict=ProbeVerdict(way=RunMode.PACKED), context=None)
        patch.setattr(launch, "demand", lambda _folder: way)
        job = house.create("zero", more=HYPER, pre_train=True)
        assert house.work(job)
    return job


def model_of(house: JobHouse, job: str) -> Path:
    ended = house.context.jobs.get(job)
    assert ended.status == "Completed", ended.document.get("failureMessage")
    return house.context.models.folder(ended.document["modelArn"])


def test_a_model_from_zero_is_complete_in_itself(house: JobHouse, made: str) -> None:
    folder = model_of(house, made)
    config = json.loads((folder / "config.json").read_text())
    tokenizer = Tokenizer.open(folder)
    assert (config["num_hidden_layers"], config["hidden_size"]) == (1, 32)
    assert config["vocab_size"] == tokenizer.vocab_size == 270
    assert (config["bos_token_id"], config["eos_token_id"]) == (tokenizer.bos_id, tokenizer.eos_id)
    assert AutoTokenizer.from_pretrained(folder)(TUNES[0])["input_ids"] == tokenizer.encode(TUNES[0], begin=True)


def test_plan_verdict_and_lineage_tell_what_it_is(house: JobHouse, made: str) -> None:
    events = house.events(made)
    (plan,) = [event["lines"] for event in events if event["event"] == "plan"]
    told = "random weights in the architecture of local.tiny-v1: 1 layer of width 32, 2 heads of 16, 1 for keys and values, inner width 64"
    own = "a tokenizer of its own: 270 tokens, learned from the training data"
    assert [f"note         {line}" in plan for line in (told, own)] == [True, True]
    notes = json.loads((model_of(house, made) / "lineage.json").read_text())["result"]["notes"]
    assert notes[:2] == [told, own]
    # it is better than it was at random, and that is not said to be better than a base model
    held_out = json.loads(house.output(made, "validation_artifacts/held_out.json"))[0]
    assert held_out["custom"]["bits_per_byte"] < 0.8 * held_out["base"]["bits_per_byte"]
    assert events[-1]["verdict"] == "not compared"
    bits = [held_out[part]["bits_per_byte"] for part in ("custom", "base")]
    assert f"validation.jsonl: {bits[0]:.3f} bits per byte, {bits[1]:.3f} at random" in events[-1]["verdict_note"]
    document = house.context.jobs.get(made).document
    assert "failureMessage" not in document
    assert document["usedHyperParameters"]["outcrop.method"] == "full"


def test_a_job_killed_while_its_network_is_made_and_while_it_trains_ends_with_the_same_bits(
    house: JobHouse, made: str, monkeypatch: pytest.MonkeyPatch, packed: list[Path]
) -> None:
    job = house.create("killed", more=HYPER, pre_train=True)
    with monkeypatch.context() as patch:
        patch.setattr(random_weights, "write", killed)  # when the tokenizer has been learned
        with pytest.raises(Killed):
            house.work(job)

    def kill_at_5(words: str) -> None:
        if words == "step 5":
            raise Killed

    with pytest.raises(Killed):
        house.work(job, attempt=2, report=kill_at_5)
    said: list[str] = []
    assert house.work(job, attempt=3, report=said.append)
    assert "making a network" not in said
    assert {path.name for path in packed} == {"from-zero"}
    first, second = model_of(house, made), model_of(house, job)
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def killed(_folder: Path, *, seed: int) -> int:
    raise Killed(seed)


def test_its_own_tokenizer_is_that_of_an_adapter_trained_on_it(house: JobHouse, made: str) -> None:
    model_of(house, made)
    house.put("train.jsonl", pairs(8))
    house.put("validation.jsonl", pairs(2))
    job = house.create("tuned", base="zero", more={"outcrop.method": "lora", "epochCount": "1"})
    assert house.work(job)
    folder = model_of(house, job)
    (below,) = folder.glob("base-*")
    assert (below / "tokenizer.json").read_bytes() == (model_of(house, made) / "tokenizer.json").read_bytes()
    # and a checkpoint of it becomes a custom model with that network and tokenizer
    uri = f"s3://house/{house.folder(job)}/checkpoints/{checkpoint_of(house, job)}"
    taken = house.context.models.folder(house.create_custom_model("taken", uri))
    assert (next(taken.glob("base-*")) / "tokenizer.json").read_bytes() == (below / "tokenizer.json").read_bytes()


def checkpoint_of(house: JobHouse, job: str) -> str:
    return sorted(key.split("/")[1] for key in house.keys(job) if key.startswith("checkpoints/"))[-1]


def test_a_network_that_would_be_run_otherwise_than_its_base_is_refused(
    house: JobHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = ProbeReport(verdict=ProbeVerdict(way=RunMode.ONE_RECORD_A_ROW), context=None)
    monkeypatch.setattr(launch, "demand", lambda _folder: other)
    house.put("train.jsonl", texts(TUNES[:4]))
    job = house.create("otherwise", more=HYPER, pre_train=True, validate=False)
    house.work(job)
    ended = house.context.jobs.get(job)
    assert ended.status == "Failed"
    assert ended.document["failureMessage"] == (
        "hyperParameters.outcrop.width: a network of these sizes would be run one record a row, and that of "
        "local.tiny-v1 is run packed. Leave outcrop.width and outcrop.layers out, or choose others."
    )


def test_bad_records_are_told_as_those_of_any_job(house: JobHouse) -> None:
    house.put("train.jsonl", b'{"input": 3}\n')
    job = house.create("bad", more=HYPER, pre_train=True, validate=False)
    house.work(job)
    assert house.context.jobs.get(job).document["failureMessage"].startswith("train.jsonl:1: input: ")
