"""KMS: policies of keys."""

from outcrop import arn as arns
from outcrop.access.policies.key_policy import DEFAULT_NAME, KeyRules, malformed, parse_key_policy, principals_of
from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.kms.named import key_named
from outcrop.api.kms.paging import page_of_list
from outcrop.house import House
from outcrop.keys import refusals


def get_key_policy(house: House, call: Call) -> Answered:
    key = key_named(house, call)
    _check_name(call)
    return {"Policy": key.policy, "PolicyName": DEFAULT_NAME}


def put_key_policy(house: House, call: Call) -> Answered:
    key = key_named(house, call)
    _check_name(call)
    check_policy(house, call, call.params["Policy"])
    house.keys.set_policy(key.arn, call.params["Policy"])
    return {}


def list_key_policies(house: House, call: Call) -> Answered:
    key_named(house, call)
    answer = page_of_list(call, "PolicyNames", [{"name": DEFAULT_NAME}], "name")
    return {**answer, "PolicyNames": [each["name"] for each in answer["PolicyNames"]]}


def check_policy(house: House, call: Call, text: str) -> None:
    """Raises MalformedPolicyDocumentException: for a policy that shuts its author out too, unless that is agreed to."""
    policy = parse_key_policy(text)
    for principal in principals_of(policy):
        named = arns.parse(principal)
        if named is None or (named.service, named.account) != ("iam", house.account):
            continue
        if named.kind in ("user", "role") and not _exists(house, principal):
            raise malformed("Policy contains a statement with one or more invalid principals.")
    if call.params.get("BypassPolicyLockoutSafetyCheck"):
        return
    if not house.access.may_put_policy(call, KeyRules(policy=policy)):
        raise malformed("The new key policy will not allow you to update the key policy in the future.")


def _exists(house: House, arn: str) -> bool:
    return house.access.identities.records.identities.with_arn(arn) is not None


def _check_name(call: Call) -> None:
    if call.params.get("PolicyName", DEFAULT_NAME) != DEFAULT_NAME:
        raise refusals.refusal("NotFoundException", "No such policy exists")


OPERATIONS: dict[str, Handler] = {
    "GetKeyPolicy": get_key_policy,
    "PutKeyPolicy": put_key_policy,
    "ListKeyPolicies": list_key_policies,
}
