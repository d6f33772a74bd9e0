"""Which operation is meant: raw paths, ARNs, S3's query keys, targets, actions, and paths two services share."""

import pytest

from outcrop.protocol import service_model
from outcrop.protocol.http import HttpRequest
from outcrop.protocol.routing import Routed, UnknownOperation, route, scope_service

ARN = "arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/abc123def456"
ENCODED = ARN.replace(":", "%3A").replace("/", "%2F")


def request(line: str, scope: str | None = None, body: bytes = b"", **headers: str) -> HttpRequest:
    method, _, target = line.partition(" ")
    path, _, query = target.partition("?")
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if scope is not None:
        credential = f"AK/20260101/us-east-1/{scope}/aws4_request"
        named["authorization"] = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0"
    return HttpRequest(method=method, raw_path=path, raw_query=query, headers=named, body=body)


def route_of(request: HttpRequest) -> Routed:
    return route(request, scope_service(request))


def routed(line: str, scope: str | None = None, body: bytes = b"", **headers: str) -> tuple[str, str]:
    found = route_of(request(line, scope, body, **headers))
    return found.service, found.operation.name


def test_each_signing_name_is_that_of_its_services() -> None:
    for name, services in service_model.SIGNING_NAMES.items():
        for service in services:
            model = service_model.load(service)
            assert (model.metadata.get("signingName") or model.metadata["endpointPrefix"]) == name


@pytest.mark.parametrize("model_id", [ARN, ENCODED])
@pytest.mark.parametrize(
    ("suffix", "operation"),
    [
        ("invoke", "InvokeModel"),
        ("invoke-with-response-stream", "InvokeModelWithResponseStream"),
        ("converse", "Converse"),
        ("converse-stream", "ConverseStream"),
        ("count-tokens", "CountTokens"),
    ],
)
def test_an_arn_in_the_path_is_one_id_encoded_or_not(model_id: str, suffix: str, operation: str) -> None:
    found = route_of(request(f"POST /model/{model_id}/{suffix}", "bedrock"))
    assert (found.operation.name, found.path_parameters) == (operation, {"modelId": ARN})


def test_an_arn_does_not_swallow_a_literal_behind_it() -> None:
    policy = "arn:aws:bedrock:us-east-1:123456789012:automated-reasoning-policy/abc"
    line = f"GET /automated-reasoning-policies/{policy}/build-workflows/1"
    found = route_of(request(line, "bedrock"))
    assert found.operation.name == "GetAutomatedReasoningPolicyBuildWorkflow"
    assert found.path_parameters == {"policyArn": policy, "buildWorkflowId": "1"}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("POST /agents/abc/", ("bedrock-agent", "PrepareAgent")),
        ("POST /agents/abc", ("bedrock-agent-runtime", "InvokeInlineAgent")),
        ("POST /flows/abc/", ("bedrock-agent", "PrepareFlow")),
        ("POST /flows/validate-definition", ("bedrock-agent", "ValidateFlowDefinition")),
        ("PUT /knowledgebases/", ("bedrock-agent", "CreateKnowledgeBase")),
        ("GET /tags/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Aagent%2Fx", ("bedrock-agent", "ListTagsForResource")),
        ("GET /tags/arn:aws:bedrock:us-east-1:1:session/x", ("bedrock-agent-runtime", "ListTagsForResource")),
        ("POST /tagResource", ("bedrock", "TagResource")),
        ("GET /provisioned-model-throughputs", ("bedrock", "ListProvisionedModelThroughputs")),
        ("POST /evaluation-jobs/batch-delete", ("bedrock", "BatchDeleteEvaluationJob")),
        ("POST /custom-models/create-custom-model", ("bedrock", "CreateCustomModel")),
    ],
)
def test_paths_that_look_alike_are_told_apart(line: str, expected: tuple[str, str]) -> None:
    assert routed(line, "bedrock") == expected


@pytest.mark.parametrize(
    ("line", "operation"),
    [
        ("GET /", "ListBuckets"),
        ("PUT /b", "CreateBucket"),
        ("GET /b/", "ListObjects"),
        ("GET /b?list-type=2&prefix=a%2F", "ListObjectsV2"),
        ("GET /b?list-type=1", "ListObjects"),
        ("GET /b?uploads", "ListMultipartUploads"),
        ("GET /b?uploads=", "ListMultipartUploads"),
        ("GET /b?location", "GetBucketLocation"),
        ("GET /b?notification", "GetBucketNotificationConfiguration"),
        ("POST /b?delete", "DeleteObjects"),
        ("GET /b/k", "GetObject"),
        ("GET /b/k?versionId=1&partNumber=2", "GetObject"),
        ("HEAD /b//k/../x", "HeadObject"),
        ("GET /b/k?uploadId=1", "ListParts"),
        ("GET /b/k?tagging", "GetObjectTagging"),
        ("GET /b/k?attributes", "GetObjectAttributes"),
        ("PUT /b/k", "PutObject"),
        ("PUT /b/k?partNumber=1&uploadId=2", "UploadPart"),
        ("POST /b/k?uploads", "CreateMultipartUpload"),
        ("POST /b/k?uploadId=1", "CompleteMultipartUpload"),
        ("DELETE /b/k?uploadId=1", "AbortMultipartUpload"),
        ("DELETE /b/k", "DeleteObject"),
        ("PUT /model/invoke", "PutObject"),
    ],
)
def test_s3_is_told_by_path_and_query_keys(line: str, operation: str) -> None:
    assert routed(line, "s3") == ("s3", operation)


def test_a_copy_is_told_by_its_header() -> None:
    assert routed("PUT /b/k", "s3", x_amz_copy_source="b/other")[1] == "CopyObject"
    assert routed("PUT /b/k?partNumber=1&uploadId=2", "s3", x_amz_copy_source="b/other")[1] == "UploadPartCopy"


def test_a_key_keeps_its_slashes_and_dots() -> None:
    assert route_of(request("GET /b//k%2F../x/", "s3")).path_parameters == {"Bucket": "b", "Key": "/k/../x/"}


@pytest.mark.parametrize(
    ("target", "scope", "expected"),
    [
        ("SageMaker.CreateTrainingJob", "sagemaker", ("sagemaker", "CreateTrainingJob")),
        ("Logs_20140328.GetLogEvents", "logs", ("logs", "GetLogEvents")),
        ("TrentService.Encrypt", "kms", ("kms", "Encrypt")),
        ("GraniteServiceVersion20100801.PutMetricData", "monitoring", ("cloudwatch", "PutMetricData")),
        ("SageMaker.CreateTrainingJob", None, ("sagemaker", "CreateTrainingJob")),
    ],
)
def test_a_target_names_the_operation(target: str, scope: str | None, expected: tuple[str, str]) -> None:
    assert routed("POST /", scope, x_amz_target=target) == expected


FORM = "application/x-www-form-urlencoded; charset=utf-8"


@pytest.mark.parametrize(
    ("form", "scope", "expected"),
    [
        (b"Action=GetCallerIdentity&Version=2011-06-15", "sts", ("sts", "GetCallerIdentity")),
        (b"Action=CreateRole&Version=2010-05-08", "iam", ("iam", "CreateRole")),
        (b"Action=CreateRole&Version=2010-05-08", None, ("iam", "CreateRole")),
        (b"Action=ListMetrics&Version=2010-08-01", "monitoring", ("cloudwatch", "ListMetrics")),
    ],
)
def test_an_action_names_the_operation(form: bytes, scope: str | None, expected: tuple[str, str]) -> None:
    assert routed("POST /", scope, form, content_type=FORM) == expected


def test_a_presigned_action_stands_in_the_query() -> None:
    line = "GET /?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Credential=AK%2F20260101%2Fr%2Fsts%2Faws4_request"
    assert routed(line) == ("sts", "GetCallerIdentity")


def test_without_a_scope_bedrock_comes_before_s3() -> None:
    assert routed("POST /model/x/invoke") == ("bedrock-runtime", "InvokeModel")
    assert routed("GET /b/k") == ("s3", "GetObject")
    assert routed("POST /model/x/invoke", authorization="Bearer ABSK") == ("bedrock-runtime", "InvokeModel")


@pytest.mark.parametrize(
    ("line", "scope", "protocol"),
    [
        ("GET /no-such-thing", "bedrock", "rest-json"),
        ("POST /b/k", "s3", "rest-xml"),
        ("GET /", "dynamodb", "rest-json"),
    ],
)
def test_what_no_operation_answers_is_said_in_the_service_s_protocol(line: str, scope: str, protocol: str) -> None:
    with pytest.raises(UnknownOperation) as raised:
        route_of(request(line, scope))
    assert raised.value.protocol == protocol
