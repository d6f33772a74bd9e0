"""The InvokeEndpointAsync request, checked and put on record as a job: a server that is killed forgets none."""

import uuid
from collections.abc import Mapping
from typing import Any, NamedTuple

from outcrop.arn import sagemaker as sagemaker_arn
from outcrop.buckets.names import parse_s3_uri
from outcrop.errors import Invalid
from outcrop.sagemaker.hosting.async_kind import KIND
from outcrop.sagemaker.hosting.plans import EndpointPlan
from outcrop.sagemaker.hosting.rooms import HostingRooms
from outcrop.sagemaker.hosting.routing import refused

TTL_S = 21_600
"Six hours, as SageMaker keeps a request that nobody answers."
TIMEOUT_S = 900


class AsyncAnswer(NamedTuple):
    """Where the answer to an asynchronous invocation will lie."""

    inference_id: str
    output: str
    failure: str | None


def create(house: HostingRooms, params: Mapping[str, Any], *, region: str, owner: str) -> AsyncAnswer:
    """Write the invocation's row; a worker takes it from there. Raises ServiceRefusal, Invalid."""
    name = params["EndpointName"]
    record = house.endpoints.find(region, name)
    if record is None or record.serving is None:
        raise refused(f"Endpoint {name} of account {house.account} not found.")
    if record.serving.asynchronous is None:
        raise refused(
            f"Endpoint {name} is not asynchronous. Invoke it with InvokeEndpoint, or give its configuration an "
            "AsyncInferenceConfig."
        )
    if not params["InputLocation"].startswith("s3://"):
        raise Invalid("InputLocation: not in S3. Upload the request's body, and name it, s3://bucket/key.")
    parse_s3_uri(params["InputLocation"])
    identity = str(uuid.uuid4())
    inference_id = params.get("InferenceId") or str(uuid.uuid4())
    answer = _places(record.serving, params, inference_id, identity)
    house.jobs.add(
        KIND,
        job_arn=sagemaker_arn(region, house.account, f"{KIND.name}/{identity}"),
        name=identity,
        region=region,
        document={
            "endpointName": name,
            "inferenceId": inference_id,
            "input": params["InputLocation"],
            "contentType": params.get("ContentType"),
            "accept": params.get("Accept"),
            "attributes": params.get("CustomAttributes"),
            "output": answer.output,
            "failure": answer.failure,
            "ttlSeconds": params.get("RequestTTLSeconds", TTL_S),
            "timeoutSeconds": params.get("InvocationTimeoutSeconds", TIMEOUT_S),
        },
        owner=owner,
    )
    return answer


def _places(plan: EndpointPlan, params: Mapping[str, Any], inference_id: str, identity: str) -> AsyncAnswer:
    """The objects that the answer, or what went wrong, will be written to. Raises Invalid."""
    assert plan.asynchronous is not None, "asked before"
    config = plan.asynchronous["OutputConfig"]
    extension = params.get("S3OutputPathExtension", "").strip("/")
    file = params.get("Filename") or f"{identity}.out"
    within = "/".join(part for part in (extension, file) if part)
    output = config.get("S3OutputPath")
    if not output:
        raise Invalid("AsyncInferenceConfig.OutputConfig.S3OutputPath: missing. Name where answers are written.")
    failures = config.get("S3FailurePath")
    return AsyncAnswer(
        inference_id=inference_id,
        output=f"{output.rstrip('/')}/{within}",
        failure=f"{failures.rstrip('/')}/{identity}-error.out" if failures else None,
    )
