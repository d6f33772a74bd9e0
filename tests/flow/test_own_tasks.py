"""Recipes, exports and pulls as tasks of the server: begun by who may, watched, and ended, in the console too."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.support.consoles import running_console, token_of
from tests.support.patience import eventually
from tests.support.servers import Running, running_server

BUCKET = "recipes"
ROWS = "\n".join(json.dumps({"dialogue": f"#A#: hello {n}", "summary": f"A says hello {n}."}) for n in range(20))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_server(tmp_path_factory.mktemp("tasks") / "home") as running:
        s3 = running.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_object(Bucket=BUCKET, Key="talks.jsonl", Body=ROWS.encode())
        yield running


def own(
    house: Running, path: str, query: dict[str, Any], *, method: str = "POST", key: Credentials | None = None
) -> httpx.Response:
    url = f"{house.endpoint}/outcrop/{path}?{urlencode(query, doseq=True)}"
    request = AWSRequest(method=method, url=url)
    SigV4Auth(key or house.credentials, "outcrop", "us-east-1").add_auth(request)
    return httpx.request(method, url, headers=dict(request.headers))


def ended(house: Running, task_id: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        task: dict[str, Any]
        (task,) = own(house, "tasks", {"id": task_id}, method="GET").json()["tasks"]
        return task if task["status"] not in ("Waiting", "InProgress") and task["ended"] else None

    found: dict[str, Any] | None = eventually(look)
    assert found is not None
    return found


def new_user(house: Running, name: str, *statements: tuple[str, str]) -> Credentials:
    iam = house.client("iam")
    iam.create_user(UserName=name)
    allowed = [{"Effect": "Allow", "Action": action, "Resource": resource} for action, resource in statements]
    document = json.dumps({"Version": "2012-10-17", "Statement": allowed})
    iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=document)
    made = iam.create_access_key(UserName=name)["AccessKey"]
    return Credentials(made["AccessKeyId"], made["SecretAccessKey"])


def test_a_recipe_reads_objects_and_leaves_objects(house: Running) -> None:
    with running_console(house) as console:
        browser = console.signed_in(house.credentials.access_key, house.credentials.secret_key)
        form = browser.get("/data/recipes/dialogue", params={"bucket": BUCKET})
        assert f"s3://{BUCKET}/talks.jsonl" in form.text
        given = {
            "token": token_of(form),
            "recipe": "dialogue",
            "sources": f"s3://{BUCKET}/talks.jsonl",
            "out": f"s3://{BUCKET}/made/",
            "validation": "4",
            "first": "10",
        }
        wrong = browser.post("/data/recipes", data=given | {"sources": f"s3://{BUCKET}/nothing.jsonl"})
        assert ("nothing.jsonl" in wrong.text, wrong.url.path) == (True, "/data/recipes")
        begun = browser.post("/data/recipes", data=given)
        assert begun.url.path == "/tasks"
        task = ended(house, begun.url.params["id"])
        assert (task["status"], task["lines"][-1]) == ("Completed", f"The records are in s3://{BUCKET}/made/."), task
        assert "items read = " in browser.get("/tasks").text
    found = house.client("s3").list_objects_v2(Bucket=BUCKET, Prefix="made/")["Contents"]
    names = {each["Key"].removeprefix("made/") for each in found}
    assert {"train.jsonl", "validation.jsonl", "README.md"} <= names
    lines = house.client("s3").get_object(Bucket=BUCKET, Key="made/validation.jsonl")["Body"].read().splitlines()
    assert len(lines) == 4


def test_what_is_begun_is_on_record(house: Running) -> None:
    query = {"recipe": "verse", "source": f"s3://{BUCKET}/talks.jsonl", "out": f"s3://{BUCKET}/recorded/"}
    begun = own(house, "recipes", query)
    own(house, "tasks/stop", {"id": begun.json()["id"]})
    house.write()
    (_, entry) = next(iter(house.platform.audit.entries(operation="RunRecipe", most=1)))
    assert (entry.service, entry.status, entry.key_id) == ("outcrop", 200, house.credentials.access_key)


def test_a_recipe_that_fails_says_so_and_one_that_waits_can_be_stopped(house: Running) -> None:
    query = {"recipe": "verse", "source": f"s3://{BUCKET}/talks.jsonl", "out": f"s3://{BUCKET}/verses/"}
    task = ended(house, own(house, "recipes", query).json()["id"])
    assert task["status"] == "Failed"
    assert task["lines"]
    assert not any("/tmp/" in line for line in task["lines"])
    begun = own(house, "recipes", query).json()["id"]
    assert own(house, "tasks/stop", {"id": begun}).status_code == 200
    assert ended(house, begun)["status"] in ("Stopped", "Failed")


@pytest.mark.parametrize(
    ("path", "query", "told"),
    [
        ("recipes", {"recipe": "soup"}, "recipe: 'soup' is none."),
        ("recipes", {"recipe": "verse"}, "source, out: name the objects"),
        ("recipes", {"recipe": "verse", "source": "s3://recipes/talks.jsonl", "out": "s3://recipes/x/", "home": "/"}, "home: verse has no such option."),
        ("recipes", {"recipe": "grounded", "source": "s3://recipes/talks.jsonl", "out": "s3://recipes/x/"}, "knowledge-base: grounded needs it."),
        ("pull", {"model": "--help"}, "model: '--help' is none."),
        ("register", {}, "place: '' is none."),
        ("export", {"model": "arn:aws:bedrock:us-east-1:1:custom-model/x", "place": "s3://recipes/x"}, "there is no custom model"),
        ("forget", {"model": "arn:aws:bedrock:us-east-1:1:custom-model/x", "line": "1"}, "there is no custom model"),
        ("tasks/stop", {"id": "nobody"}, "there is no task 'nobody'"),
    ],
)  # fmt: skip
def test_what_cannot_be_begun_is_refused_with_a_sentence(
    house: Running, path: str, query: dict[str, str], told: str
) -> None:
    answer = own(house, path, query)
    assert answer.status_code in (400, 404)
    assert told in answer.text


def test_the_caller_needs_the_objects_too(house: Running) -> None:
    key = new_user(house, "cook", ("outcrop:RunRecipe", "*"), ("s3:PutObject", f"arn:aws:s3:::{BUCKET}/mine/*"))
    query = {"recipe": "dialogue", "source": f"s3://{BUCKET}/talks.jsonl", "out": f"s3://{BUCKET}/mine/"}
    unread = own(house, "recipes", query, key=key)
    assert (unread.status_code, "not authorized to perform: s3:GetObject" in unread.text) == (403, True)
    unwritten = own(house, "recipes", query | {"out": f"s3://{BUCKET}/theirs/"}, key=key)
    assert (unwritten.status_code, "not authorized to perform: s3:PutObject" in unwritten.text) == (403, True)


@pytest.mark.parametrize(
    ("path", "action"),
    [("recipes", "RunRecipe"), ("pull", "PullModel"), ("register", "RegisterModel"), ("export", "ExportModel"), ("forget", "ForgetRecords"), ("tasks/stop", "StopTask")],
)  # fmt: skip
def test_tasks_are_for_those_who_may(house: Running, path: str, action: str) -> None:
    key = new_user(house, f"stranger-{action}", ("s3:GetObject", "*"))
    told = own(house, path, {"model": "x", "place": "y"}, key=key)
    assert (told.status_code, f"not authorized to perform: outcrop:{action}" in told.text) == (403, True)
    assert own(house, "tasks", {}, method="GET", key=key).status_code == 403
