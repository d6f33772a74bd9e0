"""IAM: access keys of users."""

from outcrop.access.names import Kind
from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.iam.answers import page
from outcrop.errors import ServiceRefusal
from outcrop.house import House


def create_access_key(house: House, call: Call) -> Answered:
    name = user_name(house, call)
    issued = house.access.credentials.create_key(name)
    key = {
        "UserName": name,
        "AccessKeyId": issued.key_id,
        "Status": "Active",
        "SecretAccessKey": issued.secret,
        "CreateDate": issued.created,
    }
    return {"AccessKey": key}


def list_access_keys(house: House, call: Call) -> Answered:
    name = user_name(house, call)
    credentials = house.access.credentials
    return page(
        call,
        "AccessKeyMetadata",
        credentials.keys(name),
        key=lambda key: key.id,
        shape=lambda key: {
            "UserName": name,
            "AccessKeyId": key.id,
            "Status": "Inactive" if credentials.records.keys.is_inactive(key.id) else "Active",
            "CreateDate": key.created,
        },
    )


def update_access_key(house: House, call: Call) -> Answered:
    status = call.params["Status"]
    if status not in ("Active", "Inactive"):
        sentence = f"Status: {status} is not supported for access keys. Choose Active or Inactive."
        raise ServiceRefusal("ValidationError", sentence, http_status=400)
    house.access.credentials.set_status(user_name(house, call), call.params["AccessKeyId"], active=status == "Active")
    return {}


def delete_access_key(house: House, call: Call) -> Answered:
    house.access.credentials.delete_key(user_name(house, call), call.params["AccessKeyId"])
    return {}


def get_access_key_last_used(house: House, call: Call) -> Answered:
    key_id = call.params["AccessKeyId"]
    records = house.access.identities.records
    key = records.keys.find(key_id)
    owner = records.identities.with_id(key.identity_id) if key is not None else None
    if owner is None:
        sentence = f"The Access Key with id {key_id} cannot be found."
        raise ServiceRefusal("NoSuchEntity", sentence, http_status=404)
    use = house.access.uses.last(key_id)
    if use is None:
        return {"UserName": owner.name, "AccessKeyLastUsed": {"ServiceName": "N/A", "Region": "N/A"}}
    last = {"LastUsedDate": use.at.replace(microsecond=0), "ServiceName": use.service, "Region": use.region}
    return {"UserName": owner.name, "AccessKeyLastUsed": last}


def user_name(house: House, call: Call) -> str:
    """The user a request speaks about: the one it names, else the one who asks."""
    name = call.params.get("UserName")
    if name is not None:
        return str(name)
    caller = house.access.decisions.identity_of(call.caller)
    if caller is None or caller.kind != Kind.USER.value:
        sentence = "Must specify userName when calling with non-User credentials"
        raise ServiceRefusal("ValidationError", sentence, http_status=400)
    return caller.name


OPERATIONS: dict[str, Handler] = {
    "CreateAccessKey": create_access_key,
    "DeleteAccessKey": delete_access_key,
    "GetAccessKeyLastUsed": get_access_key_last_used,
    "ListAccessKeys": list_access_keys,
    "UpdateAccessKey": update_access_key,
}
