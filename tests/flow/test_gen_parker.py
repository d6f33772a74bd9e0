"""The example of music, run as a user runs it, on few small tunes and a tiny base model."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

from tests.support.homes import TINY, with_tiny_models
from tests.support.servers import installed
from tests.unit.test_gen_parker import EXAMPLE, tune

OPTIONS = {
    "--models": "zero",
    "--base": TINY,
    "--tunes": "10",
    "--gaps": "20",
    "--questions": "3",
    "--lines": "1",
    "--zero-epochs": "2",
    "--layers": "1",
    "--width": "32",
    "--tokenizer-size": "280",
}


def test_scores_become_models_that_are_asked_and_compared(tmp_path: Path) -> None:
    scores, out = tmp_path / "tunes.abc", tmp_path / "out"
    scores.write_text("\n".join(tune(number) for number in range(12)))
    options = [part for pair in OPTIONS.items() for part in pair]
    with installed(with_tiny_models(tmp_path / "home")) as house:
        program = str(EXAMPLE / "gen_parker.py")
        command = [sys.executable, program, "--scores", str(scores), "--out", str(out), *options]
        ended = subprocess.run(
            command, env={**os.environ, **house.environment}, capture_output=True, text=True, check=False
        )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    report = json.loads((out / "report.json").read_text())
    # A model from zero predicts tunes that it has not seen, and its base, which knows no music, is asked the same
    assert report["bits_per_note"]["zero"]["test-with-chords"] > 0
    assert list(report["gaps"]) == list(report["lines"]) == ["base", "zero", "real"]
    assert report["gaps"]["real"]["full_bars"] == {"number": 3, "of": 3, "share": 1.0}
    assert (out / "report.md").read_text().strip() in ended.stdout
    for model in ("base", "zero", "real"):
        assert (out / "sheets" / f"gap-1-{model}.mid").read_bytes().startswith(b"MThd")
        assert (out / "sheets" / f"gap-1-{model}.svg").exists() == engraves()


def engraves() -> bool:
    try:
        importlib.import_module("verovio")
    except ImportError:
        return False
    return True
