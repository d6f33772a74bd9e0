"""`make bench-door`: how fast the door is beside moto's server and beside a bare server that does nothing.

Small requests: GetModelCustomizationJob at 32 connections, signed, against the same at moto's server, and against a
bare granian + starlette that echoes a body of the same size. Objects: 1 GiB up and down and 1,000 small ones, through
boto3, against moto's server and against hashing and writing the same bytes. The server's memory is watched throughout.

Uploads are measured twice, alike for every server: with boto3 as it comes, which over HTTP takes a SHA-256 of each
part to sign it, and without that, as over HTTPS. How long the client takes by itself is shown by uploads to a server
that answers at once (`sink.py`).
"""

import argparse
import hashlib
import json
import os
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil

from bench.doors import Door, echo_server, moto_door, our_door, sink_door
from bench.load import Wire, requests_per_second, seconds_for_each, signed_for_s3, signed_get
from bench.measuring import Row, environment, higher_is_better, interleaved, lower_is_better, report, seconds

CONNECTIONS = 32
SMALL = 1000
PEERS = ("moto[server]==5.2.3", "granian", "starlette")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5, help="turns of each measurement; the median counts")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long a turn of small requests lasts")
    parser.add_argument("--mib", type=int, default=1024, help="size of the large object")
    parser.add_argument("--only", choices=("requests", "objects", "uploads"))
    given = parser.parse_args()
    python = environment("door", PEERS)
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ours = stack.enter_context(our_door(place / "home"))
        moto = stack.enter_context(moto_door(python))
        peak = stack.enter_context(watched(ours.process))
        rows: list[Row] = []
        if given.only in (None, "requests"):
            rows += request_rows(ours, moto, python, given)
        if given.only != "requests":
            file = large_file(place / "large.bin", given.mib)
            for door in (ours, moto):
                door.client("s3").create_bucket(Bucket="bench")
            sink = stack.enter_context(sink_door())
            rows += upload_rows({"ours": ours, "moto": moto, "sink": sink}, file, given)
        if given.only in (None, "objects"):
            rows += object_rows({"ours": ours, "moto": moto}, file, given)
        memory = peak()
        rows.append(lower_is_better("resident memory of the server, peak", ours=memory, peer=250, unit="MB", goal=1))
    report("door", rows, ["The peer of the last row is the limit it must stay under."])


def request_rows(ours: Door, moto: Door, python: Path, given: argparse.Namespace) -> list[Row]:
    our_job, moto_job = job_of(ours), job_of(moto)
    size = len(json.dumps(our_job, default=str))
    with echo_server(python, size) as echo:
        wires = {
            "ours": signed_get(ours.endpoint, path_of(our_job), ours.key_id, ours.secret),
            "moto": signed_get(moto.endpoint, path_of(moto_job), moto.key_id, moto.secret),
            "echo": signed_get(echo, "/echo", ours.key_id, ours.secret),
        }

        def run(name: str) -> Callable[[], float]:
            return lambda: requests_per_second(wires[name], connections=CONNECTIONS, lasting_s=given.seconds)

        rates = interleaved({name: run(name) for name in wires}, times=given.times)
    name = f"GetModelCustomizationJob, {CONNECTIONS} connections"
    unit = "requests/s"
    return [
        higher_is_better(f"{name}, moto's server", ours=rates["ours"], peer=rates["moto"], unit=unit, goal=5),
        higher_is_better(f"{name}, bare echo", ours=rates["ours"], peer=rates["echo"], unit=unit, goal=0.2),
    ]


def path_of(job: dict[str, Any]) -> str:
    """The path of GetModelCustomizationJob for a job, as botocore sends it: the ARN's own slash is no separator."""
    return f"/model-customization-jobs/{quote(job['jobArn'], safe='')}"


def large_file(path: Path, mib: int) -> Path:
    with path.open("wb") as out:
        for _ in range(mib):
            out.write(os.urandom(1 << 20))
    return path


def upload_rows(doors: dict[str, Door], file: Path, given: argparse.Namespace) -> list[Row]:
    def up(door: Door, **s3: Any) -> Callable[[], float]:
        return lambda: seconds(lambda: door.client("s3", **s3).upload_file(str(file), "bench", "large"))

    taken = interleaved(
        {
            **{f"signed {name}": up(door) for name, door in doors.items()},
            **{f"unsigned {name}": up(door, payload_signing_enabled=False) for name, door in doors.items()},
            "hash and write": lambda: seconds(lambda: hash_and_write(file, file.with_name("written.bin"))),
        },
        times=turns_of_objects(given),
    )
    size, ours = f"{given.mib} MiB", taken["signed ours"]
    return [
        faster(f"upload of {size}, moto's server", ours, taken["signed moto"], 1),
        faster(f"upload of {size}, the client alone", ours, taken["signed sink"], 0.2),
        faster(f"unsigned upload of {size}, moto's server", taken["unsigned ours"], taken["unsigned moto"], 1),
        faster(f"unsigned upload of {size}, the client alone", taken["unsigned ours"], taken["unsigned sink"], 0.2),
        faster(f"upload of {size}, hashed on each side and written", ours, taken["hash and write"], 0.4),
    ]


def object_rows(doors: dict[str, Door], file: Path, given: argparse.Namespace) -> list[Row]:
    """Downloads of what `upload_rows` brought, and small objects."""
    down_to, times = file.with_name("down.bin"), turns_of_objects(given)

    def down(door: Door) -> Callable[[], float]:
        return lambda: seconds(lambda: door.client("s3").download_file("bench", "large", str(down_to)))

    def small(door: Door) -> Callable[[], float]:
        return lambda: put_and_get(door)

    taken = interleaved(
        {
            **{f"down {name}": down(door) for name, door in doors.items()},
            "hash and write": lambda: seconds(lambda: hash_and_write(file, file.with_name("written.bin"))),
        },
        times=times,
    )
    assert down_to.read_bytes() == file.read_bytes(), "what came down is not what went up"
    few = interleaved({name: small(door) for name, door in doors.items()}, times=times)
    size, ours = f"{given.mib} MiB", taken["down ours"]
    return [
        faster(f"download of {size}, moto's server", ours, taken["down moto"], 3),
        faster(f"download of {size}, hashed on each side and written", ours, taken["hash and write"], 0.4),
        faster(f"{SMALL} small objects put and got, moto's server", few["ours"], few["moto"], 3),
    ]


def turns_of_objects(given: argparse.Namespace) -> int:
    return max(1, int(given.times) // 2 + 1)


def faster(name: str, ours: float, peer: float, goal: float) -> Row:
    return lower_is_better(name, ours=ours, peer=peer, unit="s", goal=goal)


def put_and_get(door: Door) -> float:
    """Signed requests made beforehand, since boto3 takes longer to make one than a server to answer it."""

    def wires(method: str) -> list[Wire]:
        bodies = [b"%d" % number * 100 if method == "PUT" else b"" for number in range(SMALL)]
        return [
            signed_for_s3(door.endpoint, method, f"/bench/small/{number}", body, door.key_id, door.secret)
            for number, body in enumerate(bodies)
        ]

    return sum(seconds_for_each(wires(method), connections=8) for method in ("PUT", "GET"))


def hash_and_write(source: Path, target: Path) -> None:
    """The floor: what either side cannot help doing with the bytes."""
    with source.open("rb") as file, target.open("wb") as out:
        sums = [(hashlib.sha256(), hashlib.md5(usedforsecurity=False)) for _ in range(2)]
        crc = 0
        while piece := file.read(1 << 20):
            for sha, md5 in sums:
                sha.update(piece)
                md5.update(piece)
                crc = zlib.crc32(piece, crc)
            out.write(piece)
        out.flush()
        os.fsync(out.fileno())


def job_of(door: Door) -> dict[str, Any]:
    """A customization job to ask for; nobody runs it."""
    s3, bedrock, iam = door.client("s3"), door.client("bedrock"), door.client("iam")
    s3.create_bucket(Bucket="data")
    lines = "".join(json.dumps({"prompt": f"Question {n}?", "completion": f"Answer {n}."}) + "\n" for n in range(64))
    s3.put_object(Bucket="data", Key="train.jsonl", Body=lines.encode())
    principal = {"Effect": "Allow", "Principal": {"Service": "bedrock.amazonaws.com"}, "Action": "sts:AssumeRole"}
    trust = {"Version": "2012-10-17", "Statement": [principal]}
    role = iam.create_role(RoleName="bench", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    allowed = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    iam.put_role_policy(RoleName="bench", PolicyName="data", PolicyDocument=json.dumps(allowed))
    bedrock.create_model_customization_job(
        jobName="bench",
        customModelName="bench",
        roleArn=role,
        baseModelIdentifier="outcrop.starter-v1",
        customizationType="FINE_TUNING",
        trainingDataConfig={"s3Uri": "s3://data/train.jsonl"},
        outputDataConfig={"s3Uri": "s3://data/out/"},
        hyperParameters={"epochCount": "1", "batchSize": "8", "learningRate": "0.001"},
    )
    found: dict[str, Any] = bedrock.get_model_customization_job(jobIdentifier="bench")
    return found


@contextmanager
def watched(process: psutil.Process) -> Iterator[Callable[[], float]]:
    """The highest resident memory so far, in MB, read ten times a second."""
    highest, stop = [0.0], threading.Event()

    def watch() -> None:
        while not stop.wait(0.1):
            highest[0] = max(highest[0], process.memory_info().rss / 1e6)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield lambda: highest[0]
    finally:
        stop.set()
        thread.join()


if __name__ == "__main__":
    started = time.monotonic()
    main()
    print(f"\n{time.monotonic() - started:.0f} s", file=sys.stderr)
