"""The permissions that an operation of KMS needs, on a key, or on an alias and its key.

https://docs.aws.amazon.com/kms/latest/developerguide/kms-api-permissions-reference.html
"""

from collections.abc import Callable, Mapping
from typing import Any

from outcrop import arn as arns
from outcrop.access.needs.required_permissions import RequestedOperation, RequiredPermission
from outcrop.keys.ciphertext import read_head
from outcrop.keys.grants import GrantConstraints, KeyUse, read_token
from outcrop.keys.key import ALIAS, KEY, alias_in

_ENCRYPTING = ("Encrypt", "Decrypt")
_MEMBERS = {
    "EncryptionAlgorithm": "kms:EncryptionAlgorithm",
    "SigningAlgorithm": "kms:SigningAlgorithm",
    "MacAlgorithm": "kms:MacAlgorithm",
    "KeyPairSpec": "kms:DataKeyPairSpec",
    "PendingWindowInDays": "kms:ScheduleKeyDeletionPendingWindowInDays",
    "RotationPeriodInDays": "kms:RotationPeriodInDays",
    "GranteePrincipal": "kms:GranteePrincipal",
    "BypassPolicyLockoutSafetyCheck": "kms:BypassPolicyLockoutSafetyCheck",
}
_OF_NEW_KEYS = {"KeySpec": "SYMMETRIC_DEFAULT", "KeyUsage": "ENCRYPT_DECRYPT", "MultiRegion": False}
"Members of CreateKey that are condition keys, and what they are where nothing is said."
_ON_NOTHING = ("GenerateRandom", "ListAliases", "ListKeys", "ListRetirableGrants")


def needs(asked: RequestedOperation) -> list[RequiredPermission]:
    """The needs of one operation of KMS."""
    rule = _RULES.get(asked.operation)
    if rule is not None:
        return rule(asked)
    key = asked.params.get("KeyId")
    if asked.operation in _ON_NOTHING or not isinstance(key, str):
        return [RequiredPermission(action=f"kms:{asked.operation}", context=_context(asked))]
    return [_on_key(asked, asked.operation, key, context=asked.params.get("EncryptionContext"))]


def _create_key(asked: RequestedOperation) -> list[RequiredPermission]:
    given = {name: asked.params.get(name, otherwise) for name, otherwise in _OF_NEW_KEYS.items()}
    context = {**_context(asked), **{f"kms:{name}": _text(value) for name, value in given.items()}}
    context["kms:KeyOrigin"] = str(asked.params.get("Origin", "AWS_KMS"))
    found = [RequiredPermission(action="kms:CreateKey", context=context)]
    if asked.params.get("Tags"):
        found.append(RequiredPermission(action="kms:TagResource", context=context))
    return found


def _decrypt(asked: RequestedOperation) -> list[RequiredPermission]:
    key = asked.params.get("KeyId") or _key_of_blob(asked)
    return [_on_key(asked, "Decrypt", key, context=asked.params.get("EncryptionContext"))]


def _re_encrypt(asked: RequestedOperation) -> list[RequiredPermission]:
    params = asked.params
    source = str(params.get("SourceKeyId") or _key_of_blob(asked))
    destination = str(params.get("DestinationKeyId", "*"))
    same = key_arn(asked, source) == key_arn(asked, destination)
    return [
        _on_key(
            asked,
            f"ReEncrypt{end}",
            key,
            context=params.get(f"{side}EncryptionContext"),
            more={
                "kms:ReEncryptOnSameKey": _text(same),
                "kms:EncryptionAlgorithm": str(params.get(f"{side}EncryptionAlgorithm", "SYMMETRIC_DEFAULT")),
            },
        )
        for end, side, key in (("From", "Source", source), ("To", "Destination", destination))
    ]


def _aliases(asked: RequestedOperation) -> list[RequiredPermission]:
    """On the alias, on the key that it means, and on the one that it is to mean."""
    name = str(asked.params.get("AliasName", ""))
    found = [RequiredPermission(action=f"kms:{asked.operation}", resource=_built(asked, name), context=_context(asked))]
    keys = [name] if asked.operation in ("UpdateAlias", "DeleteAlias") and asked.find(ALIAS, name) else []
    keys += [str(asked.params["TargetKeyId"])] if "TargetKeyId" in asked.params else []
    return [*found, *(_on_key(asked, asked.operation, key) for key in keys)]


def _create_grant(asked: RequestedOperation) -> list[RequiredPermission]:
    params = asked.params
    constraints = GrantConstraints.of(params.get("Constraints"))
    operations = tuple(map(str, params.get("Operations") or ()))
    more: dict[str, str | tuple[str, ...]] = {"kms:GrantOperations": operations, "kms:GrantIsForAWSResource": "false"}
    if "RetiringPrincipal" in params:
        more["kms:RetiringPrincipal"] = str(params["RetiringPrincipal"])
    if constraints != GrantConstraints():
        more["kms:GrantConstraintType"] = next(iter(constraints.members()))
    key = str(params.get("KeyId", "*"))
    return [_on_key(asked, "CreateGrant", key, more=more, operations=operations, constraints=constraints)]


def _retire_grant(asked: RequestedOperation) -> list[RequiredPermission]:
    params = asked.params
    named = read_token(str(params["GrantToken"])) if "GrantToken" in params else None
    key = str(params.get("KeyId", "*")) if named is None else named.key_id
    grant_id = str(params.get("GrantId", "")) if named is None else named.grant_id
    return [_on_key(asked, "RetireGrant", key, grant_id=grant_id)]


_RULES: dict[str, Callable[[RequestedOperation], list[RequiredPermission]]] = {
    "CreateKey": _create_key,
    "Decrypt": _decrypt,
    "ReEncrypt": _re_encrypt,
    "CreateAlias": _aliases,
    "UpdateAlias": _aliases,
    "DeleteAlias": _aliases,
    "CreateGrant": _create_grant,
    "RetireGrant": _retire_grant,
}


def key_arn(asked: RequestedOperation, spelling: str) -> str:
    """The ARN of the key that a KeyId stands for; where there is none, the one that it would have."""
    if spelling == "*":
        return spelling
    found = asked.find(KEY, spelling)
    return _built(asked, spelling) if found is None else found.arn


def of_service(
    operation: str, key_arn: str, *, account: str, service: str, region: str, pairs: Mapping[str, str]
) -> RequiredPermission:
    """The permission of whoever asks a service for something that it does with a key: `kms:ViaService` names it."""
    known: dict[str, str | tuple[str, ...]] = {
        "kms:CallerAccount": account,
        "kms:ViaService": f"{service}.{region}.amazonaws.com",
        "kms:EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
        **{f"kms:EncryptionContext:{key}": value for key, value in pairs.items()},
    }
    if pairs:
        known["kms:EncryptionContextKeys"] = tuple(pairs)
    return RequiredPermission(
        action=f"kms:{operation}",
        resource=key_arn,
        context=known,
        key_use=KeyUse(key_arn=key_arn, operation=operation, context=pairs),
    )


def _on_key(
    asked: RequestedOperation,
    operation: str,
    spelling: object,
    *,
    context: object = None,
    more: Mapping[str, str | tuple[str, ...]] | None = None,
    **about_grants: Any,
) -> RequiredPermission:
    spelled = str(spelling)
    resource = key_arn(asked, spelled)
    pairs = {str(key): str(value) for key, value in context.items()} if isinstance(context, Mapping) else {}
    known = {**_context(asked), **{f"kms:EncryptionContext:{key}": value for key, value in pairs.items()}}
    if pairs:
        known["kms:EncryptionContextKeys"] = tuple(pairs)
    if operation in _ENCRYPTING:
        known.setdefault("kms:EncryptionAlgorithm", "SYMMETRIC_DEFAULT")
    if operation in ("Sign", "Verify"):
        known["kms:MessageType"] = str(asked.params.get("MessageType", "RAW"))
    alias = alias_in(spelled)
    if alias is not None:
        known["kms:RequestAlias"] = alias
    return RequiredPermission(
        action=f"kms:{operation}",
        resource=resource,
        context={**known, **(more or {})},
        key_use=KeyUse(key_arn=resource, operation=operation, context=pairs, **about_grants),
    )


def _context(asked: RequestedOperation) -> dict[str, str | tuple[str, ...]]:
    known: dict[str, str | tuple[str, ...]] = {"kms:CallerAccount": asked.account}
    given = {key: asked.params[member] for member, key in _MEMBERS.items() if member in asked.params}
    return {**known, **{key: _text(value) for key, value in given.items()}}


def _key_of_blob(asked: RequestedOperation) -> str:
    """The id of the key that a blob was encrypted with; `*` for what is no blob."""
    blob = asked.params.get("CiphertextBlob")
    head = read_head(blob) if isinstance(blob, bytes) else None
    return "*" if head is None else head.key_id


def _built(asked: RequestedOperation, spelling: str) -> str:
    if arns.is_arn(spelling):
        return spelling
    resource = spelling if alias_in(spelling) is not None else f"key/{spelling}"
    return str(arns.Arn(service="kms", region=asked.region, account=asked.account, resource=resource))


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
