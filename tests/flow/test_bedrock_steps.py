"""Bedrock's procedure, by boto3 and as a walk through the console: both programs as users start them."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.browsers import needs_chromium
from tests.support.homes import TINY, with_tiny_models
from tests.support.patience import PATIENCE_S
from tests.support.servers import installed

ROOT = Path(__file__).parent.parent.parent
# By name: for the type checker, which reads examples as programs, it is a module of another path.
walk = importlib.import_module("examples.bedrock_steps.walk")


def ended(arguments: list[str], **environment: str) -> str:
    """What a program of the examples said, once it has ended well."""
    told = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert told.returncode == 0, told.stdout
    return told.stdout


def test_the_procedure_and_its_three_ways_back_by_boto3(tmp_path: Path) -> None:
    with installed(with_tiny_models(tmp_path / "home")) as house:
        few = [
            "--base",
            TINY,
            "--records",
            "16",
            "--max-tokens",
            "4",
            "--hyper",
            "epochCount=2",
            "--hyper",
            "batchSize=8",
        ]
        told = ended(["examples.bedrock_steps.steps", *few], **house.environment)
        assert re.search(r"\d+ checkpoints; the first is step-", told), told
        (model, early) = house.client("bedrock").list_custom_models(sortOrder="Descending")["modelSummaries"]
        assert model["modelName"].endswith("-without")
        assert early["modelName"].endswith("-checkpoint")
        assert house.client("bedrock").list_custom_model_deployments()["modelDeploymentSummaries"] == []


@needs_chromium
@pytest.mark.soak  # two minutes; the pictures that are kept are held to the pages by test_pictures.py
def test_the_walk_pictures_every_step_in_both_languages(tmp_path: Path) -> None:
    pytest.importorskip("playwright", reason="no Playwright: pip install playwright")
    home = with_tiny_models(tmp_path / "home")
    chosen = ["--base", TINY, "--records", "16", "--home", str(home), "--pictures", str(tmp_path / "pictures")]
    ended(["examples.bedrock_steps.walk", *chosen])
    found = {path.relative_to(tmp_path / "pictures").as_posix() for path in (tmp_path / "pictures").rglob("*.png")}
    kept = {path.relative_to(walk.PICTURES).as_posix() for path in walk.PICTURES.rglob("*.png")}
    assert found == kept
    assert len(kept) == 26
