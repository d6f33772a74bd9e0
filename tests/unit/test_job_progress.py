"""What a job tells is told while it runs, survives a kill, and is the truth."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from outcrop.customization.choices import hyperparameters
from outcrop.customization.output import progress
from outcrop.errors import Refusal
from outcrop.house import House
from outcrop.training.checkpoints.checkpointer import Checkpointer
from tests.support.homes import with_tiny_models
from tests.support.job_house import BUCKET, JobHouse, Killed
from tests.support.training_runs import RECORDS

MEMBER = "outcrop.training.data_parallel.rank_main"
VALIDATION_METRICS = (
    "validation_artifacts/validation_metrics.csv",
    "validation_artifacts/post_fine_tuning_validation/validation_metrics.csv",
    "validation_artifacts/post_fine_tuning_validation/validation/validation_metrics.csv",
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_tiny_models(tmp_path_factory.mktemp("home"))


@pytest.fixture
def house(home: Path) -> Iterator[JobHouse]:
    opened = JobHouse(home)
    yield opened
    opened.context.store.close()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step is written when it is taken, for tests that look after each."""
    monkeypatch.setattr(progress, "_EVERY_S", 0.0)
    monkeypatch.setattr(progress, "_SHARE", 1e9)


def test_everything_can_be_read_while_the_job_runs(house: JobHouse, at_once: None) -> None:
    job = house.create("watched")
    seen: list[tuple[str, list[int], list[str]]] = []

    def look(words: str) -> None:
        if words == "step 5":  # told before step 4 (from 0) is written
            steps = house.training_csv(job)["step_number"].tolist()
            (validation,) = {house.output(job, path) for path in VALIDATION_METRICS}
            assert validation.startswith(b"step_number,epoch_number,validation_loss,perplexity\n0,0,")
            seen.append((house.context.jobs.get(job).status, steps, [event["event"] for event in house.events(job)]))

    house.work(job, report=look)
    (while_running,) = seen
    assert while_running[:2] == ("InProgress", [0, 1, 2, 3])
    assert while_running[2][:6] == ["report", "plan", "start", "evaluation", "answers", "step"]
    assert house.context.jobs.get(job).status == "Completed"


def test_the_events_of_a_job_tell_its_whole_course(house: JobHouse) -> None:
    job = house.create("told")
    house.work(job)
    events = house.events(job)
    answered = [event for event in events if event["event"] == "answers"]
    assert answered[0]["step"] == 0
    assert answered[0]["answers"][0]["prompt"].startswith("Question 0: what is 0?")
    assert answered[0]["answers"][0]["expected"] == " It is 0."
    # 2 epochs of 3 steps, each evaluated; which evaluations are answered is a matter of time
    kinds = [event["event"] for event in events if event["event"] != "answers"]
    one = ["step", "evaluation", "checkpoint"]
    assert kinds == ["report", "plan", "start", "evaluation", *one * 6, "end"]
    assert events[0]["uri"] == f"s3://{BUCKET}/{house.folder(job)}/preflight/report.html"
    steps = [event for event in events if event["event"] == "step"]
    assert [event["step"] for event in steps] == list(range(6))
    for event in steps:
        assert event["tokens_per_s"] >= event["supervised_tokens_per_s"] > 0
        assert 0 < event["mfu"] < 2
        assert event["peak_bytes"] >= event["resident_bytes"] * 0.99 > 1e7
    assert house.training_csv(job)["training_loss"].tolist() == pytest.approx([event["loss"] for event in steps])
    start = next(event for event in events if event["event"] == "start")
    assert start["parameters"] > start["trained_parameters"] > 0
    assert events[-1].items() >= {"status": "Completed", "steps": 6, "stopped_early": False}.items()
    # and the same numbers are points over time
    points = house.context.points
    points.flush()
    one_job = {"JobArn": job}
    metrics = {series.metric for series in points.series(namespace="Outcrop/Jobs", dimensions=one_job)}
    assert metrics >= {"Step", "ResidentBytes", "TrainingLoss", "ValidationLoss", "TokensPerSecond", "SecondsLeft"}
    asked = ("SampleCount", "Minimum", "Maximum")
    (losses,) = points.statistics(
        asked,
        namespace="Outcrop/Jobs",
        metric="TrainingLoss",
        dimensions=one_job,
        since=datetime(2020, 1, 1, tzinfo=UTC),
        until=datetime(2100, 1, 1, tzinfo=UTC),
        period_s=100 * 365 * 86400,
    )
    told = [event["loss"] for event in steps]
    assert losses.values == {"SampleCount": 6, "Minimum": min(told), "Maximum": max(told)}


@pytest.mark.parametrize(
    ("rate", "how", "mend"),
    [
        ("0.9", "worse than", "The learning rate was 0.9 in batches of 4: try a lower one"),
        ("0", "no better than", "The learning rate was 0; choose another one."),
    ],
)
def test_a_model_worse_than_its_base_is_said_wherever_one_looks(
    house: JobHouse, rate: str, how: str, mend: str
) -> None:
    # Given a model that has learned something, and a job on it that ruins it, or changes nothing
    before, name = f"before-{how.split()[0]}", f"after-{how.split()[0]}"
    house.work(
        house.create(before, more={"epochCount": "5", "learningRate": "0.01", "outcrop.evaluateEverySteps": "99"})
    )
    base = house.context.models.find("us-east-1", before).arn
    job = house.create(name, base=base, more={"outcrop.learningRate": rate, "outcrop.evaluateEverySteps": "99"})
    house.work(job)
    row, model = house.context.jobs.get(job), house.context.models.find("us-east-1", name)
    sentence = row.document["failureMessage"]
    assert row.status == "Completed"
    assert sentence.startswith(
        f"The job completed, but its custom model is {how} the custom model before on the validation data ("
    )
    assert mend in sentence
    assert model.document["failureMessage"] == sentence
    assert [event["note"] for event in house.events(job) if event["event"] == "note"] == [sentence]
    progress_told = json.loads(house.output(job, "training_artifacts/progress.json"))
    lineage = json.loads((house.context.models.folder(model.arn) / "lineage.json").read_text())
    for told in (house.events(job)[-1], progress_told, lineage["result"]):
        assert told.items() >= {"verdict": "worse", "verdict_note": sentence}.items()


def test_what_could_not_be_compared_is_said(house: JobHouse) -> None:
    job = house.create("alone", validate=False, more={"epochCount": "1"})
    house.work(job)
    last = house.events(job)[-1]
    assert last["verdict"] == "not compared"
    assert last["verdict_note"].startswith("Whether the custom model is better than the base model is not known")
    assert "failureMessage" not in house.context.jobs.get(job).document


def test_the_rate_that_is_used_is_told_once_the_job_is_planned(house: JobHouse) -> None:
    job = house.create("planned", more={"learningRate": "recommended", "batchSize": "1", "epochCount": "1"})
    row = house.context.jobs.get(job)
    assert hyperparameters.shown(row.document)["learningRate"] == "recommended"
    assert "outcrop.learningRate" not in hyperparameters.shown(row.document)
    house.work(job)
    planned = hyperparameters.shown(house.context.jobs.get(job).document)
    model = hyperparameters.shown(house.context.models.find("us-east-1", "planned").document)
    taken = max(event["learning_rate"] for event in house.events(job) if event["event"] == "step")
    assert planned["learningRate"] == "recommended"
    assert float(planned["outcrop.learningRate"]) == pytest.approx(taken, rel=0.2)
    assert model == planned


def test_what_a_killed_worker_told_is_not_lost(house: JobHouse, at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    # However slow the disk is, the checkpoint after the first epoch is whole before the worker is killed
    monkeypatch.setattr(Checkpointer, "write_at_evaluation", Checkpointer.write)
    job = house.create("killed", more={"outcrop.evaluationsPerEpoch": "1"})
    first: list[int] = []

    def kill_at_4(words: str) -> None:
        if words == "step 4":
            raise Killed

    def look(words: str) -> None:
        if words.startswith("step "):
            first.append(len(house.training_csv(job)))

    with pytest.raises(Killed):
        house.work(job, report=kill_at_4)
    house.work(job, attempt=2, report=look)
    # The successor's first look at the CSV already has the steps of before
    assert first[0] >= 3
    kinds = [event["event"] for event in house.events(job)]
    assert kinds.count("resume") == 1
    assert kinds.count("end") == 1
    assert house.training_csv(job)["step_number"].tolist() == list(range(6))


def test_tensorboard_gets_its_file_when_it_is_asked_for(house: JobHouse) -> None:
    jobs = [
        house.create(name, more={"outcrop.tensorboard": wish})
        for name, wish in (("with", "true"), ("without", "false"))
    ]
    for job in jobs:
        house.work(job)
    keys = [house.keys(job) for job in jobs]
    (name,) = [key for key in keys[0] if "tensorboard" in key]
    assert name.startswith("training_artifacts/tensorboard/events.out.tfevents.")
    assert b"validation/loss" in house.output(jobs[0], name)
    assert [key for key in keys[1] if "tensorboard" in key] == []


def test_what_was_understood_otherwise_is_told_with_the_plan(house: JobHouse) -> None:
    job = house.create("noted", more={"outcrop.batchSize": "6", "outcrop.evalPercentage": "20"})
    house.work(job)
    (plan,) = [event["lines"] for event in house.events(job) if event["event"] == "plan"]
    assert "note         batchSize 4 is overruled by outcrop.batchSize 6" in plan
    assert "note         nothing of the training data is set aside: there is validation data" in plan


def test_records_are_set_aside_by_the_percentage(house: JobHouse) -> None:
    job = house.create("aside", validate=False, more={"outcrop.evalPercentage": "25", "outcrop.seed": "3"})
    house.work(job)
    events = house.events(job)
    (plan,) = [event["lines"] for event in events if event["event"] == "plan"]
    note = "note         3 of 12 records were set aside for validation (25 %, seed 3) and are not trained on"
    assert note in plan
    assert [event["event"] for event in events].count("evaluation") > 1
    (score,) = json.loads(house.output(job, "validation_artifacts/held_out.json"))
    assert score["file"] == "train.jsonl (set aside)"


def test_each_model_checkpoint_becomes_a_model_of_its_own(house: JobHouse) -> None:
    job = house.create("kept")
    house.work(job)
    told = [event for event in house.events(job) if event["event"] == "checkpoint"]
    assert [event["step"] for event in told] == [1, 2, 3, 4, 5, 6]
    model = house.create_custom_model("early", told[1]["uri"] + "/", modelTags=[{"key": "a", "value": "b"}])
    row = house.context.models.find("us-east-1", "early")
    assert (row.arn, row.status, row.document["customizationType"]) == (model, "Active", "IMPORTED")
    kept = json.loads(house.output(job, "checkpoints/step-00000002/checkpoint.json"))
    files = {path.name for path in house.context.models.folder(model).iterdir()}
    assert files == set(kept["files"]) >= {"adapter_model.safetensors", "adapter_config.json", "parity.json"}
    assert kept["validation_loss"] == told[1]["validation_loss"]
    # The last one has the very weights of the result, where the last evaluation was the best
    losses = [event["validation_loss"] for event in told]
    best = house.create_custom_model("best", told[losses.index(min(losses))]["uri"])
    result = house.context.models.find("us-east-1", "kept").arn
    weights = [house.context.models.folder(arn) / "adapter_model.safetensors" for arn in (best, result)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    # and the same token gets the same model
    again = [house.create_custom_model("twice", told[0]["uri"], clientRequestToken="t") for _ in "12"]
    assert again[0] == again[1]


def broken(house: JobHouse, how: str) -> str:
    """URI of a checkpoint with something wrong with it."""
    house.put("broken/adapter_config.json", b"{}")
    files: Any = {"adapter_config.json": "0" * 64, "adapter_model.safetensors": "0" * 64, "parity.json": "0" * 64}
    if how == "leads out":
        files["../../keys/service.key"] = "0" * 64
    manifest = {"base_id": "local.tiny-v1", "prompt_format": "text", "files": files}
    house.put("broken/checkpoint.json", b"[]" if how == "no manifest" else json.dumps(manifest).encode())
    return f"s3://{BUCKET}/broken"


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("no manifest", "s3://house/broken/checkpoint.json: not what a customization job writes"),
        ("changed", "s3://house/broken/adapter_config.json: not what the job wrote; its SHA-256 differs."),
        (
            "leads out",
            "s3://house/broken/checkpoint.json: not what a customization job writes (checkpoint.json: files: the name "
            '"../../keys/service.key": leads out of the folder, or has an empty part).',
        ),
    ],
)
def test_what_is_no_whole_checkpoint_becomes_no_model(house: JobHouse, how: str, told: str) -> None:
    with pytest.raises(Refusal) as refusal:
        house.create_custom_model("broken", broken(house, how))
    assert refusal.value.message.startswith(told)
    assert house.context.models.look("us-east-1", "broken") is None


def test_a_diverged_job_names_the_checkpoint_to_go_on_with(house: JobHouse) -> None:
    # Given a model that knows its records, and a job on it whose rate grows until it ruins everything
    house.put("train.jsonl", "".join(json.dumps(record) + "\n" for record in RECORDS).encode())
    known = {"epochCount": "40", "batchSize": "10", "learningRate": "0.01"}
    house.work(house.create("knowing", validate=False, more=known))
    ruinous = {"epochCount": "100", "batchSize": "10", "learningRate": "0.15", "learningRateWarmupSteps": "50"}
    job = house.create(
        "ruined", base=house.context.models.find("us-east-1", "knowing").arn, validate=False, more=ruinous
    )
    house.work(job)

    # Then it ends with a sentence that names a checkpoint, and that one serves as a model
    row = house.context.jobs.get(job)
    message = row.document["failureMessage"]
    assert row.status == "Failed"
    assert " training diverges. The loss of the last 16 steps is " in message
    uri = message.rsplit(" ", 1)[1]
    assert uri.startswith(f"s3://{BUCKET}/{house.folder(job)}/checkpoints/step-")
    house.create_custom_model("rescued", uri)
    assert house.events(job)[-1].items() >= {"event": "end", "status": "Failed", "failure": message}.items()


def test_a_job_on_two_devices_is_taken_up_again_when_one_is_killed(house: JobHouse) -> None:
    two = House.open(replace(house.settings, devices=2), house.context.clock)
    job = house.create("two devices")

    def kill(words: str) -> None:
        if words == "step 4":
            (member,) = [child for child in psutil.Process().children() if MEMBER in child.cmdline()]
            member.kill()

    # The attempt is over, the job is not
    assert house.work(job, report=kill, context=two) is False
    assert house.context.jobs.get(job).status == "InProgress"
    (start,) = [event for event in house.events(job) if event["event"] == "start"]
    assert start["devices"] == 2
    # One device ends what two began
    assert house.work(job, attempt=2)
    assert house.context.jobs.get(job).status == "Completed"
    assert house.training_csv(job)["step_number"].tolist() == list(range(6))
