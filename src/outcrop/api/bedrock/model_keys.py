"""KMS keys of custom models: who may seal a new one, and who may ask one that is sealed.

Whoever makes a sealed model has to be allowed what Amazon's guide lists for it, whoever invokes it `kms:Decrypt`; both
through Bedrock (`kms:ViaService`).
https://docs.aws.amazon.com/bedrock/latest/userguide/encryption-custom-job.html
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

from outcrop.api.door.call import Call
from outcrop.invocation.target import EncoderTarget, Target, TextTarget
from outcrop.keys.envelopes import WrappedKey
from outcrop.keys.sealing import AuthorizeKey

if TYPE_CHECKING:
    from outcrop.house import House

_MAKING = ("DescribeKey", "CreateGrant", "GenerateDataKey", "Decrypt")
_SERVICE = "bedrock"
AllowedTarget = TypeVar("AllowedTarget", bound=TextTarget | EncoderTarget)


def authorizing(house: "House", call: Call) -> AuthorizeKey:
    """Raises Denied, when it is asked, where the caller may not make a model with this key."""

    def authorize(key_arn: str, context: Mapping[str, str]) -> None:
        for operation in _MAKING:
            house.access.authorize_key(call, operation, key_arn, service=_SERVICE, pairs=context)

    return authorize


def allowed(house: "House", call: Call, target: AllowedTarget) -> AllowedTarget:
    """The target, if the caller may use the key that seals its weights. Raises Denied."""
    demand(house, call, target.sealed_by if isinstance(target, Target) else None)
    return target


def demand(house: "House", call: Call, wrapped: WrappedKey | None) -> None:
    """Raises Denied where the caller may not use the key that seals a model; None: it is not sealed."""
    if wrapped is not None and wrapped.key_arn:
        house.access.authorize_key(call, "Decrypt", wrapped.key_arn, service=_SERVICE, pairs=wrapped.context)
