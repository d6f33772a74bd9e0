"""The form of CloudTrail: an entry of the record as the event that CloudTrail would show.

https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
"""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from outcrop import arn as arns
from outcrop.audit.entry import Entry
from outcrop.protocol import service_model

EVENT_VERSION = "1.11"
_SOURCES = {
    "bedrock": "bedrock.amazonaws.com",
    "bedrock-agent": "bedrock.amazonaws.com",
    "bedrock-agent-runtime": "bedrock.amazonaws.com",
    "bedrock-runtime": "bedrock.amazonaws.com",
    "cloudwatch": "monitoring.amazonaws.com",
    "sagemaker-runtime": "sagemaker.amazonaws.com",
}
"Where it is not the service's own name."
_TYPES: Mapping[tuple[str, str], str] = {
    ("bedrock", "custom-model"): "AWS::Bedrock::CustomModel",
    ("bedrock", "custom-model-deployment"): "AWS::Bedrock::CustomModelDeployment",
    ("bedrock", "evaluation-job"): "AWS::Bedrock::EvaluationJob",
    ("bedrock", "foundation-model"): "AWS::Bedrock::Model",
    ("bedrock", "guardrail"): "AWS::Bedrock::Guardrail",
    ("bedrock", "imported-model"): "AWS::Bedrock::ImportedModel",
    ("bedrock", "inference-profile"): "AWS::Bedrock::InferenceProfile",
    ("bedrock", "knowledge-base"): "AWS::Bedrock::KnowledgeBase",
    ("bedrock", "model-customization-job"): "AWS::Bedrock::ModelCustomizationJob",
    ("bedrock", "model-import-job"): "AWS::Bedrock::ModelImportJob",
    ("bedrock", "model-invocation-job"): "AWS::Bedrock::ModelInvocationJob",
    ("bedrock", "provisioned-model"): "AWS::Bedrock::ProvisionedModel",
    ("cloudtrail", "trail"): "AWS::CloudTrail::Trail",
    ("cloudwatch", "alarm"): "AWS::CloudWatch::Alarm",
    ("iam", "access-key"): "AWS::IAM::AccessKey",
    ("iam", "group"): "AWS::IAM::Group",
    ("iam", "instance-profile"): "AWS::IAM::InstanceProfile",
    ("iam", "policy"): "AWS::IAM::Policy",
    ("iam", "role"): "AWS::IAM::Role",
    ("iam", "user"): "AWS::IAM::User",
    ("kms", "alias"): "AWS::KMS::Alias",
    ("kms", "key"): "AWS::KMS::Key",
    ("logs", "log-group"): "AWS::Logs::LogGroup",
    ("s3vectors", "bucket"): "AWS::S3Vectors::VectorBucket",
    ("sagemaker", "endpoint"): "AWS::SageMaker::Endpoint",
    ("sagemaker", "endpoint-config"): "AWS::SageMaker::EndpointConfig",
    ("sagemaker", "hub"): "AWS::SageMaker::Hub",
    ("sagemaker", "hyper-parameter-tuning-job"): "AWS::SageMaker::HyperParameterTuningJob",
    ("sagemaker", "inference-component"): "AWS::SageMaker::InferenceComponent",
    ("sagemaker", "model"): "AWS::SageMaker::Model",
    ("sagemaker", "pipeline"): "AWS::SageMaker::Pipeline",
    ("sagemaker", "training-job"): "AWS::SageMaker::TrainingJob",
    ("sagemaker", "transform-job"): "AWS::SageMaker::TransformJob",
    ("sts", "assumed-role"): "AWS::STS::AssumedRole",
}
"By the service and the kind in the ARN."
BUCKET, OBJECT = "AWS::S3::Bucket", "AWS::S3::Object"
_KIND = re.compile(r"[a-z0-9-]+")


class NamedResource(NamedTuple):
    """A resource of an event: its type, ARN, and the name that people know it by."""

    type: str
    arn: str
    name: str


def event_source(service: str) -> str:
    """The service as events name it: `bedrock.amazonaws.com`."""
    return _SOURCES.get(service, f"{service}.amazonaws.com")


def services_of(source: str) -> tuple[str, ...]:
    """Every service that events name so."""
    return tuple(service for service in service_model.SERVICES if event_source(service) == source)


def patterns_of_type(resource_type: str) -> str | None:
    """The ARNs of a type of resource as a pattern of LIKE; None for a type that nothing here has."""
    if resource_type in (BUCKET, OBJECT):
        return "arn:aws:s3:::%/%" if resource_type == OBJECT else "arn:aws:s3:::%"
    for (service, kind), name in _TYPES.items():
        if name == resource_type:
            return f"arn:aws:{service}:%:{kind}%"
    return None


def named_resource(arn: str) -> NamedResource | None:
    """The resource with this ARN; None for a pattern, or what is no ARN of one thing."""
    arn = arns.tagged(arn)
    parsed = arns.parse(arn)
    if parsed is None or not parsed.resource or "*" in arn:
        return None
    if parsed.service == "s3":
        bucket, _, key = parsed.resource.partition("/")
        return NamedResource(OBJECT if key else BUCKET, arn, parsed.resource if key else bucket)
    kind, name = _kind_and_name(parsed.resource)
    known = _TYPES.get((parsed.service, kind))
    return NamedResource(known or f"AWS::{parsed.service.title()}::{kind.title().replace('-', '')}", arn, name)


def _kind_and_name(resource: str) -> tuple[str, str]:
    found = _KIND.match(resource)
    kind = found.group() if found else ""
    rest = resource[len(kind) + 1 :]
    if kind in ("user", "role", "policy", "group", "instance-profile"):
        rest = rest.rpartition("/")[2]  # without its path
    return kind, rest or resource


def user_name(entry: Entry) -> str:
    """The name under which events are looked up: of a user, of a session, or root."""
    return entry.session or user_name_of(entry.caller)


def user_name_of(caller: str) -> str:
    """The name in a caller's ARN: of a user, of a session, or root."""
    return caller.rpartition("/")[2].rpartition(":")[2]


def resources_of(entry: Entry) -> list[NamedResource]:
    """The resources of an event, each once."""
    found = (named_resource(arn) for arn in dict.fromkeys(entry.resources))
    return [each for each in found if each is not None]


def event_of(entry: Entry, account: str) -> dict[str, Any]:
    """The event as CloudTrail tells it; what does not apply is left out."""
    resources = [
        {"accountId": _owner(each.arn, account), "type": each.type, "ARN": each.arn} for each in resources_of(entry)
    ]
    event: dict[str, Any] = {
        "eventVersion": EVENT_VERSION,
        "userIdentity": _identity(entry, account),
        "eventTime": entry.at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": event_source(entry.service),
        "eventName": entry.operation,
        "awsRegion": entry.region or "us-east-1",
        "sourceIPAddress": entry.source_ip,
        "userAgent": entry.user_agent,
        "errorCode": entry.code or None,
        "errorMessage": entry.message or None,
        "requestParameters": _json(entry.params),
        "responseElements": _json(entry.made),
        "additionalEventData": _more(entry),
        "requestID": entry.request_id,
        "eventID": entry.event_id,
        "readOnly": entry.read_only,
        "resources": resources or None,
        "eventType": "AwsApiCall",
        "managementEvent": not entry.data,
        "recipientAccountId": account,
        "eventCategory": "Data" if entry.data else "Management",
    }
    always = ("requestParameters", "responseElements")  # null where there are none
    return {name: value for name, value in event.items() if value is not None or name in always}


def _identity(entry: Entry, account: str) -> dict[str, Any]:
    if not entry.caller:
        return {"type": "AWSAccount", "principalId": "", "accountId": "ANONYMOUS_PRINCIPAL"} | (
            {"accessKeyId": entry.key_id} if entry.key_id else {}
        )
    caller = arns.parse(entry.caller)
    owner = caller.account if caller is not None else account
    identity: dict[str, Any] = {"principalId": entry.user_id, "arn": entry.caller, "accountId": owner}
    if entry.key_id:
        identity["accessKeyId"] = entry.key_id
    if caller is not None and caller.resource == "root":
        return {"type": "Root", **identity}
    if caller is None or caller.service != "sts":
        return {"type": "IAMUser", **identity, "userName": user_name(entry)}
    role = caller.tail.partition("/")[0]
    issuer = {
        "type": "Role",
        "principalId": entry.user_id.partition(":")[0],
        "arn": entry.issuer or arns.iam(owner, f"role/{role}"),
        "accountId": owner,
        "userName": role,
    }
    attributes = {"mfaAuthenticated": "false"}
    return {"type": "AssumedRole", **identity, "sessionContext": {"sessionIssuer": issuer, "attributes": attributes}}


def _more(entry: Entry) -> dict[str, Any] | None:
    more: dict[str, Any] = {}
    if entry.times > 1:
        more["equalCalls"] = entry.times
    if entry.sent_to:
        more["sentTo"] = entry.sent_to
    return more or None


def _owner(arn: str, account: str) -> str:
    parsed = arns.parse(arn)
    return parsed.account if parsed is not None and parsed.account else account


def _json(text: str) -> Any:
    return json.loads(text) if text else None
