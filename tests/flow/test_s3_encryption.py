"""Encryption of objects as boto3 asks for it: SSE-S3, SSE-KMS and SSE-C on every way to write, and what lies on disk."""

import base64
import hashlib
import itertools
import json
import random
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from outcrop.buckets.buckets import Buckets
from tests.support.plaintext_scan import PlaintextScan
from tests.support.servers import Running, running_server

MIB = 1024**2
_numbers = itertools.count()
SMALL = hashlib.shake_128(b"small").digest(1000)
LONG = hashlib.shake_128(b"long").digest(200_000)
CUSTOMER = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": bytes(range(32))}
OTHER = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": bytes(range(1, 33))}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_server(tmp_path_factory.mktemp("sse") / "home") as running:
        yield running


@pytest.fixture(scope="module")
def s3(server: Running) -> Any:
    return server.client("s3")


@pytest.fixture(scope="module")
def kms(server: Running) -> Any:
    return server.client("kms")


@pytest.fixture
def bucket(s3: Any) -> str:
    name = f"sealed-{next(_numbers)}"
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def key(kms: Any) -> str:
    made: str = kms.create_key()["KeyMetadata"]["Arn"]
    return made


def refusal(action: Any, **asked: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as refused:
        action(**asked)
    answer = refused.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def told(answer: dict[str, Any]) -> dict[str, Any]:
    names = ("ServerSideEncryption", "SSEKMSKeyId", "BucketKeyEnabled", "SSECustomerAlgorithm", "SSECustomerKeyMD5")
    return {name: answer[name] for name in names if name in answer}


def kms_of(key: str) -> dict[str, Any]:
    return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}


def read(s3: Any, bucket: str, name: str, **asked: Any) -> bytes:
    content: bytes = s3.get_object(Bucket=bucket, Key=name, **asked)["Body"].read()
    return content


def in_parts(s3: Any, place: dict[str, str], contents: list[bytes], begun: dict[str, Any], each: dict[str, Any]) -> Any:
    upload = s3.create_multipart_upload(**place, **begun)["UploadId"]
    parts = []
    for number, content in enumerate(contents, start=1):
        sent = s3.upload_part(**place, UploadId=upload, PartNumber=number, Body=content, **each)
        parts.append({"PartNumber": number, "ETag": sent["ETag"]})
    return s3.complete_multipart_upload(**place, UploadId=upload, MultipartUpload={"Parts": parts})


@pytest.mark.parametrize("content", [b"", SMALL, LONG], ids=["empty", "in a row", "in a file"])
@pytest.mark.parametrize("way", ["AES256", "aws:kms", "named", "customer"])
def test_what_is_put_encrypted_comes_back_whole_and_by_ranges(
    s3: Any, bucket: str, key: str, way: str, content: bytes
) -> None:
    asked: dict[str, Any] = {"named": kms_of(key), "customer": CUSTOMER}.get(way, {"ServerSideEncryption": way})
    proof = CUSTOMER if way == "customer" else {}
    put = s3.put_object(Bucket=bucket, Key="a", Body=content, Metadata={"of": "a"}, **asked)
    got = s3.get_object(Bucket=bucket, Key="a", **proof)
    assert (got["Body"].read(), got["ContentLength"], got["Metadata"]) == (content, len(content), {"of": "a"})
    head = s3.head_object(Bucket=bucket, Key="a", **proof)
    assert told(put) == told(got) == told(head) != {}
    assert head["ContentLength"] == s3.list_objects_v2(Bucket=bucket)["Contents"][0]["Size"] == len(content)
    assert put["ETag"] == got["ETag"] == head["ETag"]
    # An entity tag that is an MD5 of the plaintext would tell it; S3 has one under its own key alone.
    assert (put["ETag"].strip('"') == hashlib.md5(content).hexdigest()) == (way == "AES256")
    if content:
        for first, last in ((0, 0), (1, 99), (65_535, 65_536), (len(content) - 1, len(content) - 1)):
            if last < len(content):
                part = s3.get_object(Bucket=bucket, Key="a", Range=f"bytes={first}-{last}", **proof)
                assert part["Body"].read() == content[first : last + 1]


def test_the_key_is_told_by_its_arn_however_it_was_named(s3: Any, kms: Any, bucket: str, key: str) -> None:
    kms.create_alias(AliasName="alias/s3-tests", TargetKeyId=key)
    for spelling in (key, key.rpartition("/")[2], "alias/s3-tests", key.replace(key.split(":")[5], "alias/s3-tests")):
        put = s3.put_object(Bucket=bucket, Key="a", Body=b"a", **kms_of(spelling))
        assert told(put) == kms_of(key)
    own = s3.put_object(Bucket=bucket, Key="a", Body=b"a", ServerSideEncryption="aws:kms")["SSEKMSKeyId"]
    described = kms.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]
    assert (described["Arn"], described["KeyManager"]) == (own, "AWS")
    assert refusal(kms.disable_key, KeyId=own) == ("AccessDeniedException", 400)
    assert refusal(kms.encrypt, KeyId=own, Plaintext=b"a") == ("AccessDeniedException", 400)


def test_a_disabled_key_puts_its_objects_out_of_reach_at_once(s3: Any, kms: Any, bucket: str, key: str) -> None:
    place = {"Bucket": bucket, "Key": "a"}
    for content in (SMALL, LONG):
        s3.put_object(**place, Body=content, **kms_of(key))
        kms.disable_key(KeyId=key)
        assert refusal(s3.get_object, **place) == ("KMS.DisabledException", 400)
        assert (
            refusal(s3.copy_object, **place, CopySource=place, MetadataDirective="REPLACE")[0]
            == "KMS.DisabledException"
        )
        assert refusal(s3.put_object, **place, Body=b"b", **kms_of(key)) == ("KMS.DisabledException", 400)
        assert s3.head_object(**place)["ContentLength"] == len(content)  # which needs no key, as at Amazon
        kms.enable_key(KeyId=key)
        assert read(s3, bucket, "a") == content
        kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
        assert refusal(s3.get_object, **place) == ("KMS.KMSInvalidStateException", 400)
        kms.cancel_key_deletion(KeyId=key)
        kms.enable_key(KeyId=key)
    absent = key[:-4] + "0000"
    assert refusal(s3.put_object, **place, Body=b"b", **kms_of(absent))[0] == "KMS.NotFoundException"


@pytest.mark.parametrize("way", ["AES256", "aws:kms", "customer"])
def test_an_upload_in_parts_is_encrypted_part_by_part(s3: Any, bucket: str, way: str) -> None:
    contents = [random.Random(1).randbytes(5 * MIB), random.Random(2).randbytes(70_000), b"end"][:2]
    place = {"Bucket": bucket, "Key": "a"}
    asked: dict[str, Any] = CUSTOMER if way == "customer" else {"ServerSideEncryption": way}
    proof = CUSTOMER if way == "customer" else {}
    done = in_parts(s3, place, contents, {**asked, "ChecksumAlgorithm": "CRC32"}, proof)
    got = s3.get_object(**place, **proof)
    assert got["Body"].read() == b"".join(contents)
    assert done["ETag"].endswith('-2"')
    assert told(got) | proof == told(done) | told(got) | proof
    across = s3.get_object(**place, Range=f"bytes={5 * MIB - 10}-{5 * MIB + 9}", **proof)["Body"].read()
    assert across == b"".join(contents)[5 * MIB - 10 : 5 * MIB + 10]
    assert s3.get_object(**place, PartNumber=2, **proof)["Body"].read() == contents[1]


def test_a_part_needs_the_key_that_its_upload_began_with(s3: Any, bucket: str) -> None:
    place = {"Bucket": bucket, "Key": "a"}
    upload = {**place, "UploadId": s3.create_multipart_upload(**place, **CUSTOMER)["UploadId"], "PartNumber": 1}
    assert refusal(s3.upload_part, **upload, Body=b"a") == ("InvalidRequest", 400)
    assert refusal(s3.upload_part, **upload, Body=b"a", **OTHER) == ("InvalidRequest", 400)
    plain = {**place, "UploadId": s3.create_multipart_upload(**place)["UploadId"], "PartNumber": 1}
    assert refusal(s3.upload_part, **plain, Body=b"a", **CUSTOMER) == ("InvalidRequest", 400)


@pytest.mark.parametrize("content", [SMALL, LONG], ids=["in a row", "in a file"])
def test_copies_are_encrypted_as_they_ask_whatever_their_source_is(
    s3: Any, bucket: str, key: str, content: bytes
) -> None:
    sources: dict[str, dict[str, Any]] = {
        "plain": {}, "s3": {"ServerSideEncryption": "AES256"}, "kms": kms_of(key), "customer": CUSTOMER,
    }  # fmt: skip
    for name, asked in sources.items():
        s3.put_object(Bucket=bucket, Key=name, Body=content, **asked)
    theirs = {f"CopySource{name}": value for name, value in CUSTOMER.items()}
    for name, (target, asked) in itertools.product(sources, sources.items()):
        proof = theirs if name == "customer" else {}
        copied = s3.copy_object(Bucket=bucket, Key=f"{name}-{target}", CopySource=f"{bucket}/{name}", **asked, **proof)
        own = CUSTOMER if target == "customer" else {}
        got = s3.get_object(Bucket=bucket, Key=f"{name}-{target}", **own)
        assert (got["Body"].read(), told(got)) == (content, told(copied))
    assert refusal(s3.copy_object, Bucket=bucket, Key="b", CopySource=f"{bucket}/customer") == ("InvalidRequest", 400)
    part = {"Bucket": bucket, "Key": "parts"}
    upload = {**part, "UploadId": s3.create_multipart_upload(**part, **kms_of(key))["UploadId"]}
    made = s3.upload_part_copy(**upload, PartNumber=1, CopySource=f"{bucket}/customer", **theirs)
    etag = made["CopyPartResult"]["ETag"]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    assert read(s3, bucket, "parts") == content


def test_an_object_may_be_encrypted_by_copying_it_onto_itself(s3: Any, bucket: str, key: str) -> None:
    place = {"Bucket": bucket, "Key": "a"}
    s3.put_object(**place, Body=LONG)
    assert refusal(s3.copy_object, **place, CopySource=place) == ("InvalidRequest", 400)
    s3.copy_object(**place, CopySource=place, **kms_of(key))
    assert (read(s3, bucket, "a"), told(s3.head_object(**place))) == (LONG, kms_of(key))


@pytest.mark.parametrize("content", [SMALL, LONG], ids=["in a row", "in a file"])
def test_an_older_version_stays_under_its_own_key(s3: Any, kms: Any, bucket: str, key: str, content: bytes) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    place = {"Bucket": bucket, "Key": "verse.txt"}
    first = s3.put_object(**place, Body=content, **kms_of(key))["VersionId"]
    second = s3.put_object(**place, Body=content[::-1], **CUSTOMER)["VersionId"]
    s3.put_object(**place, Body=b"plain")
    assert read(s3, bucket, "verse.txt", VersionId=first) == content
    assert told(s3.head_object(**place, VersionId=first)) == kms_of(key)
    assert refusal(s3.get_object, **place, VersionId=second)[1] == 400
    assert read(s3, bucket, "verse.txt", VersionId=second, **CUSTOMER) == content[::-1]
    # Restored, it is read with its key and sealed anew.
    s3.copy_object(**place, CopySource={**place, "VersionId": first}, ServerSideEncryption="AES256")
    assert read(s3, bucket, "verse.txt") == content
    kms.disable_key(KeyId=key)
    assert refusal(s3.get_object, **place, VersionId=first) == ("KMS.DisabledException", 400)
    assert read(s3, bucket, "verse.txt") == content
    s3.put_object_tagging(**place, VersionId=first, Tagging={"TagSet": [{"Key": "kept", "Value": "yes"}]})
    kms.enable_key(KeyId=key)
    s3.delete_object(**place, VersionId=second)
    assert read(s3, bucket, "verse.txt", VersionId=first) == content


def test_keys_of_the_caller_open_what_they_closed_and_nothing_else(s3: Any, bucket: str) -> None:
    place = {"Bucket": bucket, "Key": "a"}
    for content in (b"", SMALL, LONG):
        s3.put_object(**place, Body=content, **CUSTOMER)
        for action in (s3.get_object, s3.head_object):
            assert refusal(action, **place)[1] == 400
            assert refusal(action, **place, **OTHER)[1] == 403
    s3.put_object(**place, Body=SMALL)
    assert refusal(s3.get_object, **place, **CUSTOMER) == ("InvalidRequest", 400)
    short = {**CUSTOMER, "SSECustomerKey": b"short"}
    assert refusal(s3.put_object, **place, Body=b"", **short) == ("InvalidArgument", 400)
    wrong = {**CUSTOMER, "SSECustomerKeyMD5": base64.b64encode(b"0" * 16).decode()}
    wrong["SSECustomerKey"] = base64.b64encode(bytes(range(32))).decode()
    assert refusal(s3.put_object, **place, Body=b"", **wrong) == ("InvalidArgument", 400)
    strange = {**CUSTOMER, "SSECustomerAlgorithm": "AES512"}
    assert refusal(s3.put_object, **place, Body=b"", **strange) == ("InvalidEncryptionAlgorithmError", 400)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"ServerSideEncryption": "rot13"}, "InvalidArgument"),
        ({"ServerSideEncryption": "aws:kms:dsse"}, "NotImplemented"),
        ({"SSEKMSKeyId": "alias/aws/s3"}, "InvalidArgument"),
        ({"ServerSideEncryption": "AES256", "SSEKMSKeyId": "alias/aws/s3"}, "InvalidArgument"),
        ({"ServerSideEncryption": "aws:kms", "SSEKMSEncryptionContext": "%%"}, "InvalidArgument"),
        ({"ServerSideEncryption": "aws:kms", "SSEKMSEncryptionContext": base64.b64encode(b"[1]").decode()}, "InvalidArgument"),
        ({"ServerSideEncryption": "AES256", **CUSTOMER}, "InvalidArgument"),
        ({"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "nothing"}, "KMS.NotFoundException"),
    ],
)  # fmt: skip
def test_an_encryption_that_cannot_be_is_refused_and_nothing_is_stored(
    s3: Any, bucket: str, asked: dict[str, Any], code: str
) -> None:
    place = {"Bucket": bucket, "Key": "a"}
    assert refusal(s3.put_object, **place, Body=b"a", **asked)[0] == code
    assert refusal(s3.create_multipart_upload, **place, **asked)[0] == code
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_a_bucket_gives_its_encryption_to_what_asks_for_none(s3: Any, server: Running, bucket: str, key: str) -> None:
    none = "ServerSideEncryptionConfigurationNotFoundError"
    assert refusal(s3.get_bucket_encryption, Bucket=bucket) == (none, 404)
    by_default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    rule = {"ApplyServerSideEncryptionByDefault": by_default, "BucketKeyEnabled": True}
    configuration = {"Rules": [rule]}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=configuration)
    assert s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"] == configuration
    expected = {**kms_of(key), "BucketKeyEnabled": True}
    assert told(s3.put_object(Bucket=bucket, Key="a", Body=LONG)) == expected
    in_parts(s3, {"Bucket": bucket, "Key": "b"}, [LONG], {}, {})
    s3.copy_object(Bucket=bucket, Key="c", CopySource=f"{bucket}/a")
    form = s3.generate_presigned_post(bucket, "d")
    posted(form, LONG)
    server.platform.buckets.put_bytes(bucket, "e", LONG)
    for name in "abcde":
        got = s3.get_object(Bucket=bucket, Key=name)
        assert (got["Body"].read(), told(got)) == (LONG, expected), name
    assert told(s3.put_object(Bucket=bucket, Key="f", Body=b"", ServerSideEncryption="AES256")) == {
        "ServerSideEncryption": "AES256"
    }
    s3.delete_bucket_encryption(Bucket=bucket)
    assert told(s3.put_object(Bucket=bucket, Key="a", Body=b"")) == {}
    assert refusal(s3.get_bucket_encryption, Bucket=bucket) == (none, 404)


def posted(form: dict[str, Any], content: bytes) -> None:
    mark = "a-border-of-a-form"
    fields = [
        f'--{mark}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in form["fields"].items()
    ]
    head = f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
    body = "".join([*fields, head]).encode() + content + f"\r\n--{mark}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={mark}"}
    urllib.request.urlopen(urllib.request.Request(form["url"], data=body, headers=headers)).close()


def test_a_form_may_ask_for_its_encryption(s3: Any, bucket: str, key: str) -> None:
    fields = {"x-amz-server-side-encryption": "aws:kms", "x-amz-server-side-encryption-aws-kms-key-id": key}
    form = s3.generate_presigned_post(bucket, "a", Fields=fields, Conditions=[{k: v} for k, v in fields.items()])
    posted(form, LONG)
    assert (read(s3, bucket, "a"), told(s3.head_object(Bucket=bucket, Key="a"))) == (LONG, kms_of(key))


@pytest.mark.parametrize(
    "rules",
    [
        [],
        [{"BucketKeyEnabled": False}],
        [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256", "KMSMasterKeyID": "alias/a"}}],
        [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms:dsse"}}],
        [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}] * 2,
    ],
)
def test_a_configuration_that_says_nothing_or_too_much_is_refused(s3: Any, bucket: str, rules: list[Any]) -> None:
    asked = {"Bucket": bucket, "ServerSideEncryptionConfiguration": {"Rules": rules}}
    assert refusal(s3.put_bucket_encryption, **asked)[1] in (400, 501)


def test_a_bucket_may_take_no_keys_of_the_caller(s3: Any, bucket: str) -> None:
    rule = {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False,
        "BlockedEncryptionTypes": {"EncryptionType": ["SSE-C"]},
    }  # fmt: skip
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    assert s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"] == [rule]
    assert refusal(s3.put_object, Bucket=bucket, Key="a", Body=b"", **CUSTOMER) == ("AccessDenied", 403)
    assert told(s3.put_object(Bucket=bucket, Key="a", Body=b"")) == {"ServerSideEncryption": "AES256"}


# Who may


@pytest.fixture
def jane(server: Running) -> tuple[Any, Any]:
    """S3 for a user with all rights in S3 and none in KMS, and a way to give her more."""
    iam, name = server.client("iam"), f"jane-{next(_numbers)}"
    iam.create_user(UserName=name)
    made = iam.create_access_key(UserName=name)["AccessKey"]
    keys = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}

    def allow(*statements: dict[str, Any]) -> None:
        every = [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}, *statements]
        document = json.dumps({"Version": "2012-10-17", "Statement": every})
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document)

    allow()
    return server.client("s3", **keys), allow


def test_writing_needs_a_data_key_and_reading_needs_decryption(
    s3: Any, jane: tuple[Any, Any], bucket: str, key: str
) -> None:
    client, allow = jane
    place = {"Bucket": bucket, "Key": "a"}
    s3.put_object(**place, Body=SMALL, **kms_of(key))
    assert refusal(client.get_object, **place) == ("AccessDenied", 403)
    assert refusal(client.put_object, **place, Body=b"", **kms_of(key)) == ("AccessDenied", 403)
    assert client.head_object(**place)["SSEKMSKeyId"] == key
    allow({"Effect": "Allow", "Action": "kms:GenerateDataKey", "Resource": key})
    client.put_object(**place, Body=LONG, **kms_of(key))
    assert refusal(client.get_object, **place) == ("AccessDenied", 403)
    begun = client.create_multipart_upload(**place, **kms_of(key))
    part = {**place, "UploadId": begun["UploadId"], "PartNumber": 1, "Body": b"a"}
    assert refusal(client.upload_part, **part) == ("AccessDenied", 403)  # S3 asks for kms:Decrypt too
    allow({"Effect": "Allow", "Action": "kms:Decrypt", "Resource": key})
    assert read(client, bucket, "a") == LONG
    client.upload_part(**part)
    # The service's own key is for everybody who may use the service.
    client.put_object(**place, Body=SMALL, ServerSideEncryption="aws:kms")
    assert read(client, bucket, "a") == SMALL


def test_conditions_of_keys_know_the_service_and_the_object(
    s3: Any, jane: tuple[Any, Any], bucket: str, key: str
) -> None:
    client, allow = jane
    s3.put_object(Bucket=bucket, Key="a", Body=SMALL, **kms_of(key))
    s3.put_object(Bucket=bucket, Key="b", Body=SMALL, **kms_of(key), BucketKeyEnabled=True)

    def may(name: str, **conditions: str) -> bool:
        allow({"Effect": "Allow", "Action": "kms:*", "Resource": key, "Condition": {"StringEquals": conditions}})
        try:
            return read(client, bucket, name) == SMALL
        except client.exceptions.ClientError as refused:
            return str(refused.response["Error"]["Code"]) != "AccessDenied"

    assert may("a", **{"kms:ViaService": "s3.us-east-1.amazonaws.com"})
    assert not may("a", **{"kms:ViaService": "s3.eu-west-1.amazonaws.com"})
    assert may("a", **{"kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{bucket}/a"})
    assert not may("b", **{"kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{bucket}/b"})
    assert may("b", **{"kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{bucket}"})
    context = base64.b64encode(json.dumps({"tenant": "jane"}).encode()).decode()
    put = s3.put_object(Bucket=bucket, Key="a", Body=SMALL, **kms_of(key), SSEKMSEncryptionContext=context)
    assert json.loads(base64.b64decode(put["SSEKMSEncryptionContext"])) == {"tenant": "jane"}
    assert may("a", **{"kms:EncryptionContext:tenant": "jane"})
    assert not may("a", **{"kms:EncryptionContext:tenant": "joe"})


def test_policies_may_ask_for_an_encryption(jane: tuple[Any, Any], bucket: str, key: str) -> None:
    client, allow = jane
    named = "s3:x-amz-server-side-encryption-aws-kms-key-id"
    algorithm = "s3:x-amz-server-side-encryption"
    deny = {"Effect": "Deny", "Action": "s3:PutObject", "Resource": "*"}
    allow(
        {"Effect": "Allow", "Action": "kms:*", "Resource": "*"},
        {**deny, "Condition": {"Null": {algorithm: "true"}}},
        {**deny, "Condition": {"StringNotEqualsIfExists": {named: key}}},
        {**deny, "Condition": {"Null": {f"{algorithm}-customer-algorithm": "false"}}},
    )
    place = {"Bucket": bucket, "Key": "a"}
    assert refusal(client.put_object, **place, Body=b"") == ("AccessDenied", 403)
    assert refusal(client.put_object, **place, Body=b"", **kms_of("alias/aws/s3")) == ("AccessDenied", 403)
    client.put_object(**place, Body=b"", **kms_of(key))
    allow({**deny, "Condition": {"Null": {f"{algorithm}-customer-algorithm": "false"}}})
    client.put_object(**place, Body=b"")
    assert refusal(client.put_object, **place, Body=b"", **CUSTOMER) == ("AccessDenied", 403)


# What lies on the disk


def test_nothing_of_what_is_encrypted_lies_in_the_home_in_clear(
    server: Running, s3: Any, bucket: str, key: str
) -> None:
    texts = random.Random(7)
    secrets = {f"secret {number}": texts.randbytes(size) for number, size in enumerate((40, 3000, 200_000, MIB + 9))}
    plain = texts.randbytes(300_000)
    s3.put_object(Bucket=bucket, Key="plain", Body=plain)
    for (name, content), (number, asked) in itertools.product(
        secrets.items(), enumerate(({"ServerSideEncryption": "AES256"}, kms_of(key), CUSTOMER))
    ):
        proof = CUSTOMER if asked is CUSTOMER else {}
        s3.put_object(Bucket=bucket, Key=f"{name} {number}", Body=content, **asked)
        in_parts(s3, {"Bucket": bucket, "Key": f"{name} {number} parts"}, [content], asked, proof)
        s3.get_object(Bucket=bucket, Key=f"{name} {number}", **proof)["Body"].read()
    digests = {f"SHA-256 of {name}": hashlib.sha256(content).hexdigest().encode() for name, content in secrets.items()}
    home = server.settings.home
    assert PlaintextScan({**secrets, **digests}).files(home) == []
    found = PlaintextScan({"plain": plain}).files(home)
    assert len(found) == 1, "the scan finds what is there"


def test_a_damaged_content_is_told_and_never_given_out(server: Running, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=LONG, ServerSideEncryption="AES256")
    record = server.platform.buckets.find(bucket, "a")
    path = server.settings.objects / record.digest[:2] / record.digest
    sealed = bytearray(path.read_bytes())
    sealed[-1] ^= 1
    path.write_bytes(sealed)
    assert refusal(s3.get_object, Bucket=bucket, Key="a") == ("InternalError", 500)
    path.write_bytes(sealed[:-70_000])
    assert refusal(s3.head_object, Bucket=bucket, Key="a")[1] == 500


def test_a_source_that_is_exchanged_during_its_copy_needs_its_own_key(
    server: Running, s3: Any, bucket: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam = server.client("iam")
    iam.create_user(UserName="copier")
    allowed = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.put_user_policy(UserName="copier", PolicyName="own", PolicyDocument=document)
    made = iam.create_access_key(UserName="copier")["AccessKey"]
    copier = server.client("s3", aws_access_key_id=made["AccessKeyId"], aws_secret_access_key=made["SecretAccessKey"])
    s3.put_object(Bucket=bucket, Key="a", Body=b"open to all")
    copy = Buckets.copy

    def exchanged(self: Buckets, *places: Any, **asked: Any) -> Any:
        s3.put_object(Bucket=bucket, Key="a", Body=SMALL, **kms_of(key))
        return copy(self, *places, **asked)

    monkeypatch.setattr(Buckets, "copy", exchanged)
    asked = {"Bucket": bucket, "Key": "b", "CopySource": f"{bucket}/a"}
    assert refusal(copier.copy_object, **asked) == ("AccessDenied", 403)
    assert refusal(s3.head_object, Bucket=bucket, Key="b")[1] == 404
