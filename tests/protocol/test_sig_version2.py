"""Signature Version 2 for S3: the URLs that boto3 presigns for an endpoint of one's own, and the old header."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from outcrop.clock import MovableClock
from tests.support.servers import Running, running_server

BUCKET = "letters"
HOUR = timedelta(hours=1)
V2 = {"signature_version": "s3"}


@pytest.fixture(scope="module")
def clock() -> MovableClock:
    return MovableClock(datetime.now(UTC))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, clock: MovableClock) -> Iterator[Running]:
    with running_server(tmp_path_factory.mktemp("house") / "home", clock=clock) as running:
        s3 = running.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_object(Bucket=BUCKET, Key="a b/日.txt", Body=b"dear")
        yield running


def url(house: Running, operation: str, key: str = "a b/日.txt", client: Any = None, **params: Any) -> str:
    """A presigned URL as boto3 makes it when nobody told it a signature version."""
    s3 = client or house.client("s3")
    made: str = s3.generate_presigned_url(operation, Params={"Bucket": BUCKET, "Key": key, **params}, ExpiresIn=3600)
    assert "AWSAccessKeyId=" in made
    return made


def code(answer: httpx.Response) -> str:
    return answer.text.partition("<Code>")[2].partition("</Code>")[0]


def test_presigned_urls_put_get_tell_and_delete(house: Running) -> None:
    assert httpx.put(url(house, "put_object", "new"), content=b"words").status_code == 200
    assert httpx.get(url(house, "get_object", "new")).content == b"words"
    assert httpx.head(url(house, "head_object", "new")).headers["content-length"] == "5"
    assert httpx.delete(url(house, "delete_object", "new")).status_code == 204
    assert code(httpx.get(url(house, "get_object", "new"))) == "NoSuchKey"


def test_the_answer_has_the_headers_that_the_url_was_signed_with(house: Running) -> None:
    named = url(house, "get_object", ResponseContentDisposition='attachment; filename="a b.txt"')
    answer = httpx.get(named)
    assert answer.headers["content-disposition"] == 'attachment; filename="a b.txt"'
    assert code(httpx.get(named.replace("a%20b.txt", "c.txt"))) == "SignatureDoesNotMatch"


def test_what_was_a_header_when_the_url_was_made_is_one_when_it_is_used(house: Running) -> None:
    made = url(house, "put_object", "noted", Metadata={"colour": "green"})
    assert httpx.put(made, content=b"x").status_code == 200
    assert house.client("s3").head_object(Bucket=BUCKET, Key="noted")["Metadata"] == {"colour": "green"}


def test_a_subresource_is_under_the_signature(house: Running) -> None:
    s3 = house.client("s3")
    made = url(house, "get_object_tagging")
    assert "<TagSet" in httpx.get(made).text
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="parts")["UploadId"]
    part = url(house, "upload_part", "parts", UploadId=upload, PartNumber=1)
    assert httpx.put(part, content=b"one").status_code == 200
    assert code(httpx.put(part.replace("partNumber=1", "partNumber=2"), content=b"two")) == "SignatureDoesNotMatch"


BENT: dict[str, Callable[[str], tuple[str, str]]] = {
    "another method": lambda made: ("PUT", made),
    "another key": lambda made: ("GET", made.replace("a%20b", "a%20c")),
    "another bucket": lambda made: ("GET", made.replace(f"/{BUCKET}/", "/others/")),
    "a later end": lambda made: ("GET", made.replace("Expires=", "Expires=1")),
    "another signature": lambda made: ("GET", made.replace("Signature=", "Signature=A")),
    "a subresource": lambda made: ("GET", made + "&tagging"),
    "an order": lambda made: ("GET", made + "&x-amz-expected-bucket-owner=1"),
}


@pytest.mark.parametrize("what", BENT)
def test_a_changed_url_is_refused(house: Running, what: str) -> None:
    method, bent = BENT[what](url(house, "get_object"))
    answer = httpx.request(method, bent)
    assert (answer.status_code, code(answer)) == (403, "SignatureDoesNotMatch")


def test_a_key_of_the_query_that_nobody_signs_opens_nothing_else(house: Running) -> None:
    answer = httpx.get(url(house, "get_object") + "&attributes", headers={"x-amz-object-attributes": "ETag"})
    assert code(answer) in ("AccessDenied", "SignatureDoesNotMatch")
    answer = httpx.get(url(house, "get_object") + "&retention")
    assert (code(answer), answer.status_code) == ("AccessDenied", 403)


def test_a_url_ends_when_it_says(house: Running, clock: MovableClock) -> None:
    made = url(house, "get_object")
    clock.move(HOUR - timedelta(minutes=1))
    assert httpx.get(made).status_code == 200
    clock.move(timedelta(minutes=2))
    answer = httpx.get(made)
    clock.move(-HOUR - timedelta(minutes=1))
    assert (answer.status_code, code(answer)) == (403, "AccessDenied")
    assert "<Message>Request has expired</Message><Expires>" in answer.text
    assert "<ServerTime>" in answer.text


def test_the_url_of_a_session_carries_its_token(house: Running) -> None:
    role = house.installation.service_role_arn
    house.client("iam").update_assume_role_policy(
        RoleName=role.rpartition("/")[2], PolicyDocument=_TRUST % role.split(":")[4]
    )
    session = house.client("sts").assume_role(RoleArn=role, RoleSessionName="guest")["Credentials"]
    client = house.client(
        "s3",
        aws_access_key_id=session["AccessKeyId"],
        aws_secret_access_key=session["SecretAccessKey"],
        aws_session_token=session["SessionToken"],
    )
    made = url(house, "get_object", client=client)
    assert "x-amz-security-token=" in made
    assert httpx.get(made).content == b"dear"
    start = made.index("x-amz-security-token=")
    without = made[:start] + made[start:].partition("&")[2]
    assert code(httpx.get(without.rstrip("&?"))) == "SignatureDoesNotMatch"


_TRUST = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "%s"}}]}'


def test_an_unknown_key_is_told_as_s3_tells_it(house: Running) -> None:
    client = house.client("s3", aws_access_key_id="AKIANOBODY0000000000")
    answer = httpx.get(url(house, "get_object", client=client))
    assert (answer.status_code, code(answer)) == (403, "InvalidAccessKeyId")


@pytest.mark.parametrize("expires", ["", "soon", "-1", "9" * 30, "١٢"])
def test_an_end_that_is_no_time_is_refused(house: Running, expires: str) -> None:
    made = f"{house.endpoint}/{BUCKET}/k?AWSAccessKeyId=AK&Signature=c2ln&Expires={expires}"
    answer = httpx.get(made)
    assert (answer.status_code, code(answer)) == (403, "AccessDenied")


def test_the_header_of_version_2_works_as_long_as_the_clock_is_right(house: Running, clock: MovableClock) -> None:
    s3 = house.client("s3", config=V2)
    s3.put_object(Bucket=BUCKET, Key="old", Body=b"old ways", Metadata={"a": "b"})
    assert s3.get_object(Bucket=BUCKET, Key="old")["Body"].read() == b"old ways"
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET, Prefix="old")["Contents"]] == ["old"]
    clock.move(HOUR)
    with pytest.raises(s3.exceptions.ClientError, match="RequestTimeTooSkewed"):
        s3.list_objects_v2(Bucket=BUCKET)
    clock.move(-HOUR)


def test_a_wrong_secret_is_refused_in_the_header(house: Running) -> None:
    s3 = house.client("s3", config=V2, aws_secret_access_key="wrong")
    with pytest.raises(s3.exceptions.ClientError, match="SignatureDoesNotMatch"):
        s3.list_buckets()
    assert s3.meta.config.signature_version == "s3"


@pytest.mark.parametrize("authorization", ["AWS", "AWS :", "AWS a", "AWS a:b, AWS a:c"])
def test_a_header_that_cannot_be_read_is_refused(house: Running, authorization: str) -> None:
    headers = {"authorization": authorization, "date": "Sat, 21 Nov 2026 00:00:00 GMT"}
    answer = httpx.get(f"{house.endpoint}/{BUCKET}", headers=headers)
    assert (answer.status_code, code(answer)) == (400, "InvalidArgument")


def test_two_signatures_in_one_request_are_refused(house: Running) -> None:
    answer = httpx.get(url(house, "get_object"), headers={"authorization": "AWS a:b"})
    assert (answer.status_code, code(answer)) == (400, "InvalidArgument")
