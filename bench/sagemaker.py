"""`make bench-sagemaker`: an endpoint with a language model beside its own engine's socket, and a training job beside
its bare script.

The engine is one, asked in turns by way of the endpoint and at its socket. The script computes the same products in
both, and says how long they took; beside that, a job is whatever comes before and after.

What else a shared machine does only takes time away, from one turn a third and from the next none: so rates and the
work of a script are those of the best quarter of all turns, of either side.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from bench.measuring import Row, higher_is_better, lower_is_better, report
from bench.serve_house import MODEL, Home, first_s, up
from bench.serve_streams import Place, Rate, streams
from outcrop.cli import export
from outcrop.settings import PARTS_FILE
from outcrop.tokens.tokenizer import Tokenizer
from tests.support.endpoints import TGI, Endpoints
from tests.support.training_programs import IMAGE, TrainingJobs

STREAMS, TOKENS = 8, 128
FIRSTS, FEW_TOKENS = 8, 8
"Single streams in a turn, for the time to the first token: what is added is less than one of them wanders."
KEEPS, JOB_S, SLOWER = 0.95, 3.0, 1.02
"Goals: what an endpoint keeps of the engine's rate; what a job adds, in seconds and in time of its work."
WATCHING = 1.0
"Goal: what a worker takes of a core, in percent, while a script runs."
SECONDS = 5.0
AROUND_S = 1.0
"What a job takes beside its script, about: nobody asks for it before."
WATCHED_S = 60.0
SCRIPT = """
import time
import torch
torch.manual_seed(0)
torch.set_num_threads(2)
left = torch.randn(512, 512)
began = time.perf_counter()
products = 0
for _ in range({rounds}):
    left = torch.tanh(left @ left)
    products += 1
print(f"worked={{time.perf_counter() - began:.4f}};", flush=True)
"""
WATCHED = """
import time
import torch
torch.set_num_threads(1)
left, until = torch.randn(256, 256), time.time() + {seconds}
for step in range(1_000_000):
    left = torch.tanh(left @ left)
    if not step % 500:
        print("step", step, flush=True)
    if time.time() > until:
        break
"""


@dataclass(frozen=True, kw_only=True)
class EndpointPlace(Place):
    """An endpoint of SageMaker, whose requests are signed."""

    credentials: Credentials
    tokenizer: Tokenizer

    def request(self, prompt: Sequence[int], num_tokens: int) -> bytes:
        """A streamed answer to the text of token ids, as the bytes of one HTTP request."""
        parameters = {"max_new_tokens": num_tokens}
        body = {
            "inputs": " ".join(self.tokenizer.token(each) or "" for each in prompt),
            "parameters": parameters,
            "stream": True,
        }
        content = json.dumps(body).encode()
        url = f"{self.endpoint}/endpoints/{self.model}/invocations-response-stream"
        asked = AWSRequest(method="POST", url=url, data=content, headers={"Content-Type": "application/json"})
        SigV4Auth(self.credentials, "sagemaker", "us-east-1").add_auth(asked)
        lines = [f"POST {urlsplit(url).path} HTTP/1.1", f"Host: {urlsplit(url).netloc}"]
        lines += [f"{name}: {value}" for name, value in asked.headers.items()]
        lines += [f"Content-Length: {len(content)}", "Connection: close", "", ""]
        return "\r\n".join(lines).encode() + content


@dataclass(frozen=True)
class HomeClients:
    """Clients of boto3 for one installation."""

    home: Home

    def client(self, service: str) -> Any:
        made = export.installation(self.home.settings)
        return boto3.client(
            service,
            endpoint_url=self.home.settings.endpoint,
            region_name="us-east-1",
            aws_access_key_id=made.access_key_id,
            aws_secret_access_key=made.secret_access_key,
        )


def main() -> None:
    given = arguments()
    with tempfile.TemporaryDirectory() as place:
        name_environment(Path(place) / "home")
        with up(Path(place), "small") as home:
            rows = [*endpoint_rows(home, given), *job_rows(home, given), watching_row(home)]
    report("sagemaker", rows)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=21, help="of each side")
    parser.add_argument("--jobs", type=int, default=15, help="training jobs, each beside its bare script")
    return parser.parse_args()


def name_environment(home: Path) -> None:
    """Let PyTorch's image stand for this interpreter: environments are made once, and no part of a job."""
    home.mkdir(parents=True, mode=0o700)
    table = f'[[family]]\nname = "here"\nrepositories = ["pytorch-training"]\npython = "{sys.executable}"\n'
    (home / "images.toml").write_text(table)


def endpoint_rows(home: Home, given: argparse.Namespace) -> list[Row]:
    clients = HomeClients(home)
    made = export.installation(home.settings)
    endpoints = Endpoints(clients, made.service_role_arn)
    endpoints.model("bench", image=TGI, environment={"HF_MODEL_ID": MODEL})
    assert endpoints.deploy("bench")["EndpointStatus"] == "InService"
    place = EndpointPlace(
        model="bench",
        endpoint=home.settings.endpoint,
        credentials=Credentials(made.access_key_id, made.secret_access_key),
        tokenizer=Tokenizer.open(home.settings.home.parent / "model"),
        event=b'"index":',
        last=b'"generated_text":"',
    )
    turns: dict[str, list[Rate]] = {}
    firsts: dict[str, list[Rate]] = {}
    # A stream of TGI tells the log probability of each token, so the engine is asked for it too.
    sides: list[tuple[str, Place]] = [("engine", replace(home.engine, logprobs=0)), ("endpoint", place)]
    for turn in range(1 + given.turns):
        sides.reverse()
        for ask in range(FIRSTS):
            for name, side in sides:
                alone = streams(side, home.prompts(1, seed=10_000 * turn + 10 * ask + len(name)), FEW_TOKENS)
                if turn:
                    firsts.setdefault(name, []).append(alone)
        for name, side in sides:
            found = streams(side, home.prompts(STREAMS, seed=1000 * turn + len(name)), TOKENS)
            print(f"  {turn}/{given.turns} {name}: {found}", file=sys.stderr)
            if turn:
                turns.setdefault(name, []).append(found)
    ours, theirs = (best_rate(turns[name]) for name in ("endpoint", "engine"))
    added = 1000 * (first_s(firsts["endpoint"]) - first_s(firsts["engine"]))
    print(f"  first tokens of {len(firsts['engine'])} single streams", file=sys.stderr)
    return [
        higher_is_better(
            f"{STREAMS} streams of an endpoint; over the engine's own socket",
            ours=ours, peer=theirs, unit="tokens/s", goal=KEEPS,
        ),
        lower_is_better("added to the first token", ours=max(added, 0.01), peer=5.0, unit="ms, at most", goal=1),
    ]  # fmt: skip


def best_rate(turns: Sequence[Rate]) -> float:
    """The rate that a quarter of all turns reached, in tokens a second."""
    return statistics.quantiles(each.tokens_per_s for each in turns)[2]


def job_rows(home: Home, given: argparse.Namespace) -> list[Row]:
    """Rows of a training job beside its bare script, in turns."""
    made = export.installation(home.settings)
    jobs = TrainingJobs(HomeClients(home), made.service_role_arn)
    script = SCRIPT.format(rounds=rounds_for(SECONDS))
    quiet_s = run_bare(script)[0] + AROUND_S
    bare: list[float] = []
    within: list[float] = []
    whole: list[float] = []
    lasted: list[float] = []
    for number in range(given.jobs):
        if number % 2:  # whoever was first is last the next time: the machine wanders
            run_job(jobs, script, number, within, lasted, quiet_s=quiet_s)
        took, seconds = run_bare(script)
        bare.append(seconds)
        whole.append(took)
        if not number % 2:
            run_job(jobs, script, number, within, lasted, quiet_s=quiet_s)
        told = f"{within[-1]:.2f} s of {lasted[-1]:.2f}; bare {seconds:.2f} of {took:.2f}"
        print(f"  job {number}: {told}", file=sys.stderr)
    around = [job - work for job, work in zip(lasted, within, strict=True)]
    added = statistics.median(around) - statistics.median(all_ - work for all_, work in zip(whole, bare, strict=True))
    slower = statistics.quantiles(within)[0] / statistics.quantiles(bare)[0]
    return [
        lower_is_better(
            "a training job; beside its bare script", ours=max(added, 0.01), peer=JOB_S, unit="s, at most", goal=1
        ),
        lower_is_better(
            "its work; that of the bare script", ours=slower, peer=SLOWER, unit="times as long, at most", goal=1
        ),
    ]


def watching_row(home: Home) -> Row:
    """The row of the processor time that the worker takes while a script trains and prints."""
    made = export.installation(home.settings)
    jobs = TrainingJobs(HomeClients(home), made.service_role_arn)
    jobs.start("watched", WATCHED.format(seconds=WATCHED_S))
    while jobs.describe("watched")["SecondaryStatus"] != "Training":
        time.sleep(0.5)
    time.sleep(5)
    worker = json.loads((home.settings.home / PARTS_FILE).read_text())["parts"]["light-worker"]["pid"]
    before, began = processor_s(worker), time.perf_counter()
    time.sleep(WATCHED_S - 10)
    share = 100 * (processor_s(worker) - before) / (time.perf_counter() - began)
    jobs.ended("watched")
    return lower_is_better("watching a job; of one core", ours=max(share, 0.01), peer=WATCHING, unit="%", goal=1)


def processor_s(pid: int) -> float:
    """Processor time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run_job(
    jobs: TrainingJobs, script: str, number: int, within: list[float], lasted: list[float], *, quiet_s: float
) -> None:
    """Run the script as a job; the seconds of its work, and of the whole by the installation's clock, are appended."""
    metric = {"Name": "worked", "Regex": "worked=([0-9.]+);"}
    algorithm = {"TrainingImage": IMAGE, "TrainingInputMode": "File", "MetricDefinitions": [metric]}
    jobs.start(f"bench-{number}", script, AlgorithmSpecification=algorithm)
    # Whoever asks while the script works takes from its processors, which the bare one keeps.
    time.sleep(quiet_s)
    job = jobs.ended(f"bench-{number}")
    lasted.append((job["LastModifiedTime"] - job["CreationTime"]).total_seconds())
    assert job["TrainingJobStatus"] == "Completed", job
    within.append(job["FinalMetricDataList"][0]["Value"])


def rounds_for(seconds: float) -> int:
    """Rounds of the script that take about so long here."""
    took = run_bare(SCRIPT.format(rounds=200))[1]
    return max(200, round(200 * seconds / took))


def run_bare(script: str) -> tuple[float, float]:
    """Seconds of a whole process, and of the work in it."""
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return time.perf_counter() - began, float(done.stdout.partition("worked=")[2].partition(";")[0])


if __name__ == "__main__":
    main()
