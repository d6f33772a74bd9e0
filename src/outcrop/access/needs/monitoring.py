"""The permissions that the services around Bedrock need: trails, logs, metrics and scaling.

https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

from outcrop import arn as arns
from outcrop.access.needs.required_permissions import RequestedOperation, RequiredPermission

_OF_ALARMS = ("DescribeAlarms", "DescribeAlarmHistory")
"Without a name they are about every alarm."
_OF_KEYS = ("AssociateKmsKey", "DisassociateKmsKey")
_STREAMS = ("CreateLogStream", "DeleteLogStream", "GetLogEvents", "PutLogEvents")


def logs(asked: RequestedOperation) -> list[RequiredPermission]:
    """Log groups have `:*` behind their name, streams theirs, as CloudWatch Logs compares them."""
    params, action = asked.params, f"logs:{asked.operation}"
    identifier = params.get("resourceIdentifier") if asked.operation in _OF_KEYS else params.get("logGroupIdentifier")
    group = params.get("logGroupName") or _named_group(identifier)
    if isinstance(group, str):
        stream = params.get("logStreamName") if asked.operation in _STREAMS else None
        tail = f"log-stream:{stream}" if isinstance(stream, str) else "*"
        found = [RequiredPermission(action=action, resource=_arn(asked, "logs", f"log-group:{group}:{tail}"))]
        if asked.operation == "CreateLogGroup" and params.get("tags"):
            resource = _arn(asked, "logs", f"log-group:{group}")
            found.append(RequiredPermission(action="logs:TagResource", resource=resource))
        return found
    if asked.operation == "DescribeLogGroups":  # as AWS names it in its refusals
        return [RequiredPermission(action=action, resource=_arn(asked, "logs", "log-group::log-stream:"))]
    given = params.get("resourceArn") or params.get("resourceIdentifier")
    return [RequiredPermission(action=action, resource=str(given) if given and arns.is_arn(str(given)) else "*")]


def _named_group(identifier: object) -> str | None:
    """The name of a group that is named by its name or ARN: a Deny holds for both spellings."""
    parsed = arns.parse(identifier) if isinstance(identifier, str) else None
    if parsed is None:
        return identifier if isinstance(identifier, str) else None
    return parsed.resource.removeprefix("log-group:").removesuffix(":*")


def cloudwatch(asked: RequestedOperation) -> list[RequiredPermission]:
    """Alarms and dashboards are resources; metrics are not, their namespace is a condition key."""
    params, action = asked.params, f"cloudwatch:{asked.operation}"
    context = {"cloudwatch:namespace": str(params["Namespace"])} if "Namespace" in params else {}
    if "DashboardName" in params or "DashboardNames" in params:
        names = params.get("DashboardNames") or [params["DashboardName"]]
        # Dashboards belong to no region.
        found = [f"arn:aws:cloudwatch::{asked.account}:dashboard/{each}" for each in names]
    elif "AlarmName" in params or "AlarmNames" in params or asked.operation in _OF_ALARMS:
        names = params.get("AlarmNames") or [params.get("AlarmName", "*")]
        found = [_arn(asked, "cloudwatch", f"alarm:{each}") for each in names]
        if asked.operation == "PutMetricAlarm" and params.get("Tags"):
            tagging = RequiredPermission(action="cloudwatch:TagResource", resource=found[0])
            return [RequiredPermission(action=action, resource=found[0], context=context), tagging]
    else:
        found = [str(params.get("ResourceARN", "*"))]
    return [RequiredPermission(action=action, resource=each, context=context) for each in found]


def cloudtrail(asked: RequestedOperation) -> list[RequiredPermission]:
    """On a trail, an event data store or a channel."""
    params, action = asked.params, f"cloudtrail:{asked.operation}"
    is_about_trails = "Trail" in asked.operation or asked.operation in ("StartLogging", "StopLogging")
    name = params.get("TrailName") or (params.get("Name") if is_about_trails else None)
    if isinstance(name, str):
        found = [RequiredPermission(action=action, resource=_trail(asked, name))]
        if asked.operation == "CreateTrail" and params.get("TagsList"):
            found.append(RequiredPermission(action="cloudtrail:AddTags", resource=_trail(asked, name)))
        return found
    if asked.operation == "ListTags":
        return [RequiredPermission(action=action, resource=str(each)) for each in params.get("ResourceIdList") or ["*"]]
    given = params.get("ResourceId") or params.get("ResourceArn") or params.get("EventDataStore") or "*"
    resource = str(given)
    if resource != "*" and not arns.is_arn(resource):
        resource = _arn(asked, "cloudtrail", f"eventdatastore/{resource}")
    return [RequiredPermission(action=action, resource=resource)]


def _trail(asked: RequestedOperation, name: str) -> str:
    return name if arns.is_arn(name) else _arn(asked, "cloudtrail", f"trail/{name}")


def autoscaling(asked: RequestedOperation) -> list[RequiredPermission]:
    """On any scalable target: their ids are not known to who asks. What is scaled is in condition keys."""
    params = asked.params
    keys = {"ServiceNamespace": "service-namespace", "ScalableDimension": "scalable-dimension"}
    context = {
        f"application-autoscaling:{key}": str(params[member]) for member, key in keys.items() if member in params
    }
    known = "ResourceId" in params and not asked.operation.startswith("Describe")
    resource = _arn(asked, "application-autoscaling", "scalable-target/*") if known else params.get("ResourceARN", "*")
    operations = [asked.operation]
    if asked.operation == "RegisterScalableTarget" and params.get("Tags"):
        operations.append("TagResource")
    return [
        RequiredPermission(action=f"application-autoscaling:{each}", resource=str(resource), context=context)
        for each in operations
    ]


def _arn(asked: RequestedOperation, service: str, resource: str) -> str:
    return str(arns.Arn(service=service, region=asked.region, account=asked.account, resource=resource))
