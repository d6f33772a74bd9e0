"""The probe: which networks are trained and served right, in which way, and what is said of the others."""

import hashlib
import json
import logging
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from bench import families, small_networks
from outcrop import logs
from outcrop.catalog.catalog import Catalog
from outcrop.cli.fetching import register_folder, with_verdict
from outcrop.errors import Invalid, MachineTrouble
from outcrop.inference.engine import Engine
from outcrop.network import facts, load
from outcrop.network.run_mode import ProbeVerdict, RunMode
from outcrop.probe import engine as untried
from outcrop.probe import launch
from outcrop.probe.judge import judge
from outcrop.probe.launch import ProbeReport
from outcrop.settings import Settings
from tests.support.homes import with_tiny_models
from tests.support.job_house import BUCKET, JobHouse
from tests.support.probing import in_this_process
from tests.support.products import product
from tests.support.servers import outcrop
from tests.support.tiny import small_family, tiny_model, write_tokenizer

REPRESENTATIVE = [
    "bert", "bloom", "codegen", "falcon", "gpt_oss", "gptj", "lfm2", "mamba", "mixtral", "opt", "stablelm",
]  # fmt: skip


DAILY = ["bert", "falcon", "gpt_oss", "mamba", "stablelm"]
"One of each verdict, and of the families that differ most."


@pytest.fixture(autouse=True)
def quiet() -> None:
    torch.set_num_threads(1)
    logging.getLogger("outcrop.engine").setLevel(logging.ERROR)


@pytest.mark.parametrize("family", product(REPRESENTATIVE, daily=DAILY.__contains__))
def test_the_table_says_what_the_probe_finds(tmp_path: Path, family: str) -> None:
    found, told = families.tried(family, tmp_path), families.read_table()[family]
    assert (found.verdict, families.plain(found.why)) == (told.verdict, told.why)


def test_the_table_has_every_causal_family_of_transformers() -> None:
    assert set(families.read_table()) == set(small_networks.FAMILIES)


def bare(folder: Path, config: Any) -> Path:
    folder.mkdir()
    config.save_pretrained(folder)
    return folder


def changed(folder: Path, **named: Any) -> Path:
    """The folder of a tiny Llama, with some members of its configuration changed."""
    config = json.loads((tiny_model(folder) / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **named}))
    return folder


def edited(folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A tiny Llama whose weights were changed."""
    weights = load_file(tiny_model(folder) / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def without_a_norm(weights: dict[str, Any]) -> None:
    del weights["model.norm.weight"]


def with_nan(weights: dict[str, Any]) -> None:
    weights["model.layers.1.self_attn.o_proj.weight"][3, 4] = float("nan")


ANOTHER = "Choose a model of another family; docs/families.md lists those that work."
VERSION = transformers.__version__


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (
            lambda at: bare(at, transformers.T5Config()),
            f"it is an encoder-decoder network, and only causal language models are trained here. {ANOTHER}",
        ),
        (
            lambda at: bare(at, transformers.Qwen2VLConfig()),
            f"it is a network for more than text (vision_config), of which transformers {VERSION} has no causal "
            "language model. Save its language model by itself, then register that.",
        ),
        (
            lambda at: bare(at, transformers.ViTConfig()),
            f"transformers {VERSION} has no causal language model of this kind. {ANOTHER}",
        ),
        (
            lambda at: edited(at, without_a_norm),
            "{folder}: its files lack 1 of the network's weights, model.norm.weight among them. LlamaForCausalLM would "
            "begin with random numbers there. Save the whole model, then register it.",
        ),
        (lambda at: edited(at, with_nan), f"its logits are not finite. {ANOTHER}"),
    ],
    ids=["encoder-decoder", "vision", "no language", "missing weights", "nan"],
)
def test_what_cannot_be_run_is_refused_in_a_sentence(tmp_path: Path, make: Callable[[Path], Path], why: str) -> None:
    folder = make(tmp_path / "model")
    verdict = judge(folder).verdict
    assert (verdict.way, verdict.why) == (None, why.replace("{folder}", str(folder)))


def test_a_network_that_sees_what_follows_is_refused(tmp_path: Path) -> None:
    folder = small_family(tmp_path / "bert", "bert")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "is_decoder": False}))
    verdict = judge(folder).verdict
    assert verdict.way is None
    assert verdict.why.startswith("its attention is not causal: with other last tokens, logits before them change by ")


def test_a_verdict_holds_for_the_configuration_that_was_tried(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "model")
    catalog = Catalog(tmp_path)
    verdict = judge(folder).verdict
    catalog.register(folder, model_id="local.m", name="M", context_length=256, licence="none", verdict=verdict)
    assert Catalog(tmp_path).usable("local.m").way is RunMode.PACKED
    assert catalog.alias("amazon.titan-text-lite-v1", "local.m").way is RunMode.PACKED
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "rope_theta": 7.0}))
    assert Catalog(tmp_path).usable("local.m").way is None


def test_the_shipped_starter_comes_with_its_verdict(tmp_path: Path) -> None:
    starter = Catalog(tmp_path).usable("outcrop.starter-v1")
    assert starter.way is RunMode.PACKED


def said(tmp_path: Path, text: str) -> str:
    """A program in the place of Python."""
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o700)
    return str(program)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("kill -9 $$", "the process that tried it was ended by signal 9"),
        ("echo boom >&2; exit 3", "the process that tried it ended with 3: boom"),
        ("sleep 60", "the process that tried it had not ended after 0 s"),
    ],
)
def test_what_happens_to_the_process_is_a_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, why: str
) -> None:
    folder = tiny_model(tmp_path / "model")
    monkeypatch.setattr(sys, "executable", said(tmp_path, text))
    if "0 s" in why:
        monkeypatch.setattr(launch, "_SECONDS", 0.2)
        monkeypatch.setattr(launch, "_SECONDS_PER_GB", 0.0)
    assert launch.probe(folder).verdict.why == why
    with pytest.raises(Invalid, match=f"this llama network is not trained or served: {why}"):
        launch.demand(folder)


def test_a_process_that_takes_too_much_memory_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "_PROCESS_BYTES", 20_000_000)
    why = launch.probe(tiny_model(tmp_path / "model")).verdict.why
    assert re.match(r"the process that tried it took 0\.\d GiB of memory, where 0\.0 GiB should do", why)


def test_a_machine_without_memory_for_it_registers_it_untried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tiny_model(tmp_path / "model")
    monkeypatch.setattr(launch, "_available", lambda: 1000)
    with pytest.raises(MachineTrouble, match=r"needs up to 1\.4 GiB of memory, and 0\.0 GiB are free"):
        launch.probe(folder)
    entry = register_folder(Settings(home=tmp_path / "home"), folder, model_id=None, name=None)
    assert entry.way is None
    assert "until it was tried, it is neither trained nor served" in capsys.readouterr().err


def test_register_tries_the_network_and_says_how_it_is_run(tmp_path: Path) -> None:
    folder, home = small_family(tmp_path / "small-mamba", "mamba"), tmp_path / "home"
    done = outcrop("register", str(folder), "--home", str(home), "--context", "300")
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first == f"local.small-mamba is in the catalogue: context 300 tokens, weights in {folder}."
    assert second.startswith("It is trained one record a row and answers one request after the other: packed, 3 ")
    entry = Catalog(home).usable("local.small-mamba")
    assert (entry.way, entry.context_length, entry.told_context) == (RunMode.ONE_RECORD_A_ROW, 300, 300)


def test_a_network_without_an_end_is_registered_with_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, settings = small_family(tmp_path / "small-mamba", "mamba"), Settings(home=tmp_path / "home")
    verdict = ProbeVerdict(way=RunMode.ONE_RECORD_A_ROW, config=facts.digest(folder))
    monkeypatch.setattr(launch, "probe", lambda _folder: ProbeReport(verdict=verdict, context=None))
    with pytest.raises(Invalid, match=r"names no context length, as recurrent networks do not\. Say how many tokens"):
        register_folder(settings, folder, model_id=None, name=None)
    with pytest.raises(Invalid, match=r"^--context: 1 tokens are no context"):
        register_folder(settings, folder, model_id=None, name=None, context=1)
    assert register_folder(settings, folder, model_id=None, name=None, context=77).context_length == 77


def test_a_context_length_that_is_named_is_not_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "probe", in_this_process)
    folder = tiny_model(tmp_path / "model")
    with pytest.raises(Invalid, match=r"^--context: .*config\.json says 256\. Leave it out\."):
        register_folder(Settings(home=tmp_path / "home"), folder, model_id=None, name=None, context=77)


def test_a_network_that_was_never_tried_is_tried_when_it_gets_an_alias(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "probe", in_this_process)
    folder = tiny_model(tmp_path / "model")
    catalog = Catalog(tmp_path)
    catalog.register(folder, model_id="local.m", name="M", context_length=256, licence="none")
    assert catalog.usable("local.m").way is None
    assert with_verdict(catalog, "local.m").way is RunMode.PACKED


@pytest.mark.parametrize(("width", "names"), [(64, "hidden_size"), (48, "d_model"), (32, "n_embd"), (80, "dim")])
def test_the_width_is_found_by_any_name(tmp_path: Path, width: int, names: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps({names: width}))
    assert facts.read(tmp_path).width == width


def test_what_a_configuration_does_not_say_is_told(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(Invalid, match=r"config\.json: none of hidden_size, d_model, .* tells the network's width"):
        _ = facts.read(tmp_path).width
    (tmp_path / "config.json").write_text("[1")
    with pytest.raises(Invalid, match=r"config\.json: cannot be read as JSON"):
        facts.read(tmp_path)


def test_an_engine_refuses_to_pack_layers_that_do_not_attend(tmp_path: Path) -> None:
    """However the verdict came about: a hybrid's other layers would mix sequences."""
    folder = small_family(tmp_path / "lfm2", "lfm2")
    with pytest.raises(Invalid, match=r"Lfm2ForCausalLM: 1 of its 2 layers attend as packed sequences need it"):
        Engine(folder, cache_bytes=2**24)


def test_families_with_a_bias_in_their_attention_are_not_packed(tmp_path: Path) -> None:
    folder = small_family(tmp_path / "gptj", "gptj")
    with pytest.raises(Invalid, match=r"^its attention takes no function of others, so records cannot share a row\.$"):
        load.load_base(folder)


def test_the_tokenizer_must_be_there(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "model")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(Invalid, match=r"no tokenizer\.json \(the tokenizer\)\. Where there is another form of it, "):
        register_folder(Settings(home=tmp_path / "home"), folder, model_id=None, name=None)
    write_tokenizer(folder)


@pytest.mark.parametrize("family", product(["gptj", "lfm2"], daily="gptj".__eq__))
def test_a_job_on_a_network_that_was_never_tried_trains_it_in_its_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    """Its configuration may call its width n_embd, too."""
    monkeypatch.setattr(launch, "probe", in_this_process)
    folder = small_family(tmp_path / family, family)
    home = tmp_path / "home"
    home.mkdir()
    Catalog(home).register(folder, model_id="local.odd-v1", name="Odd", context_length=256, licence="none")
    house = JobHouse(home)
    job = house.create("odd", base="local.odd-v1", more={"learningRate": "0.003"})
    assert house.work(job)
    ended = house.context.jobs.get(job)
    assert (ended.status, ended.document.get("failureMessage")) == ("Completed", None)
    assert house.context.catalog.usable("local.odd-v1").way is RunMode.ONE_RECORD_A_ROW
    model = house.context.models.folder(ended.document["modelArn"])
    engine = Engine(folder, cache_bytes=2**24, way=RunMode.ONE_RECORD_A_ROW)
    engine.load_adapter("odd", model)
    for sample in json.loads((model / "parity.json").read_text())["samples"]:
        assert engine.score(sample["ids"], "odd") == pytest.approx(sample["logprobs"], abs=1e-4)


def test_a_job_on_a_network_that_cannot_be_run_fails_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "probe", in_this_process)
    folder = edited(tmp_path / "model", with_nan)
    home = tmp_path / "home"
    home.mkdir()
    Catalog(home).register(folder, model_id="local.nan-v1", name="Nan", context_length=256, licence="none")
    house = JobHouse(home)
    job = house.create("nan", base="local.nan-v1")
    assert house.work(job)
    ended = house.context.jobs.get(job)
    assert ended.document["failureMessage"] == (
        f"{folder}: this llama network is not trained or served: its logits are not finite. {ANOTHER}"
    )


def test_an_engine_of_a_network_that_was_never_tried_begins_with_the_probe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    began: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _program, command: began.append(command[1:]))
    monkeypatch.setattr(untried, "die_with_parent", lambda: None)
    monkeypatch.setattr(launch, "probe", in_this_process)
    folder = small_family(tmp_path / "gptj", "gptj")
    arguments = ["--model", str(folder), "--name", "odd", "--socket", "s"]
    monkeypatch.setattr(sys, "argv", ["engine", *arguments])
    untried.main()
    assert began == [["-m", "outcrop.inference.serve", *arguments, "--way", "one record a row"]]
    (folder / "config.json").write_text((bare(tmp_path / "t5", transformers.T5Config()) / "config.json").read_text())
    assert untried.main() == 1
    # whoever waits for the engine is told it from this line, by the entry's name
    said = json.loads(logs.line(caplog.records[-1]))["ends_with"]
    assert said.startswith("odd: this t5 network is not trained or served: it is an encoder-decoder network")


def rewritten(house: JobHouse, folder: str, **named: Any) -> str:
    """URI of a checkpoint in the bucket, in whose configuration some words were changed."""
    manifest = json.loads(house.context.buckets.read_bytes(BUCKET, f"{folder}/checkpoint.json"))
    config = json.loads(house.context.buckets.read_bytes(BUCKET, f"{folder}/config.json"))
    changed = json.dumps({**config, **named}).encode()
    manifest["files"]["config.json"] = hashlib.sha256(changed).hexdigest()
    house.put(f"{folder}/config.json", changed)
    house.put(f"{folder}/checkpoint.json", json.dumps(manifest).encode())
    return f"s3://{BUCKET}/{folder}"


def test_a_network_that_is_imported_is_tried_unless_its_base_is_one_like_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways = [RunMode.PACKED, RunMode.ONE_RECORD_A_ROW]
    monkeypatch.setattr(
        launch,
        "probe",
        lambda at: ProbeReport(verdict=ProbeVerdict(way=ways.pop(0), config=facts.digest(at)), context=256),
    )
    house = JobHouse(with_tiny_models(tmp_path))
    job = house.create("full", validate=False, more={"outcrop.method": "full", "epochCount": "1"})
    assert house.work(job)
    folder = f"{house.folder(job)}/checkpoints/step-00000003"
    house.create_custom_model("alike", rewritten(house, folder, transformers_version="4.0.0"))
    assert len(ways) == 2
    house.create_custom_model("other", rewritten(house, folder, hidden_act="gelu"))
    assert ways == [RunMode.ONE_RECORD_A_ROW]
    with pytest.raises(Invalid) as refused:
        house.create_custom_model("third", f"s3://{BUCKET}/{folder}")
    assert refused.value.message == (
        "modelSourceConfig: its network would be run one record a row, and that of local.tiny-v1 is run packed: it was "
        "not trained from there. Register it as a base model of its own: `outcrop register`."
    )
    assert house.context.models.look("us-east-1", "third") is None
    assert len(list(house.context.settings.models.iterdir())) == 3
