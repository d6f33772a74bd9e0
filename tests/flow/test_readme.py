"""Every command of the README, run as it is written, in order, in one shell."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.patience import PATIENCE_S
from tests.support.servers import Installed, installed, outcrop
from tests.support.tiny import tiny_model

ROOT = Path(__file__).parent.parent.parent
BIN = Path(sys.executable).parent
RUN_BY_FIXTURES = {"outcrop up"}
NEEDS_A_HUB = "outcrop pull "


def commands(document: str) -> list[str]:
    """Lines with a `$ ` before them, in the console blocks of a document."""
    blocks = re.findall(r"```console\n(.*?)```", (ROOT / document).read_text(), flags=re.DOTALL)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def python_blocks(document: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(), flags=re.DOTALL)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's own folder, with a model of theirs in it."""
    folder = tmp_path_factory.mktemp("user")
    tiny_model(folder / "models" / "my-llama")
    return folder


@pytest.fixture(scope="module")
def house(place: Path) -> Iterator[Installed]:
    if not (ROOT / "src/outcrop/catalog/bundled/starter-v1/model.safetensors").is_file():
        pytest.skip("the starter model's weights are not in this checkout")
    with installed(place / "home") as running:
        yield running


def shell(house: Installed, place: Path, script: str) -> "subprocess.CompletedProcess[str]":
    environment = {
        **os.environ,
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HOME": str(place),
        "OUTCROP_HOME": str(house.settings.home),
    }
    return subprocess.run(
        ["bash", "-euc", script],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def test_every_command_of_the_readme_works(house: Installed, place: Path) -> None:
    script = [
        line for line in commands("README.md") if line not in RUN_BY_FIXTURES and not line.startswith(NEEDS_A_HUB)
    ]
    assert len(script) > 8
    ended = shell(house, place, "\n".join(script))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Ready to train" in ended.stdout
    assert "house.my-llama-v1 is in the catalogue" in ended.stdout


def links(document: str) -> set[str]:
    """The links of a document; its pictures are of its own language."""
    text = (ROOT / document).read_text().replace("/pictures/ja/", "/pictures/en/")
    return set(re.findall(r"\]\(([^)]+)\)", text)) - {"README.md", "README.ja.md"}


def test_the_japanese_readme_has_the_commands_the_program_and_the_links_of_the_english_one() -> None:
    assert commands("README.ja.md") == commands("README.md")
    assert python_blocks("README.ja.md") == python_blocks("README.md")
    assert links("README.ja.md") == links("README.md")


def test_the_python_of_the_readme_works(house: Installed, place: Path) -> None:
    # The README's own bucket, with a file that is learned in seconds.
    few = (ROOT / "examples/renga/train.jsonl").read_text().splitlines()[:64]
    s3 = house.client("s3")
    s3.create_bucket(Bucket="verses")
    s3.put_object(Bucket="verses", Key="train.jsonl", Body="\n".join(few).encode())
    (program,) = python_blocks("README.md")
    (place / "program.py").write_text(program)
    ended = shell(house, place, f'eval "$(outcrop env)"\npython {place}/program.py')
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout


def test_pull_without_a_hub_says_what_to_do(tmp_path: Path) -> None:
    (line,) = [line for line in commands("README.md") if line.startswith(NEEDS_A_HUB)]
    offline = {**os.environ, "HF_HUB_OFFLINE": "1"}
    ended = outcrop(*line.split()[1:], "--home", str(tmp_path), env=offline)
    assert ended.returncode == 1
    assert ended.stderr.startswith("outcrop: Qwen/Qwen3-0.6B: the download failed:")
    assert "Check the network" in ended.stderr


def test_every_command_and_setting_stands_in_the_readme_or_the_help() -> None:
    said = outcrop("--help").stdout
    for command in (
        "up",
        "run",
        "env",
        "models",
        "jobs",
        "deployments",
        "register",
        "pull",
        "alias",
        "check-data",
        "export",
    ):
        assert f" {command} " in said
