"""The example on Japanese, whole: chained jobs, four models, their answers measured; on a little of its data."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.patience import PATIENCE_S
from tests.support.servers import installed

pytestmark = pytest.mark.soak  # six jobs and their engines: minutes of processor
ROOT = Path(__file__).parents[2]


def write(path: Path, rows: list[Any]) -> str:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return str(path)


def test_four_models_are_made_and_measured(tmp_path: Path) -> None:
    texts = [
        write(tmp_path / f"cpt-{n}.jsonl", [{"input": f"あおば市の鳥は{b}です。"} for b in "つかさ"]) for n in (1, 2)
    ]
    rows = [{"instruction": f"{n}は何ですか。", "input": "", "output": f"{n}です。"} for n in range(11)]
    questions = [
        {"task": "open_qa", "prompt": "あおば市の鳥は何ですか。", "reference": "あおば市の鳥はつです。"},
        {"task": "brainstorming", "prompt": "鳥を二つ。", "reference": None, "num_items": 2, "among": ["つる", "かも"]},
    ]
    options = ["--texts", *texts, "--dolly", write(tmp_path / "dolly.jsonl", rows), "--max-tokens", "4"]
    options += [
        "--questions",
        write(tmp_path / "questions.jsonl", questions),
        "--report",
        str(tmp_path / "report.json"),
    ]
    with installed(tmp_path / "home") as house:
        ended = subprocess.run(
            [sys.executable, "-m", "examples.titan_ja.four_models", *options],
            cwd=ROOT,
            env={**os.environ, **house.environment},
            capture_output=True,
            text=True,
            timeout=3 * PATIENCE_S,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        bedrock = house.client("bedrock")
        assert bedrock.list_custom_model_deployments()["modelDeploymentSummaries"] == []
        made = {model["modelName"].split("-", 4)[-1] for model in bedrock.list_custom_models()["modelSummaries"]}
    assert made == {"text-1", "text-2", "base-1", "base-5", "cpt-1", "cpt-5"}
    report = json.loads((tmp_path / "report.json").read_text())
    assert list(report["models"]) == ["base", "base, epochs 1", "base, epochs 5", "cpt, epochs 1", "cpt, epochs 5"]
    for by_task in report["models"].values():
        assert set(by_task) == {"open_qa", "brainstorming"}
        assert set(by_task["open_qa"]) == {"questions", "japanese", "characters", "endless", "exact_match", "f1"}
        assert 0 <= by_task["brainstorming"]["fitting_items"] <= 1
