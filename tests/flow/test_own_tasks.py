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
    assert entry.resources == (f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/talks.jsonl")
    key = new_user(house, "no-exporter", ("outcrop:ListTasks", "*"))
    model = "arn:aws:bedrock:us-east-1:123456789012:custom-model/theirs"
    assert own(house, "export", {"model": model, "place": f"s3://{BUCKET}/x/"}, key=key).status_code == 403
    house.write()
    (_, refused) = next(iter(house.platform.audit.entries(operation="ExportModel", resource=model, most=1)))
    assert (refused.status, refused.caller.endswith("user/no-exporter")) == (403, True)


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


def test_the_policy_of_a_bucket_about_the_connection_holds_for_own_operations(house: Running) -> None:
    s3, bucket = house.client("s3"), "over-tls"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="talks.jsonl", Body=ROWS.encode())
    everything = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    plain = {"Bool": {"aws:SecureTransport": "false"}}
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": everything, "Condition": plain}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [deny]}))
    query = {"recipe": "dialogue", "source": f"s3://{bucket}/talks.jsonl", "out": f"s3://{BUCKET}/x/"}
    for answer in (
        own(house, "recipes", query),
        own(house, "recipes", query | {"source": f"s3://{BUCKET}/talks.jsonl", "out": f"s3://{bucket}/x/"}),
        own(house, "pull", {"model": f"s3://{bucket}/"}),
        own(house, "preflight", {"base": "x", "train": f"s3://{bucket}/talks.jsonl"}, method="GET"),
    ):
        assert (answer.status_code, "with an explicit deny" in answer.text) == (403, True)


def test_own_operations_use_the_key_of_kms_for_those_only_who_may(house: Running) -> None:
    s3, bucket = house.client("s3"), "sealed-recipes"
    key_arn = house.client("kms").create_key()["KeyMetadata"]["Arn"]
    s3.create_bucket(Bucket=bucket)
    by_key = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key_arn}
    rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": by_key}]}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=rules)
    for name in ("talks.jsonl", "model/config.json", "model/tokenizer.json", "model/model.safetensors"):
        s3.put_object(Bucket=bucket, Key=name, Body=ROWS.encode())
    key = new_user(house, "keyless", ("outcrop:*", "*"), ("s3:*", "*"))
    query = {"recipe": "dialogue", "source": f"s3://{bucket}/talks.jsonl", "out": f"s3://{BUCKET}/keyless/"}
    inward = own(house, "recipes", query, key=key)
    outward = own(
        house, "recipes", query | {"source": f"s3://{BUCKET}/talks.jsonl", "out": f"s3://{bucket}/made/"}, key=key
    )
    pulled = own(house, "pull", {"model": f"s3://{bucket}/model/"}, key=key)
    checked = own(house, "preflight", {"base": "x", "train": f"s3://{bucket}/talks.jsonl"}, method="GET", key=key)
    told = [
        (each.status_code, "kms:Decrypt" in each.text, "kms:GenerateDataKey" in each.text)
        for each in (inward, pulled, checked, outward)
    ]
    assert told == [(403, True, False)] * 3 + [(403, False, True)]
    assert own(house, "recipes", query).status_code == 200  # the administrator's policies reach the key


def test_a_pull_reads_no_file_of_a_model_that_its_caller_may_not(house: Running) -> None:
    s3 = house.client("s3")
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        s3.put_object(Bucket=BUCKET, Key=f"theirs/{name}", Body=b"{}")
    key = new_user(house, "puller", ("outcrop:PullModel", "*"), ("s3:GetObject", "*"))
    denied = {"Effect": "Deny", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/theirs/model.*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [denied]})
    house.client("iam").put_user_policy(UserName="puller", PolicyName="but", PolicyDocument=document)
    answer = own(house, "pull", {"model": f"s3://{BUCKET}/theirs/"}, key=key)
    assert (answer.status_code, "with an explicit deny" in answer.text) == (403, True)


@pytest.mark.parametrize(("method", "path"), [("POST", "recipes"), ("POST", "pull"), ("GET", "preflight")])
def test_a_value_that_no_command_can_take_is_refused(house: Running, method: str, path: str) -> None:
    query = {
        "recipe": "verse", "source": f"s3://{BUCKET}/talks.jsonl", "out": f"s3://{BUCKET}/x/", "licence": "a\0b",
        "model": "a/\0b", "train": f"s3://{BUCKET}/talks.jsonl", "base": "a\0b",
    }  # fmt: skip
    taken = {"recipes": ("recipe", "source", "out", "licence"), "pull": ("model",), "preflight": ("train", "base")}
    answer = own(house, path, {name: query[name] for name in taken[path]}, method=method)
    assert (answer.status_code, "a character that no text has" in answer.text) == (400, True)


def test_own_operations_are_on_record_with_their_region_and_without_noise(
    house: Running, caplog: pytest.LogCaptureFixture
) -> None:
    query = {"recipe": "verse", "source": f"s3://{BUCKET}/talks.jsonl", "out": f"s3://{BUCKET}/recorded/"}
    own(house, "tasks/stop", {"id": own(house, "recipes", query).json()["id"]})
    house.write()
    (_, entry) = next(iter(house.platform.audit.entries(operation="StopTask", most=1)))
    assert (entry.status, entry.region) == (200, "us-east-1")
    assert not [each for each in caplog.records if each.exc_info]


def test_the_catalogue_tells_size_and_whether_the_machine_has_the_memory(house: Running) -> None:
    told = own(house, "catalogue", {}, method="GET").json()
    models = {each["id"]: each for each in told["models"]}
    starter = models["outcrop.starter-v1"]
    assert (starter["state"], starter["parameters"], starter["languages"]) == ("HERE", 7_475_456, ["en", "ja"])
    assert starter["diskBytes"] > 14_958_952
    assert starter["serve"]["fits"] is (starter["serve"]["bytes"] <= told["budgetBytes"])
    assert [each["method"] for each in starter["train"]] == ["lora", "dora", "oft", "full"]
    large = models["meta.llama3-3-70b-instruct-v1:0"]
    assert (large["state"], large["diskBytes"]) == ("HUB", 0)
    assert large["pullBytes"] > 10**11
    assert large["serve"]["bytes"] > 280e9
    assert models["amazon.nova-pro-v1:0"]["state"] == "NAME"
    (one,) = own(house, "catalogue", {"model": "outcrop.starter-v1"}, method="GET").json()["models"]
    assert (one["used"]["epochCount"], one["used"]["outcrop.learningRate"]) == ("3", "0.003")
    assert one["hyperparameters"]["epochCount"]["range"] == "1 to 100"
    assert own(house, "catalogue", {"model": "nobody.nothing"}, method="GET").status_code == 404


def test_the_models_page_is_plainer_for_who_may_not_list_the_catalogue(house: Running) -> None:
    key = new_user(house, "lister", ("bedrock:List*", "*"))
    assert own(house, "catalogue", {}, method="GET", key=key).status_code == 403
    with running_console(house) as console:
        plain = console.signed_in(key.access_key, key.secret_key).get("/models").text
        whole = console.signed_in(house.credentials.access_key, house.credentials.secret_key).get("/models").text
    assert "outcrop.starter-v1" in plain
    assert ("fittings" in plain, "fittings" in whole) == (False, True)
    assert "meta.llama3-3-70b-instruct-v1:0" not in plain
    assert 'name="place" value="meta.llama3-3-70b-instruct-v1"' in whole
