"""S3 Vectors: indexes in a vector bucket."""

from typing import Any

from outcrop.api.bedrock.listing import summaries
from outcrop.api.door import page_tokens
from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.vectors.buckets import DEFAULT_RESULTS
from outcrop.api.vectors.named import bucket_arn, check_encryption, check_index_name, index_arn, index_of
from outcrop.api.vectors.tags import tags_of_request
from outcrop.errors import Invalid
from outcrop.house import House
from outcrop.store.resources import Resource
from outcrop.vectors.records import DistanceMetric, VectorIndex


def create_index(house: House, call: Call) -> Answered:
    params = call.params
    check_index_name(params["indexName"])
    check_encryption(params)
    made = house.vector_indexes.create(
        bucket_arn(house, call),
        params["indexName"],
        dimension=params["dimension"],
        metric=DistanceMetric(params["distanceMetric"]),
        data_type=params["dataType"],
        unfilterable=_unfilterable(call),
        tags=tags_of_request(call),
    )
    return {"indexArn": made.arn}


def get_index(house: House, call: Call) -> Answered:
    index = index_of(house, call)
    keys = {"nonFilterableMetadataKeys": list(index.unfilterable)} if index.unfilterable else None
    return {
        "index": {
            **_named(index),
            "dataType": index.data_type,
            "dimension": index.dimension,
            "distanceMetric": index.metric,
            "metadataConfiguration": keys,
        }
    }


def list_indexes(house: House, call: Call) -> Answered:
    params = call.params
    found = house.vector_indexes.page(
        bucket_arn=bucket_arn(house, call),
        prefix=params.get("prefix", ""),
        most=params.get("maxResults", DEFAULT_RESULTS),
        token=page_tokens.read(call),
    )
    return {
        "indexes": summaries(found, _summary),
        "nextToken": found.next_token and page_tokens.write(call, found.next_token),
    }


def delete_index(house: House, call: Call) -> Answered:
    house.vector_indexes.delete(index_arn(house, call))
    return {}


def _unfilterable(call: Call) -> list[str]:
    keys: list[str] = call.params.get("metadataConfiguration", {}).get("nonFilterableMetadataKeys", [])
    if len(set(keys)) < len(keys):
        raise Invalid("metadataConfiguration.nonFilterableMetadataKeys: a key is given twice. Give each key once.")
    return keys


def _summary(row: Resource) -> dict[str, Any]:
    return _named(VectorIndex.of(row))


def _named(index: VectorIndex) -> dict[str, Any]:
    return {
        "vectorBucketName": index.bucket,
        "indexName": index.name,
        "indexArn": index.arn,
        "creationTime": index.created,
    }


OPERATIONS: dict[str, Handler] = {
    "CreateIndex": create_index,
    "GetIndex": get_index,
    "ListIndexes": list_indexes,
    "DeleteIndex": delete_index,
}
