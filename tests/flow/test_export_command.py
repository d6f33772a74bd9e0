"""`outcrop export`: what other programs load answers as the custom model does."""

import json
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers

from outcrop import arn, private
from outcrop.catalog.catalog import Catalog
from outcrop.catalog.custom_models import CustomModels
from outcrop.cli.app import run
from outcrop.clock import SystemClock
from outcrop.network import headers, load
from outcrop.network.adapters import adapter_files, full_weights, linear
from outcrop.network.adapters.merging import save_merged
from outcrop.network.adapters.method import OFT, OWN_BASE, Full, LoRA, Method
from outcrop.network.run_mode import RunMode
from outcrop.settings import PARTS_FILE, Settings
from outcrop.store.store import Store
from tests.support.servers import Running, running_server
from tests.support.tiny import CONTEXT_LENGTH, tiny_model

ACCOUNT = "123456789012"
IDS = torch.tensor([[0, 17, 45, 99, 200, 310, 7]])
METHODS: dict[str, tuple[str, Method]] = {
    "lora": ("llama", LoRA(rank=4, alpha=8.0)),
    "dora-of-some-layers": ("qwen2", LoRA(rank=4, alpha=8.0, decomposed=True, targets=("q_proj", "up_proj"))),
    "oft-with-tied-embeddings": ("llama3", OFT(block_size=16)),
    "lora-of-transposed-layers": ("gpt2", LoRA(rank=4, alpha=8.0)),
}


def add_model(home: Path, name: str, method: Method, base: Path, *, region: str = "us-east-1", below: str = "") -> str:
    """A custom model as a job leaves it, with random numbers for what it learnt; its ARN."""
    settings = Settings(home=home)
    store = Store.open(settings)
    models = CustomModels(store, SystemClock(), settings.models)
    model_arn = arn.bedrock(region, ACCOUNT, f"custom-model/local.base-v1:0:256/{arn.new_id()}")
    folder = models.folder(model_arn)
    network = load.load_base(base)
    if isinstance(method, Full):
        full_weights.save(folder, network, like=base)
    else:
        generator = torch.Generator().manual_seed(1)
        linear.hold_adapters(network)
        for parameter in adapter_files.add_new(network, "a", method, generator):
            parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator)
        adapter_files.save(folder, network, "a", method, base="local.base-v1")
    if below:
        full_weights.link(folder / f"{OWN_BASE}{below}", base)
    (folder / "lineage.json").write_text('{"job": "j"}')
    (folder / "parity.json").write_text("[]")
    document = {"baseId": "local.base-v1", "promptFormat": "chat", "promptDay": "2026-01-02T00:00:00+00:00"}
    models.add(model_arn=model_arn, name=name, region=region, created=datetime.now(UTC), document=document)
    store.close()
    return model_arn


def home_with_base(folder: Path, architecture: str = "llama") -> Path:
    home = folder / "home"
    home.mkdir()
    base = tiny_model(folder / "base", architecture, chat=True)
    Catalog(home).register(
        base, model_id="local.base-v1", name="Base", context_length=CONTEXT_LENGTH, licence="none", verdict=None
    )
    return home


def logits(network: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = network.eval()(IDS).logits
    return found


def loaded(folder: Path) -> Any:
    return transformers.AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)


@pytest.mark.filterwarnings("ignore")  # of other people's libraries
@pytest.mark.parametrize("kind", METHODS)
def test_adapter_and_merged_network_answer_alike_in_peft_and_transformers(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    architecture, method = METHODS[kind]
    home = home_with_base(tmp_path, architecture)
    model_arn = add_model(home, "mine", method, tmp_path / "base")
    assert run(["export", "mine", str(tmp_path / "adapter"), "--home", str(home)]) == 0
    assert run(["export", model_arn, str(tmp_path / "whole"), "--merged", "--home", str(home)]) == 0
    assert f"mine: the adapter of local.base-v1 is in {tmp_path / 'adapter'}." in capsys.readouterr().out

    base = loaded(tmp_path / "base")
    plain = logits(base)
    beside = logits(peft.PeftModel.from_pretrained(base, str(tmp_path / "adapter")))
    merged = logits(loaded(tmp_path / "whole"))
    assert (beside - plain).abs().max() > 1e-2  # the adapter does something
    torch.testing.assert_close(merged, beside, rtol=1e-4, atol=1e-4)

    for folder in (tmp_path / "adapter", tmp_path / "whole"):
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        assert tokenizer.apply_chat_template([{"role": "user", "content": "q"}], tokenize=False) == "<s><|user|>\nq\n"
        assert json.loads((folder / "lineage.json").read_text()) == {"job": "j"}
        assert json.loads((folder / "custom_model.json").read_text()) == {
            "name": "mine",
            "arn": model_arn,
            "base_model": "local.base-v1",
            "prompt_format": "chat",
            "prompt_day": "2026-01-02T00:00:00+00:00",
        }
        assert not (folder / "parity.json").exists()
    assert not (tmp_path / "whole" / "adapter_config.json").exists()


@pytest.mark.parametrize(("form", "within"), [("merged", 1e-3), ("gguf", 0.5)])
def test_a_form_that_is_asked_for_tells_how_far_it_is_from_what_is_served(
    form: str, within: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = home_with_base(tmp_path, "qwen2")
    add_model(home, "mine", LoRA(rank=4, alpha=8.0), tmp_path / "base")
    precision = ["--precision", "Q8_0"] if form == "gguf" else []
    out = tmp_path / "out"
    assert run(["export", "mine", "--as", form, *precision, "--out", str(out), "--home", str(home)]) == 0
    said = capsys.readouterr().out
    found = json.loads((out / "parity.json").read_text())
    assert (found["as"], found.get("precision")) == (form, "Q8_0" if form == "gguf" else None)
    assert found["largest_logit_difference"] < within
    assert found["num_tokens"] > 100
    assert f"differ from what is served by at most {found['largest_logit_difference']:.2g} (of " in said
    if form == "merged":
        assert found["first_differing_token"] is None
        assert said.endswith(f"all {found['generated']} greedy tokens are the same.\n")
        assert not (out / "adapter_config.json").exists()
    else:
        assert found["largest_logit_difference"] > 0
        assert "mine: the whole network, as Q8_0 in mine-Q8_0.gguf, is in " in said
        assert {path.name for path in out.iterdir()} == {
            "mine-Q8_0.gguf",
            "parity.json",
            "custom_model.json",
            "lineage.json",
        }


def test_a_merged_network_is_written_in_the_types_of_its_base(tmp_path: Path) -> None:
    base = loaded(tiny_model(tmp_path / "base", chat=True)).to(torch.bfloat16)
    base.save_pretrained(tmp_path / "base16")
    for path in (tmp_path / "base").glob("token*"):
        (tmp_path / "base16" / path.name).write_bytes(path.read_bytes())
    network = load.load_base(tmp_path / "base16")
    linear.hold_adapters(network)
    generator = torch.Generator().manual_seed(1)
    adapter_files.add_new(network, "a", LoRA(rank=4, alpha=8.0), generator)
    adapter_files.save(tmp_path / "adapter", network, "a", LoRA(rank=4, alpha=8.0), base="b")
    save_merged(tmp_path / "merged", base=tmp_path / "base16", adapter=tmp_path / "adapter", way=RunMode.PACKED)
    assert set(headers.types(tmp_path / "merged").values()) == {"BF16"}
    assert json.loads((tmp_path / "merged" / "config.json").read_text())["dtype"] == "bfloat16"


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A running house with models in two regions, one of them trained in full, one upon it."""
    folder = tmp_path_factory.mktemp("house")
    home = home_with_base(folder)
    lora = LoRA(rank=4, alpha=8.0)
    add_model(home, "twice", lora, folder / "base")
    add_model(home, "twice", lora, folder / "base", region="eu-west-1")
    add_model(home, "once", lora, folder / "base", region="eu-west-1")
    full = add_model(home, "full", Full(), folder / "base")
    add_model(home, "upon", lora, home / "models" / full.rsplit("/", 1)[-1], below=full.rsplit("/", 1)[-1])
    with running_server(home) as running:
        (home / PARTS_FILE).write_text(json.dumps({"endpoint": running.endpoint}))
        yield running


@pytest.fixture
def said(several: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command on that home; its exit code and what it said."""
    monkeypatch.setenv("OUTCROP_HOME", str(several.platform.settings.home))

    def ask(*words: str) -> tuple[int, str]:
        code = run(list(words))
        told = capsys.readouterr()
        return code, told.out + told.err

    return ask


def test_a_name_in_two_regions_is_told_apart_by_the_region(said: Any, tmp_path: Path) -> None:
    code, told = said("export", "twice", str(tmp_path / "out"))
    assert (code, told) == (
        2,
        "outcrop: twice: there is such a model in eu-west-1, us-east-1. Choose one with --region.\n",
    )
    assert said("export", "twice", str(tmp_path / "out"), "--region", "eu-west-1")[0] == 0
    assert ":eu-west-1:" in json.loads((tmp_path / "out" / "custom_model.json").read_text())["arn"]
    assert said("export", "once", str(tmp_path / "once"))[0] == 0


def test_nothing_is_overwritten(said: Any, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mine.txt").write_text("dear")
    for place in (tmp_path / "there", tmp_path / "there" / "mine.txt"):
        code, told = said("export", "once", str(place))
        assert (code, told) == (
            2,
            f"outcrop: {place}: there is something already, and nothing is overwritten. Name a new folder.\n",
        )
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["mine.txt"]
    (tmp_path / "empty").mkdir()
    assert said("export", "once", str(tmp_path / "empty"))[0] == 0


@pytest.mark.parametrize(
    ("umask", "file", "folder"), [(0o022, 0o644, 0o755), (0o007, 0o660, 0o770), (0o077, 0o600, 0o700)]
)
def test_what_is_exported_has_the_rights_of_the_users_own_umask(
    said: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, umask: int, file: int, folder: int
) -> None:
    monkeypatch.setattr(private, "_users", umask)
    tmp_path.chmod(0o711)
    assert said("export", "upon", str(tmp_path / "deep" / "deeper" / "upon"))[0] == 0
    found = {path.relative_to(tmp_path): path for path in tmp_path.rglob("*")}
    assert {Path("deep/deeper/upon/base/config.json"), Path("deep/deeper/upon/custom_model.json")} <= found.keys()
    for path in found.values():
        assert stat.S_IMODE(path.stat().st_mode) == (folder if path.is_dir() else file), path
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o711

    # a folder that was there keeps its rights
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine").chmod(0o750)
    assert said("export", "once", str(tmp_path / "mine"))[0] == 0
    assert stat.S_IMODE((tmp_path / "mine").stat().st_mode) == 0o750
    assert stat.S_IMODE((tmp_path / "mine" / "custom_model.json").stat().st_mode) == file


def test_options_that_contradict_each_other_are_refused(said: Any, tmp_path: Path) -> None:
    for words, told in (
        (("full", str(tmp_path / "a"), "--as", "adapter"), "full: it was trained in full and has no adapter."),
        (("once", "--as", "merged"), "export: name one place, as PLACE or with --out"),
        (("once", str(tmp_path / "a"), "--out", str(tmp_path / "b")), "export: name one place, as PLACE or with --out"),
        (("once", str(tmp_path / "a"), "--precision", "Q8_0"), "--precision Q8_0: only GGUF files are written in it."),
        (("once", str(tmp_path / "a"), "--merged", "--as", "gguf"), "--merged: --as gguf asks for something else."),
    ):
        code, answer = said("export", *words)
        assert (code, told in answer) == (2, True), answer
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_model_is_told_with_those_that_are_there(said: Any, tmp_path: Path) -> None:
    code, told = said("export", "nobody", str(tmp_path / "out"))
    assert code == 2
    assert told == "outcrop: nobody: there is no such custom model. Known are full, once, twice, twice, upon.\n"
    assert not (tmp_path / "out").exists()


def test_a_model_trained_in_full_is_whole_and_one_upon_it_brings_its_base(said: Any, tmp_path: Path) -> None:
    assert said("export", "full", str(tmp_path / "full"))[1].startswith("full: the whole network is in ")
    assert said("export", "upon", str(tmp_path / "upon"))[1].startswith(
        "upon: the adapter, with its network in base/, is in "
    )
    assert loaded(tmp_path / "full").config.hidden_size == loaded(tmp_path / "upon" / "base").config.hidden_size
    assert said("export", "upon", str(tmp_path / "merged"), "--merged")[0] == 0
    assert (tmp_path / "merged" / "model.safetensors").is_file()


def test_a_bucket_gets_the_same_files_and_keeps_what_it_has(said: Any, several: Running, tmp_path: Path) -> None:
    s3 = several.client("s3")
    s3.create_bucket(Bucket="exports")
    assert said("export", "once", "s3://exports/models/once") == (
        0,
        "once: the adapter of local.base-v1 is in s3://exports/models/once/.\n",
    )
    assert said("export", "once", str(tmp_path / "out"))[0] == 0
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket="exports")["Contents"]]
    assert keys == sorted(f"models/once/{path.name}" for path in (tmp_path / "out").iterdir())
    weights = s3.get_object(Bucket="exports", Key="models/once/adapter_model.safetensors")["Body"].read()
    assert weights == (tmp_path / "out" / "adapter_model.safetensors").read_bytes()
    code, told = said("export", "once", "s3://exports/models/once")
    assert (code, told.startswith("outcrop: s3://exports/models/once: there are objects already")) == (2, True)
    assert said("export", "once", "s3://nowhere/x") == (
        2,
        "outcrop: The specified bucket does not exist (NoSuchBucket)\n",
    )
    assert said("export", "once", "gs://a/b") == (2, "outcrop: gs://a/b: neither a folder nor s3://bucket/prefix.\n")
