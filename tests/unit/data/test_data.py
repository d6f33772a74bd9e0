"""Objects under a role: what it may read and write, and what stays on the disk when a copy fails."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from outcrop.access.names import Kind
from outcrop.access.policies.key_policy import default_key_policy
from outcrop.buckets.encryption import EncryptionMethod, ObjectEncryption
from outcrop.buckets.names import Place
from outcrop.buckets.receiving import NOTHING_PROMISED
from outcrop.buckets.records import Details
from outcrop.buckets.uploads import ChosenPart
from outcrop.data.data import Data, RoleData
from outcrop.errors import Invalid, MachineTrouble, Refusal
from outcrop.house import House
from outcrop.keys.specs import SPECS, KeyUsage
from tests.support.policies import policy
from tests.unit.data.conftest import BUCKET, ROLE

LONG = bytes(range(256)) * 25_000


def under(data: Data, *actions: str, resource: str = "*", **condition: object) -> RoleData:
    """The bucket's objects under a role that may do these actions."""
    if actions:
        data.access.attachments.put_inline(
            Kind.ROLE, ROLE, "only", policy("Allow", list(actions), resource, **condition)
        )
    arn = f"arn:aws:iam::{data.access.account}:role/{ROLE}"
    job = f"arn:aws:bedrock:us-east-1:{data.access.account}:model-customization-job/titan/abc"
    return data.under(arn, source_arn=job)


def refusal(ask: Callable[[], object]) -> str:
    with pytest.raises(Invalid) as refused:
        ask()
    return refused.value.message


def test_an_object_is_put_found_fetched_and_removed(data: Data, tmp_path: Path) -> None:
    own = under(data, "s3:*")
    own.put("s3://books/a/train.jsonl", b"{}\n", content_type="application/jsonl")
    assert own.find("s3://books/a/train.jsonl").details.content_type == "application/jsonl"
    own.fetch("s3://books/a/train.jsonl", tmp_path / "deep" / "train.jsonl")
    own.put_file("s3://books/copy", tmp_path / "deep" / "train.jsonl", content_type="text/plain")
    assert own.read("s3://books/copy") == b"{}\n"
    own.remove("s3://books/copy")
    own.remove("s3://books/copy")
    assert [record.key for record in own.list_objects("s3://books/")] == ["a/train.jsonl"]


def test_what_a_role_may_not_is_refused_in_bedrocks_words(data: Data, tmp_path: Path) -> None:
    data.buckets.put_bytes(BUCKET, "k", b"")
    own = under(data)
    why = f"(the role {own.role_arn} does not allow {{}} on arn:aws:s3:::books{{}})"
    read = f"Could not validate GetObject permissions to access Amazon S3 bucket: books at key k {why}"
    write = f"Could not validate {{}} permissions to access S3 bucket: books at key {{}} {why}"
    assert refusal(lambda: own.find("s3://books/k")) == read.format("s3:GetObject", "/k")
    assert refusal(lambda: own.open("s3://books/k")) == read.format("s3:GetObject", "/k")
    assert refusal(lambda: own.fetch("s3://books/k", tmp_path / "k")) == read.format("s3:GetObject", "/k")
    assert refusal(lambda: own.put("s3://books/k", b"", content_type="text/plain")) == write.format(
        "PutObject", "k", "s3:PutObject", "/k"
    )
    assert refusal(lambda: own.remove("s3://books/k")) == write.format("DeleteObject", "k", "s3:DeleteObject", "/k")
    probe = "out/.write_access_check_file.tmp"
    assert refusal(lambda: own.check_output("s3://books/out/")) == write.format(
        "PutObject", probe, "s3:PutObject", f"/{probe}"
    )
    assert refusal(lambda: own.list_objects("s3://books/a/")) == (
        "Could not validate ListBucket permissions to access Amazon S3 bucket: books at prefix a/ "
        + why.format("s3:ListBucket", "")
    )


def test_what_is_not_there_is_told_where_it_was_looked_for(data: Data) -> None:
    own = under(data, "s3:*")
    assert refusal(lambda: own.find("s3://books/none")).startswith(
        "Could not validate GetObject permissions to access Amazon S3 bucket: books at key none (The specified key"
    )
    assert refusal(lambda: own.list_objects("s3://nowhere/a")).startswith(
        "Could not validate ListBucket permissions to access Amazon S3 bucket: nowhere at prefix a (The specified buck"
    )


def test_results_can_be_written_by_a_role_that_may_not_delete(data: Data) -> None:
    under(data, "s3:PutObject").check_output("s3://books/out/")
    assert list(data.buckets.under(BUCKET, "")) == []


def test_a_role_may_list_one_prefix_and_no_other(data: Data) -> None:
    data.buckets.put_bytes(BUCKET, "team/a", b"")
    data.buckets.put_bytes(BUCKET, "secret/b", b"")
    own = under(data, "s3:ListBucket", StringLike={"s3:prefix": ["team/*"]})
    assert [record.key for record in own.list_objects("s3://books/team/")] == ["team/a"]
    for other in ("s3://books/secret/", "s3://books/team", "s3://books"):
        assert "does not allow s3:ListBucket" in refusal(partial(own.list_objects, other))


def test_a_prefix_is_fetched_whole(data: Data, tmp_path: Path) -> None:
    for key in ("set/", "set/a.jsonl", "set/more/b.jsonl", "set/more/", "settings"):
        data.buckets.put_bytes(BUCKET, key, key.encode() if key[-1] != "/" else b"")
    own, folder = under(data, "s3:GetObject", "s3:ListBucket"), tmp_path / "set"
    fetched = own.fetch_all("s3://books/set/", folder)
    assert fetched == [folder / "a.jsonl", folder / "more/b.jsonl"]
    assert [file.read_bytes() for file in fetched] == [b"set/a.jsonl", b"set/more/b.jsonl"]
    assert "no object begins with this" in refusal(lambda: own.fetch_all("s3://books/none/", tmp_path / "none"))


@pytest.mark.parametrize(
    "keys", [["set/../../evil"], ["set//evil"], ["set/./evil"], ["set/a", "set/a/b"], [f"set/{'x' * 256}"]]
)
def test_a_key_that_no_folder_can_hold_is_refused_and_nothing_is_left(
    data: Data, tmp_path: Path, keys: list[str]
) -> None:
    for key in ["set/good", *keys]:
        data.buckets.put_bytes(BUCKET, key, b"")
    own = under(data, "s3:GetObject", "s3:ListBucket")
    assert "a key that no folder can hold" in refusal(lambda: own.fetch_all("s3://books/set/", tmp_path / "in" / "set"))
    assert not (tmp_path / "in").exists()


def test_a_prefix_of_which_one_object_may_not_be_read_leaves_nothing(data: Data, tmp_path: Path) -> None:
    for key in ("set/a", "set/b"):
        data.buckets.put_bytes(BUCKET, key, b"x")
    data.access.attachments.put_inline(Kind.ROLE, ROLE, "not", policy("Deny", "s3:GetObject", "arn:aws:s3:::*/set/b"))
    own = under(data, "s3:*")
    assert "at key set/b" in refusal(lambda: own.fetch_all("s3://books/set/", tmp_path / "in" / "set"))
    assert list((tmp_path / "in").iterdir()) == []


def damage(data: Data, key: str) -> None:
    """Change one byte of what lies on the disk, and not its length."""
    path = data.buckets.path_of(BUCKET, key)
    path.chmod(0o600)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def put_in_parts(data: Data, key: str, *parts: bytes) -> None:
    async def chunks(part: bytes) -> AsyncIterator[bytes]:
        yield part

    place = Place(BUCKET, key)
    upload = data.buckets.uploads.begin(place, details=Details())
    chosen = [
        ChosenPart(
            number=number,
            etag=asyncio.run(
                data.buckets.uploads.put_part(place, upload.id, number, chunks(part), NOTHING_PROMISED)
            ).etag,
        )
        for number, part in enumerate(parts, start=1)
    ]
    data.buckets.uploads.complete(place, upload.id, chosen)


@pytest.mark.parametrize("parts", [(LONG,), (LONG, LONG[1:], b"the end"), (LONG, LONG)])
def test_an_object_put_in_parts_is_verified_part_by_part(data: Data, tmp_path: Path, parts: tuple[bytes, ...]) -> None:
    put_in_parts(data, "long", *parts)
    own = under(data, "s3:GetObject")
    own.fetch("s3://books/long", tmp_path / "long")
    assert (tmp_path / "long").read_bytes() == b"".join(parts)


@pytest.mark.parametrize("in_parts", [False, True])
def test_bytes_that_changed_on_the_disk_are_not_taken(data: Data, tmp_path: Path, in_parts: bool) -> None:
    if in_parts:
        put_in_parts(data, "long", LONG, b"the end")
    else:
        data.buckets.put_bytes(BUCKET, "long", LONG)
    damage(data, "long")
    own = under(data, "s3:GetObject")
    with pytest.raises(
        MachineTrouble, match=r"s3://books/long: its bytes are not those that were put there: their ETa"
    ):
        own.fetch("s3://books/long", tmp_path / "in" / "long")
    assert list((tmp_path / "in").iterdir()) == []


def test_a_mounted_object_is_fetched_as_it_lies_there(data: Data, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "a").write_bytes(LONG)
    data.buckets.mount("mounted", f"file://{tmp_path}/there")
    own = under(data, "s3:GetObject", "s3:ListBucket")
    (fetched,) = own.fetch_all("s3://mounted/", tmp_path / "here")
    assert fetched.read_bytes() == LONG


def test_what_a_killed_copy_left_is_no_hindrance(data: Data, tmp_path: Path) -> None:
    data.buckets.put_bytes(BUCKET, "set/a", b"whole")
    own = under(data, "s3:*")
    (tmp_path / ".set.part").mkdir()
    (tmp_path / ".set.part" / "old").write_bytes(b"half")
    (fetched,) = own.fetch_all("s3://books/set/", tmp_path / "set")
    assert [file.name for file in (tmp_path / "set").iterdir()] == [fetched.name]


def test_a_role_needs_the_key_of_what_it_reads_and_writes(house_data: tuple[House, Data], tmp_path: Path) -> None:
    house, data = house_data
    key = house.keys.create(
        region="us-east-1", spec=SPECS["SYMMETRIC_DEFAULT"], usage=KeyUsage.ENCRYPT_DECRYPT, description="",
        policy=default_key_policy(house.account), tags={},
    )  # fmt: skip
    asked = ObjectEncryption(method=EncryptionMethod.KMS, key_arn=key.arn)
    data.buckets.put_bytes(BUCKET, "k", LONG, encryption=asked)
    own = under(data, "s3:*")
    sealing = replace(own, kms_key_id=key.id)
    assert "does not allow kms:Decrypt on" in refusal(lambda: own.find("s3://books/k"))
    assert "does not allow kms:GenerateDataKey on" in refusal(lambda: sealing.check_output("s3://books/out/"))
    own = under(data, "s3:*", "kms:*", StringEquals={"kms:ViaService": "s3.us-east-1.amazonaws.com"})
    assert "s3:PutObject" in refusal(lambda: own.put("s3://books/x", b"", content_type="text/plain"))
    own = under(data, "s3:*", "kms:Decrypt", "kms:GenerateDataKey")
    sealing = replace(own, kms_key_id=key.id)
    own.fetch("s3://books/k", tmp_path / "k")
    assert (tmp_path / "k").read_bytes() == own.read("s3://books/k") == LONG
    with own.open("s3://books/k") as file:
        assert (file.seek(70_000), file.read(10), file.seek(-5, 2), file.read()) == (
            70_000, LONG[70_000:70_010], len(LONG) - 5, LONG[-5:],
        )  # fmt: skip
    sealing.put("s3://books/x", b"made", content_type="text/plain")
    found = own.find("s3://books/x").details.encryption
    assert found is not None
    assert found.key_arn == key.arn
    house.keys.set_enabled(key.arn, enabled=False)
    assert "is disabled" in refusal(lambda: own.fetch("s3://books/k", tmp_path / "again"))
    with pytest.raises(Refusal, match="is disabled"):
        sealing.put("s3://books/y", b"", content_type="text/plain")
    assert not (tmp_path / "again").exists()
    house.keys.set_enabled(key.arn, enabled=True)
    own.fetch("s3://books/k", tmp_path / "again")
    mine = ObjectEncryption(method=EncryptionMethod.CUSTOMER, customer_md5="a", customer_key=bytes(32))
    data.buckets.put_bytes(BUCKET, "c", b"", encryption=mine)
    assert "a key of the caller" in refusal(lambda: own.find("s3://books/c"))
