"""Fine-tuning jobs at OpenAI's door: customization jobs in its words, from a file to the name of a model."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from outcrop.customization.output import artifacts
from outcrop.customization.states import JobStatus, Phase
from outcrop.store.resources import Resource
from tests.support.openai_house import REGION, STARTER, Json, OpenAiHouse, openai_house, run

LINES = b'{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n' * 3
AT = "2026-01-01T00:00:01.000+00:00"
STEP = {"time": AT, "event": "step", "learning_rate": 0.001, "tokens": 50}


async def uploaded(place: OpenAiHouse, name: str = "train.jsonl") -> str:
    answer = await place.ask("POST", "/files", files={"file": (name, LINES)}, data={"purpose": "fine-tune"})
    return str(answer.json()["id"])


async def created(place: OpenAiHouse, **more: Any) -> Json:
    return await place.post("/fine_tuning/jobs", model=STARTER, training_file=await uploaded(place), **more)


def row_of(place: OpenAiHouse, job: Json) -> Resource:
    row = place.house.store.resources.find("model-customization-job", REGION, job["id"])
    assert row is not None
    return row


def tell(place: OpenAiHouse, job: Json, *events: Json) -> None:
    """What a worker writes into the job's output."""
    row = row_of(place, job)
    uri = artifacts.uri_of(artifacts.EVENTS, output_uri=row.document["outputDataConfig"]["s3Uri"], job_arn=row.arn)
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    place.house.buckets.put_bytes(bucket, key, b"".join(json.dumps(event).encode() + b"\n" for event in events))
    csv = key.replace("events.jsonl", "step_wise_training_metrics.csv")
    place.house.buckets.put_bytes(bucket, csv, b"step_number,epoch_number,training_loss,perplexity\n")


def test_a_job_is_a_customization_job_in_openais_words(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with openai_house(tmp_path) as place:
            training, validation = await uploaded(place), await uploaded(place, "valid.jsonl")
            job = await place.post(
                "/fine_tuning/jobs",
                model=STARTER,
                training_file=training,
                validation_file=validation,
                suffix="renga",
                seed=7,
                method={
                    "type": "supervised",
                    "supervised": {
                        "hyperparameters": {"n_epochs": 2, "batch_size": 4, "learning_rate_multiplier": 0.5}
                    },
                },
            )
            identifier = job["id"].removeprefix("ftjob-")
            numbers = {"n_epochs": 2, "batch_size": 4, "learning_rate_multiplier": 0.5}
            assert job == {
                "object": "fine_tuning.job",
                "id": f"ftjob-{identifier}",
                "model": STARTER,
                "created_at": 1767225600,
                "finished_at": None,
                "fine_tuned_model": None,
                "organization_id": "outcrop",
                "result_files": [],
                "status": "queued",
                "training_file": training,
                "validation_file": validation,
                "hyperparameters": numbers,
                "method": {"type": "supervised", "supervised": {"hyperparameters": numbers}},
                "trained_tokens": None,
                "estimated_finish": None,
                "user_provided_suffix": "renga",
                "seed": 7,
                "error": None,
                "integrations": [],
                "metadata": None,
            }
            assert await place.get(f"/fine_tuning/jobs/{job['id']}") == job
            document = row_of(place, job).document
            assert document["outputModelName"] == f"renga-{identifier}"
            assert document["roleArn"] == place.house.access.installation.service_role_arn
            assert document["trainingDataConfig"]["s3Uri"].endswith(f"/files/{training}/train.jsonl")

    run(scenario())


def test_what_is_left_to_us_is_ours(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with openai_house(tmp_path) as place:
            auto = {"n_epochs": "auto", "batch_size": "auto", "learning_rate_multiplier": "auto"}
            for more in ({"hyperparameters": auto}, {}, {"method": {"type": "supervised"}}, {"suffix": None}):
                job = await created(place, **more)
                assert job["hyperparameters"] == {"n_epochs": 3, "batch_size": 16, "learning_rate_multiplier": 1.0}
                assert (job["seed"], job["user_provided_suffix"]) == (0, None)
                assert "outcrop.batchSize" not in row_of(place, job).document["hyperParameters"]

    run(scenario())


def test_a_job_ends_with_a_model_that_has_a_name_and_files_that_can_be_read(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with openai_house(tmp_path) as place:
            job = await created(place, suffix="renga")
            row = row_of(place, job)
            place.house.jobs.enter(row.arn, Phase.VALIDATION)
            assert (await place.get(f"/fine_tuning/jobs/{job['id']}"))["status"] == "validating_files"
            place.house.jobs.enter(row.arn, Phase.TRAINING)
            assert (await place.get(f"/fine_tuning/jobs/{job['id']}"))["status"] == "running"
            tell(
                place,
                job,
                {**STEP, "step": 1, "loss": 2.0},
                {**STEP, "step": 2, "loss": 1.0},
                {**STEP, "step": 2, "loss": 1.5},
            )
            place.house.jobs.end(row.arn, JobStatus.COMPLETED)
            done = await place.get(f"/fine_tuning/jobs/{job['id']}")
            identifier = job["id"].removeprefix("ftjob-")
            assert done["fine_tuned_model"] == f"ft:{STARTER}:outcrop:renga:{identifier}"
            assert (done["status"], done["trained_tokens"], done["finished_at"]) == ("succeeded", 100, 1767225600)
            (results,) = done["result_files"]
            file = await place.get(f"/files/{results}")
            assert (file["purpose"], file["filename"]) == ("fine-tune-results", "step_metrics.csv")
            content = await place.ask("GET", f"/files/{results}/content")
            assert content.text.startswith("step_number,epoch_number")
            assert (await place.refused("DELETE", f"/files/{results}", 400))["param"] == "file_id"

    run(scenario())


def test_events_tell_the_jobs_life_newest_first_under_ids_that_stay(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with openai_house(tmp_path) as place:
            job = await created(place)
            path = f"/fine_tuning/jobs/{job['id']}/events"
            (first,) = (await place.get(path))["data"]
            assert first == {
                "object": "fine_tuning.job.event",
                "id": first["id"],
                "created_at": 1767225600,
                "level": "info",
                "message": f"Created fine-tuning job: {job['id']}",
                "type": "message",
                "data": None,
            }
            row = row_of(place, job)
            place.house.jobs.enter(row.arn, Phase.VALIDATION)
            place.house.jobs.enter(row.arn, Phase.TRAINING)
            tell(
                place,
                job,
                {"time": AT, "event": "start", "step": 0},
                {**STEP, "step": 0, "loss": 2.0},
                {"time": AT, "event": "evaluation", "step": 1, "loss": 1.25},
                {"time": AT, "event": "checkpoint", "step": 1, "epoch": 1, "validation_loss": 1.25, "uri": "s3://b/k/"},
                {"time": AT, "event": "note", "note": "the disk is full"},
                {"time": AT, "event": "plan", "lines": []},
            )
            place.house.jobs.end(row.arn, JobStatus.COMPLETED)
            told = await place.get(path)
            assert [event["message"] for event in told["data"]][::-1] == [
                f"Created fine-tuning job: {job['id']}",
                f"Validating training file: {job['training_file']}",
                "Files validated, moving job to queued state",
                "Fine-tuning job started",
                "Step 1: training loss=2.00",
                "Step 1: validation loss=1.25",
                "Checkpoint created at step 1",
                "the disk is full",
                f"New fine-tuned model created: ft:{STARTER}:outcrop::{job['id'].removeprefix('ftjob-')}",
                "The job has successfully completed",
            ]
            assert told["data"][-1] == first
            metrics = next(
                event for event in told["data"] if event["type"] == "metrics" and "train_loss" in event["data"]
            )
            assert metrics["data"] == {"step": 1, "train_loss": 2.0, "learning_rate": 0.001}
            page = await place.get(f"{path}?limit=4")
            assert page["has_more"]
            rest = await place.get(f"{path}?after={page['data'][-1]['id']}")
            assert page["data"] + rest["data"] == told["data"]

    run(scenario())


def test_checkpoints_are_listed_with_their_losses(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with openai_house(tmp_path) as place:
            job = await created(place, suffix="renga")
            checkpoint = {"time": AT, "event": "checkpoint", "epoch": 1, "validation_loss": 1.25, "uri": "s3://b/k/"}
            tell(place, job, {**STEP, "step": 3, "loss": 2.0}, {**checkpoint, "step": 4}, {**checkpoint, "step": 8})
            listed = await place.get(f"/fine_tuning/jobs/{job['id']}/checkpoints")
            newest, oldest = listed["data"]
            identifier = job["id"].removeprefix("ftjob-")
            assert oldest == {
                "object": "fine_tuning.job.checkpoint",
                "id": oldest["id"],
                "created_at": 1767225601,
                "fine_tuned_model_checkpoint": f"ft:{STARTER}:outcrop:renga:{identifier}:ckpt-step-4",
                "fine_tuning_job_id": job["id"],
                "metrics": {"step": 4, "train_loss": 2.0, "valid_loss": 1.25},
                "step_number": 4,
                "uri": "s3://b/k/",
            }
            assert (newest["step_number"], listed["has_more"]) == (8, False)

    run(scenario())


def test_data_that_is_not_good_fails_the_job_in_openais_form(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with openai_house(tmp_path) as place:
            validation = await uploaded(place, "valid.jsonl")
            for name, param in (("train.jsonl", "training_file"), ("valid.jsonl", "validation_file")):
                job = await created(place, validation_file=validation)
                row = row_of(place, job)
                place.house.jobs.enter(row.arn, Phase.VALIDATION)
                message = f"{name}:2: completion: missing. Give it one."
                place.house.jobs.end(row.arn, JobStatus.FAILED, failureMessage=message)
                failed = await place.get(f"/fine_tuning/jobs/{job['id']}")
                assert failed["status"] == "failed"
                assert failed["error"] == {"code": f"invalid_{param}", "message": message, "param": param}
            job = await created(place)
            place.house.jobs.enter(row_of(place, job).arn, Phase.TRAINING)
            place.house.jobs.end(row_of(place, job).arn, JobStatus.FAILED, failureMessage="it diverged")
            failed = await place.get(f"/fine_tuning/jobs/{job['id']}")
            assert failed["error"] == {"code": "training_failed", "message": "it diverged", "param": None}
            events = await place.get(f"/fine_tuning/jobs/{job['id']}/events")
            assert (events["data"][0]["level"], events["data"][0]["message"]) == (
                "error",
                "The job failed due to: it diverged",
            )

    run(scenario())


def test_a_job_is_cancelled_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with openai_house(tmp_path) as place:
            job = await created(place)
            cancelled = await place.ask("POST", f"/fine_tuning/jobs/{job['id']}/cancel")
            assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
            await place.refused("POST", f"/fine_tuning/jobs/{job['id']}/cancel", 409)
            for what in ("pause", "resume"):
                error = await place.refused("POST", f"/fine_tuning/jobs/{job['id']}/{what}", 400)
                assert error["code"] == "unsupported_parameter"

    run(scenario())


def test_jobs_are_listed_newest_first(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with openai_house(tmp_path) as place:
            ids = []
            for _ in range(3):
                place.clock.move(timedelta(seconds=1))
                ids.append((await created(place))["id"])
            first = await place.get("/fine_tuning/jobs?limit=2")
            assert ([job["id"] for job in first["data"]], first["has_more"]) == (ids[:0:-1], True)
            rest = await place.get(f"/fine_tuning/jobs?after={ids[1]}")
            assert [job["id"] for job in rest["data"]] == ids[:1]
            assert "metadata" in (await place.refused("GET", "/fine_tuning/jobs?metadata[a]=b", 400))["message"]

    run(scenario())


@pytest.mark.parametrize(
    ("more", "param", "code"),
    [
        ({"training_file": None}, "training_file", "missing_required_parameter"),
        ({"training_file": "file-x"}, "training_file", "invalid_value"),
        ({"validation_file": "file-x"}, "validation_file", "invalid_value"),
        ({"training_file": 5}, "training_file", "invalid_type"),
        ({"model": None}, "model", "missing_required_parameter"),
        ({"suffix": "two words"}, "suffix", "invalid_value"),
        ({"suffix": "x" * 51}, "suffix", "invalid_value"),
        ({"suffix": "-x"}, "suffix", "invalid_value"),
        ({"seed": -1}, "seed", "invalid_value"),
        ({"metadata": {"a": "b"}}, "metadata", "unsupported_parameter"),
        ({"integrations": [{"type": "wandb"}]}, "integrations", "unsupported_parameter"),
        ({"colour": "red"}, "colour", "unknown_parameter"),
        ({"method": {"type": "dpo"}}, "method.type", "unsupported_parameter"),
        ({"method": {"type": "reinforcement"}}, "method.type", "unsupported_parameter"),
        ({"method": {"type": "magic"}}, "method.type", "invalid_value"),
        ({"method": {"type": "supervised", "dpo": {}}}, "method.dpo", "unknown_parameter"),
        ({"hyperparameters": {"n_epochs": 0}}, "hyperparameters.n_epochs", "invalid_value"),
        ({"hyperparameters": {"n_epochs": 101}}, "hyperparameters.n_epochs", "invalid_value"),
        ({"hyperparameters": {"n_epochs": "many"}}, "hyperparameters.n_epochs", "invalid_type"),
        ({"hyperparameters": {"batch_size": 5000}}, "hyperparameters.batch_size", "invalid_value"),
        ({"hyperparameters": {"learning_rate_multiplier": 0}}, "hyperparameters.learning_rate_multiplier", "invalid_value"),
        ({"hyperparameters": {"beta": 0.1}}, "hyperparameters.beta", "unknown_parameter"),
        ({"hyperparameters": []}, "hyperparameters", "invalid_type"),
    ],
)  # fmt: skip
def test_what_is_not_served_or_wrong_is_refused_by_its_name(
    more: Json, param: str, code: str, shared: OpenAiHouse
) -> None:
    async def scenario() -> None:
        body = {"model": STARTER, "training_file": await uploaded(shared), **more}
        error = await shared.refused("POST", "/fine_tuning/jobs", 400, json=body)
        assert (error["param"], error["code"]) == (param, code)
        assert (await shared.get("/fine_tuning/jobs"))["data"] == []

    run(scenario())


def test_a_model_or_job_that_is_not_there_is_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with openai_house(tmp_path) as place:
            body = {"model": "gpt-5", "training_file": await uploaded(place)}
            assert (await place.refused("POST", "/fine_tuning/jobs", 404, json=body))["code"] == "model_not_found"
            for path in ("", "/events", "/checkpoints"):
                assert (await place.refused("GET", f"/fine_tuning/jobs/ftjob-x{path}", 404))["code"] == "not_found"

    run(scenario())


def test_to_tune_needs_the_permissions_of_bedrock_the_role_and_the_file(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with openai_house(tmp_path) as place:
            body = {"model": STARTER, "training_file": await uploaded(place)}
            may = ["bedrock:CallWithBearerToken"]
            for number, action in enumerate(("bedrock:CreateModelCustomizationJob", "iam:PassRole", "s3:GetObject")):
                error = await place.refused(
                    "POST", "/fine_tuning/jobs", 403, json=body, key=place.user(f"u{number}", *may)
                )
                assert f"not authorized to perform: {action}" in error["message"]
                may.append(action)
            made = await place.ask("POST", "/fine_tuning/jobs", json=body, key=place.user("last", *may))
            assert made.status_code == 200

    run(scenario())
