"""What a job has told, asked for over the API and seen in the console: every step once, also after it was taken up
again, from the run's folder and from the output bucket, by those who may."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from botocore.credentials import Credentials

from outcrop.customization.output import events
from tests.support.consoles import RunningConsole, running_console
from tests.support.homes import TINY, pairs, with_tiny_models
from tests.support.servers import Running, running_server, signed_for_outcrop

BUCKET = "history"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = with_tiny_models(tmp_path_factory.mktemp("history") / "home")
    with running_server(home) as running:
        s3 = running.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_object(Bucket=BUCKET, Key="train.jsonl", Body=pairs(12))
        yield running


@pytest.fixture(scope="module")
def browser(house: Running) -> Iterator[httpx.Client]:
    with running_console(house) as console:
        yield signed_in(console, house.credentials)


def signed_in(console: RunningConsole, key: Credentials) -> httpx.Client:
    return console.signed_in(key.access_key, key.secret_key)


def new_job(house: Running, name: str, *, key: str = "", **hyper: str) -> str:
    made = house.client("bedrock").create_model_customization_job(
        jobName=name,
        customModelName=f"model-{name}",
        roleArn=house.installation.service_role_arn,
        baseModelIdentifier=TINY,
        trainingDataConfig={"s3Uri": f"s3://{BUCKET}/train.jsonl"},
        outputDataConfig={"s3Uri": f"s3://{BUCKET}/out/"},
        hyperParameters=hyper,
        **({"customModelKmsKeyId": key} if key else {}),
    )
    return str(made["jobArn"])


def own(house: Running, path: str, query: dict[str, Any], key: Credentials | None = None) -> httpx.Response:
    url = f"{house.endpoint}{path}?{urlencode(query, doseq=True)}"
    used = key or house.credentials
    return httpx.get(url, headers=signed_for_outcrop(url, used.access_key, used.secret_key))


def step(number: int, loss: float) -> dict[str, Any]:
    return {"event": "step", "step": number, "epoch": 0, "loss": loss, "learning_rate": 0.1, "tokens_per_s": 5.0,
            "resident_bytes": 7, "mfu": 0.5, "seconds_left": 1.0}  # fmt: skip


def write(house: Running, job: str, *told: dict[str, Any]) -> Path:
    """The job's events so far, in its run folder, as a worker writes them."""
    path = house.settings.runs / job.rsplit("/", 1)[-1] / events.FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.writelines(json.dumps({"time": "2026-12-01T00:00:00.000+00:00", **each}).encode() + b"\n" for each in told)
    return path


def test_every_step_is_told_once_as_it_was_written(house: Running) -> None:
    job = new_job(house, "once")
    assert own(house, "/outcrop/losses", {"job": job}).json()["steps"] == []
    write(house, job, *[step(number, 3.0 - number / 10) for number in range(4)])
    write(house, job, {"event": "evaluation", "step": 4, "epoch": 0, "loss": 2.5, "best": True})
    told = own(house, "/outcrop/losses", {"job": job}).json()
    assert [(each["step"], each["loss"]) for each in told["steps"]] == [(0, 3.0), (1, 2.9), (2, 2.8), (3, 2.7)]
    assert "mfu" not in told["steps"][0]
    assert [(each["step"], each["loss"]) for each in told["evaluations"]] == [(4, 2.5)]
    assert (told["more"], told["taken_up_at"]) == (False, None)
    # What comes next is told alone
    write(house, job, step(4, 2.6))
    more = own(house, "/outcrop/losses", {"job": job, "after": told["next"]}).json()
    assert [each["step"] for each in more["steps"]] == [4]
    assert [each["step"] for each in own(house, "/outcrop/losses", {"job": job, "since": "2"}).json()["steps"]] == [
        3,
        4,
    ]
    # A worker that takes it up from step 2 tells the steps again
    write(house, job, {"event": "resume", "step": 2}, step(2, 2.8))
    again = own(house, "/outcrop/losses", {"job": job, "after": more["next"]}).json()
    assert ([each["step"] for each in again["steps"]], again["taken_up_at"]) == ([2], 2)
    whole = own(house, "/outcrop/losses", {"job": job}).json()
    assert [each["step"] for each in whole["steps"]] == [0, 1, 2]
    assert whole["evaluations"] == []


def test_events_are_paged_and_those_of_an_ended_job_come_from_its_output(house: Running) -> None:
    job = new_job(house, "paged")
    path = write(house, job, step(0, 1.0), *[{"event": "note", "note": f"n{number}"} for number in range(250)])
    first = own(house, "/outcrop/events", {"job": job}).json()
    rest = own(house, "/outcrop/events", {"job": job, "after": first["next"]}).json()
    assert (len(first["events"]), first["more"], len(rest["events"]), rest["more"]) == (200, True, 50, False)
    identifier = job.rsplit("/", 1)[-1]
    folder = f"out/model-customization-job-{identifier}"
    content = path.read_bytes() + b'not json\n["nor", "an event"]\n'
    house.client("s3").put_object(Bucket=BUCKET, Key=f"{folder}/training_artifacts/events.jsonl", Body=content)
    path.unlink()
    assert len(own(house, "/outcrop/events", {"job": job, "after": first["next"]}).json()["events"]) == 50
    assert len(own(house, "/outcrop/losses", {"job": job}).json()["steps"]) == 1
    wrong = own(house, "/outcrop/events", {"job": job, "after": "7"})
    assert (wrong.status_code, "after: 7 is where no event begins" in wrong.text) == (400, True)


def test_only_checkpoints_that_are_there_are_listed(house: Running) -> None:
    job = new_job(house, "kept")
    folder = f"out/model-customization-job-{job.rsplit('/', 1)[-1]}/checkpoints"
    for number, loss in ((2, 2.5), (4, 2.0), (6, 2.25)):
        uri = f"s3://{BUCKET}/{folder}/step-{number}"
        write(house, job, {"event": "checkpoint", "step": number, "epoch": 0, "validation_loss": loss, "uri": uri})
    for number in (2, 6):
        house.client("s3").put_object(Bucket=BUCKET, Key=f"{folder}/step-{number}/checkpoint.json", Body=b"{}")
    told = own(house, "/outcrop/checkpoints", {"job": job}).json()["checkpoints"]
    assert [(each["step"], each["best"]) for each in told] == [(2, False), (6, True)]


def test_the_workers_log_about_a_job_is_told_in_order(house: Running) -> None:
    job = new_job(house, "logged")
    house.settings.logs.mkdir(exist_ok=True)
    lines = [
        {"time": "2026-12-01T00:00:02", "level": "info", "event": "note", "job": job},
        {"time": "2026-12-01T00:00:01", "level": "info", "event": "job taken", "job": job},
        {"time": "2026-12-01T00:00:03", "level": "info", "event": "job taken", "job": "another"},
    ]
    (house.settings.logs / "worker.log").write_text("\n".join(map(json.dumps, lines)) + f"\nhalf a line of {job}")
    told = own(house, "/outcrop/log", {"job": job}).json()["lines"]
    assert [each["event"] for each in told] == ["job taken", "note"]
    before = own(house, "/outcrop/log", {"job": job, "before": told[1]["time"]}).json()["lines"]
    assert [each["event"] for each in before] == ["job taken"]


def test_what_a_sealed_job_told_is_for_those_who_may_decrypt(house: Running) -> None:
    kms, iam = house.client("kms"), house.client("iam")
    sealing_key = kms.create_key()["KeyMetadata"]["Arn"]
    job = new_job(house, "sealed", key=sealing_key)
    iam.create_user(UserName="reader")
    made = iam.create_access_key(UserName="reader")["AccessKey"]
    key = Credentials(made["AccessKeyId"], made["SecretAccessKey"])

    def let(*actions: str) -> None:
        statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_user_policy(UserName="reader", PolicyName="reading", PolicyDocument=document)

    paths = ("losses", "events", "checkpoints", "log")
    let("outcrop:*")
    for path in paths:
        refused = own(house, f"/outcrop/{path}", {"job": job}, key)
        assert (refused.status_code, "perform: kms:Decrypt on" in refused.text) == (403, True)
    let("outcrop:*", "kms:Decrypt")
    assert [own(house, f"/outcrop/{path}", {"job": job}, key).status_code for path in paths] == [200] * 4


@pytest.mark.parametrize(("path", "action"), [("losses", "GetLosses"), ("events", "GetJobEvents"), ("checkpoints", "ListCheckpoints"), ("log", "GetJobLog")])  # fmt: skip
def test_what_a_job_told_is_for_those_who_may(house: Running, path: str, action: str) -> None:
    job, iam = new_job(house, f"guarded-{path}"), house.client("iam")
    iam.create_user(UserName=path)
    made = iam.create_access_key(UserName=path)["AccessKey"]
    key = Credentials(made["AccessKeyId"], made["SecretAccessKey"])
    refused = own(house, f"/outcrop/{path}", {"job": job}, key)
    assert (refused.status_code, f"perform: outcrop:{action} on resource: {job}" in refused.text) == (403, True)
    statement = {"Effect": "Allow", "Action": f"outcrop:{action}", "Resource": job}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=path, PolicyName="one-job", PolicyDocument=document)
    assert own(house, f"/outcrop/{path}", {"job": job}, key).status_code == 200
    assert own(house, f"/outcrop/{path}", {"job": f"{job}x"}, key).status_code == 403
    assert own(house, f"/outcrop/{path}", {}).status_code == 400
    assert own(house, f"/outcrop/{path}", {"job": f"{job}x"}).status_code == 404
    assert own(house, f"/outcrop/{path}", {"job": [job, job]}).status_code == 400


def test_what_is_no_operation_of_ours_is_refused_by_name(house: Running) -> None:
    told = own(house, "/outcrop/loss", {})
    assert (told.status_code, "GET /outcrop/loss: there is no such operation." in told.text) == (404, True)
    assert own(house, "/outcrop/losses", {"job": "x", "since": "much"}).status_code == 404


def test_a_jobs_page_draws_what_it_told_and_goes_on_from_there(house: Running, browser: httpx.Client) -> None:
    job = new_job(house, "drawn")
    write(
        house,
        job,
        {"event": "answers", "step": 0, "answers": [{"prompt": "What is 1?", "expected": "It is 1.", "answer": "<b>"}]},
        *[step(number, 3.0 - number / 10) for number in range(3)],
        {"event": "note", "note": "something to know"},
    )
    page = browser.get("/jobs/drawn")
    assert page.status_code == 200
    assert "Training loss <b>2.800</b>" in page.text
    assert "What is 1?" in page.text
    assert "&lt;b&gt;" in page.text
    assert "something to know" in page.text
    write(house, job, step(3, 2.5))
    assert "Training loss <b>2.500</b>" in browser.get("/jobs/drawn", params={"arn": job}).text
    write(house, job, {"event": "resume", "step": 2}, step(2, 1.5))
    assert "Training loss <b>1.500</b>" in browser.get("/jobs/drawn", params={"arn": job}).text
    house.client("s3").put_object(
        Bucket=BUCKET,
        Key=f"out/model-customization-job-{job.rsplit('/', 1)[-1]}/training_artifacts/events.jsonl",
        Body=b"",
    )
    (house.settings.runs / job.rsplit("/", 1)[-1] / events.FILE).unlink()
    assert "1.500" not in browser.get("/jobs/drawn", params={"arn": job}).text  # another run wrote there: read anew


def test_jobs_of_all_kinds_are_one_list_that_can_be_filtered(house: Running, browser: httpx.Client) -> None:
    job = new_job(house, "in-the-list")
    house.client("bedrock").create_model_invocation_job(
        jobName="batch-in-the-list",
        roleArn=house.installation.service_role_arn,
        modelId=TINY,
        inputDataConfig={"s3InputDataConfig": {"s3Uri": f"s3://{BUCKET}/train.jsonl"}},
        outputDataConfig={"s3OutputDataConfig": {"s3Uri": f"s3://{BUCKET}/batch/"}},
    )
    both = browser.get("/jobs", params={"name": "in-the-list"}).text
    assert "in-the-list</a>" in both
    assert "batch-in-the-list</a>" in both
    assert "in-the-list</a>" not in browser.get("/jobs", params={"name": "in-the-list", "status": "Failed"}).text
    batch = browser.get("/jobs", params={"kind": "batch"}).text
    assert "batch-in-the-list</a>" in batch
    assert job not in batch
    assert browser.get("/jobs?kind=nonsense&after=nonsense").status_code == 200
    assert "No job is like this." in browser.get("/jobs", params={"name": "no ; such_name/in any kind"}).text
    arn = house.client("bedrock").list_model_invocation_jobs()["invocationJobSummaries"][0]["jobArn"]
    shown = browser.get("/jobs/x", params={"kind": "batch", "arn": arn})
    assert (shown.status_code, "batch-in-the-list" in shown.text) == (200, True)


def test_jobs_lie_over_one_another_at_an_address(house: Running, browser: httpx.Client) -> None:
    one, other = new_job(house, "lower", epochCount="1"), new_job(house, "upper", epochCount="2")
    for job, loss in ((one, 2.0), (other, 4.0)):
        write(house, job, step(0, loss), step(1, loss - 1))
    page = browser.get("/jobs/overlay", params={"job": [one, other], "measure": "TrainingLoss"})
    assert "lower <b>1.000</b>" in page.text
    assert "upper <b>3.000</b>" in page.text
    assert "epochCount" in page.text
    assert browser.get("/jobs/overlay").status_code == 200


def test_who_may_not_know_losses_sees_the_job_and_hears_why(house: Running) -> None:
    job, iam = new_job(house, "half-seen"), house.client("iam")
    write(house, job, step(0, 1.0), step(1, 0.5))
    iam.create_user(UserName="half")
    made = iam.create_access_key(UserName="half")["AccessKey"]
    statement = {"Effect": "Allow", "Action": "bedrock:GetModelCustomizationJob", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="half", PolicyName="jobs", PolicyDocument=document)
    with running_console(house) as console:
        guest = signed_in(console, Credentials(made["AccessKeyId"], made["SecretAccessKey"]))
        told = guest.get("/jobs/half", params={"arn": job})
        assert told.status_code == 200
        assert "is not authorized to perform: outcrop:GetLosses" in told.text
        assert "polyline" not in told.text
