"""S3's list operations. The older ones go on from a key that clients may name themselves; ContinuationToken is opaque."""

from typing import Any

import jmespath

from tests.support.listings.listing import Listing, client_of
from tests.support.servers import Running

BUCKET, KEY, WHOLE = "listed", "uploading", "whole"
PART = b"x" * 5 * 1024 * 1024
# Who asks, who pays, and in what form the answer comes; none of them chooses rows.
FORM = frozenset({
    "EncodingType", "ExpectedBucketOwner", "FetchOwner", "RequestPayer",
    "SSECustomerAlgorithm", "SSECustomerKey", "SSECustomerKeyMD5",
})  # fmt: skip


def s3(operation: str, rows: str, name: str, **fields: Any) -> Listing:
    """`rows`: where in the answer they are; `name`: the member of a row."""
    return Listing(
        service="s3",
        operation=operation,
        rows=lambda answer: jmespath.search(rows, answer) or [],
        name_of=lambda row: str(row[name]),
        prepare=fields.pop("prepare", make_bucket),
        asked=fields.pop("asked", lambda _: {"Bucket": BUCKET}),
        refusal="InvalidArgument",
        wrong_sizes=fields.pop("wrong_sizes", (-1,)),
        not_filters=FORM,
        **fields,
    )


def make_bucket(house: Running) -> None:
    client(house).create_bucket(Bucket=BUCKET)


def client(house: Running) -> Any:
    return client_of(house, "s3")


def add_object(house: Running, number: int) -> str:
    key = f"{'even' if number % 2 == 0 else 'odd'}/row-{number}"
    client(house).put_object(Bucket=BUCKET, Key=key, Body=b"")
    return key


def remove_object(house: Running, key: str) -> None:
    client(house).delete_object(Bucket=BUCKET, Key=key)


def objects(operation: str, rows: str = "Contents", **fields: Any) -> Listing:
    filters = {
        "Prefix": ("even/", lambda row: row["Key"].startswith("even/")),
        "Delimiter": ("/", lambda _: False),  # all of them are folded into two prefixes
    }
    filters |= fields.pop("filters", {})
    refused = {"OptionalObjectAttributes": ["Colour"], **fields.pop("refused", {})}
    rows_of = {"add": add_object, "remove": remove_object, "size": "MaxKeys", "filters": filters, "refused": refused}
    return s3(operation, rows, "Key", **rows_of, **fields)


def add_bucket(house: Running, number: int) -> str:
    name = f"{'even' if number % 2 == 0 else 'odd'}-row-{number}"
    region = {"LocationConstraint": "eu-west-1"} if number == 3 else {"LocationConstraint": "us-west-2"}
    client(house).create_bucket(Bucket=name, CreateBucketConfiguration=region)
    return name


def add_upload(house: Running, number: int) -> str:
    made = client(house).create_multipart_upload(
        Bucket=BUCKET, Key=f"{'even' if number % 2 == 0 else 'odd'}/row-{number}"
    )
    return str(made["UploadId"])


def remove_upload(house: Running, upload_id: str) -> None:
    uploads = client(house).list_multipart_uploads(Bucket=BUCKET)["Uploads"]
    key = next(each["Key"] for each in uploads if each["UploadId"] == upload_id)
    client(house).abort_multipart_upload(Bucket=BUCKET, Key=key, UploadId=upload_id)


def open_upload(house: Running) -> str:
    """The id of the upload whose parts are listed."""
    uploads = client(house).list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
    return next(str(each["UploadId"]) for each in uploads if each["Key"] == KEY)


def begin_upload(house: Running) -> None:
    make_bucket(house)
    client(house).create_multipart_upload(Bucket=BUCKET, Key=KEY)


def add_part(house: Running, number: int) -> str:
    where = {"Bucket": BUCKET, "Key": KEY, "UploadId": open_upload(house)}
    client(house).upload_part(**where, PartNumber=number + 1, Body=b"x")
    return str(number + 1)


def make_of_parts(house: Running) -> None:
    """An object of two parts, the first of the least size that S3 takes for one that is not the last."""
    make_bucket(house)
    where: dict[str, Any] = {"Bucket": BUCKET, "Key": WHOLE}
    where["UploadId"] = client(house).create_multipart_upload(**where, ChecksumAlgorithm="CRC32")["UploadId"]
    given = []
    for number, body in enumerate([PART, b"y"], start=1):
        part = client(house).upload_part(**where, PartNumber=number, Body=body, ChecksumAlgorithm="CRC32")
        given.append({"PartNumber": number, "ETag": part["ETag"], "ChecksumCRC32": part["ChecksumCRC32"]})
    client(house).complete_multipart_upload(**where, MultipartUpload={"Parts": given})


def never_set(operation: str) -> Listing:
    """A listing of something that cannot be set on a bucket: listed as nothing."""
    return s3(operation, "[]", "Id", tokens={"ContinuationToken": "NextContinuationToken"})


LISTINGS = [
    s3(
        "ListBuckets",
        "Buckets",
        "Name",
        add=add_bucket,
        remove=lambda house, name: client(house).delete_bucket(Bucket=name),
        asked=lambda _: {},
        size="MaxBuckets",
        wrong_sizes=(-1, 0, 10_001),
        tokens={"ContinuationToken": "ContinuationToken"},
        filters={
            "Prefix": ("even-", lambda row: row["Name"].startswith("even-")),
            "BucketRegion": ("eu-west-1", lambda row: row["BucketRegion"] == "eu-west-1"),
        },
    ),
    objects(
        "ListObjectsV2",
        tokens={"ContinuationToken": "NextContinuationToken"},
        filters={"StartAfter": ("even/row-2", lambda row: row["Key"] > "even/row-2")},
        only_first=frozenset({"StartAfter"}),
    ),
    objects("ListObjects", tokens={"Marker": "NextMarker || Contents[-1].Key"}, is_opaque=False),
    objects(
        "ListObjectVersions",
        rows="Versions",
        tokens={"KeyMarker": "NextKeyMarker", "VersionIdMarker": "NextVersionIdMarker"},
        is_opaque=False,
    ),
    s3(
        "ListMultipartUploads",
        "Uploads",
        "UploadId",
        add=add_upload,
        remove=remove_upload,
        size="MaxUploads",
        tokens={"KeyMarker": "NextKeyMarker", "UploadIdMarker": "NextUploadIdMarker"},
        is_opaque=False,
        filters={
            "Prefix": ("even/", lambda row: row["Key"].startswith("even/")),
            "Delimiter": ("/", lambda _: False),
        },
    ),
    s3(
        "ListParts",
        "Parts",
        "PartNumber",
        prepare=begin_upload,
        add=add_part,
        asked=lambda house: {"Bucket": BUCKET, "Key": KEY, "UploadId": open_upload(house)},
        size="MaxParts",
        tokens={"PartNumberMarker": "NextPartNumberMarker"},
        is_opaque=False,
    ),
    s3(
        "GetObjectAttributes",
        "ObjectParts.Parts",
        "PartNumber",
        prepare=make_of_parts,
        asked=lambda _: {"Bucket": BUCKET, "Key": WHOLE, "ObjectAttributes": ["ObjectParts"]},
        size="MaxParts",
        tokens={"PartNumberMarker": "ObjectParts.NextPartNumberMarker"},
        is_opaque=False,
        refused={"VersionId": "another"},
    ),
    never_set("ListBucketAnalyticsConfigurations"),
    never_set("ListBucketIntelligentTieringConfigurations"),
    never_set("ListBucketInventoryConfigurations"),
    never_set("ListBucketMetricsConfigurations"),
]
