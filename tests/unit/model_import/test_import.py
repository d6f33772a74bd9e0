"""What a model import takes and what it refuses, by name, before anything is loaded."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from outcrop.clock import SystemClock
from outcrop.errors import Invalid
from outcrop.house import House
from outcrop.jobs.execution import execute
from outcrop.jobs.running import RunningJob
from outcrop.model_import import create_job
from outcrop.model_import.kind import KIND
from outcrop.settings import Settings
from tests.support.gguf_files import small_network, write_weights

BUCKET, REGION = "models", "us-east-1"
OWNER = "arn:aws:iam::123456789012:user/somebody"
Files = dict[str, bytes]


class Killed(BaseException):
    """What `kill -9` is to a process."""


class ImportHouse:
    """A home with a bucket of a model's files, and a worker's rooms."""

    def __init__(self, home: Path) -> None:
        self.rooms = House.open(Settings(home=home), SystemClock())
        self.rooms.buckets.create(BUCKET, REGION)
        self.number = 0

    def create(self, files: Files, **more: Any) -> str:
        """The ARN of a new import of these files."""
        self.number += 1
        for name, data in files.items():
            self.rooms.buckets.put_bytes(BUCKET, f"{self.number}/{name}", data)
        params = {
            "jobName": f"job-{self.number}",
            "importedModelName": f"model-{self.number}",
            "roleArn": self.rooms.access.installation.service_role_arn,
            "modelDataSource": {"s3DataSource": {"s3Uri": f"s3://{BUCKET}/{self.number}/"}},
            **more,
        }
        return create_job.create(self.rooms, params, region=REGION, account=self.rooms.account, owner=OWNER)

    def work(self, job: str, told: Callable[[str], None] = lambda _words: None) -> dict[str, Any]:
        """Execute a job as a light worker does; its document at the end."""
        running = RunningJob(self.rooms.jobs, KIND, job, stop=threading.Event(), told=told)
        execute(self.rooms, running)
        return self.rooms.jobs.get(job).document

    def failure(self, files: Files) -> str:
        """The failureMessage of an import that was created and failed."""
        job = self.create(files)
        document = self.work(job)
        assert self.rooms.jobs.get(job).status == "Failed"
        assert self.rooms.store.resources.row(document["importedModelArn"]) is None
        assert list(self.rooms.settings.runs.glob("*")) == []
        return str(document["failureMessage"])


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> ImportHouse:
    return ImportHouse(tmp_path_factory.mktemp("import") / "home")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A whole model."""
    folder = small_network(tmp_path_factory.mktemp("made") / "network")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def config(files: Files, **more: Any) -> Files:
    return {**files, "config.json": json.dumps(json.loads(files["config.json"]) | more).encode()}


AT_ONCE: list[tuple[str, Callable[[Files], Files], str]] = [
    (
        "a pickle",
        lambda files: {**files, "pytorch_model.bin": b"x"},
        "pytorch_model.bin: weights are taken as safetensors only, never as a pickle, which may run code.",
    ),
    ("several", lambda files: {**files, "a.pt": b"x", "sub/b.pkl": b"x"}, "a.pt and 1 more: weights are taken as"),
    (
        "no weights",
        lambda files: {name: data for name, data in files.items() if not name.endswith(".safetensors")},
        "no *.safetensors there (the weights). Name the folder that holds them.",
    ),
    ("a GGUF file alone", lambda _files: {"m.gguf": b"GGUF"}, "m.gguf is registered by itself: download it, then"),
    (
        "no config",
        lambda files: {name: data for name, data in files.items() if name != "config.json"},
        "no config.json. Name a Hugging Face directory that holds config.json and tokenizer.json.",
    ),
    (
        "no tokenizer",
        lambda files: {name: data for name, data in files.items() if name != "tokenizer.json"},
        "no tokenizer.json. Name a Hugging Face directory",
    ),
    ("nothing", lambda _files: {}, "no *.safetensors there"),
]


@pytest.mark.parametrize(("changed", "told"), [case[1:] for case in AT_ONCE], ids=[case[0] for case in AT_ONCE])
def test_what_names_show_is_refused_at_creation(
    house: ImportHouse, files: Files, changed: Callable[[Files], Files], told: str
) -> None:
    with pytest.raises(Invalid) as refused:
        house.create(changed(files))
    assert told in refused.value.message


def test_what_trainers_leave_behind_is_in_nobodys_way(house: ImportHouse, files: Files) -> None:
    left = {"training_args.bin": b"x", "checkpoint-5/optimizer.pt": b"x", "rng_state_0.pth": b"x", "README.md": b"x"}
    assert house.create({**files, **left})


def header(files: Files, change: Callable[[dict[str, Any]], None]) -> Files:
    """The files with another header of their weights."""
    data = files["model.safetensors"]
    length = int.from_bytes(data[:8], "little")
    told = json.loads(data[8 : 8 + length])
    change(told)
    made = json.dumps(told).encode()
    return {**files, "model.safetensors": len(made).to_bytes(8, "little") + made + data[8 + length :]}


def half_weights(files: Files, tmp_path: Path, dtype: str) -> Files:
    write_weights(tmp_path / "w", {"model.embed_tokens.weight": np.zeros((4, 64), np.float32)}, dtype=dtype)
    return {**files, "model.safetensors": (tmp_path / "w").read_bytes()}


LATER: list[tuple[str, Callable[[Files], Files], str]] = [
    (
        "code of its own",
        lambda files: config(files, auto_map={"AutoModelForCausalLM": "modeling.Evil"}),
        "config.json: auto_map: the model brings code of its own, and no code of others is run here.",
    ),
    (
        "code beside its tokenizer",
        lambda files: {**files, "tokenizer_config.json": b'{"auto_map": {"AutoTokenizer": ["t.Evil", null]}}'},
        "tokenizer_config.json: auto_map: the model brings code of its own",
    ),
    ("a config that is none", lambda files: {**files, "config.json": b"[1]"}, "config.json: expected a JSON object"),
    ("a broken config", lambda files: {**files, "config.json": b"{"}, "config.json: is no JSON at line 1"),
    (
        "too many layers",
        lambda files: config(files, num_hidden_layers=80),
        "config.json: tells of 80 layers, and the weights have 2: Put the files of one model together",
    ),
    (
        "absurdly many layers",
        lambda files: config(files, num_hidden_layers=10**9),
        "1,000,000,000 layers are more than",
    ),
    (
        "another vocabulary",
        lambda files: config(files, vocab_size=9),
        "vocab_size is 9, and model.embed_tokens.weight has",
    ),
    (
        "another width",
        lambda files: config(files, hidden_size=128),
        "the width is 128, and model.embed_tokens.weight has 64",
    ),
    (
        "weights cut short",
        lambda files: {**files, "model.safetensors": files["model.safetensors"][:-10]},
        "model.safetensors: ",
    ),
    (
        "weights that lie",
        lambda files: header(files, lambda told: told["model.norm.weight"].update(shape=[1 << 40])),
        "its place is not the one that its shape and its neighbours leave it",
    ),
    (
        "a header of a huge length",
        lambda files: {**files, "model.safetensors": (1 << 62).to_bytes(8, "little") + bytes(100)},
        "model.safetensors: not a whole safetensors file",
    ),
    (
        "quantized weights",
        lambda files: header(files, lambda told: told["model.norm.weight"].update(dtype="I32")),
        "model.norm.weight is I32: weights are taken as BF16, FP16 or FP32.",
    ),
    (
        "a shard that is missing",
        lambda files: {**files, "model.safetensors.index.json": b'{"weight_map": {"a": "other.safetensors"}}'},
        "other.safetensors is missing; model.safetensors.index.json names it.",
    ),
    (
        "a tokenizer that is none",
        lambda files: {**files, "tokenizer.json": b'{"model": 1}'},
        "no tokenizer can be made of",
    ),
    (
        "a template that is none",
        lambda files: {**files, "tokenizer_config.json": b'{"eos_token": "</s>", "chat_template": "{% for %}"}'},
        "chat template: ",
    ),
]


@pytest.mark.parametrize(("changed", "told"), [case[1:] for case in LATER], ids=[case[0] for case in LATER])
def test_what_content_shows_fails_the_job_before_anything_is_loaded(
    house: ImportHouse, files: Files, changed: Callable[[Files], Files], told: str
) -> None:
    message = house.failure(changed(files))
    assert told in message
    assert str(house.rooms.settings.home) not in message


def test_a_role_that_may_not_read_is_refused(house: ImportHouse, files: Files) -> None:
    house.rooms.access.identities.create_role(
        "blind",
        trust=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {"Effect": "Allow", "Principal": {"Service": "bedrock.amazonaws.com"}, "Action": "sts:AssumeRole"}
                ],
            }
        ),
    )
    role = f"arn:aws:iam::{house.rooms.account}:role/blind"
    with pytest.raises(Invalid, match="Could not validate ListBucket permissions"):
        house.create(files, roleArn=role)


def test_names_are_given_once(house: ImportHouse, files: Files) -> None:
    house.create(files, jobName="once", importedModelName="once")
    with pytest.raises(Invalid, match=r"^The provided job name is currently in use\.$"):
        house.create(files, jobName="once")
    with pytest.raises(Invalid, match="The provided imported model name once is currently in use"):
        house.create(files, importedModelName="once")


def test_a_worker_that_is_killed_goes_on_with_the_files_it_has(house: ImportHouse, files: Files) -> None:
    # Given a worker that dies when all but one file is here
    job = house.create(config(files, num_hidden_layers=80))
    told: list[str] = []

    def die(words: str) -> None:
        told.append(words)
        if f"({len(files)} of {len(files)}," in words:
            raise Killed

    with pytest.raises(Killed):
        house.work(job, die)
    kept = {path: path.stat().st_ino for path in (house.rooms.settings.runs).glob("*/model/[!.]*")}
    assert len(kept) == len(files) - 1

    # When its successor takes the job up, it fetches only what is missing
    seen: dict[Path, int] = {}

    def look(words: str) -> None:
        if words.startswith("fetching"):
            seen.update({path: path.stat().st_ino for path in kept if path.exists()})

    document = house.work(job, look)
    assert seen == kept
    assert "tells of 80 layers" in document["failureMessage"]


def test_progress_is_told_file_by_file(house: ImportHouse, files: Files) -> None:
    told: list[str] = []
    house.work(house.create(config(files, num_hidden_layers=80)), told.append)
    assert (
        told[0]
        == f"fetching config.json (1 of {len(files)}, {len(config(files, num_hidden_layers=80)['config.json']):,} bytes)"
    )
    assert len([words for words in told if words.startswith("fetching")]) == len(files)
