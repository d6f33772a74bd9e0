"""Customization jobs that search: the study, the best trial's model, a kill, and the same again under a seed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from outcrop.errors import Invalid
from tests.support.homes import with_tiny_models
from tests.support.job_house import JobHouse, Killed

SEARCH = {
    "outcrop.search": "outcrop.rank=2..16 log; outcrop.learningRate=1e-4..3e-2; batchSize=2|4",
    "outcrop.trials": "6",
    "outcrop.trialsAtOnce": "3",
    "epochCount": "2",
}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[JobHouse]:
    opened = JobHouse(with_tiny_models(tmp_path / "home"))
    yield opened
    opened.context.store.close()


def study_of(house: JobHouse, job: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(house.output(job, "training_artifacts/study.json"))
    return found


def document_of(house: JobHouse, job: str) -> dict[str, Any]:
    return house.context.jobs.get(job).document


def test_the_best_trial_becomes_the_custom_model(house: JobHouse) -> None:
    job = house.create("search", more=SEARCH)
    assert house.work(job)
    study, document = study_of(house, job), document_of(house, job)
    # Every trial has ended, the first with the job's own hyperparameters, and the best has the lowest loss
    trials = study["trials"]
    assert len(trials) == 6
    assert trials[0]["values"] == {}
    assert {trial["end"] for trial in trials} <= {"completed", "pruned"}
    best = trials[study["best"]]
    assert best["loss"] == min(trial["loss"] for trial in trials if trial["end"] == "completed")
    # It is the model: its loss, its hyperparameters, its adapter
    (metrics,) = document["validationMetrics"]
    assert metrics["validationLoss"] == pytest.approx(best["loss"])
    assert document["usedHyperParameters"].items() >= best["values"].items()
    config = json.loads((house.context.models.folder(document["modelArn"]) / "adapter_config.json").read_text())
    assert str(config["r"]) == best["values"].get("outcrop.rank", "16")
    assert study["one_after_the_other_because"] is None
    # What it gained can be told record by record
    assert set(study["records"]) == {"0", str(study["best"])}
    told = [event for event in house.events(job) if event["event"] == "trial"]
    assert sorted(event["number"] for event in told) == list(range(6))


def test_the_best_trial_is_what_a_job_with_its_hyperparameters_makes(house: JobHouse) -> None:
    search = house.create("search", more={**SEARCH, "outcrop.pruner": "none"})
    assert house.work(search)
    study = study_of(house, search)
    alone = house.create("alone", more={"epochCount": "2", **study["trials"][study["best"]]["values"]})
    assert house.work(alone)
    losses = [document_of(house, job)["validationMetrics"][0]["validationLoss"] for job in (search, alone)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_a_killed_search_goes_on_and_one_seed_is_one_search(house: JobHouse, pruner: str) -> None:
    # Given batches of two sizes, so that trials come to their evaluations at different steps
    more = {
        **SEARCH,
        "outcrop.search": "outcrop.rank=2..16 log; outcrop.learningRate=1e-5|3e-3|1e-1; batchSize=2|4",
        "outcrop.trials": "7",
        "outcrop.pruner": pruner,
        "epochCount": "3",
        "outcrop.evaluationsPerEpoch": "1",
    }
    undisturbed = house.create("undisturbed", more=more)
    assert house.work(undisturbed)
    # When the same search is killed as trials begin and end
    killed = house.create("killed", more=more)
    moments = ("1 of 7 trials ended", "trial 4:", "4 of 7 trials ended")
    for words in moments:

        def told(said: str, words: str = words) -> None:
            if said.startswith(words):
                raise Killed

        with pytest.raises(Killed):
            house.work(killed, report=told)
    assert house.work(killed, attempt=len(moments) + 1)
    # Then it is the same search, in which trials were stopped
    study = study_of(house, undisturbed)
    assert study_of(house, killed) == study
    assert {trial["end"] for trial in study["trials"]} == {"completed", "pruned"}


def test_trials_that_cannot_share_a_base_go_one_after_the_other(house: JobHouse) -> None:
    more = {
        **SEARCH,
        "outcrop.search": "outcrop.learningRate=1e-4..1e-2",
        "outcrop.trials": "3",
        "outcrop.method": "full",
    }
    job = house.create("full", more=more)
    assert house.work(job)
    study = study_of(house, job)
    assert study["one_after_the_other_because"] == (
        "outcrop.method full trains the base itself, which then cannot be shared"
    )
    assert len(study["trials"]) == 3
    assert (house.context.models.folder(document_of(house, job)["modelArn"]) / "model.safetensors").is_file()


def test_a_search_that_cannot_work_is_refused_before_it_is_on_record(house: JobHouse) -> None:
    with pytest.raises(Invalid, match=r"outcrop\.search: trials are compared on validation data"):
        house.create("blind", validate=False, more=SEARCH)
    with pytest.raises(Invalid, match=r"outcrop\.search: outcrop\.rank 0 is below the least value 1"):
        house.create("none", more={**SEARCH, "outcrop.search": "outcrop.rank=0..4"})
    with pytest.raises(Invalid, match="belongs to oft"):
        house.create("mixed", more={**SEARCH, "outcrop.search": "outcrop.blockSize=4..8", "outcrop.method": "lora"})
