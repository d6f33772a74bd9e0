"""A storm of writes on a server that is killed in the middle of it, and the question what is left of them.

Every worker writes to names of its own and notes what it began and what was acknowledged. After a kill each name must
hold what was acknowledged last, or what was under way at that moment; whole, either way.
"""

import hashlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tests.support.patience import PATIENCE_S
from tests.support.servers import ServerProcess, server_process

BUCKET, KEPT = "books", "kept-books"
WORKERS = 4
_PART = 5 << 20
_SIZES = (0, 900, 40_000, 300_000, 1_500_000)


@dataclass
class Storm:
    """The states written so far, by name: `s3/key` or `iam/user`. A state is a seed of the content; None is nothing."""

    server: ServerProcess
    acknowledged: dict[str, str | None] = field(default_factory=dict)
    under_way: dict[str, str | None] = field(default_factory=dict)
    writes: int = 0
    refusals: list[ClientError] = field(default_factory=list)
    "What the server refused: nothing of a storm should be."
    versions: dict[tuple[str, str], str | None] = field(default_factory=dict)
    "Acknowledged versions by key and id, in a bucket that keeps them; None is a delete marker."
    sent: set[tuple[str, str]] = field(default_factory=set)
    "Key and seed of every version that was sent there, acknowledged or not."
    removed: set[tuple[str, str]] = field(default_factory=set)
    "Versions whose removal was acknowledged."
    going: set[tuple[str, str]] = field(default_factory=set)
    "Versions whose removal is under way."

    def blow(self, round_number: int, *, writes: int, then_s: float) -> None:
        """Write with all workers until so many were acknowledged, and a little longer; then kill the server."""
        workers = [
            threading.Thread(target=self._write_until_cut, args=(f"{round_number}/{worker}",))
            for worker in range(WORKERS)
        ]
        for worker in workers:
            worker.start()
        enough, deadline = self.writes + writes, time.monotonic() + PATIENCE_S
        while self.writes < enough and not self.refusals:
            assert time.monotonic() < deadline, f"{enough - self.writes} writes are still not acknowledged"
            time.sleep(0.005)
        time.sleep(then_s)
        self.server.kill()
        for worker in workers:
            worker.join()
        assert not self.refusals, f"{self.refusals[0]}; {self.server.log}"

    def check(self) -> int:
        """Everything listed is whole, and is what its name may hold. The number of objects there are."""
        s3, iam = self.server.client("s3"), self.server.client("iam")
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        listed = {f"s3/{entry['Key']}": entry for page in pages for entry in page.get("Contents", [])}
        for name, entry in listed.items():
            body = s3.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read()
            assert len(body) == entry["Size"], name
            whole = [seed for seed in self._may_hold(name) if seed is not None and content(seed) == body]
            assert whole, f"{name} holds neither what was acknowledged nor what was under way"
        users = {
            f"iam/{user['UserName']}": user
            for page in iam.get_paginator("list_users").paginate(PathPrefix="/storm/")
            for user in page["Users"]
        }
        for name in {*self.acknowledged, *self.under_way} - listed.keys() - users.keys():
            assert None in self._may_hold(name), f"{name} was acknowledged and is gone"
        for name, user in users.items():
            tags = {tag["Key"]: tag["Value"] for tag in iam.list_user_tags(UserName=user["UserName"])["Tags"]}
            assert tags.get("seed") in self._may_hold(name), name
        self._check_versions(s3)
        s3.close()
        iam.close()
        return len(listed)

    def _check_versions(self, s3: Any) -> None:
        """Every acknowledged version is there and whole, none that was removed, and one of each key is the latest."""
        pages = list(s3.get_paginator("list_object_versions").paginate(Bucket=KEPT))
        rows = [each for page in pages for each in page.get("Versions", [])]
        markers = [each for page in pages for each in page.get("DeleteMarkers", [])]
        found = {(each["Key"], each["VersionId"]) for each in rows}
        for each in rows:
            key, version = each["Key"], each["VersionId"]
            body = s3.get_object(Bucket=KEPT, Key=key, VersionId=version)["Body"].read()
            seeds = [seed for of, seed in self.sent if of == key and content(seed) == body]
            assert seeds, f"{key}?{version} is nothing that was sent"
            assert self.versions.get((key, version), seeds[0]) in seeds, f"{key}?{version} is another version"
        marked = {(each["Key"], each["VersionId"]) for each in markers}
        for place, seed in self.versions.items():
            there = place in (marked if seed is None else found)
            assert there or place in self.going, f"{place} was acknowledged and is gone"
        assert not self.removed & (found | marked)
        latest = [each["Key"] for each in [*rows, *markers] if each["IsLatest"]]
        assert sorted(latest) == sorted({key for key, _ in found | marked})

    def _may_hold(self, name: str) -> set[str | None]:
        return {self.acknowledged.get(name), *([self.under_way[name]] if name in self.under_way else [])}

    def _write_until_cut(self, prefix: str) -> None:
        s3, iam, dice = self.server.client("s3"), self.server.client("iam"), random.Random(prefix)
        steps: list[Callable[[], None]] = [
            lambda: self._put(s3, f"{prefix}/put-{dice.randrange(6)}", dice),
            lambda: self._put(s3, f"{prefix}/put-{dice.randrange(6)}", dice),
            lambda: self._upload_in_parts(s3, f"{prefix}/parts-{dice.randrange(3)}", dice),
            lambda: self._delete(s3, f"{prefix}/put-{dice.randrange(6)}"),
            lambda: self._write_record(iam, f"{prefix}-{dice.randrange(3)}".replace("/", "-"), dice),
            lambda: self._put_version(s3, f"{prefix}/kept-{dice.randrange(2)}", dice),
            lambda: self._mark_deleted(s3, f"{prefix}/kept-{dice.randrange(2)}"),
            lambda: self._remove_version(s3, f"{prefix}/kept-", dice),
        ]
        try:
            while True:
                dice.choice(steps)()
        except BotoCoreError:
            return  # cut off by the kill
        except ClientError as error:
            self.refusals.append(error)
        finally:
            s3.close()
            iam.close()

    @contextmanager
    def _writing(self, name: str, seed: str | None) -> Iterator[None]:
        self.under_way[name] = seed
        yield
        self.acknowledged[name] = seed
        del self.under_way[name]
        self.writes += 1

    def _put(self, s3: Any, key: str, dice: random.Random) -> None:
        seed = f"{dice.choice(_SIZES)}:{dice.random()}"
        with self._writing(f"s3/{key}", seed):
            s3.put_object(Bucket=BUCKET, Key=key, Body=content(seed))

    def _upload_in_parts(self, s3: Any, key: str, dice: random.Random) -> None:
        seed = f"{_PART + dice.choice(_SIZES[1:])}:{dice.random()}"
        body = content(seed)
        upload = {"Bucket": BUCKET, "Key": key}
        upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
        parts = [
            {"PartNumber": number, "ETag": s3.upload_part(**upload, PartNumber=number, Body=piece)["ETag"]}
            for number, piece in ((1, body[:_PART]), (2, body[_PART:]))
        ]
        with self._writing(f"s3/{key}", seed):
            s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})

    def _delete(self, s3: Any, key: str) -> None:
        with self._writing(f"s3/{key}", None):
            s3.delete_object(Bucket=BUCKET, Key=key)

    def _put_version(self, s3: Any, key: str, dice: random.Random) -> None:
        seed = f"{dice.choice(_SIZES)}:{dice.random()}"
        self.sent.add((key, seed))
        made = s3.put_object(Bucket=KEPT, Key=key, Body=content(seed))
        self.versions[key, made["VersionId"]] = seed
        self.writes += 1

    def _mark_deleted(self, s3: Any, key: str) -> None:
        self.versions[key, s3.delete_object(Bucket=KEPT, Key=key)["VersionId"]] = None
        self.writes += 1

    def _remove_version(self, s3: Any, prefix: str, dice: random.Random) -> None:
        own = sorted(place for place in list(self.versions) if place[0].startswith(prefix) and place not in self.going)
        if not own:
            return
        place = dice.choice(own)
        self.going.add(place)
        s3.delete_object(Bucket=KEPT, Key=place[0], VersionId=place[1])
        self.removed.add(place)
        del self.versions[place]
        self.going.discard(place)
        self.writes += 1

    def _write_record(self, iam: Any, user: str, dice: random.Random) -> None:
        name, seed = f"iam/{user}", f"{dice.random()}"
        if self.acknowledged.get(name) is None:
            with self._writing(name, seed):
                iam.create_user(UserName=user, Path="/storm/", Tags=[{"Key": "seed", "Value": seed}])
        else:
            with self._writing(name, seed):
                iam.tag_user(UserName=user, Tags=[{"Key": "seed", "Value": seed}])


def content(seed: str) -> bytes:
    """As many bytes as the seed begins with, and no two seeds alike."""
    return hashlib.shake_128(seed.encode()).digest(int(seed.partition(":")[0]))


@contextmanager
def storm(folder: Path) -> Iterator[Storm]:
    """A storm over a new installation, whose server runs and whose bucket is there."""
    with server_process(folder / "home") as server:
        s3 = server.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.create_bucket(Bucket=KEPT)
        s3.put_bucket_versioning(Bucket=KEPT, VersioningConfiguration={"Status": "Enabled"})
        yield Storm(server)
