"""Models that come from a hub or a bucket: found by name, looked at, and fetched whole."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from outcrop.cli import pulling
from outcrop.cli.app import run
from outcrop.cli.mounting import open_buckets
from outcrop.cli.pulling import Wishes
from outcrop.errors import Invalid, MachineTrouble
from outcrop.settings import Settings
from tests.support.gguf_files import small_network
from tests.support.hub_double import SHA, HubDouble, Repository, hub
from tests.support.servers import running_server

BESIDE = {"README.md": b"about", "training_args.bin": b"x", "onnx/model.onnx": b"x", "modeling.py": b"import os"}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    folder = small_network(tmp_path_factory.mktemp("made") / "network")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def adapter() -> Repository:
    return {"adapter_config.json": b'{"peft_type": "LORA"}', "adapter_model.safetensors": b"x"}


@pytest.fixture
def asked(
    model: Repository, adapter: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[HubDouble]:
    """A hub, in place of the one that the library asks by itself."""
    repositories: dict[str, Repository] = {
        "someone/Small-1.5": {**model, **BESIDE},
        "someone/pickled": {"config.json": b"{}", "pytorch_model.bin": b"x", "tokenizer.json": b"{}"},
        "someone/files-GGUF": {"small.Q4_K_M.gguf": b"GGUF", "config.json": b"{}"},
        "someone/adapter": adapter,
        "closed/model": model,
    }
    with hub(repositories, gated={"closed/model"}) as double:
        monkeypatch.setattr(constants, "ENDPOINT", double.endpoint)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", double.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        )
        yield double


@pytest.mark.parametrize("spelled", ["someone/Small-1.5", "hf://someone/Small-1.5", "hf://someone/Small-1.5@v2"])
def test_a_repository_of_a_hub_is_fetched_by_its_name(
    spelled: str, asked: HubDouble, model: Repository, tmp_path: Path
) -> None:
    pulled = pulling.fetch(Settings(home=tmp_path / "home"), spelled)
    assert {path.name: path.read_bytes() for path in pulled.folder.iterdir() if path.is_file()} == model
    assert set(asked.fetched) == set(model)
    assert pulled.model_id == "someone.small-1-5"
    assert not pulled.is_adapter
    assert pulled.source == spelled if "://" in spelled else f"hf://{spelled}"
    named = "/revision/v2" if spelled.endswith("v2") else ""
    assert f"GET /api/models/someone/Small-1.5{named}" in asked.asked
    assert all(f"/resolve/{SHA}/" in each for each in asked.asked if "/resolve/" in each)


def test_an_adapter_is_known_as_one(asked: HubDouble, tmp_path: Path) -> None:
    assert pulling.fetch(Settings(home=tmp_path / "home"), "someone/adapter").is_adapter


@pytest.mark.parametrize(
    ("spelled", "told"),
    [
        (
            "someone/pickled",
            "hf://someone/pickled: pytorch_model.bin: weights are taken as safetensors only, never as a",
        ),
        ("someone/files-GGUF", "small.Q4_K_M.gguf is registered by itself: download it, then `outcrop register FILE`."),
        (
            "http://someone/else",
            "http://someone/else: neither an id of the catalogue, nor owner/name of a hub, nor s3://",
        ),
    ],
)
def test_what_is_no_model_is_refused_before_a_byte_of_it_comes(
    spelled: str, told: str, asked: HubDouble, tmp_path: Path
) -> None:
    with pytest.raises(Invalid) as refused:
        pulling.fetch(Settings(home=tmp_path / "home"), spelled)
    assert told in refused.value.message
    assert asked.fetched == []


@pytest.mark.parametrize("spelled", ["someone/absent", "closed/model"])
def test_what_the_hub_refuses_is_told(spelled: str, asked: HubDouble, tmp_path: Path) -> None:
    with pytest.raises(MachineTrouble, match=f"{spelled}: the download failed: .*HF_TOKEN set"):
        pulling.fetch(Settings(home=tmp_path / "home"), spelled)


def test_a_hub_that_cannot_be_reached_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(MachineTrouble, match="someone/absent: the download failed"):
        pulling.fetch(Settings(home=tmp_path / "home"), "someone/absent")


def test_a_repository_that_the_catalogue_knows_is_its_entry(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    entry = pulling.known_entry(settings, "hf://qwen/qwen3-0.6b", Wishes())
    assert entry is not None
    assert entry.id == "qwen.qwen3-0-6b-v1"
    assert pulling.known_entry(settings, "Qwen/Qwen3-0.6B@main", Wishes()) is None
    assert pulling.known_entry(settings, "Qwen/Qwen3-0.6B", Wishes(model_id="house.other-v1")) is None


def test_options_that_belong_to_other_pulls_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["pull", "qwen.qwen3-0-6b-v1", "--id", "a.b", "--home", str(tmp_path / "home")]) == 2
    assert "an entry of the catalogue has its id, name and context already" in capsys.readouterr().err


def put(settings: Settings, model: Repository) -> None:
    with open_buckets(settings) as buckets:
        buckets.create("kept", "us-east-1")
        for name, data in {**model, **BESIDE}.items():
            buckets.put_bytes("kept", f"models/small/{name}", data)


@pytest.mark.parametrize("uri", ["s3://kept/models/small/", "s3://kept/models/small"])
def test_a_prefix_of_the_homes_own_buckets_is_fetched(uri: str, model: Repository, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    put(settings, model)
    pulled = pulling.fetch(settings, uri)
    assert {path.name: path.read_bytes() for path in pulled.folder.iterdir()} == model
    assert (pulled.model_id, pulled.source) == ("kept.small", "s3://kept/models/small/")


def test_a_prefix_of_another_s3_is_fetched_by_the_users_own_credentials(
    model: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_server(tmp_path / "other") as other:
        s3 = other.client("s3")
        s3.create_bucket(Bucket="elsewhere")
        for name, data in model.items():
            s3.put_object(Bucket="elsewhere", Key=f"small/{name}", Body=data)
        values = {
            "AWS_ENDPOINT_URL": other.endpoint,
            "AWS_ACCESS_KEY_ID": other.installation.access_key_id,
            "AWS_SECRET_ACCESS_KEY": other.installation.secret_access_key,
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        for variable, value in values.items():
            monkeypatch.setenv(variable, value)
        pulled = pulling.fetch(Settings(home=tmp_path / "home"), "s3://elsewhere/small/")
        assert {path.name: path.read_bytes() for path in pulled.folder.iterdir()} == model
        with pytest.raises(MachineTrouble, match="no bucket of this home, and another S3 does not give it"):
            pulling.fetch(Settings(home=tmp_path / "home"), "s3://nowhere/small/")


@pytest.mark.parametrize("prefix", ["../../../outside/", "a/../../../../../outside", "a//b/", "./a/"])
def test_a_prefix_that_no_folder_can_have_is_refused(prefix: str, model: Repository, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    with open_buckets(settings) as buckets:
        buckets.create("kept", "us-east-1")
        for name, data in model.items():
            buckets.put_bytes("kept", f"{prefix.rstrip('/')}/{name}", data)
    with pytest.raises(Invalid, match="a prefix that no folder can have"):
        pulling.fetch(settings, f"s3://kept/{prefix}")
    assert not list(tmp_path.rglob("outside"))
    assert not (settings.home / "pulled").exists()
