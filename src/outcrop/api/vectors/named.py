"""The vector bucket or index that a request of S3 Vectors names, by its ARN or by names."""

import re
from collections.abc import Mapping
from typing import Any

from outcrop import arn as arns
from outcrop.api.door.call import Call
from outcrop.errors import Invalid, NotFound
from outcrop.house import House
from outcrop.vectors.records import VectorIndex

_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_INDEX_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


def bucket_arn(house: House, call: Call) -> str:
    """The ARN of the bucket. Raises Invalid unless it is named in one way."""
    name, arn = call.params.get("vectorBucketName"), call.params.get("vectorBucketArn")
    if (name is None) == (arn is None):
        raise Invalid("Give either vectorBucketName or vectorBucketArn: one of them names the vector bucket.")
    return _here(call, str(arn)) if name is None else house.vector_buckets.arn_of(name, region=call.region)


def index_of(house: House, call: Call) -> VectorIndex:
    """The index on record. Raises NotFound, and Invalid unless it is named in one way."""
    return house.vector_indexes.find(index_arn(house, call))


def index_arn(house: House, call: Call) -> str:
    """The ARN of the index. Raises Invalid unless it is named in one way."""
    bucket, index = call.params.get("vectorBucketName"), call.params.get("indexName")
    arn: str | None = call.params.get("indexArn")
    if arn is not None and bucket is None and index is None:
        return _here(call, arn)
    if arn is not None or bucket is None or index is None:
        raise Invalid("Give either indexArn, or vectorBucketName and indexName: in one way the index is named.")
    return f"{house.vector_buckets.arn_of(bucket, region=call.region)}/index/{index}"


def _here(call: Call, arn: str) -> str:
    """Raises NotFound for an ARN of another region: that stands for nothing here."""
    named = arns.parse(arn)
    if named is None or named.region != call.region:
        raise NotFound(f"The specified resource could not be found in {call.region}: {arn}")
    return arn


def check_bucket_name(name: str) -> None:
    """Raises Invalid: https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-vectors-buckets-naming.html"""
    if _BUCKET_NAME.fullmatch(name) is None:
        raise Invalid(
            f"vectorBucketName: {name!r} may have lowercase letters, digits and hyphens, and begins and ends with a "
            "letter or a digit. Choose another name."
        )


def check_index_name(name: str) -> None:
    """Raises Invalid: https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-vectors-indexes.html"""
    if _INDEX_NAME.fullmatch(name) is None:
        raise Invalid(
            f"indexName: {name!r} may have lowercase letters, digits, hyphens and dots, and begins and ends with a "
            "letter or a digit. Choose another name."
        )


def check_encryption(params: Mapping[str, Any]) -> None:
    """Raises Invalid for a key of one's own, which is not built.

    AES256 is taken, as programs send it without being asked; no answer says that anything is encrypted.
    """
    given: Mapping[str, str] = params.get("encryptionConfiguration") or {}
    if given.get("sseType") == "aws:kms" or "kmsKeyArn" in given:
        raise Invalid(
            "encryptionConfiguration: encryption by a key of one's own is not built in Outcrop yet; vectors lie "
            "unencrypted in its home. Leave it out, and encrypt the disk."
        )
