"""S3: lifecycle rules of buckets."""

from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.s3.members import check_call, choice_of
from outcrop.buckets import lifecycle, refusals
from outcrop.buckets.settings_records import LIFECYCLE
from outcrop.errors import ServiceRefusal
from outcrop.house import House

_LEAST_SIZES = ("all_storage_classes_128K", "varies_by_storage_class")
"Of objects that move to another storage class. None does here, and S3 tells the one that was sent."


def get_bucket_lifecycle_configuration(house: House, call: Call) -> Answered:
    check_call(call)
    bucket = call.params["Bucket"]
    found = house.buckets.setting(bucket, LIFECYCLE)
    if found is None:
        text = "The lifecycle configuration does not exist"
        raise ServiceRefusal("NoSuchLifecycleConfiguration", text, http_status=404, BucketName=bucket)
    return {"Rules": lifecycle.told_rules(found["Rules"]), "TransitionDefaultMinimumObjectSize": found["LeastSize"]}


def put_bucket_lifecycle_configuration(house: House, call: Call) -> Answered:
    check_call(call)
    bucket = call.params["Bucket"]
    house.buckets.head(bucket)
    if house.buckets.is_mounted(bucket):
        raise refusals.mounted(bucket, "let objects expire with the tools of its own provider")
    least = choice_of(call, "TransitionDefaultMinimumObjectSize", _LEAST_SIZES) or _LEAST_SIZES[0]
    rules = lifecycle.check_rules((call.params.get("LifecycleConfiguration") or {}).get("Rules") or [])
    house.buckets.set_setting(bucket, LIFECYCLE, {"Rules": rules, "LeastSize": least})
    return {"TransitionDefaultMinimumObjectSize": least}


def delete_bucket_lifecycle(house: House, call: Call) -> Answered:
    check_call(call)
    house.buckets.set_setting(call.params["Bucket"], LIFECYCLE, None)
    return {}


OPERATIONS: dict[str, Handler] = {
    "GetBucketLifecycleConfiguration": get_bucket_lifecycle_configuration,
    "PutBucketLifecycleConfiguration": put_bucket_lifecycle_configuration,
    "DeleteBucketLifecycle": delete_bucket_lifecycle,
}
