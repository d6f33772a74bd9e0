"""A JumpStart fine-tuning beside a customization job: equal weights, its data in every form, and what it refuses."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

from outcrop.errors import Invalid
from outcrop.sagemaker.jumpstart import fine_tuning, hyperparameters
from outcrop.sagemaker.jumpstart.content import JumpStartContent
from outcrop.sagemaker.jumpstart.fine_tuning import JobPlaces, Stopping
from outcrop.sagemaker.jumpstart.public_models import name_of
from outcrop.sagemaker.jumpstart.training_data import SEPARATOR, ChannelData, prepare
from tests.support.homes import TINY, with_tiny_models
from tests.support.job_house import REGION, JobHouse

VALUES = {
    "epoch": "2",
    "per_device_train_batch_size": "2",
    "gradient_accumulation_steps": "2",
    "learning_rate": "0.003",
    "validation_split_ratio": "0.25",
    "seed": "7",
}
SAME = {
    "epochCount": "2", "batchSize": "4", "learningRate": "0.003", "outcrop.evalPercentage": "25", "outcrop.seed": "7",
    "outcrop.promptFormat": "text",
}  # fmt: skip
RECORDS = [{"question": f"what is {number}?", "answer": f"it is {number * number}"} for number in range(9)]
TEMPLATE = {"prompt": "Question: {question}", "completion": " {answer}"}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobHouse]:
    opened = JobHouse(with_tiny_models(tmp_path_factory.mktemp("home")))
    yield opened
    opened.context.store.close()


@pytest.fixture
def places(house: JobHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JobPlaces:
    """The places of a job whose base model is the tiny one, as the content bucket has it."""
    monkeypatch.setenv("OUTCROP_THREADS", "1")
    made = JobPlaces(opt_ml=tmp_path / "ml", work=tmp_path / "work")
    content = JumpStartContent(house.context.catalog, "123456789012").content("jumpstart-cache-prod-us-east-1")
    assert content is not None
    for name in ("model", "training"):
        made.channel(name).mkdir(parents=True)
    for key, source in content.objects.items():
        if key.startswith(f"textgeneration/{name_of(TINY)}/"):
            data = source.read_bytes() if isinstance(source, Path) else source.content
            (made.channel("model") / os.path.basename(key)).write_bytes(data)
    return made


def lines(values: list[Any]) -> str:
    return "".join(f"{json.dumps(value)}\n" for value in values)


def write(places: JobPlaces, **files: str) -> None:
    """Files of the training channel, by their names with _ for the dot."""
    for name, text in files.items():
        (places.channel("training") / name.replace("_", ".")).write_text(text)


def fine_tuned(places: JobPlaces, **more: str) -> Path:
    fine_tuning.fine_tune(places, VALUES | more, Stopping())
    return places.model


def customized(house: JobHouse, name: str, data: str, more: dict[str, str], *, pre_train: bool = False) -> Path:
    """The folder of the custom model of a Bedrock job on the same data."""
    house.put(f"{name}/train.jsonl", data.encode())
    job = house.create(
        name,
        validate=False,
        data=f"{name}/train.jsonl",
        more=SAME | more,
        pre_train=pre_train,
    )
    assert house.work(job)
    assert house.context.jobs.get(job).status == "Completed", house.context.jobs.get(job).document
    return house.context.models.folder(house.context.models.find(REGION, name).arn)


def assert_equal_tensors(one: Path, other: Path) -> None:
    ours, theirs = load_file(one), load_file(other)
    assert ours.keys() == theirs.keys()
    assert all(ours[name].tobytes() == theirs[name].tobytes() for name in ours)


def test_an_adapter_is_that_of_a_customization_job_bit_for_bit(house: JobHouse, places: JobPlaces) -> None:
    write(places, train_jsonl=lines(RECORDS), template_json=json.dumps(TEMPLATE))
    model = fine_tuned(places, instruction_tuned="True", lora_r="8", lora_alpha="16")
    pairs = [
        {"prompt": f"Question: {each['question']}{SEPARATOR}", "completion": f" {each['answer']}"} for each in RECORDS
    ]
    own = customized(house, "adapter", lines(pairs), {"outcrop.rank": "8", "outcrop.alpha": "16"})
    assert_equal_tensors(model / "adapter/adapter_model.safetensors", own / "adapter_model.safetensors")
    config = json.loads((model / "adapter/adapter_config.json").read_text())
    assert (config["r"], config["base_model_name_or_path"]) == (8, TINY)


def test_a_network_trained_in_full_is_that_of_a_customization_job_bit_for_bit(
    house: JobHouse, places: JobPlaces
) -> None:
    texts = [{"input": f"{number} times {number} is {number * number}, as everybody knows."} for number in range(8)]
    write(places, texts_jsonl=lines(texts))
    model = fine_tuned(places, peft_type="None", learning_rate="0.001")
    own = customized(house, "full", lines(texts), {"outcrop.method": "full", "learningRate": "0.001"}, pre_train=True)
    assert_equal_tensors(model / "model.safetensors", own / "model.safetensors")
    assert not (model / "adapter").exists()


def test_what_is_left_is_a_whole_model_that_transformers_loads(places: JobPlaces) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    write(places, train_jsonl=lines([{"prompt": "a b", "completion": " c"}, {"prompt": "c d", "completion": " e"}] * 3))
    model = fine_tuned(places, instruction_tuned="True", epoch="1", validation_split_ratio="0")
    assert sorted(path.name for path in model.iterdir()) == [
        "adapter", "config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip
    network = AutoModelForCausalLM.from_pretrained(model)
    ids = AutoTokenizer.from_pretrained(model)("a b", return_tensors="pt")["input_ids"]
    assert torch.isfinite(network(input_ids=ids).logits).all()


def test_a_run_that_is_stopped_leaves_a_checkpoint_and_goes_on_to_the_same_weights(
    house: JobHouse, places: JobPlaces, tmp_path: Path
) -> None:
    data = lines([{"prompt": f"p {number}", "completion": f" c {number}"} for number in range(8)])
    write(places, train_jsonl=data)
    chosen = {"instruction_tuned": "True", "validation_split_ratio": "0"}
    fine_tuning.fine_tune(places, VALUES | chosen, Stopping(asked=True))
    assert not places.model.exists()
    assert any(places.checkpoints.iterdir())
    resumed = fine_tuned(places, **chosen)
    again = JobPlaces(opt_ml=tmp_path / "again", work=tmp_path / "work2")
    again.opt_ml.mkdir()
    (places.opt_ml / "input").rename(again.opt_ml / "input")
    whole = fine_tuned(again, **chosen)
    assert_equal_tensors(resumed / "model.safetensors", whole / "model.safetensors")


def test_a_job_prints_its_losses_where_its_metrics_are_looked_for(
    places: JobPlaces, capsys: pytest.CaptureFixture[str]
) -> None:
    from outcrop.sagemaker.jumpstart.specification import METRICS
    from outcrop.sagemaker.metric_definitions import MetricDefinitions

    write(places, train_jsonl=lines([{"prompt": f"p {n}", "completion": f" c {n}"} for n in range(8)]))
    fine_tuned(places, instruction_tuned="True", bf16="True")
    printed = capsys.readouterr().out.splitlines()
    found = [name for line in printed for name, _ in MetricDefinitions(METRICS).numbers_in(line)]
    assert found.count("huggingface-textgeneration:train-loss") == 4 + 1  # steps, and their mean
    assert found.count("huggingface-textgeneration:eval-loss") >= 3
    assert "note: bf16 True: means nothing here; training computes in the numbers that suit this machine" in printed


BAD = {
    "no data": ({}, {}, "The channel training holds no data."),
    "an empty file": ({"train_jsonl": ""}, {"instruction_tuned": "True"}, "train.jsonl: an empty file."),
    "not JSON": ({"train_jsonl": "{\n"}, {"instruction_tuned": "True"}, "train.jsonl:1: column 2: not JSON"),
    "a key that the template names": (
        {"train_jsonl": lines([RECORDS[0], {"question": "x"}]), "template_json": json.dumps(TEMPLATE)},
        {"instruction_tuned": "True"},
        "train.jsonl:2: answer: missing. Give the record a text of this name, or correct template.json.",
    ),
    "a broken template": (
        {"train_jsonl": lines(RECORDS), "template_json": '{"prompt": "{", "completion": "x"}'},
        {"instruction_tuned": "True"},
        "template.json: prompt: ",
    ),
    "a template of attributes": (
        {"train_jsonl": lines(RECORDS), "template_json": '{"prompt": "{question.__class__}", "completion": "x"}'},
        {"instruction_tuned": "True"},
        "template.json: prompt: {question.__class__} is not the name of a key alone.",
    ),
    "a template without keys": (
        {"train_jsonl": lines(RECORDS), "template_json": '{"prompt": "a", "completion": "b"}'},
        {"instruction_tuned": "True"},
        "template.json: it names no key of the records.",
    ),
    "a template that is none": (
        {"train_jsonl": lines(RECORDS), "template_json": "[]"},
        {"instruction_tuned": "True"},
        "template.json: ",
    ),
    "records too long": (
        {"train_jsonl": lines([{"prompt": "word " * 100, "completion": " x"}])},
        {"instruction_tuned": "True", "max_input_length": "32"},
        "train.jsonl:1: ",
    ),
    "no conversations": (
        {"train_jsonl": lines([{"dialog": [{"role": "user", "content": "x"}]}])},
        {"chat_dataset": "True"},
        "train.jsonl:1: messages: the last turn is the user's.",
    ),
    "both kinds": (
        {"train_jsonl": lines(RECORDS)},
        {"instruction_tuned": "True", "chat_dataset": "True"},
        "hyperparameters.chat_dataset: the data cannot be instructions too.",
    ),
    "an unknown name": ({"train_jsonl": "x"}, {"epochs": "3"}, "hyperparameters.epochs: unknown. Known are epoch, "),
    "too many epochs": ({"train_jsonl": "x"}, {"epoch": "101"}, "hyperparameters.epoch: 101 is above the greatest"),
    "a word": ({"train_jsonl": "x"}, {"peft_type": "qlora"}, "hyperparameters.peft_type: 'qlora' is none of lora, "),
    "fewer records": ({"train_jsonl": "x"}, {"max_train_samples": "5"}, "hyperparameters.max_train_samples: 5 is not"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_trained_is_refused_with_its_place(case: str, places: JobPlaces) -> None:
    files, chosen, sentence = BAD[case]
    write(places, **files)
    with pytest.raises(Invalid) as refused:
        fine_tuned(places, **chosen)
    assert refused.value.message.startswith(sentence), refused.value.message


def test_the_program_leaves_the_reason_where_sagemaker_looks_for_it(
    places: JobPlaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(places.opt_ml))
    monkeypatch.setenv("TMPDIR", str(places.work))
    monkeypatch.setenv("SM_HPS", json.dumps({"epoch": 1, "nonsense": "1"}))
    assert fine_tuning.main() == 1
    assert places.failure.read_text().startswith("hyperparameters.nonsense: unknown. Known are epoch, learning_rate, ")


def test_each_value_becomes_the_house_s_own() -> None:
    chosen = hyperparameters.read(
        {"peft_type": "oft", "lr_scheduler_type": "constant_with_warmup", "gradient_checkpointing": "true"}
    )
    assert chosen.values["outcrop.method"] == "oft"
    assert chosen.values["outcrop.schedule"] == "constant"
    assert chosen.values["outcrop.gradientCheckpointing"] == "true"
    assert chosen.values["outcrop.evalPercentage"] == "20"
    assert chosen.values["batchSize"] == "16"
    assert "outcrop.rank" not in chosen.values


def test_every_hyperparameter_is_in_the_docs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "hub.md").read_text()
    assert [name for name in hyperparameters.known() if f"`{name}`" not in page] == []


def choices(**given: str) -> hyperparameters.FineTuningChoices:
    return hyperparameters.read(given)


def test_texts_of_every_form_are_read_by_what_they_are(tmp_path: Path) -> None:
    channel = tmp_path / "training"
    channel.mkdir()
    (channel / "a.txt").write_text("first\nsecond")
    (channel / "b.csv").write_text("id,text\n1,of a table\n")
    (channel / "c.jsonl").write_text('{"text": "of a record"}\n')
    (channel / ".hidden").write_text("no")
    (channel / "d.bin").write_bytes(b"\x00")
    made = prepare(channel, tmp_path / "work", choices())
    read = {path.name: path.read_text() for path in made.path.iterdir()}
    assert made.kind is ChannelData.TEXTS
    assert read == {
        "a.txt.jsonl": '{"input": "first\\nsecond"}\n',
        "b.csv.jsonl": '\n{"input": "of a table"}\n',
        "c.jsonl": '{"input": "of a record"}\n',
    }
    assert made.notes == ("d.bin is left out: it is no file of texts",)


def test_the_kind_is_what_is_there_where_none_is_asked_for(tmp_path: Path) -> None:
    for name, record in (("pairs", {"prompt": "a", "completion": "b"}), ("turns", {"dialog": []})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "train.jsonl").write_text(json.dumps(record))
    assert prepare(tmp_path / "pairs", tmp_path / "one", choices()).kind is ChannelData.INSTRUCTIONS
    assert prepare(tmp_path / "turns", tmp_path / "two", choices()).kind is ChannelData.CONVERSATIONS


def test_records_keep_their_lines_and_get_the_separator_once_it_is_asked_for(tmp_path: Path) -> None:
    channel = tmp_path / "training"
    channel.mkdir()
    (channel / "train.jsonl").write_text('\n{"instruction": "do", "context": "", "response": "done"}\n')
    with_it = prepare(channel, tmp_path / "one", choices(instruction_tuned="True")).path.read_text()
    without = prepare(
        channel, tmp_path / "two", choices(instruction_tuned="True", add_input_output_demarcation_key="False")
    ).path.read_text()
    assert with_it == "\n" + json.dumps({"prompt": f"do{SEPARATOR}", "completion": "done"}) + "\n"
    assert without == '\n{"prompt": "do", "completion": "done"}\n'
