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
    """The ARN of the bucket. Raises Invalid where it is not named, or in two ways that mean different ones."""
    name, arn = call.params.get("vectorBucketName"), call.params.get("vectorBucketArn")
    named = None if name is None else house.vector_buckets.arn_of(name, region=call.region)
    if named is None and arn is None:
        raise Invalid("Give either vectorBucketName or vectorBucketArn: one of them names the vector bucket.")
    if named is not None and arn not in (None, named):
        raise Invalid("vectorBucketArn: another vector bucket than that of vectorBucketName. Give one of them.")
    return _here(call, str(arn)) if named is None else named


def index_of(house: House, call: Call) -> VectorIndex:
    """The index on record. Raises NotFound, and Invalid unless it is named in one way."""
    return house.vector_indexes.find(index_arn(house, call))


def index_arn(house: House, call: Call) -> str:
    """The ARN of the index. Raises Invalid where it is not named, or in two ways that mean different ones.

    Programs send the name of the bucket beside the ARN of the index.
    """
    bucket, index = call.params.get("vectorBucketName"), call.params.get("indexName")
    of_bucket = None if bucket is None else house.vector_buckets.arn_of(bucket, region=call.region)
    arn: str | None = call.params.get("indexArn")
    if arn is None:
        if of_bucket is None or index is None:
            raise Invalid("Give either indexArn, or vectorBucketName and indexName: in one way the index is named.")
        return f"{of_bucket}/index/{index}"
    within, _, name = arn.partition("/index/")
    if of_bucket not in (None, within) or index not in (None, name):
        raise Invalid("indexArn: another index than that of vectorBucketName and indexName. Give it in one way.")
    return _here(call, arn)


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
