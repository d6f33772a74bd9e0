"""Files at OpenAI's door: stored as they arrive, objects of a bucket, refused for purposes that nothing serves."""

import tracemalloc
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from outcrop.access.policies.key_policy import default_key_policy
from outcrop.buckets.settings_records import ENCRYPTION
from outcrop.house import House
from outcrop.keys.specs import SPECS, KeyUsage
from tests.support.openai_house import REGION, STARTER, Json, OpenAiHouse, openai_house, run

LINES = b'{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n' * 3


async def uploaded(place: OpenAiHouse, name: str = "train.jsonl", content: bytes = LINES) -> Json:
    answer = await place.ask("POST", "/files", files={"file": (name, content)}, data={"purpose": "fine-tune"})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def seal_by_new_key(house: House, bucket: str) -> None:
    """Give a bucket a new key of KMS, which the administrator's policies reach alone."""
    policy = default_key_policy(house.account)
    spec, usage = SPECS["SYMMETRIC_DEFAULT"], KeyUsage.ENCRYPT_DECRYPT
    key = house.keys.create(region=REGION, spec=spec, usage=usage, description="", policy=policy, tags={})
    house.buckets.set_setting(bucket, ENCRYPTION, {"method": "aws:kms", "key": key.arn, "bucketKey": True})


def test_a_file_is_uploaded_found_read_and_deleted(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with openai_house(tmp_path) as place:
            file = await uploaded(place)
            assert file == {
                "id": file["id"],
                "object": "file",
                "bytes": len(LINES),
                "created_at": 1767225600,
                "expires_at": None,
                "filename": "train.jsonl",
                "purpose": "fine-tune",
                "status": "processed",
                "status_details": None,
            }
            assert await place.get(f"/files/{file['id']}") == file
            content = await place.ask("GET", f"/files/{file['id']}/content")
            assert content.content == LINES
            # It is an object of the installation's own bucket, where S3 finds it too.
            bucket = f"outcrop-openai-{place.house.account}"
            assert place.house.buckets.read_bytes(bucket, f"files/{file['id']}/train.jsonl") == LINES
            gone = await place.ask("DELETE", f"/files/{file['id']}")
            assert gone.json() == {"id": file["id"], "object": "file", "deleted": True}
            assert (await place.refused("GET", f"/files/{file['id']}", 404))["param"] == "file_id"
            assert not list(place.house.buckets.under(bucket, ""))

    run(scenario())


def test_the_purpose_may_follow_the_file(tmp_path: Path) -> None:
    # OpenAI's own client for JavaScript sends the fields in the order in which they were written.
    async def scenario() -> None:
        async with openai_house(tmp_path) as place:
            parts = {"file": ("train.jsonl", LINES), "purpose": (None, b"fine-tune")}
            answer = await place.ask("POST", "/files", files=parts)
            assert answer.json()["bytes"] == len(LINES)
            parts["purpose"] = (None, b"batch")
            assert (await place.refused("POST", "/files", 400, files=parts))["param"] == "purpose"
            # What was stored before that was known is gone again.
            assert len((await place.get("/files"))["data"]) == 1
            assert len(list(place.house.buckets.under(f"outcrop-openai-{place.house.account}", ""))) == 1

    run(scenario())


def test_files_are_listed_page_by_page_newest_first(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with openai_house(tmp_path) as place:
            ids = []
            for number in range(5):
                place.clock.move(timedelta(seconds=1))
                ids.append((await uploaded(place, f"{number}.jsonl"))["id"])
            newest = ids[::-1]
            first = await place.get("/files?limit=2")
            assert [file["id"] for file in first["data"]] == newest[:2]
            assert (first["object"], first["has_more"], first["last_id"]) == ("list", True, newest[1])
            rest = await place.get(f"/files?after={newest[1]}&purpose=fine-tune")
            assert ([file["id"] for file in rest["data"]], rest["has_more"]) == (newest[2:], False)
            assert [file["id"] for file in (await place.get("/files?order=asc"))["data"]] == ids
            assert (await place.get("/files?purpose=batch"))["data"] == []
            for query, param in (
                ("limit=0", "limit"),
                ("limit=x", "limit"),
                ("order=up", "order"),
                ("after=file-x", "after"),
            ):
                assert (await place.refused("GET", f"/files?{query}", 400))["param"] == param

    run(scenario())


@pytest.mark.parametrize(
    ("parts", "param", "code"),
    [
        ({"file": ("a.jsonl", b"x"), "purpose": (None, b"assistants")}, "purpose", "invalid_value"),
        ({"file": ("a.jsonl", b"x"), "purpose": (None, b"vision")}, "purpose", "invalid_value"),
        ({"file": ("a.jsonl", b"x"), "purpose": (None, b"fun")}, "purpose", "invalid_value"),
        ({"file": ("a.jsonl", b"x")}, "purpose", "missing_required_parameter"),
        ({"purpose": (None, b"fine-tune")}, "file", "missing_required_parameter"),
        (
            {"purpose": (None, b"fine-tune"), "colour": (None, b"red"), "file": ("a", b"x")},
            "colour",
            "unknown_parameter",
        ),
        (
            {"purpose": (None, b"fine-tune"), "expires_after[seconds]": (None, b"9"), "file": ("a", b"x")},
            "expires_after",
            "unsupported_parameter",
        ),
    ],
)
def test_a_form_that_is_not_served_is_refused_by_the_name_of_its_field(
    parts: Json, param: str, code: str, shared: OpenAiHouse
) -> None:
    async def scenario() -> None:
        before = await shared.get("/files")
        error = await shared.refused("POST", "/files", 400, files=parts)
        assert (error["param"], error["code"]) == (param, code)
        assert await shared.get("/files") == before

    run(scenario())


def test_what_is_no_form_or_ends_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with openai_house(tmp_path) as place:
            error = await place.refused("POST", "/files", 400, json={"purpose": "fine-tune"})
            assert error["code"] == "invalid_content_type"
            request = httpx.Request(
                "POST", "http://door", files={"file": ("a.jsonl", LINES)}, data={"purpose": "fine-tune"}
            )
            half = request.read()[:-60]
            headers = {"content-type": request.headers["content-type"]}
            assert (await place.refused("POST", "/files", 400, content=half, headers=headers))["code"] == "invalid_form"
            assert (await place.get("/files"))["data"] == []

    run(scenario())


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("..", "file"),
        ("日本語.jsonl", "日本語.jsonl"),
        ("a:b.jsonl", "a_b.jsonl"),
        ("x" * 300 + ".jsonl", "x" * 114 + ".jsonl"),
    ],
)
def test_a_files_name_is_no_path(name: str, kept: str, shared: OpenAiHouse) -> None:
    async def scenario() -> None:
        file = await uploaded(shared, name)
        bucket = f"outcrop-openai-{shared.house.account}"
        (found,) = shared.house.buckets.under(bucket, f"files/{file['id']}/")
        assert found.key == f"files/{file['id']}/{kept}"

    run(scenario())


def test_a_large_file_arrives_in_constant_memory(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with openai_house(tmp_path) as place:
            head = b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n--b\r\nContent-Disposition: '
            head += b'form-data; name="file"; filename="a.jsonl"\r\n\r\n'

            async def body() -> AsyncIterator[bytes]:
                yield head
                for _ in range(48):
                    yield bytes(1 << 20)
                yield b"\r\n--b--\r\n"

            tracemalloc.start()
            try:
                headers = {"content-type": "multipart/form-data; boundary=b"}
                answer = await place.ask("POST", "/files", content=body(), headers=headers)
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            assert answer.json()["bytes"] == 48 << 20
            assert peak < 12 << 20

    run(scenario())


def test_files_need_the_permissions_of_objects(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with openai_house(tmp_path) as place:
            file = await uploaded(place)
            ada = place.user("ada", "bedrock:CallWithBearerToken")
            parts = {"purpose": (None, b"fine-tune"), "file": ("a.jsonl", b"x")}
            asked = [
                ("POST", "/files", "s3:PutObject", {"files": parts}),
                ("GET", "/files", "s3:ListBucket", {}),
                ("GET", f"/files/{file['id']}", "s3:GetObject", {}),
                ("GET", f"/files/{file['id']}/content", "s3:GetObject", {}),
                ("DELETE", f"/files/{file['id']}", "s3:DeleteObject", {}),
                ("DELETE", "/files/file-other", "s3:DeleteObject", {}),
            ]
            for method, path, action, more in asked:
                error = await place.refused(method, path, 403, key=ada, **more)
                assert f"not authorized to perform: {action}" in error["message"]

    run(scenario())


def test_files_and_kept_responses_under_a_key_are_for_those_who_may_use_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with openai_house(tmp_path, "yes") as place:
            file = await uploaded(place)  # it is there before the bucket gets its key
            bucket = f"outcrop-openai-{place.house.account}"
            seal_by_new_key(place.house, bucket)
            sealed = await uploaded(place)
            kept = await place.post("/responses", model=STARTER, input="hi")
            actions = ("bedrock:*", "s3:*", "iam:PassRole")
            ada = place.user("ada", "bedrock:CallWithBearerToken", *actions)
            parts = {"purpose": (None, b"fine-tune"), "file": ("a.jsonl", b"x")}
            learned = {"model": STARTER, "training_file": sealed["id"]}
            said = {"model": STARTER, "input": "hi"}
            asked = [
                ("POST", "/files", "GenerateDataKey", {"files": parts}),
                ("GET", f"/files/{sealed['id']}/content", "Decrypt", {}),
                ("POST", "/fine_tuning/jobs", "Decrypt", {"json": learned}),
                ("POST", "/responses", "GenerateDataKey", {"json": said}),
                ("GET", f"/responses/{kept['id']}", "Decrypt", {}),
                ("GET", f"/responses/{kept['id']}/input_items", "Decrypt", {}),
            ]
            for method, path, action, more in asked:
                error = await place.refused(method, path, 403, key=ada, **more)
                assert f"not authorized to perform: kms:{action}" in error["message"], path
            passing = [
                ("GET", f"/files/{file['id']}/content", {}),  # no key seals it
                ("GET", f"/files/{sealed['id']}", {}),  # what is known of it is not what is in it
                ("POST", "/responses", {"json": said | {"store": False}}),
            ]
            for method, path, more in passing:
                answer = await place.ask(method, path, key=ada, **more)
                assert answer.status_code == 200, answer.text
            assert (await place.ask("GET", f"/files/{sealed['id']}/content")).content == LINES
            stored = {each.key for each in place.house.buckets.under(bucket, "")}
            assert len(stored) == 3, "nothing of what was refused is there"

    run(scenario())
