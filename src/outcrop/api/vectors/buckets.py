"""S3 Vectors: vector buckets and their policies."""

from typing import Any

from outcrop.api.bedrock.listing import summaries
from outcrop.api.door import page_tokens
from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.vectors.named import bucket_arn, check_bucket_name, check_encryption
from outcrop.api.vectors.tags import tags_of_request
from outcrop.errors import NotFound
from outcrop.house import House
from outcrop.store.resources import Resource
from outcrop.vectors.records import VectorBucket

DEFAULT_RESULTS = 500


def create_vector_bucket(house: House, call: Call) -> Answered:
    name = call.params["vectorBucketName"]
    check_bucket_name(name)
    check_encryption(call.params)
    made = house.vector_buckets.create(name, region=call.region, tags=tags_of_request(call))
    return {"vectorBucketArn": made.arn}


def get_vector_bucket(house: House, call: Call) -> Answered:
    return {"vectorBucket": _shown(house.vector_buckets.get(bucket_arn(house, call)))}


def list_vector_buckets(house: House, call: Call) -> Answered:
    params = call.params
    found = house.vector_buckets.page(
        region=call.region,
        prefix=params.get("prefix", ""),
        most=params.get("maxResults", DEFAULT_RESULTS),
        token=page_tokens.read(call),
    )
    return {
        "vectorBuckets": summaries(found, _summary),
        "nextToken": found.next_token and page_tokens.write(call, found.next_token),
    }


def delete_vector_bucket(house: House, call: Call) -> Answered:
    house.vector_buckets.delete(bucket_arn(house, call))
    return {}


def put_vector_bucket_policy(house: House, call: Call) -> Answered:
    house.vector_buckets.set_policy(bucket_arn(house, call), call.params["policy"])
    return {}


def get_vector_bucket_policy(house: House, call: Call) -> Answered:
    arn = bucket_arn(house, call)
    policy = house.vector_buckets.policy(arn)
    if policy is None:
        raise NotFound(f"The vector bucket has no policy: {arn}")
    return {"policy": policy}


def delete_vector_bucket_policy(house: House, call: Call) -> Answered:
    house.vector_buckets.set_policy(bucket_arn(house, call), None)
    return {}


def _summary(row: Resource) -> dict[str, Any]:
    return _shown(VectorBucket.of(row))


def _shown(bucket: VectorBucket) -> dict[str, Any]:
    return {"vectorBucketName": bucket.name, "vectorBucketArn": bucket.arn, "creationTime": bucket.created}


OPERATIONS: dict[str, Handler] = {
    "CreateVectorBucket": create_vector_bucket,
    "GetVectorBucket": get_vector_bucket,
    "ListVectorBuckets": list_vector_buckets,
    "DeleteVectorBucket": delete_vector_bucket,
    "PutVectorBucketPolicy": put_vector_bucket_policy,
    "GetVectorBucketPolicy": get_vector_bucket_policy,
    "DeleteVectorBucketPolicy": delete_vector_bucket_policy,
}
