"""Do we read what botocore writes, and does botocore read what we write? For every operation in reach."""

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from outcrop.protocol import service_model
from outcrop.protocol.parse import parse
from outcrop.protocol.routing import route
from outcrop.protocol.serialize import serialize
from tests.shaped_values import draw_structure, operation_of_botocore, read_by_botocore, request_from_botocore

S3_OPERATIONS = (
    "AbortMultipartUpload", "CompleteMultipartUpload", "CopyObject", "CreateBucket", "CreateMultipartUpload",
    "DeleteBucket", "DeleteObject", "DeleteObjects", "DeleteObjectTagging", "GetBucketAcl",
    "GetBucketLocation", "GetBucketPolicy", "GetBucketVersioning", "GetObject", "GetObjectAttributes",
    "GetObjectTagging", "HeadBucket", "HeadObject", "ListBuckets", "ListMultipartUploads", "ListObjects",
    "ListObjectsV2", "ListObjectVersions", "ListParts", "PutBucketAcl", "PutObject", "PutObjectTagging",
    "UploadPart", "UploadPartCopy",
)  # fmt: skip
SESSION = "arn:aws:bedrock:us-east-1:123456789012:session/0a1b2c3d"

few = settings(
    max_examples=2,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def operations() -> list[Any]:
    found = []
    for service in ("bedrock", "bedrock-runtime", "bedrock-agent", "bedrock-agent-runtime", "sts", "iam", "s3"):
        names = S3_OPERATIONS if service == "s3" else service_model.load(service).operation_names
        found += [pytest.param(service, name, id=f"{service}-{name}") for name in names]
    return found


@pytest.mark.parametrize(("service", "name"), operations())
@few
@given(data=st.data())
def test_a_request_of_botocore_is_routed_and_read_as_it_was_meant(service: str, name: str, data: Any) -> None:
    operation = operation_of_botocore(service, name)
    if operation.input_shape is None or operation.has_event_stream_input:
        return
    params = draw_structure(data.draw, operation.input_shape)
    if service == "bedrock-agent-runtime" and "resourceArn" in params:
        params["resourceArn"] = SESSION  # tells it from bedrock-agent, whose tags have the same path
    request = request_from_botocore(operation, params)
    routed = route(request)
    assert (routed.service, routed.operation.name) == (service, name)
    read = parse(routed, request)
    if service_model.streams_in(routed.operation):
        read.pop("ContentLength", None)  # the length of this very request
        params.pop("ContentLength", None)
    assert read == params


@pytest.mark.parametrize(("service", "name"), operations())
@few
@given(data=st.data())
def test_botocore_reads_an_answer_as_it_was_meant(service: str, name: str, data: Any) -> None:
    operation = operation_of_botocore(service, name)
    shape = operation.output_shape
    if shape is None or operation.has_event_stream_output or name == "GetBucketLocation":
        return
    output = draw_structure(data.draw, shape)
    protocol = operation.service_model.resolved_protocol
    response = serialize(service_model.operation(service, name), output, protocol=protocol, request_id="1234")
    assert response.status == operation.http.get("responseCode", 200)
    read = read_by_botocore(operation, response)
    payload = shape.serialization.get("payload")
    if payload is not None and payload not in output:
        read.pop(payload, None)  # no body reads as an empty payload
    if "Metadata" not in output and read.get("Metadata") == {}:
        del read["Metadata"]  # S3's map of headers is never absent for botocore
    assert read == output
