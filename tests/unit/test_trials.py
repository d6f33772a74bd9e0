"""The experiments behind docs/defaults.md and docs/results.md: trials that stand are kept, and intervals are right."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench import defaults, intervals, methods, trials
from bench.tasks import Records
from bench.trials import Journal, Outcome, Scored, Stage, Trial

PAIRS = [{"prompt": f"Name {name}.", "completion": f" {name} is here."} for name in ("stone", "river", "hill", "sea")]
HYPER = {"epochCount": "1", "batchSize": "4", "learningRate": "0.01", "outcrop.evaluationsPerEpoch": "1"}
CHAIN = Trial(
    task="tiny",
    name="chain",
    stages=(
        Stage(customization="CONTINUED_PRE_TRAINING", hyper=HYPER),
        Stage(customization="FINE_TUNING", hyper=HYPER),
    ),
)
OUTCOME = Outcome(
    steps=2, best_step=1, base_loss=5.0, validation_loss=4.0, seconds=1.5, test=[Scored(nll=6.0, num_tokens=3, num_bytes=9)]
)  # fmt: skip


def records_in(folder: Path) -> Records:
    pairs, texts = folder / "pairs.jsonl", folder / "texts.jsonl"
    pairs.write_text("".join(json.dumps(pair) + "\n" for pair in PAIRS))
    texts.write_text("".join(json.dumps({"input": pair["prompt"] + pair["completion"]}) + "\n" for pair in PAIRS))
    return Records(train=pairs, validation=pairs, test=pairs, train_texts=texts, validation_texts=texts)


def test_a_chain_learns_from_stage_to_stage_and_is_not_made_again(tmp_path: Path) -> None:
    records, journal = records_in(tmp_path), tmp_path / "journal.jsonl"
    made = trials.outcome_of(CHAIN, records, Journal(journal), tmp_path / "runs", with_test=True)
    base = trials.loss_of(trials.score(None, records.test))
    assert base > made.base_loss > made.validation_loss  # reading alone has helped, and then the pairs
    assert trials.loss_of(made.test) == pytest.approx(made.validation_loss, rel=1e-5)
    assert trials.outcome_of(CHAIN, records, Journal(journal), tmp_path / "runs", with_test=True) == made


def test_a_trial_is_another_one_with_other_records_or_another_seed(tmp_path: Path) -> None:
    records = records_in(tmp_path)
    keys = [CHAIN.key(records), replace(CHAIN, seed=1).key(records)]
    assert replace(CHAIN, name="another name").key(records) == keys[0]
    records.test.write_text(records.test.read_text().replace("sea", "lake"))
    assert len({*keys, CHAIN.key(records)}) == 3


def test_a_line_that_a_kill_tore_costs_that_trial_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    Journal(path).add("a", CHAIN, OUTCOME)
    path.write_text(path.read_text() + '{"key": "b", "out')
    Journal(path).add("c", CHAIN, OUTCOME)
    read = Journal(path)
    assert [read.find(key) for key in "abc"] == [OUTCOME, None, OUTCOME]


def test_the_best_value_lies_least_above_the_lowest_of_each_task() -> None:
    losses = {
        "0.1": {"waka": 3.0, "mts-dialog": 4.0, "jsquad": 9.0},
        "0.2": {"waka": 3.2, "mts-dialog": 4.1, "jsquad": 5.0},
        "0.3": {"waka": float("inf"), "mts-dialog": 3.9, "jsquad": 5.0},
    }
    assert defaults.best_of(losses) == "0.2"
    assert defaults.neighbours(["0.1", "0.2", "0.3"], "0.3") == ["0.2", "0.3"]
    assert defaults.table(losses).splitlines()[-1] == "| 0.3 | diverged | **3.900** | **5.000** | diverged |"


def test_the_interval_over_seeds_is_students() -> None:
    # mean 2, deviation 1, three values: 4.303 / sqrt(3)
    assert intervals.half_width([1.0, 2.0, 3.0]) == pytest.approx(2.484, abs=1e-3)


def test_a_row_tells_the_difference_to_the_reference() -> None:
    reference = [[Scored(6.0, 3, 9), Scored(4.0, 1, 3)]] * 2
    better = [[Scored(3.0, 3, 9), Scored(3.0, 1, 3)]] * 2
    assert methods._beside(better, reference).startswith("-1.000 | -1.000 to -1.000")
    assert methods.bits_per_byte(reference[0]) == pytest.approx(10 / 12 / 0.693147, rel=1e-5)
