"""The answer of a model to one record: an invocation or a conversation, as over the wire, in the background.

What a caller did wrong becomes the record's error. What passes (an engine that is being started, a quota that is used
up) is waited for: a job is in no hurry.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any

from outcrop import logs
from outcrop.batch.record import BatchRecord, LineError, LineOutput, body_of
from outcrop.errors import (
    Denied,
    Invalid,
    ModelFailed,
    NotFound,
    OutcropError,
    ServiceRefusal,
    Unreadable,
)
from outcrop.invocation import converse, invoke
from outcrop.invocation.background.patience import patiently
from outcrop.invocation.resolve import NO_TEXT
from outcrop.invocation.target import EncoderTarget, Target
from outcrop.loops import UNEXPECTED
from outcrop.protocol import service_model, validate
from outcrop.protocol.shapes import StructureShape
from outcrop.protocol.values import json_values

_STATUS: dict[type[OutcropError], int] = {NotFound: 404, Denied: 403, ModelFailed: 424, Unreadable: 400}
AnyTarget = Target | EncoderTarget
_log = logging.getLogger("outcrop.batch")


class InvocationType(StrEnum):
    """The form of the records' inputs: bodies of a provider, or requests of Converse."""

    INVOKE_MODEL = "InvokeModel"
    CONVERSE = "Converse"


@dataclass(frozen=True, kw_only=True)
class Asking:
    """The means by which the records of one job are answered."""

    form: InvocationType
    target: Callable[[], AnyTarget]
    "The target as it is now."
    again: Callable[[], Awaitable[None]]
    "Finds the target anew, after it was away. Raises Refusal for one that will not come back."
    now: Callable[[], datetime]


async def output_of(record: BatchRecord, asking: Asking) -> LineOutput:
    """The output for one record. Raises Refusal where no record can be answered any more."""
    try:
        found = await patiently(lambda: _answered(record, asking), again=asking.again)
    except OutcropError:
        raise
    except Exception as error:  # a defect of ours costs a record, not the other million
        logs.tell(_log, "a record broke", level=logging.ERROR, exc_info=error)
        return LineOutput(error=LineError(500, f"{UNEXPECTED} (the worker's log has the details)."))
    return _refused(found) if isinstance(found, OutcropError) else found


async def _answered(record: BatchRecord, asking: Asking) -> LineOutput:
    body, target = body_of(record), asking.target()
    if asking.form is InvocationType.CONVERSE:
        return await _conversed(target, body, asking.now())
    if isinstance(target, EncoderTarget):
        from outcrop.invocation import invoke_encoder  # numpy comes with it, which text needs nothing of

        invoked = await invoke_encoder.invoke(target, body)
    else:
        invoked = await invoke.invoke(await invoke.prepare(target, body, now=asking.now()))
    return LineOutput(invoked.response, None, invoked.num_input_tokens, invoked.num_output_tokens)


async def _conversed(target: AnyTarget, body: bytes, now: datetime) -> LineOutput:
    if isinstance(target, EncoderTarget):
        raise Invalid(NO_TEXT)
    request = await converse.prepare(target, converse_params(body, target.model_id), now=now)
    members = await converse.converse(request)
    usage: Mapping[str, int] = members["usage"]
    _, answer_shape = _converse_shapes()
    return LineOutput(json_values.write(answer_shape, members), None, usage["inputTokens"], usage["outputTokens"])


def converse_params(body: bytes, model_id: str) -> dict[str, Any]:
    """The parameters of a Converse request, as the door would have parsed and checked them. Raises Invalid."""
    shape, _ = _converse_shapes()
    params = {**json_values.read(shape, json_values.parse(body)), "modelId": model_id}
    validate.check(shape, params, unpatterned=("modelId",))
    return params


@cache
def _converse_shapes() -> tuple[StructureShape, StructureShape]:
    operation = service_model.operation("bedrock-runtime", "Converse")
    assert operation.input_shape is not None, "Converse has parameters"
    assert operation.output_shape is not None, "Converse has an answer"
    return operation.input_shape, operation.output_shape


def _refused(refused: OutcropError) -> LineOutput:
    told = (status for kind, status in _STATUS.items() if isinstance(refused, kind))
    status = refused.http_status if isinstance(refused, ServiceRefusal) else next(told, 400)
    return LineOutput(error=LineError(status, refused.message))
