"""`make bench-sealing`: what sealing costs objects that go up and down and an engine, beside the plain way.

One server, one client, boto3 with multipart as it comes but without a SHA-256 of each part, as over HTTPS: what the
client does is then smallest, and the server's share largest. Turns are interleaved; the median counts. The goal is a
ratio of 1/1.15: at most 15 % more time. The server's own processor time is told beside it, since a machine that is
busy with other work moves it least.

The engine is a process of its own, from its start to the moment at which it answers, with libraries and weights in the
system's cache. Its whole network is sealed; an adapter is small beside it. The goal is 5 % more.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.doors import Door, our_door
from bench.measuring import Row, interleaved, lower_is_better, report, seconds
from outcrop import catalog, private
from outcrop.engines.launchers import is_ready
from outcrop.keys.envelopes import DataKey, WrappedKey
from outcrop.keys.sealed_folder import OpenedKeys, seal_folder
from outcrop.machine import openmp
from outcrop.machine.environment import inherited
from outcrop.network import random_weights

GOAL, START_GOAL = 1 / 1.15, 1 / 1.05
BUNDLED = Path(catalog.__file__).parent / "bundled" / "starter-v1"
BUCKET = "bench"
WAYS = {"plain": {}, "SSE-S3": {"ServerSideEncryption": "AES256"}, "SSE-KMS": {"ServerSideEncryption": "aws:kms"}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=3, help="turns of each measurement; the median counts")
    parser.add_argument("--mib", type=int, default=1024, help="size of the object")
    parser.add_argument("--only", choices=("objects", "engines"), help="measure these alone")
    given = parser.parse_args()
    rows = [] if given.only == "engines" else objects(given.times, given.mib)
    rows += [] if given.only == "objects" else engines(max(5, given.times))
    notes = ["The peer of each row is the same in clear. Goals: at most 15 % more time, of an engine's start 5 %."]
    report("sealing", rows, notes)


def objects(times: int, mib: int) -> list[Row]:
    """Rows of an object that goes up and down."""
    with tempfile.TemporaryDirectory() as folder, our_door(Path(folder) / "home") as door:
        file = Path(folder) / "file.bin"
        with file.open("wb") as out:
            for _ in range(mib):
                out.write(os.urandom(1 << 20))
        door.client("s3").create_bucket(Bucket=BUCKET)
        return measured(door, file, times, f"{mib} MiB")


def engines(times: int) -> list[Row]:
    """Rows of an engine's start with a sealed network."""
    with tempfile.TemporaryDirectory() as folder:
        plain, sealed = Path(folder) / "plain", Path(folder) / "sealed"
        plain.mkdir()
        for path in BUNDLED.glob("*.json"):
            shutil.copyfile(path, plain / path.name)
        config = json.loads((plain / "config.json").read_text()) | {
            "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
            "num_key_value_heads": 12, "head_dim": 64,
        }  # fmt: skip
        (plain / "config.json").write_text(json.dumps(config))
        numbers = random_weights.write(plain, seed=1)
        data_key = DataKey(plaintext=os.urandom(32), wrapped=WrappedKey(blob=b"bench"))
        seal_folder(plain, sealed, data_key)
        keys = OpenedKeys({b"bench": data_key.plaintext}).to_text()
        found = interleaved(
            {"plain": lambda: started(plain, {}), "sealed": lambda: started(sealed, {private.MODEL_KEYS: keys})},
            times=times,
        )
    name = f"start of an engine, sealed network of {4 * numbers / 1e6:.0f} MB"
    return [lower_is_better(name, ours=found["sealed"], peer=found["plain"], unit="s", goal=START_GOAL)]


def started(folder: Path, keys: dict[str, str]) -> float:
    """Seconds until an engine of this network answers."""
    with tempfile.TemporaryDirectory() as place:
        socket = Path(place) / "engine.sock"
        command = [sys.executable, "-m", "outcrop.inference.serve", "--model", str(folder), "--name", "bench"]
        began = time.perf_counter()
        environment = inherited(**keys, **openmp.for_serving())
        process = subprocess.Popen([*command, "--socket", str(socket)], env=environment, stderr=subprocess.DEVNULL)
        try:
            while not is_ready(socket, 0.0):
                if process.poll() is not None:
                    raise SystemExit(f"{folder}: the engine ended with {process.returncode} before it answered")
                time.sleep(0.01)
            return time.perf_counter() - began
        finally:
            process.terminate()
            process.wait()


def measured(door: Door, file: Path, times: int, size: str) -> list[Row]:
    """Rows of uploads and downloads, by the wall and by the server's processor time."""
    taken: dict[tuple[str, str], list[tuple[float, float]]] = {}
    down_to = file.with_name("down.bin")
    for turn in range(times):
        for way, asked in WAYS.items():
            client = door.client("s3", payload_signing_enabled=False)
            for what, action in (
                ("upload", lambda: client.upload_file(str(file), BUCKET, way, ExtraArgs=asked)),  # noqa: B023
                ("download", lambda: client.download_file(BUCKET, way, str(down_to))),  # noqa: B023
            ):
                found = timed(door, action)
                taken.setdefault((what, way), []).append(found)
                print(
                    f"  {turn + 1}/{times} {what} {way}: {found[0]:.2f} s, {found[1]:.2f} s of processor",
                    file=sys.stderr,
                )
            assert down_to.read_bytes() == file.read_bytes(), "what came down is not what went up"
    rows = []
    for what in ("upload", "download"):
        for way in ("SSE-S3", "SSE-KMS"):
            for index, unit in ((0, "s"), (1, "s of the server's processor")):
                ours, peer = (median(taken[what, each], index) for each in (way, "plain"))
                rows.append(lower_is_better(f"{what} of {size}, {way}", ours=ours, peer=peer, unit=unit, goal=GOAL))
    return rows


def timed(door: Door, action: Callable[[], Any]) -> tuple[float, float]:
    """Seconds by the wall and of the server's processor time."""
    before = sum(door.process.cpu_times()[:2])
    wall = seconds(action)
    return wall, sum(door.process.cpu_times()[:2]) - before


def median(found: list[tuple[float, float]], index: int) -> float:
    return sorted(each[index] for each in found)[len(found) // 2]


if __name__ == "__main__":
    begun = time.monotonic()
    main()
    print(f"\n{time.monotonic() - begun:.0f} s", file=sys.stderr)
