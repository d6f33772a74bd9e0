"""List operations of S3 Vectors: vector buckets, indexes, vectors and tags."""

from typing import Any

from tests.support.listings.listing import Listing, client_of
from tests.support.servers import Running

INDEX: dict[str, Any] = {"dataType": "float32", "dimension": 2, "distanceMetric": "cosine"}
PLACE = {"vectorBucketName": "listed-bucket", "indexName": "listed-index"}


def arn(house: Running, bucket: str) -> str:
    return f"arn:aws:s3vectors:us-east-1:{house.platform.account}:bucket/{bucket}"


def add_bucket(house: Running, number: int) -> str:
    client_of(house, "s3vectors").create_vector_bucket(vectorBucketName=f"row-{number}")
    return f"row-{number}"


def remove_bucket(house: Running, name: str) -> None:
    client_of(house, "s3vectors").delete_vector_bucket(vectorBucketName=name)


def make_bucket(house: Running) -> None:
    client = client_of(house, "s3vectors")
    if not client.list_vector_buckets(prefix="listed-bucket")["vectorBuckets"]:
        client.create_vector_bucket(vectorBucketName="listed-bucket")


def add_index(house: Running, number: int) -> str:
    client_of(house, "s3vectors").create_index(vectorBucketName="listed-bucket", indexName=f"row-{number}", **INDEX)
    return f"row-{number}"


def remove_index(house: Running, name: str) -> None:
    client_of(house, "s3vectors").delete_index(vectorBucketName="listed-bucket", indexName=name)


def make_index(house: Running) -> None:
    make_bucket(house)
    client_of(house, "s3vectors").create_index(**PLACE, **INDEX)


def add_vector(house: Running, number: int) -> str:
    vector = {"key": f"row-{number}", "data": {"float32": [1.0, number]}}
    client_of(house, "s3vectors").put_vectors(**PLACE, vectors=[vector])
    return f"row-{number}"


def remove_vector(house: Running, key: str) -> None:
    client_of(house, "s3vectors").delete_vectors(**PLACE, keys=[key])


def add_tag(house: Running, number: int) -> str:
    resource = arn(house, "listed-bucket")
    client_of(house, "s3vectors").tag_resource(resourceArn=resource, tags={f"row-{number}": ""})
    return f"row-{number}"


def remove_tag(house: Running, key: str) -> None:
    client_of(house, "s3vectors").untag_resource(resourceArn=arn(house, "listed-bucket"), tagKeys=[key])


def listing(operation: str, **fields: Any) -> Listing:
    paged: dict[str, Any] = {"size": "maxResults", "tokens": {"nextToken": "nextToken"}}
    return Listing(service="s3vectors", operation=operation, **(paged | fields))


LISTINGS = [
    listing(
        "ListVectorBuckets",
        rows=lambda answer: answer["vectorBuckets"],
        name_of=lambda row: row["vectorBucketName"],
        add=add_bucket,
        remove=remove_bucket,
        filters={"prefix": ("row-3", lambda row: row["vectorBucketName"] == "row-3")},
        largest=500,
        wrong_sizes=(0, 501),
    ),
    listing(
        "ListIndexes",
        rows=lambda answer: answer["indexes"],
        name_of=lambda row: row["indexName"],
        prepare=make_bucket,
        add=add_index,
        remove=remove_index,
        asked=lambda _: {"vectorBucketName": "listed-bucket"},
        filters={"prefix": ("row-3", lambda row: row["indexName"] == "row-3")},
        refused={"vectorBucketArn": "arn:aws:s3vectors:us-east-1:123456789012:bucket/listed-bucket"},
        largest=500,
        wrong_sizes=(0, 501),
    ),
    listing(
        "ListVectors",
        rows=lambda answer: answer["vectors"],
        name_of=lambda row: row["key"],
        prepare=make_index,
        add=add_vector,
        remove=remove_vector,
        asked=lambda _: PLACE,
        refused={
            "indexArn": "arn:aws:s3vectors:us-east-1:123456789012:bucket/listed-bucket/index/listed-index",
            "segmentCount": 2,
            "segmentIndex": 0,
        },
        not_filters=frozenset({"returnData", "returnMetadata"}),
    ),
    Listing(
        service="s3vectors",
        operation="ListTagsForResource",
        rows=lambda answer: sorted(answer["tags"]),
        name_of=str,
        prepare=make_bucket,
        add=add_tag,
        remove=remove_tag,
        asked=lambda house: {"resourceArn": arn(house, "listed-bucket")},
    ),
]
