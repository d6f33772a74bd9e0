"""KMS: grants on keys."""

from typing import Any

from outcrop.access.policies.arn_forms import is_principal
from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.kms.named import check_tokens, end_dry_run, key_named
from outcrop.api.kms.paging import most_of, paged, place_of
from outcrop.house import House
from outcrop.keys import refusals
from outcrop.keys.grants import GrantConstraints, KeyGrant
from outcrop.keys.keys import check_enabled

_MOST = 50


def create_grant(house: House, call: Call) -> Answered:
    params, key = call.params, key_named(house, call)
    check_tokens(house, call)
    check_enabled(key)
    for member in ("GranteePrincipal", "RetiringPrincipal"):
        if member in params and (params[member] == "*" or not is_principal(params[member])):
            raise refusals.refusal("InvalidArnException", f"ARN does not refer to a valid principal: {params[member]}")
    end_dry_run(call)
    grant = house.key_grants.create(
        key,
        grantee=params["GranteePrincipal"],
        retiring=params.get("RetiringPrincipal", ""),
        operations=params["Operations"],
        constraints=GrantConstraints.of(params.get("Constraints")),
        name=params.get("Name", ""),
    )
    return {"GrantToken": grant.token, "GrantId": grant.id}


def list_grants(house: House, call: Call) -> Answered:
    params, key = call.params, key_named(house, call)
    if "GrantId" in params:
        grant = house.key_grants.find(key.arn, params["GrantId"])
        return paged(call, "Grants", [_shown(grant)], None)
    return _page(house, call, key_arn=key.arn, grantee=params.get("GranteePrincipal", ""))


def list_retirable_grants(house: House, call: Call) -> Answered:
    return _page(house, call, retiring=call.params["RetiringPrincipal"])


def revoke_grant(house: House, call: Call) -> Answered:
    key = key_named(house, call)
    house.key_grants.find(key.arn, call.params["GrantId"])
    end_dry_run(call)
    house.key_grants.revoke(key, call.params["GrantId"])
    return {}


def retire_grant(house: House, call: Call) -> Answered:
    params = call.params
    if "GrantToken" in params:
        grant = house.key_grants.of_token(call.region, params["GrantToken"])
    elif "KeyId" in params and "GrantId" in params:
        grant = house.key_grants.find(key_named(house, call).arn, params["GrantId"])
    else:
        raise refusals.invalid("Must specify either a grant token, or a key ARN and grant ID. Give one of the two.")
    end_dry_run(call)
    house.key_grants.revoke(house.keys.find(grant.key_arn), grant.id)
    return {}


def _page(house: House, call: Call, **of: str) -> dict[str, Any]:
    most = most_of(call, _MOST, largest=100)
    found = house.key_grants.page(most=most + 1, after=place_of(call) or "", **of)
    shown = found[:most]
    return paged(call, "Grants", map(_shown, shown), shown[-1].id if len(found) > most else None)


def _shown(grant: KeyGrant) -> dict[str, Any]:
    return {
        "KeyId": grant.key_arn,
        "GrantId": grant.id,
        "Name": grant.name or None,
        "CreationDate": grant.created,
        "GranteePrincipal": grant.grantee,
        "RetiringPrincipal": grant.retiring or None,
        "IssuingAccount": f"arn:aws:iam::{grant.account}:root",
        "Operations": list(grant.operations),
        "Constraints": grant.constraints.members() or None,
    }


OPERATIONS: dict[str, Handler] = {
    "CreateGrant": create_grant,
    "ListGrants": list_grants,
    "ListRetirableGrants": list_retirable_grants,
    "RevokeGrant": revoke_grant,
    "RetireGrant": retire_grant,
}
