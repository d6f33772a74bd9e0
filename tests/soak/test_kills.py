"""The quickstart under fire: each part killed at ten random moments, and one job whose worker is killed fifty times; the
result is that of a quiet run.

Run by `make soak`; writes its figures to build/soak/kills.json.
"""

import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.homes import TINY, pairs, with_tiny_models
from tests.support.patience import eventually
from tests.support.servers import Installed, installed

ROOT = Path(__file__).parent.parent.parent
KILLS = 10
FIFTY = 50
ENGINE = "engine-outcrop.starter-v1"
PARTS = (ENGINE, "server", "worker")
# An engine lives through the end of a quickstart only: seconds between two of its kills.
ENGINE_PAUSES = (2.0, 6.0)

pytestmark = pytest.mark.soak


def quickstart(house: Installed, report: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, str(ROOT / "examples/quickstart.py"), "--report", str(report)]
    return subprocess.Popen(command, env={**os.environ, **house.environment}, cwd=ROOT)


def moments(part: str, lasts_s: float) -> list[float]:
    """Ten random pauses: over the run for server and worker, one after the other for the engine."""
    chance = random.Random(sum(map(ord, part)))
    if part == ENGINE:
        return [chance.uniform(*ENGINE_PAUSES) for _ in range(KILLS)]
    times = sorted(chance.uniform(0, 0.7 * lasts_s) for _ in range(KILLS))
    return [later - earlier for earlier, later in zip([0.0, *times], times, strict=False)]


def kill_at_random(house: Installed, program: "subprocess.Popen[bytes]", part: str, pauses: list[float]) -> int:
    """Kill `part` after each pause, as soon as it is there; how often it was killed."""
    killed: list[int] = []
    for pause in pauses:
        time.sleep(pause)
        while (pid := house.pid_of(part)) in (None, *killed) and program.poll() is None:
            time.sleep(0.05)
        if pid is None or program.poll() is not None:
            break
        os.kill(pid, signal.SIGKILL)
        killed.append(pid)
    return len(killed)


def result(house: Installed, report: Path) -> dict[str, Any]:
    (folder,) = [path for path in house.settings.models.iterdir() if path.is_dir()]
    weights = hashlib.sha256((folder / "adapter_model.safetensors").read_bytes()).hexdigest()
    told = json.loads(report.read_text())
    return {"weights": weights, "custom": told["custom"], "seconds": told["seconds"]}


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    place = tmp_path_factory.mktemp("quiet")
    with installed(place / "home") as house:
        assert quickstart(house, place / "report.json").wait() == 0
        return result(house, place / "report.json")


@pytest.mark.parametrize("part", PARTS)
def test_a_quickstart_under_fire_ends_as_a_quiet_one(part: str, quiet: dict[str, Any], tmp_path: Path) -> None:
    with installed(tmp_path / "home") as house:
        program = quickstart(house, tmp_path / "report.json")
        kills = kill_at_random(house, program, part, moments(part, quiet["seconds"]))
        assert program.wait() == 0
        under_fire = result(house, tmp_path / "report.json")
    note(part, {"kills": kills, "seconds": under_fire["seconds"], "quiet_seconds": quiet["seconds"]})
    assert under_fire["weights"] == quiet["weights"]
    assert under_fire["custom"] == quiet["custom"]
    assert kills == KILLS


def test_a_job_whose_worker_is_killed_fifty_times_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    """Killed at random moments, of which no two attempts have the same: importing, reading, training, writing."""
    chance = random.Random(50)
    with installed(with_tiny_models(tmp_path / "home")) as house:
        clients = Clients(house.client("bedrock"), house.client("s3"), house.role)
        clients.s3.create_bucket(Bucket="fifty")
        clients.s3.put_object(Bucket="fifty", Key="train.jsonl", Body=pairs(400))
        clients.s3.put_object(Bucket="fifty", Key="validation.jsonl", Body=pairs(8))
        undisturbed = clients.ended(clients.start("undisturbed"))
        job = clients.start("killed")
        killed: list[int] = []
        while len(killed) < FIFTY and clients.status(job) == "InProgress":
            pid = eventually(lambda: new_worker(house, killed))
            before = clients.steps_done(job)
            # Every third one is killed wherever it is; the others once they came further, lest the job is given up.
            while len(killed) % 3 and clients.steps_done(job) <= before and clients.status(job) == "InProgress":
                time.sleep(0.05)
            time.sleep(chance.uniform(0, 1.5))
            with contextlib.suppress(ProcessLookupError):  # a worker ends with its job
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
        again = clients.ended(job)
        note("fifty kills of one job", {"kills": len(killed), "steps": clients.steps_done(job)})
        assert (undisturbed["status"], again["status"]) == ("Completed", "Completed"), again.get("failureMessage")
        assert len(killed) == FIFTY
        assert again["validationMetrics"] == undisturbed["validationMetrics"]
        assert adapter(house, again) == adapter(house, undisturbed)


class Clients(NamedTuple):
    """The clients and the role with which the campaign asks the installation for jobs."""

    bedrock: Any
    s3: Any
    role: str

    def start(self, name: str) -> str:
        hyper = {"epochCount": "100", "batchSize": "4", "learningRate": "0.001", "outcrop.evaluationsPerEpoch": "1"}
        job: str = self.bedrock.create_model_customization_job(
            jobName=name,
            customModelName=name,
            roleArn=self.role,
            baseModelIdentifier=TINY,
            trainingDataConfig={"s3Uri": "s3://fifty/train.jsonl"},
            validationDataConfig={"validators": [{"s3Uri": "s3://fifty/validation.jsonl"}]},
            outputDataConfig={"s3Uri": f"s3://fifty/{name}"},
            hyperParameters=hyper,
        )["jobArn"]
        return job

    def status(self, job: str) -> str:
        return str(self.bedrock.get_model_customization_job(jobIdentifier=job)["status"])

    def ended(self, job: str) -> Any:
        eventually(lambda: self.status(job) != "InProgress", within_s=1200)
        return self.bedrock.get_model_customization_job(jobIdentifier=job)

    def steps_done(self, job: str) -> int:
        for item in self.s3.list_objects_v2(Bucket="fifty").get("Contents", []):
            if item["Key"].endswith(f"{job.rsplit('/', 1)[-1]}/training_artifacts/progress.json"):
                return int(json.loads(self.s3.get_object(Bucket="fifty", Key=item["Key"])["Body"].read())["step"])
        return 0


def new_worker(house: Installed, killed: list[int]) -> int | None:
    pid = house.pid_of("worker")
    return None if pid in killed else pid


def adapter(house: Installed, job: Any) -> str:
    folder = house.settings.models / job["outputModelArn"].rsplit("/", 1)[-1]
    return hashlib.sha256((folder / "adapter_model.safetensors").read_bytes()).hexdigest()


def note(part: str, figures: dict[str, Any]) -> None:
    path = ROOT / "build" / "soak" / "kills.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    before = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps({**before, part: figures}, indent=2) + "\n")
