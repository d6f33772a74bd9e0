"""Model invocation logging: where the records of invocations go, in each region. Put, get, delete."""

from typing import TYPE_CHECKING

from outcrop.access.needs.required_permissions import RequiredPermission
from outcrop.access.policies.evaluation import Decision
from outcrop.access.request_context import circumstances
from outcrop.api.door.call import Answered, Call, Handler
from outcrop.errors import Invalid, Refusal
from outcrop.invocation_logs.configuration import SWITCHES, Destinations, destinations_of
from outcrop.invocation_logs.sinks import BucketSink, GroupSink
from outcrop.log_groups.log_groups import check_group_name

if TYPE_CHECKING:
    from outcrop.house import House

_CHANGES_POLICIES = ("s3:GetBucketPolicy", "s3:PutBucketPolicy")
"What lets Bedrock, as its user guide tells, add to the bucket's policy what it needs."


def put_model_invocation_logging_configuration(house: "House", call: Call) -> Answered:
    asked = call.params["loggingConfig"]
    if not asked.get("s3Config") and not asked.get("cloudWatchConfig"):
        raise Invalid("loggingConfig: neither s3Config nor cloudWatchConfig is there. Name a place for the records.")
    members = {**dict.fromkeys(SWITCHES, True), **dict(asked.items())}
    _check(house, call, destinations_of(members))
    house.invocation_logs.configure(call.region, members)
    return {}


def get_model_invocation_logging_configuration(house: "House", call: Call) -> Answered:
    return {"loggingConfig": house.invocation_logs.configurations.get(call.region, house.account)}


def delete_model_invocation_logging_configuration(house: "House", call: Call) -> Answered:
    house.invocation_logs.remove(call.region)
    return {}


def _check(house: "House", call: Call, destinations: Destinations) -> None:
    """Raises Invalid where a record could not be written; a log group that is not there is made."""
    for sink in house.invocation_logs.sinks(destinations, call.region):
        if isinstance(sink, BucketSink):
            _check_bucket(house, call, sink)
        else:
            _check_group(house, call, sink)


def _check_bucket(house: "House", call: Call, sink: BucketSink) -> None:
    bucket = sink.place.bucket
    try:
        region = house.buckets.head(bucket).region
        if region != call.region:
            raise Invalid(f"it is in {region}, and records of {call.region} are written to a bucket there")
        if not sink.may_write() and _may_change_policy(house, call, bucket):
            sink.let_in()
        sink.check()
    except Refusal as refused:
        raise Invalid(
            f"Failed to validate permissions for S3 bucket: {bucket}. Verify that the bucket's policy lets "
            f"bedrock.amazonaws.com put objects. ({refused.message})"
        ) from refused


def _check_group(house: "House", call: Call, sink: GroupSink) -> None:
    place = sink.place
    check_group_name(place.group)
    try:
        sink.check()
    except Refusal as refused:
        raise Invalid(
            f"Failed to validate permissions for log group: {place.group}, with role: {place.role_arn}. Verify the IAM "
            f"role permissions are correct. ({refused.message})"
        ) from refused
    if sink.large is not None:
        _check_bucket(house, call, sink.large)
    house.log_groups.create(place.group, region=call.region)


def _may_change_policy(house: "House", call: Call, bucket: str) -> bool:
    context = circumstances(call)
    needed = (RequiredPermission(action=action, resource=f"arn:aws:s3:::{bucket}") for action in _CHANGES_POLICIES)
    verdicts = (house.access.decisions.of_caller(call.caller, need, context) for need in needed)
    return all(verdict.decision is Decision.ALLOWED for verdict in verdicts)


OPERATIONS: dict[str, Handler] = {
    "PutModelInvocationLoggingConfiguration": put_model_invocation_logging_configuration,
    "GetModelInvocationLoggingConfiguration": get_model_invocation_logging_configuration,
    "DeleteModelInvocationLoggingConfiguration": delete_model_invocation_logging_configuration,
}
