"""Pages that programs write: parts at marks, what was not run, and results that are measured once."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from bench import learning, result_measures, result_page, results, sweep_defaults
from bench.marked import replaced
from bench.result_parts import PARTS, PartFiles, PartJob, ResultPart, chosen
from outcrop.evaluation.bakeoff.customizing import TrainedModel
from outcrop.evaluation.bakeoff.sharing import SharedJob, digests
from outcrop.training.examples import Example


def difference(value: float, low: float, high: float, verdict: str) -> dict[str, Any]:
    return {"difference": value, "low": low, "high": high, "verdict": verdict}


def report(**more: Any) -> dict[str, Any]:
    means = {"base": {"mean": 4.5}, "custom": {"mean": 3.25}}
    measure = {"name": "bits_per_byte", "means": means, "differences": [difference(-1.25, -1.5, -1.0, "better")]}
    own = {"name": "function:./x.py:seven_seven", "means": {"base": None, "custom": {"mean": 1.0}}, "differences": []}
    return {
        "models": ["base", "custom"],
        "data": {"questions": 60},
        "measures": [measure, own],
        "general": measure | {"differences": [difference(0.01, -0.1, 0.12, "not significant")]},
        "contamination": {"ids": []},
        **more,
    }


def result(**more: Any) -> dict[str, Any]:
    jobs = [{"type": "CONTINUED_PRE_TRAINING", "records": 1305, "seconds": 60.0}]
    jobs.append({"type": "FINE_TUNING", "records": 80, "seconds": 30.0})
    told = {
        "key": "k",
        "code": "c",
        "date": "2026-12-01",
        "machine": "2 cores",
        "seconds": 120.0,
        "jobs": jobs,
        "report": report(),
    }
    return told | more


def test_a_part_is_replaced_at_its_marks_and_nothing_else() -> None:
    page = "# Page\n\nWords.\n\n## Old\n\nText.\n"
    first = replaced(page, "make it", "## New\n\none")
    assert first == (
        "# Page\n\nWords.\n\n<!-- make it: begin -->\n## New\n\none\n<!-- make it: end -->\n\n## Old\n\nText.\n"
    )
    assert replaced(first, "make it", "## New\n\ntwo") == first.replace("one", "two")
    assert replaced(first, "make it", "## New\n\none") == first


def test_the_page_tells_what_was_measured_and_what_was_not_run() -> None:
    part = PARTS[0]
    told = result_page.section(PARTS, {part.name: result()}, code="c")
    assert "2026-12-01 | 2 cores |" in told
    assert "| 1.5 min | 2.0 min |" in told
    assert "| 1.5 min | – |" in result_page.section(PARTS, {part.name: result(seconds=None)}, code="c")
    assert "2026-12-01, by earlier code | 2 cores |" in result_page.section(PARTS, {part.name: result()}, code="d")
    assert (
        f"| **{part.name}**: {part.task} | bits per byte | 4.500 → 3.250 | -1.250 (-1.500 to -1.000) | better |" in told
    )
    assert "| | seven seven | – → 1.000 | – |  |" in told
    assert "| | forgotten | 4.500 → 3.250 | +0.010 (-0.100 to +0.120) | not significant |" in told
    assert "continued pre training of 1,305, then fine tuning of 80 | 60, none of them among the records" in told
    assert f"**Not run yet**: `{PARTS[1].name}` (about {PARTS[1].minutes} minutes), " in told
    assert f"`{part.name}` (about" not in told


def tiny_part(folder: Path) -> ResultPart:
    for name in ("train", "test"):
        (folder / f"{name}.jsonl").write_text(f'{{"prompt": "{name}?", "completion": "yes"}}\n')
    job = PartJob(type="FINE_TUNING", training=folder / "train.jsonl", validation=None, hyper={})
    files = PartFiles(jobs=(job,), questions=folder / "test.jsonl")
    return ResultPart(
        name="tiny", task="one question", data="", scores=("bits_per_byte",), minutes=1, prepare=lambda _d, _f: files
    )


class Asked(Exception):
    """Raised where a job would be made."""


def refuse(_job: SharedJob, _parent: TrainedModel | None) -> TrainedModel:
    raise Asked


def test_what_was_measured_by_the_same_code_data_and_settings_is_not_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(results, "WORK", tmp_path / "work")
    part, digest = tiny_part(tmp_path), digests()
    files = part.prepare(tmp_path, tmp_path)
    key = results.key_of(part, results.shared_jobs(files.jobs, digest), digest(files.questions))
    results.place(part).parent.mkdir()
    results.place(part).write_text(json.dumps(result(key=key)))
    # As it stands, nobody is asked
    results.measure(part, tmp_path, refuse, again=False)
    assert "tiny: measured on 2026-12-01 by the same code, data and settings." in capsys.readouterr().out
    # With --again, or other data, a job is made
    with pytest.raises(Asked):
        results.measure(part, tmp_path, refuse, again=True)
    (tmp_path / "train.jsonl").write_text('{"prompt": "another?", "completion": "yes"}\n')
    with pytest.raises(Asked):
        results.measure(part, tmp_path, refuse, again=False)


def test_a_part_whose_data_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results.measure(chosen(["book"])[0], tmp_path, refuse, again=False)
    assert f"book: not run, {tmp_path / 'botchan-en'} is not there." in capsys.readouterr().out
    with pytest.raises(SystemExit, match="--parts: no part bok"):
        chosen(["bok"])


@pytest.mark.parametrize(("answer", "value"), [("C2E2G4", 1.0), ("C2E2", 0.0), ("C4G4|C8", 0.0)])
def test_a_full_bar_is_as_long_as_the_real_one(answer: str, value: float) -> None:
    assert result_measures.full_bar(answer=answer, references=["G8"], prompt="") == value


def test_regrets_are_over_the_lowest_of_each_task_where_a_point_has_a_loss_on_all() -> None:
    found = sweep_defaults.mean_regrets([{0: 3.0, 1: 2.5, 2: None}, {0: 4.0, 1: 4.5, 2: 1.0}])
    assert found == {0: (0.5 + 3.0) / 2, 1: (0.0 + 3.5) / 2}


def search(task: str, *losses: float) -> dict[str, Any]:
    values = {
        "outcrop.learningRate": "0.0061234",
        "outcrop.rank": "8",
        "epochCount": "3",
        "learningRateWarmupSteps": "0",
    }
    trials = [
        {"number": number, "values": values if number else {}, "loss": loss, "end": "completed"}
        for number, loss in enumerate(losses)
    ]
    best = min(range(len(losses)), key=lambda number: losses[number])
    gain = {"sentence": "", "interval": [-0.7, -0.3]} if best else {"sentence": ""}
    return {
        "base": sweep_defaults.STARTER, "task": task, "size": 32, "date": "2026-12-01", "machine": "2 cores",
        "seconds": 90.0, "best": best, "trials": trials, "gain": gain,
    }  # fmt: skip


def test_the_sweep_tells_regret_and_what_suits_all() -> None:
    told = sweep_defaults.section([search("waka", 3.0, 2.5), search("jsquad", 4.0, 4.2)])
    assert "| 32 | waka | 3.000 | 2.500 | 0.500 (0.300 to 0.700) | rate 0.0061, rank 8, epochs 3, warmup 0 |" in told
    assert "| 32 | jsquad | 4.000 | 4.000 | 0 | the defaults |" in told
    assert (
        "* **32 records** (waka, jsquad): the defaults lose 0.250 on the mean; the point that suits all best loses 0.100"
        in told
    )
    assert "**Not searched yet**: mts-dialog with 32, waka with 128" in told


def test_without_a_search_the_page_says_so() -> None:
    assert "**Not searched yet**: waka with 32" in sweep_defaults.section([])


def test_trl_gets_the_very_ids_and_labels_that_ours_learns() -> None:
    example = Example(
        ids_T=torch.tensor([5, 6, 7, 8]),
        at_N=torch.tensor([1, 2, 3]),
        target_N=torch.tensor([7, 8, 2]),
        num_bytes=3,
        line=1,
    )
    # The last label stands behind the input: TRL shifts labels by one, ours come shifted
    assert learning.row(example) == {"input_ids": [5, 6, 7, 8, 2], "labels": [-100, -100, 7, 8, 2]}
