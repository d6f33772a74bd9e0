"""The key that a request of KMS names, and what the operations on keys have in common."""

from collections.abc import Mapping

from outcrop import arn as arns
from outcrop.api.door.call import Call
from outcrop.house import House
from outcrop.keys import refusals
from outcrop.keys.key import KEY, KmsKey, alias_arn, alias_in, is_key_id, key_arn
from outcrop.store.resources import Row


def key_named(house: House, call: Call, member: str = "KeyId", *, by_alias: bool = False) -> KmsKey:
    """The key that permission was asked for. Raises NotFoundException; an alias names one only with `by_alias`."""
    spelling: str = call.params[member]
    if alias_in(spelling) is not None and not by_alias:
        raise _invalid_id(spelling)
    row = row_named(house, call, spelling)
    if row is None:
        raise _absent(call, spelling)
    return house.keys.find(row.arn)


def row_named(house: House, call: Call, spelling: str) -> Row | None:
    """The row that was decided on, or now stands behind the spelling where nobody looked."""
    if (KEY, spelling) in call.found:
        found = call.found[KEY, spelling]
        return found if isinstance(found, Row) else None
    return house.keys.row(call.region, spelling)


def usable_key(house: House, call: Call, member: str = "KeyId") -> KmsKey:
    """The key of a cryptographic operation, which an alias may name. Looks at grant tokens and at what is not built."""
    key = key_named(house, call, member, by_alias=True)
    check_tokens(house, call)
    return key


def check_tokens(house: House, call: Call) -> None:
    """Raises InvalidGrantTokenException. Grants hold at once here, so that a token gives nothing more."""
    for token in call.params.get("GrantTokens", ()):
        house.key_grants.of_token(call.region, token)
    if "Recipient" in call.params:
        raise refusals.unsupported("Recipient: there are no enclaves here. Leave it out, and use TLS.")
    if call.params.get("DryRunModifiers"):
        raise refusals.unsupported("DryRunModifiers: these are not built in Outcrop. Leave them out.")


def end_dry_run(call: Call) -> None:
    """Raises DryRunOperationException for a request that only asks whether it would succeed."""
    if call.params.get("DryRun"):
        sentence = "The request would have succeeded, but the DryRun option is set."
        raise refusals.refusal("DryRunOperationException", sentence)


def context_of(call: Call, member: str = "EncryptionContext") -> Mapping[str, str]:
    """The encryption context of a request; empty where it has none."""
    context: Mapping[str, str] = call.params.get(member) or {}
    return context


def _absent(call: Call, spelling: str) -> Exception:
    named = arns.parse(spelling)
    account = call.caller.account
    if named is not None and named.region != call.region:
        return refusals.refusal("NotFoundException", f"Invalid arn {named.region}")
    if named is not None and named.account != account:
        return refusals.refusal(
            "AccessDeniedException",
            f"User: {call.caller.arn} is not authorized to perform: kms:{call.operation} on resource: {spelling} "
            "because the resource does not exist in this Region, no resource-based policies allow access, or a "
            "resource-based policy explicitly denies access",
        )
    alias = alias_in(spelling)
    if alias is not None:
        return refusals.no_alias(alias_arn(call.region, account, alias))
    key_id = spelling if named is None else named.tail
    if not is_key_id(key_id):
        return _invalid_id(spelling)
    return refusals.no_key(key_arn(call.region, account, key_id))


def _invalid_id(spelling: str) -> Exception:
    return refusals.refusal("NotFoundException", f"Invalid keyId '{spelling}'")
