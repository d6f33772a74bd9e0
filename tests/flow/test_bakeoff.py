"""A bake-off from its plan to its table, with a real server, jobs and engines, killed in the middle and repeated."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.homes import TINY, pairs, with_tiny_models
from tests.support.servers import Installed, installed, outcrop

PLAN = f"""
questions = "questions.jsonl"
models = ["{TINY}"]
scores = ["bits_per_byte", "token_f1"]
max_tokens = 6
[prompt.zero-shot]
[prompt.few-shot]
examples = 1
training = "train.jsonl"
[retrieval.none]
[retrieval.facts]
documents = ["facts"]
results = 1
chunk_tokens = 40
[customization.none]
[customization.cpt]
type = "CONTINUED_PRE_TRAINING"
training = "texts.jsonl"
hyperparameters = {{ epochCount = 1 }}
[customization.cpt-ft]
after = "cpt"
type = "FINE_TUNING"
training = "train.jsonl"
hyperparameters = {{ epochCount = 1, batchSize = 4 }}
[[leave_out]]
customization = "cpt"
"""
ROOT = Path(__file__).parents[2]
MEASURED = ("answerSeconds", "training", "estimates")
"What differs from run to run: it is time."


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    with installed(with_tiny_models(tmp_path_factory.mktemp("bakeoff") / "home")) as installation:
        yield installation


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plan")
    (folder / "questions.jsonl").write_text(
        "".join(
            json.dumps({"prompt": f"What is {n} and one?", "referenceResponse": f"It is {n + 1}."}) + "\n"
            for n in range(6)
        )
    )
    (folder / "train.jsonl").write_bytes(pairs(8))
    (folder / "texts.jsonl").write_text("".join(json.dumps({"input": f"It is {n}."}) + "\n" for n in range(8)))
    (folder / "facts").mkdir()
    (folder / "facts/1.txt").write_text("Three is two and one.")
    (folder / "plan.toml").write_text(PLAN)
    return folder / "plan.toml"


def run(house: Installed, plan: Path, *options: str) -> Any:
    """The result as JSON."""
    ended = outcrop("bakeoff", str(plan), "--home", str(house.settings.home), "--json", *options)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return json.loads(ended.stdout)


def job_names(house: Installed) -> list[str]:
    jobs = house.client("bedrock").list_model_customization_jobs()["modelCustomizationJobSummaries"]
    return [job["jobName"] for job in jobs]


def without_time(told: Any) -> Any:
    return [{name: value for name, value in cell.items() if name not in MEASURED} for cell in told["cells"]]


def test_a_bakeoff_that_was_killed_goes_on_and_is_the_same_when_repeated(
    house: Installed, plan: Path, tmp_path: Path
) -> None:
    # Given a run that is killed once its first job is created
    command = [sys.executable, "-m", "outcrop.cli.app", "bakeoff", str(plan), "--home", str(house.settings.home)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        said = next(line for line in process.stderr if "CONTINUED_PRE_TRAINING of texts.jsonl" in line)
        process.kill()
    # When the plan is carried out again
    page = tmp_path / "page.html"
    told = run(house, plan, "--html", str(page))
    # Then that job is found, no job runs twice, and all cells of a chain share its jobs
    names = job_names(house)
    assert len(names) == len(set(names)) == 2
    assert said.partition(":")[0] in names
    assert len(told["cells"]) == 2 * 2 * 2
    assert told["failed"] == []
    by_name = {cell["cell"]: cell for cell in told["cells"]}
    assert by_name["few-shot / facts / cpt-ft"]["model"] == by_name["zero-shot / none / cpt-ft"]["model"]
    assert all(len(cell["values"]["token_f1"]) == 6 for cell in told["cells"])
    assert by_name["zero-shot / facts / none"]["inputTokens"] > by_name["zero-shot / none / none"]["inputTokens"]
    assert by_name["zero-shot / none / cpt-ft"]["training"]["tokens"] > 0
    assert by_name["zero-shot / none / none"]["training"]["tokens"] == 0
    assert "<polyline" in page.read_text()
    # Before anything is claimed, the questions were looked for in all that was learned and shown
    assert told["heldOut"]["ids"] == []
    looked = {(each["compared"], each["model"], each["num_records"]) for each in told["heldOut"]["learned"]}
    own = f"cpt-ft of {TINY}"
    assert looked == {(own, own, 8), (own, "cpt", 8), ("the prompt few-shot", "the prompt few-shot", 8)}
    assert f"None of them is among the 8 records that {own} learned from." in page.read_text()
    # And the same plan once more gives the same, asks nothing, and trains nothing; as does a cell alone
    assert without_time(run(house, plan)) == without_time(told)
    cell = f"few-shot/facts/cpt-ft/{TINY}"
    (alone,) = run(house, plan, "--cell", cell)["cells"]
    assert alone["values"] == by_name["few-shot / facts / cpt-ft"]["values"]
    assert job_names(house) == names


def test_questions_that_were_nearly_learned_are_told_before_the_result(house: Installed, plan: Path) -> None:
    said = "The committee on arbitration meets on the first Tuesday of each month at ten in the morning, in room {}."
    folder = plan.parent
    learned = {"prompt": "When does the committee meet?", "completion": f" {said.format(4)}"}
    near = {"prompt": "When does the committee meet now?", "referenceResponse": said.format(5)}
    (folder / "near-train.jsonl").write_text((folder / "train.jsonl").read_text() + "\n" + json.dumps(learned) + "\n")
    (folder / "near.jsonl").write_text((folder / "questions.jsonl").read_text() + json.dumps(near) + "\n")
    text = PLAN.replace("questions.jsonl", "near.jsonl").replace("train.jsonl", "near-train.jsonl")
    (folder / "near.toml").write_text(text)
    cell = f"zero-shot/none/cpt-ft/{TINY}"
    ended = outcrop("bakeoff", str(plan.parent / "near.toml"), "--cell", cell, "--home", str(house.settings.home))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    told = " ".join(ended.stdout.split())
    assert f"CONTAMINATED: cpt-ft of {TINY} learned from 1 of the 7 test records, or nearly so: near.jsonl:7." in told
    assert told.index("CONTAMINATED") < told.index("beside the best")


def test_a_job_that_is_refused_is_told_and_the_other_cells_go_on(house: Installed, plan: Path) -> None:
    text = PLAN.replace("epochCount = 1, batchSize = 4", "epochCount = 100000")
    (plan.parent / "wrong.toml").write_text(text)
    ended = outcrop("bakeoff", str(plan.parent / "wrong.toml"), "--home", str(house.settings.home))
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "zero-shot / none / cpt-ft: train.jsonl: no job: hyperParameters.epochCount: 100000 is above" in ended.stdout
    assert "Take " in ended.stdout


def test_a_job_that_failed_is_tried_again_by_the_next_run(house: Installed, plan: Path) -> None:
    (plan.parent / "broken.jsonl").write_text("no JSON\n")
    text = PLAN.replace("epochCount = 1, batchSize = 4 }", 'epochCount = 1 }\nvalidation = "broken.jsonl"')
    (plan.parent / "broken.toml").write_text(text)
    before, cell = set(job_names(house)), f"zero-shot/none/cpt-ft/{TINY}"
    for _ in range(2):
        ended = outcrop(
            "bakeoff", str(plan.parent / "broken.toml"), "--cell", cell, "--home", str(house.settings.home)
        )  # fmt: skip
        assert ended.returncode == 1, ended.stdout + ended.stderr
        assert "ended as Failed" in ended.stdout
    first, second = sorted(set(job_names(house)) - before)
    assert second == f"{first}-2"


def test_a_dry_run_shows_cells_and_shared_jobs_and_does_nothing(house: Installed, plan: Path) -> None:
    before = job_names(house)
    ended = outcrop("bakeoff", str(plan), "--dry-run", "--home", str(house.settings.home))
    assert "8 cells, 6 questions each, 2 jobs. Nothing was done." in ended.stdout
    assert job_names(house) == before


def test_the_example_on_dialogues_ends_in_a_comparison(house: Installed, tmp_path: Path) -> None:
    dialogues, report = tmp_path / "dialogues.jsonl", tmp_path / "report.json"
    rows = [{"dialogue": f"#Person1#: Is it {n}?", "summary": f"It is {n}.", "topic": "n"} for n in range(16)]
    dialogues.write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = {
        "--dialogues": dialogues, "--base": TINY, "--report": report, "--records": 8, "--validation": 4,
        "--questions": 4, "--examples": 1, "--trials": 1, "--epochs": 1, "--max-tokens": 4,
    }  # fmt: skip
    ended = subprocess.run(
        [sys.executable, "-m", "examples.dialogue_summary.dialogue_summary", *(str(part) for pair in options.items() for part in pair)],
        cwd=ROOT, env={**os.environ, **house.environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    told = json.loads(report.read_text())
    assert [cell["cell"] for cell in told["cells"]] == ["base", "few-shot", "fine-tuned", "tuned by search"]
    assert all(len(cell["values"]["rouge_l"]) == 4 for cell in told["cells"])
    tokens = {cell["cell"]: cell["training"]["tokens"] for cell in told["cells"]}
    assert tokens["tuned by search"] > tokens["fine-tuned"] > tokens["base"] == 0
    # The model units are given back
    assert house.client("bedrock").list_provisioned_model_throughputs()["provisionedModelSummaries"] == []
