"""`make bench-cluster`: a training that a Ray cluster runs, beside the same one of `outcrop up` alone.

Two installations on one machine, one of them with a cluster of two nodes that are raylets of this machine. Each trains
the starter's base on the same records, in turns: a job of a few steps shows what starting one costs, a longer one what
its steps cost. Of steps the best quarter counts, since what else a shared machine does only takes time away.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.measuring import Row, lower_is_better, report
from tests.support.homes import pairs
from tests.support.ray_nodes import ray_nodes
from tests.support.servers import Installed, installed

BASE = "outcrop.starter-v1"
BUCKET = "bench"
ADDED_S, SLOWER = 5.0, 1.01
"Goals: what the cluster adds to a job, and the time of its steps beside those of a local one."
GIB = 2**30
TAKEN_EVERY_S = 0.02


def main() -> None:
    given = arguments()
    with (
        tempfile.TemporaryDirectory() as place,
        ray_nodes() as nodes,
        installed(Path(place) / "local", OUTCROP_PRELOAD="engines") as local,
        installed(Path(place) / "cluster", OUTCROP_PRELOAD="engines", OUTCROP_CLUSTER=nodes.address) as cluster,
    ):
        for _ in range(2):
            nodes.add(num_cpus=1, memory_bytes=8 * GIB)
        sides = {"local": local, "cluster": cluster}
        for house in sides.values():
            prepare(house)
        short, steps = in_turns(sides, given)
    report("cluster", rows(short, steps))


def in_turns(
    sides: dict[str, Installed], given: argparse.Namespace
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Seconds of short jobs, and of the steps of longer ones, by side. The first turn warms, and does not count."""
    short: dict[str, list[float]] = {side: [] for side in sides}
    steps: dict[str, list[float]] = {side: [] for side in sides}
    for turn in range(given.turns + 1):
        for side, house in sides.items():
            took_s = train(house, f"short-{turn}", epochs=1)[0]
            taken = train(house, f"long-{turn}", epochs=given.epochs)[1]
            if turn:
                short[side].append(took_s)
                steps[side] += taken
            print(f"  {turn}/{given.turns} {side}: {took_s:.2f} s, steps of {statistics.median(taken) * 1000:.1f} ms")
    return short, steps


def rows(short: dict[str, list[float]], steps: dict[str, list[float]]) -> list[Row]:
    added_s = statistics.median(short["cluster"]) - statistics.median(short["local"])
    local, cluster = best_quarter(steps["local"]), best_quarter(steps["cluster"])
    return [
        lower_is_better(
            "added to a job by the cluster", ours=max(added_s, 0.001), peer=ADDED_S, unit="s, at most", goal=1
        ),
        lower_is_better(
            "its steps; those of a local job", ours=cluster / local, peer=SLOWER, unit="times as long, at most", goal=1
        ),
    ]


def best_quarter(seconds: list[float]) -> float:
    return statistics.mean(sorted(seconds)[: max(1, len(seconds) // 4)])


def prepare(house: Installed) -> None:
    s3 = house.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="train.jsonl", Body=pairs(64))


def train(house: Installed, name: str, *, epochs: int) -> tuple[float, list[float]]:
    """Seconds from the request to the end of a job, and those of each of its steps."""
    bedrock = house.client("bedrock")
    began = time.monotonic()
    job = bedrock.create_model_customization_job(
        jobName=name,
        customModelName=name,
        roleArn=house.role,
        baseModelIdentifier=BASE,
        trainingDataConfig={"s3Uri": f"s3://{BUCKET}/train.jsonl"},
        outputDataConfig={"s3Uri": f"s3://{BUCKET}/{name}"},
        hyperParameters={"epochCount": str(epochs), "batchSize": "16", "learningRate": "0.001"},
    )["jobArn"]
    while (told := bedrock.get_model_customization_job(jobIdentifier=job))["status"] == "InProgress":
        time.sleep(TAKEN_EVERY_S)
    took_s = time.monotonic() - began
    assert told["status"] == "Completed", told.get("failureMessage")
    return took_s, [event["seconds"] for event in events(house, name, job) if event["event"] == "step"]


def events(house: Installed, name: str, job: str) -> list[dict[str, Any]]:
    key = f"{name}/model-customization-job-{job.rsplit('/', 1)[-1]}/training_artifacts/events.jsonl"
    content = house.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
    return [json.loads(line) for line in content.splitlines()]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--turns", type=int, default=5, help="of each side, beside one that warms")
    parser.add_argument("--epochs", type=int, default=10, help="of the longer job, four steps each")
    return parser.parse_args()


if __name__ == "__main__":
    main()
