"""What the table of `test_listings.py` cannot say of S3's listings: markers of two parts, tokens of another bucket."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.listings.listing import client_of
from tests.support.servers import running_server

BUCKET, OTHER = "listed", "another"


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with running_server(tmp_path_factory.mktemp("listings-of-s3") / "home") as house:
        client = client_of(house, "s3")
        for bucket in (BUCKET, OTHER):
            client.create_bucket(Bucket=bucket)
            for key in ("a", "b", "c"):
                client.put_object(Bucket=bucket, Key=key, Body=b"")
        yield client


def refusal(ask: Callable[..., Any], **members: Any) -> dict[str, str]:
    with pytest.raises(ClientError) as refused:
        ask(**members)
    error: dict[str, str] = refused.value.response["Error"]
    return error


def begin(s3: Any, key: str) -> str:
    return str(s3.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"])


def ids(answer: dict[str, Any]) -> list[str]:
    return [upload["UploadId"] for upload in answer.get("Uploads", [])]


def test_a_token_is_good_in_its_bucket_only(s3: Any) -> None:
    token = s3.list_objects_v2(Bucket=BUCKET, MaxKeys=1)["NextContinuationToken"]
    assert [row["Key"] for row in s3.list_objects_v2(Bucket=BUCKET, ContinuationToken=token)["Contents"]] == ["b", "c"]
    assert refusal(s3.list_objects_v2, Bucket=OTHER, ContinuationToken=token) == {
        "Code": "InvalidArgument",
        "Message": "The continuation token provided is incorrect",
        "ArgumentName": "continuation-token",
        "ArgumentValue": token,
    }


def test_a_token_stands_when_the_page_is_told_otherwise_or_asked_for_from_elsewhere(s3: Any) -> None:
    begun = s3.list_objects_v2(Bucket=BUCKET, MaxKeys=1, StartAfter="a")
    token = begun["NextContinuationToken"]
    for told in ({}, {"FetchOwner": True}, {"EncodingType": "url"}, {"StartAfter": "b"}, {"Prefix": ""}):
        further = s3.list_objects_v2(Bucket=BUCKET, ContinuationToken=token, **told)
        assert [row["Key"] for row in further["Contents"]] == ["c"], told


def test_a_version_to_go_on_behind_needs_its_key_and_is_the_one_there_is(s3: Any) -> None:
    told = refusal(s3.list_object_versions, Bucket=BUCKET, VersionIdMarker="null")
    assert told["Message"] == "A version-id marker cannot be specified without a key marker."
    told = refusal(s3.list_object_versions, Bucket=BUCKET, KeyMarker="a", VersionIdMarker="another")
    assert (told["Code"], told["ArgumentName"]) == ("InvalidArgument", "version-id-marker")
    versions = s3.list_object_versions(Bucket=BUCKET, KeyMarker="a", VersionIdMarker="null")["Versions"]
    assert [version["Key"] for version in versions] == ["b", "c"]


def test_uploads_of_one_key_go_on_behind_an_id_also_when_it_has_ended(s3: Any) -> None:
    # Given three uploads of one key and one of the next, as they began
    begun = [begin(s3, "same") for _ in range(3)] + [begin(s3, "then")]
    assert ids(s3.list_multipart_uploads(Bucket=BUCKET)) == begun
    # When the second, at which a page ends, is aborted
    page = s3.list_multipart_uploads(Bucket=BUCKET, MaxUploads=2)
    assert (page["NextKeyMarker"], page["NextUploadIdMarker"]) == ("same", begun[1])
    s3.abort_multipart_upload(Bucket=BUCKET, Key="same", UploadId=begun[1])
    # Then the page behind it neither repeats the first nor loses the third; a key alone goes on behind all of them
    behind = {"KeyMarker": "same", "UploadIdMarker": begun[1]}
    assert ids(s3.list_multipart_uploads(Bucket=BUCKET, **behind)) == begun[2:]
    assert ids(s3.list_multipart_uploads(Bucket=BUCKET, KeyMarker="same")) == begun[3:]
    # And an id without its key says nothing
    left = [begun[0], *begun[2:]]
    assert ids(s3.list_multipart_uploads(Bucket=BUCKET, UploadIdMarker="never-given")) == left


@pytest.mark.parametrize("upload_id", ["never-given", "0" * 42, "0" * 43 + "é"])
def test_a_marker_that_is_no_upload_id_is_refused(s3: Any, upload_id: str) -> None:
    told = refusal(s3.list_multipart_uploads, Bucket=BUCKET, KeyMarker="same", UploadIdMarker=upload_id)
    assert (told["Code"], told["ArgumentName"]) == ("InvalidArgument", "upload-id-marker")


def test_an_upload_id_of_another_key_is_refused(s3: Any) -> None:
    another = begin(s3, "of-another-key")
    told = refusal(s3.list_multipart_uploads, Bucket=BUCKET, KeyMarker="same", UploadIdMarker=another)
    assert (told["Code"], told["Message"]) == ("InvalidArgument", "Invalid uploadId marker")


def test_a_page_of_no_uploads_or_parts_is_the_last(s3: Any) -> None:
    upload_id = begin(s3, "counted")
    s3.upload_part(Bucket=BUCKET, Key="counted", UploadId=upload_id, PartNumber=1, Body=b"x")
    assert s3.list_multipart_uploads(Bucket=BUCKET, MaxUploads=0)["IsTruncated"] is False
    assert s3.list_parts(Bucket=BUCKET, Key="counted", UploadId=upload_id, MaxParts=0)["IsTruncated"] is False


@pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2", "list_object_versions"])
def test_of_what_was_never_archived_no_restore_is_told(s3: Any, operation: str) -> None:
    answer = getattr(s3, operation)(Bucket=BUCKET, OptionalObjectAttributes=["RestoreStatus"])
    rows = answer.get("Contents") or answer["Versions"]
    assert [row["Key"] for row in rows] == ["a", "b", "c"]
    assert not any("RestoreStatus" in row for row in rows)
