"""S3: policies of buckets, and the block that keeps the public out."""

from outcrop.access.policies.bucket_policy import ANONYMOUS, check_bucket_policy, parse_bucket_policy
from outcrop.access.policies.public_access import BLOCKS, DELETED, PublicAccessBlock, is_public
from outcrop.api.door.call import Answer, Answered, Call, Handler
from outcrop.api.s3.members import check_call
from outcrop.buckets.settings_records import POLICY, PUBLIC_ACCESS
from outcrop.errors import Denied, ServiceRefusal
from outcrop.house import House


def get_bucket_policy(house: House, call: Call) -> Answered:
    return {"Policy": _policy(house, call)}


def get_bucket_policy_status(house: House, call: Call) -> Answered:
    """Whether the policy is public, also where the block keeps the public out."""
    return {"PolicyStatus": {"IsPublic": is_public(parse_bucket_policy(_policy(house, call)))}}


def put_bucket_policy(house: House, call: Call) -> Answered:
    """Nobody is kept from shutting themselves out: the administrator may always put another policy."""
    _check_owner(call)
    bucket, text = call.params["Bucket"], call.params["Policy"]
    house.buckets.head(bucket)
    policy = check_bucket_policy(text, bucket, account=house.account, exists=house.access.knows)
    if is_public(policy) and _block(house, bucket).BlockPublicPolicy:
        raise Denied(
            f"User: {call.caller.arn} is not authorized to perform: s3:PutBucketPolicy on resource: "
            f'"arn:aws:s3:::{bucket}" because public policies are prevented by the BlockPublicPolicy setting in S3 '
            "Block Public Access."
        )
    house.buckets.set_setting(bucket, POLICY, text)
    return Answer({}, status=204)


def delete_bucket_policy(house: House, call: Call) -> Answered:
    _check_owner(call)
    house.buckets.set_setting(call.params["Bucket"], POLICY, None)
    return {}


def get_public_access_block(house: House, call: Call) -> Answered:
    check_call(call)
    document = house.buckets.setting(call.params["Bucket"], PUBLIC_ACCESS)
    if document == DELETED:
        sentence = "The public access block configuration was not found"
        raise _not_found(call, "NoSuchPublicAccessBlockConfiguration", sentence)
    return {"PublicAccessBlockConfiguration": PublicAccessBlock.of(document).members}


def put_public_access_block(house: House, call: Call) -> Answered:
    """A switch that is not named is off."""
    check_call(call)
    asked = call.params["PublicAccessBlockConfiguration"]
    block = {name: asked.get(name) is True for name in BLOCKS}
    house.buckets.set_setting(call.params["Bucket"], PUBLIC_ACCESS, block)
    return {}


def delete_public_access_block(house: House, call: Call) -> Answered:
    check_call(call)
    house.buckets.set_setting(call.params["Bucket"], PUBLIC_ACCESS, DELETED)
    return {}


def _policy(house: House, call: Call) -> str:
    _check_owner(call)
    found: str | None = house.buckets.setting(call.params["Bucket"], POLICY)
    if found is None:
        raise _not_found(call, "NoSuchBucketPolicy", "The bucket policy does not exist")
    return found


def _check_owner(call: Call) -> None:
    """Raises MethodNotAllowed for who is of no account, whatever the policy says: it is the owner's alone."""
    check_call(call)
    if call.caller.user_id == ANONYMOUS:
        text = "The specified method is not allowed against this resource."
        raise ServiceRefusal("MethodNotAllowed", text, http_status=405)


def _block(house: House, bucket: str) -> PublicAccessBlock:
    return PublicAccessBlock.of(house.buckets.setting(bucket, PUBLIC_ACCESS))


def _not_found(call: Call, code: str, message: str) -> ServiceRefusal:
    return ServiceRefusal(code, message, http_status=404, BucketName=call.params["Bucket"])


OPERATIONS: dict[str, Handler] = {
    "GetBucketPolicy": get_bucket_policy,
    "GetBucketPolicyStatus": get_bucket_policy_status,
    "PutBucketPolicy": put_bucket_policy,
    "DeleteBucketPolicy": delete_bucket_policy,
    "GetPublicAccessBlock": get_public_access_block,
    "PutPublicAccessBlock": put_public_access_block,
    "DeletePublicAccessBlock": delete_public_access_block,
}
