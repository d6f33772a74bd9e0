"""The account of a call, told by its target at the moment at which data leaves for a remote model."""

from dataclasses import replace
from typing import TypeVar

from outcrop.api.door.call import Call
from outcrop.invocation.target import EncoderTarget, Target, TextTarget

AnyTarget = TypeVar("AnyTarget", bound=TextTarget | EncoderTarget)


def accounted(target: AnyTarget, call: Call) -> AnyTarget:
    """The target, which tells the call's account where data leaves for."""
    return target if isinstance(target, Target) else replace(target, tell_sent=call.usage.left_for)
