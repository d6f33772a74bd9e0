"""`make bench-sealing`: what sealing costs an upload and a download of 1 GiB, beside the same in clear.

One server, one client, boto3 with multipart as it comes but without a SHA-256 of each part, as over HTTPS: what the
client does is then smallest, and the server's share largest. Turns are interleaved; the median counts. The goal is a
ratio of 1/1.15: at most 15 % more time. The server's own processor time is told beside it, since a machine that is
busy with other work moves it least.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.doors import Door, our_door
from bench.measuring import Row, lower_is_better, report, seconds

GOAL = 1 / 1.15
BUCKET = "bench"
WAYS = {"plain": {}, "SSE-S3": {"ServerSideEncryption": "AES256"}, "SSE-KMS": {"ServerSideEncryption": "aws:kms"}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=3, help="turns of each measurement; the median counts")
    parser.add_argument("--mib", type=int, default=1024, help="size of the object")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, our_door(Path(folder) / "home") as door:
        file = Path(folder) / "file.bin"
        with file.open("wb") as out:
            for _ in range(given.mib):
                out.write(os.urandom(1 << 20))
        door.client("s3").create_bucket(Bucket=BUCKET)
        rows = measured(door, file, given.times, f"{given.mib} MiB")
    report("sealing", rows, ["The peer of each row is the same in clear. Goal: at most 15 % more time."])


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
    started = time.monotonic()
    main()
    print(f"\n{time.monotonic() - started:.0f} s", file=sys.stderr)
