"""Uploads by a page's form, as boto3's `generate_presigned_post` makes them, with both signatures."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import httpx
import pytest

from tests.support.policies import policy
from tests.support.servers import Running, running_server

BUCKET = "forms"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_server(tmp_path_factory.mktemp("forms") / "home") as running:
        running.client("s3").create_bucket(Bucket=BUCKET)
        yield running


@pytest.fixture
def s3(server: Running) -> Any:
    return server.client("s3", config={"s3": {"addressing_style": "path"}})


@pytest.fixture(params=["s3", "s3v4"])
def signer(server: Running, request: pytest.FixtureRequest) -> Any:
    return server.client("s3", config={"signature_version": request.param, "s3": {"addressing_style": "path"}})


def post(
    made: dict[str, Any],
    file: bytes | None = b"body",
    *,
    name: str = "a.txt",
    headers: Any = None,
    more: dict[str, str] | None = None,
) -> httpx.Response:
    """`more` fields than the form was made with."""
    form = {**made["fields"], **(more or {})}
    parts: list[tuple[str, Any]] = [(key, (None, value)) for key, value in form.items()]
    parts += [("file", (name, file, "text/plain"))] if file is not None else []
    return httpx.post(made["url"], files=parts, headers=headers)


def error(answer: httpx.Response) -> tuple[int, str, str]:
    told = ElementTree.fromstring(answer.content)
    return answer.status_code, told.findtext("Code", ""), told.findtext("Message", "")


def test_a_form_that_boto3_made_stores_its_file(signer: Any, s3: Any) -> None:
    made = signer.generate_presigned_post(BUCKET, "日本/a b.txt")
    answer = post(made, "こんにちは".encode())
    assert (answer.status_code, answer.content) == (204, b"")
    found = s3.get_object(Bucket=BUCKET, Key="日本/a b.txt")
    assert found["Body"].read().decode() == "こんにちは"
    assert answer.headers["etag"] == found["ETag"]
    assert urlsplit(answer.headers["location"]).path == f"/{BUCKET}/%E6%97%A5%E6%9C%AC/a%20b.txt"


def test_the_fields_become_what_stands_beside_the_object(signer: Any, s3: Any) -> None:
    tags = "<Tagging><TagSet><Tag><Key>team</Key><Value>a+b</Value></Tag></TagSet></Tagging>"
    fields = {
        "Content-Type": "image/png",
        "Cache-Control": "no-store",
        "x-amz-meta-Page": "seven",
        "acl": "private",
        "tagging": tags,
    }
    conditions = [{name: value} for name, value in fields.items()]
    made = signer.generate_presigned_post(BUCKET, "beside", Fields=fields, Conditions=conditions)
    answer = post(made)
    assert answer.status_code == 204, answer.text
    found = s3.get_object(Bucket=BUCKET, Key="beside")
    assert (found["ContentType"], found["CacheControl"]) == ("image/png", "no-store")
    assert found["Metadata"] == {"page": "seven"}
    assert s3.get_object_tagging(Bucket=BUCKET, Key="beside")["TagSet"] == [{"Key": "team", "Value": "a+b"}]


def test_the_files_own_name_may_stand_in_the_key(signer: Any, s3: Any) -> None:
    made = signer.generate_presigned_post(BUCKET, "up/${filename}")
    assert post(made, name="dir\\日本.txt").status_code == 204
    assert s3.head_object(Bucket=BUCKET, Key="up/日本.txt")["ContentLength"] == 4


def test_the_answer_is_the_one_the_form_asks_for(signer: Any) -> None:
    def asking(**fields: str) -> httpx.Response:
        made = signer.generate_presigned_post(
            BUCKET, "answered", Fields=fields, Conditions=[{name: value} for name, value in fields.items()]
        )
        return post(made)

    assert asking(success_action_status="200").status_code == 200
    assert asking(success_action_status="404").status_code == 204
    created = asking(success_action_status="201")
    assert created.status_code == 201
    told = {each.tag: each.text for each in ElementTree.fromstring(created.content)}
    assert (told["Bucket"], told["Key"], told["ETag"]) == (BUCKET, "answered", created.headers["etag"])
    assert told["Location"] == created.headers["location"]
    page = asking(success_action_redirect="https://example.com/done?a=1")
    assert page.status_code == 303
    assert parse_qs(urlsplit(page.headers["location"]).query) == {
        "a": ["1"], "bucket": [BUCKET], "key": ["answered"], "etag": [page.headers["etag"]],
    }  # fmt: skip
    assert asking(success_action_redirect="javascript:alert(1)").status_code == 204


@pytest.mark.parametrize(
    ("conditions", "fields", "message"),
    [
        ([["starts-with", "$x-amz-meta-page", "se"]], {"x-amz-meta-page": "seven"}, None),
        ([["starts-with", "$x-amz-meta-page", ""]], {"x-amz-meta-page": "anything"}, None),
        ([["eq", "$X-Amz-Meta-Page", "seven"]], {"x-amz-meta-page": "seven"}, None),
        ([], {"x-ignore-page": "seven"}, None),
        ([["starts-with", "$x-amz-meta-page", "no"]], {"x-amz-meta-page": "seven"},
         'Policy Condition failed: ["starts-with", "$x-amz-meta-page", "no"]'),
        ([["eq", "$x-amz-meta-page", "six"]], {"x-amz-meta-page": "seven"},
         'Policy Condition failed: ["eq", "$x-amz-meta-page", "six"]'),
        ([{"x-amz-meta-page": "six"}], {}, 'Policy Condition failed: {"x-amz-meta-page": "six"}'),
        ([], {"x-amz-meta-page": "seven"}, "Extra input fields: x-amz-meta-page"),
        ([{"bucket": "other"}], {}, 'Policy Condition failed: {"bucket": "other"}'),
    ],
)  # fmt: skip
def test_the_conditions_of_the_policy_hold(
    signer: Any, conditions: list[Any], fields: dict[str, str], message: str | None
) -> None:
    answer = post(signer.generate_presigned_post(BUCKET, "conditioned", Conditions=conditions), more=fields)
    if message is None:
        assert answer.status_code == 204, answer.text
    else:
        assert error(answer) == (403, "AccessDenied", f"Invalid according to Policy: {message}")


def test_the_key_and_the_bucket_are_those_that_were_signed(signer: Any, s3: Any, server: Running) -> None:
    made = signer.generate_presigned_post(BUCKET, "signed")
    other = {**made, "fields": {**made["fields"], "key": "not-signed"}}
    assert error(post(other))[1] == "AccessDenied"
    s3.create_bucket(Bucket="elsewhere")
    assert error(post({**made, "url": f"{server.endpoint}/elsewhere"}))[2] == (
        f'Invalid according to Policy: Policy Condition failed: {{"bucket": "{BUCKET}"}}'
    )
    assert "Contents" not in s3.list_objects_v2(Bucket="elsewhere")


def test_a_file_is_neither_smaller_nor_larger_than_it_may_be(signer: Any, s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="sized", Body=b"before")
    made = signer.generate_presigned_post(BUCKET, "sized", Conditions=[["content-length-range", 3, 200_000]])
    assert error(post(made, b"ab"))[:2] == (400, "EntityTooSmall")
    assert error(post(made, b"x" * 200_001))[:2] == (400, "EntityTooLarge")
    assert s3.get_object(Bucket=BUCKET, Key="sized")["Body"].read() == b"before"
    for size in (3, 200_000):
        assert post(made, b"x" * size).status_code == 204
        assert s3.head_object(Bucket=BUCKET, Key="sized")["ContentLength"] == size


def test_a_policy_ends(signer: Any) -> None:
    made = signer.generate_presigned_post(BUCKET, "late", ExpiresIn=-1)
    assert error(post(made)) == (403, "AccessDenied", "Invalid according to Policy: Policy expired.")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda fields: {**fields, "x-amz-signature": "0" * 64}, "SignatureDoesNotMatch"),
        (lambda fields: {**fields, "policy": fields["policy"][:-8] + fields["policy"][:8]}, "SignatureDoesNotMatch"),
        (lambda fields: fields | {"x-amz-credential": "AKIAIOSFODNN7EXAMPLE" + fields["x-amz-credential"][20:]},
         "InvalidAccessKeyId"),
        (lambda fields: fields | {"x-amz-credential": fields["x-amz-credential"].replace("/s3/", "/sqs/")},
         "InvalidArgument"),
        (lambda fields: fields | {"x-amz-credential": fields["x-amz-credential"].replace("us-east-1", "eu-west-1")},
         "SignatureDoesNotMatch"),
        (lambda fields: fields | {"x-amz-algorithm": "AWS4-HMAC-SHA1"}, "InvalidArgument"),
        (lambda fields: {key: value for key, value in fields.items() if key != "x-amz-date"}, "InvalidArgument"),
        (lambda fields: {key: value for key, value in fields.items() if key != "x-amz-signature"}, "InvalidArgument"),
        (lambda fields: {key: value for key, value in fields.items() if key != "policy"}, "AccessDenied"),
        (lambda _: {"key": "proven"}, "AccessDenied"),
        (lambda fields: fields | {"x-amz-security-token": "nobody-asked"}, "InvalidToken"),
    ],
)  # fmt: skip
def test_a_changed_proof_is_refused_and_nothing_stored(
    server: Running, s3: Any, change: Callable[[dict[str, str]], dict[str, str]], code: str
) -> None:
    v4 = server.client("s3", config={"signature_version": "s3v4", "s3": {"addressing_style": "path"}})
    made = v4.generate_presigned_post(BUCKET, "proven")
    assert error(post({**made, "fields": change(made["fields"])}))[1] == code
    assert "Contents" not in s3.list_objects_v2(Bucket=BUCKET, Prefix="proven")


def test_a_wrong_signature_of_version_2_is_refused(server: Running) -> None:
    v2 = server.client("s3", config={"signature_version": "s3", "s3": {"addressing_style": "path"}})
    made = v2.generate_presigned_post(BUCKET, "proven")
    assert "AWSAccessKeyId" in made["fields"]
    assert error(post({**made, "fields": {**made["fields"], "signature": "AAAA"}}))[1] == "SignatureDoesNotMatch"


def test_who_signed_must_be_allowed_to_put(server: Running, s3: Any) -> None:
    iam = server.client("iam")
    iam.create_user(UserName="page")
    key = iam.create_access_key(UserName="page")["AccessKey"]
    own = server.client(
        "s3",
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
        config={"signature_version": "s3v4", "s3": {"addressing_style": "path"}},
    )
    document = policy("Allow", "s3:PutObject", f"arn:aws:s3:::{BUCKET}/page/*")
    iam.put_user_policy(UserName="page", PolicyName="p", PolicyDocument=document)
    assert post(own.generate_presigned_post(BUCKET, "page/a")).status_code == 204
    status, code, message = error(post(own.generate_presigned_post(BUCKET, "other/a")))
    assert (status, code) == (403, "AccessDenied")
    assert f's3:PutObject on resource: "arn:aws:s3:::{BUCKET}/other/a"' in message
    tagging = {"tagging": "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"}
    made = own.generate_presigned_post(BUCKET, "page/b", Fields=tagging, Conditions=[tagging])
    assert "s3:PutObjectTagging" in error(post(made))[2]


def signed_policy(server: Running, document: Any) -> dict[str, Any]:
    """A form over any document, signed rightly, with Version 2."""
    text = base64.b64encode(document if isinstance(document, bytes) else json.dumps(document).encode()).decode()
    secret = server.installation.secret_access_key.encode()
    signature = base64.b64encode(hmac.digest(secret, text.encode(), hashlib.sha1)).decode()
    fields = {
        "key": "any", "AWSAccessKeyId": server.installation.access_key_id, "policy": text, "signature": signature,
    }  # fmt: skip
    return {"url": f"{server.endpoint}/{BUCKET}", "fields": fields}


LATER = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")

NO_MOMENTS = (
    "4102444800", "4.1e9", 4102444800, "2099-01-01", "20990101T000000Z", "2099-01-01T00:00:00", "2099-01-01 00:00:00Z",
    "2099-01-01T00:00:00+00:00", "2099-13-01T00:00:00Z", "Thu, 01 Jan 2099 00:00:00 GMT", "2099-W01-1T00:00:00Z", "",
    " 2099-01-01T00:00:00Z", None,
)  # fmt: skip


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (b"{", "Invalid JSON."),
        ([], "Expecting an object."),
        ({"conditions": []}, "Policy missing expiration."),
        ({"expiration": LATER}, "Policy missing conditions."),
        ({"expiration": "tomorrow", "conditions": []}, "Invalid 'expiration' value: 'tomorrow'"),
        *(({"expiration": each, "conditions": []}, f"Invalid 'expiration' value: {each!r}") for each in NO_MOMENTS),
        ({"expiration": LATER, "conditions": {}}, "Invalid 'conditions' value: must be a List."),
        ({"expiration": LATER, "conditions": [["in", "$key", "any"]]}, 'Invalid condition: ["in", "$key", "any"]'),
        ({"expiration": LATER, "conditions": [["eq", "key", "any"]]}, 'Invalid condition: ["eq", "key", "any"]'),
        ({"expiration": LATER, "conditions": [["content-length-range", -1, 2]]},
         'Invalid condition: ["content-length-range", -1, 2]'),
        ({"expiration": LATER, "conditions": [{"a": 1}]}, 'Invalid condition: {"a": 1}'),
    ],
)  # fmt: skip
def test_a_policy_that_is_none_is_told(server: Running, document: Any, message: str) -> None:
    assert error(post(signed_policy(server, document))) == (400, "InvalidPolicyDocument", f"Invalid Policy: {message}")


def test_a_policy_without_the_bucket_is_for_no_bucket(server: Running) -> None:
    made = signed_policy(server, {"expiration": LATER, "conditions": [{"key": "any"}]})
    assert error(post(made))[2] == "Invalid according to Policy: Extra input fields: bucket"


@pytest.mark.parametrize("field", ["x-amz-copy-source", "x-amz-decoded-content-length", "x-amz-trailer"])
def test_a_field_that_would_be_another_order_is_refused(signer: Any, field: str) -> None:
    made = signer.generate_presigned_post(BUCKET, "order", Fields={field: "x"}, Conditions=[{field: "x"}])
    assert error(post(made)) == (400, "InvalidArgument", f"{field}: a form has no such field. Leave it out.")


def test_a_field_begins_no_header_of_its_own(signer: Any) -> None:
    meta = {"x-amz-meta-a": "x\r\nSet-Cookie: y"}
    made = signer.generate_presigned_post(BUCKET, "injected", Fields=meta, Conditions=[meta])
    assert error(post(made))[1:] == ("InvalidArgument", "x-amz-meta-a: no header could carry it.")


def test_a_form_that_cannot_be_read_is_told(signer: Any, server: Running) -> None:
    made = signer.generate_presigned_post(BUCKET, "form")
    assert error(post(made, None))[:2] == (400, "IncorrectNumberOfFilesInPostRequest")
    assert error(post(made, more={"x-ignore-long": "x" * 30_000}))[:2] == (400, "MaxPostPreDataLengthExceeded")
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    assert error(httpx.post(made["url"], content=b"nothing", headers=headers))[:2] == (400, "MalformedPOSTRequest")


def test_a_form_cut_off_in_its_file_is_not_stored(signer: Any, s3: Any) -> None:
    made = signer.generate_presigned_post(BUCKET, "cut")
    request = httpx.Request(
        "POST", made["url"], files=[*((k, (None, v)) for k, v in made["fields"].items()), ("file", b"x" * 9000)]
    )
    whole = request.read()
    answer = httpx.post(made["url"], content=whole[:-5000], headers={"Content-Type": request.headers["content-type"]})
    assert error(answer)[:2] == (400, "MalformedPOSTRequest")
    assert "Contents" not in s3.list_objects_v2(Bucket=BUCKET, Prefix="cut")


def test_a_page_of_an_allowed_origin_may_read_the_answer(signer: Any, s3: Any) -> None:
    rules = {"CORSRules": [{"AllowedMethods": ["POST"], "AllowedOrigins": ["https://page.example"]}]}
    s3.put_bucket_cors(Bucket=BUCKET, CORSConfiguration=rules)
    made = signer.generate_presigned_post(BUCKET, "origin")
    answer = post(made, headers={"Origin": "https://page.example"})
    assert answer.headers["access-control-allow-origin"] == "https://page.example"
    assert "access-control-allow-origin" not in post(made, headers={"Origin": "https://other.example"}).headers


def test_a_bucket_named_by_the_host_takes_forms(server: Running, s3: Any, signer: Any) -> None:
    made = signer.generate_presigned_post(BUCKET, "by-host")
    port = urlsplit(server.endpoint).port
    answer = post({**made, "url": server.endpoint}, headers={"Host": f"{BUCKET}.localhost:{port}"})
    assert answer.status_code == 204
    assert answer.headers["location"] == f"http://{BUCKET}.localhost:{port}/by-host"
    assert s3.head_object(Bucket=BUCKET, Key="by-host")["ContentLength"] == 4
