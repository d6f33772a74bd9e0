"""`outcrop tune` through the API of a running installation: a search, a kill of the worker, and the same search again."""

import html
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from outcrop.cli.app import run
from tests.support.homes import TINY, pairs, with_tiny_models
from tests.support.patience import eventually
from tests.support.servers import Installed, installed


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    with installed(with_tiny_models(tmp_path_factory.mktemp("home"))) as running:
        yield running


@pytest.fixture
def command(house: Installed, tmp_path: Path) -> list[str]:
    (tmp_path / "train.jsonl").write_bytes(pairs(24))
    (tmp_path / "validation.jsonl").write_bytes(pairs(6))
    (tmp_path / "space.txt").write_text("# what is searched\noutcrop.rank=2..16 log\nbatchSize=2|4\n")
    files = ["--data", str(tmp_path / "train.jsonl"), "--validation", str(tmp_path / "validation.jsonl")]
    hyper = ["--hyper", "epochCount=3", "--hyper", "learningRate=0.003"]
    search = [
        "--space",
        str(tmp_path / "space.txt"),
        "--learning-rate",
        "1e-4..3e-2",
        "--trials",
        "5",
        "--at-once",
        "3",
    ]
    return ["tune", "--home", str(house.settings.home), "--base", TINY, *files, *hyper, *search]


def study(house: Installed, name: str) -> Any:
    job = house.client("bedrock").get_model_customization_job(jobIdentifier=name)
    folder = f"output/model-customization-job-{job['jobArn'].rsplit('/', 1)[1]}"
    s3 = house.client("s3")
    try:
        found = s3.get_object(Bucket=f"tune-{name}", Key=f"{folder}/training_artifacts/study.json")
    except s3.exceptions.NoSuchKey:
        return None
    return json.loads(found["Body"].read())


def test_a_search_is_shown_and_its_best_trial_is_the_model_also_when_its_worker_is_killed(
    house: Installed, command: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    # Given a search that nobody disturbs
    assert run([*command, "--name", "calm", "--html", str(tmp_path / "calm.html")]) == 0
    shown = capsys.readouterr().out
    assert "Written: " in shown
    assert "The custom model is calm (arn:aws:bedrock:" in shown
    assert "best" in shown
    assert "●" in shown
    assert max(len(line) for line in shown.splitlines() if line.startswith("trial")) <= 80
    # When the worker of the same search is killed as soon as a trial has ended
    codes: list[int] = []
    watching = Thread(target=lambda: codes.append(run([*command, "--name", "killed"])))
    watching.start()
    bedrock = house.client("bedrock")
    eventually(
        lambda: (
            "killed"
            in [job["jobName"] for job in bedrock.list_model_customization_jobs()["modelCustomizationJobSummaries"]]
        )
    )
    eventually(lambda: study(house, "killed"))
    os.kill(eventually(lambda: house.pid_of("worker")), signal.SIGKILL)
    watching.join()
    # Then the command has watched it to its end, and the search is the same
    assert codes == [0]
    assert study(house, "killed") == study(house, "calm")
    page = tmp_path / "killed.html"
    capsys.readouterr()
    found = ["tune", "--home", str(house.settings.home), "--name", "killed", "--html", str(page)]
    assert run([*found, "--json"]) == 0
    # And a page shows it, with the gain that is printed
    gain = json.loads(capsys.readouterr().out)["gain"]["sentence"]
    assert html.escape(gain) in page.read_text("utf-8")
    assert page.read_text("utf-8").replace("killed", "calm") == (tmp_path / "calm.html").read_text("utf-8")


def test_what_is_asked_wrongly_is_told(house: Installed, capsys: pytest.CaptureFixture[str]) -> None:
    home = str(house.settings.home)
    assert run(["tune", "--home", home, "--name", "nowhere"]) == 2
    assert "--data: missing, and there is no job nowhere to watch." in capsys.readouterr().err
    assert run(["tune", "--home", home, "--name", "none", "--data", "s3://bucket/key"]) == 2
    assert "nothing to search" in capsys.readouterr().err
    assert run(["tune", "--home", home, "--name", "none", "--html", "/nowhere/page.html"]) == 2
    assert "--html: there is no folder /nowhere" in capsys.readouterr().err
