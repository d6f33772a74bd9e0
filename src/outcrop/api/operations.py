"""Which handler answers which operation: the tables of all files of handlers, by service.

The list below is the whole product as clients see it; an operation that is in none of the tables is answered by its
name, as not built.
"""

from collections.abc import Mapping

from outcrop.api import (
    custom_models,
    customization_jobs,
    deployments,
    foundation_models,
    iam,
    runtime,
    s3_buckets,
    s3_multipart,
    s3_objects,
    sts,
    tags,
    throughput,
)
from outcrop.api.call import Handler

Operations = Mapping[str, Mapping[str, Handler]]

OPERATIONS: Operations = {
    "bedrock": {
        **foundation_models.OPERATIONS,
        **customization_jobs.OPERATIONS,
        **custom_models.OPERATIONS,
        **deployments.OPERATIONS,
        **throughput.OPERATIONS,
        **tags.OPERATIONS,
    },
    "bedrock-runtime": runtime.OPERATIONS,
    "iam": iam.OPERATIONS,
    "s3": {**s3_buckets.OPERATIONS, **s3_objects.OPERATIONS, **s3_multipart.OPERATIONS},
    "sts": sts.OPERATIONS,
}
