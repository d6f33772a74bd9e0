"""Kinds of calls, as CloudTrail tells them apart: those that only read, and data events.

Invocations of models are management events there, and so they are here. CloudTrail says of AssumeRole that it only
reads; here it is a change, for it makes credentials.
https://docs.aws.amazon.com/bedrock/latest/userguide/logging-using-cloudtrail.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/cloudtrail-logging-s3-info.html
"""

from functools import cache

_READS = (
    "ApplyGuardrail", "BatchGet", "Converse", "CountTokens", "Decrypt", "Describe", "Encrypt", "Filter",
    "GenerateDataKey", "GenerateMac", "GenerateRandom", "Get", "Head", "InvokeEndpoint", "InvokeModel", "List",
    "Lookup", "Query", "ReEncrypt", "Rerank", "Retrieve", "Search", "SelectObject", "Sign", "Simulate", "Verify",
)  # fmt: skip
_OF_BUCKETS = frozenset({"GetObjectLockConfiguration", "PutObjectLockConfiguration"})
_OF_STREAMS = frozenset({"PutLogEvents", "PutMetricData"})
_OF_OBJECTS = ("Object", "Upload", "ListParts", "HeadBucket")


@cache
def is_read_only(operation: str) -> bool:
    """Whether the operation changes nothing on record."""
    return operation.startswith(_READS)


@cache
def is_data_event(service: str, operation: str) -> bool:
    """Whether an operation is about what lies in a bucket, an index, a log or a metric. Such calls are many, and each
    leaves the records as they were."""
    if operation in _OF_STREAMS:
        return True
    if service == "s3vectors":
        return operation.endswith("Vectors")
    if service != "s3" or operation in _OF_BUCKETS:
        return False
    return any(part in operation for part in _OF_OBJECTS)
