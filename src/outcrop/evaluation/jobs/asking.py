"""A model that an evaluation job asks, found by its ARN, and found again where its engine was away.

asked = AskedModel(house, arn, look=look)
await asked.find()                          # waits for the engine; raises Refusal for what never comes
said = await asked.say(params)              # Converse's params; an OutcropError is the question's own
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from outcrop import logs
from outcrop.errors import Invalid, ModelFailed, NotReady, OutcropError
from outcrop.evaluation.jobs.rooms import EvaluationRooms
from outcrop.invocation import converse
from outcrop.invocation.background.models import check_may_invoke, target_of
from outcrop.invocation.background.patience import patiently
from outcrop.invocation.exchange import uncounted
from outcrop.invocation.invoke import answered
from outcrop.invocation.resolve import NO_TEXT
from outcrop.invocation.target import EncoderTarget, RemoteTarget, TextTarget
from outcrop.loops import UNEXPECTED

_FIND_EVERY_S = 1.0
_log = logging.getLogger("outcrop.evaluation")


@dataclass(frozen=True, kw_only=True)
class SaidText:
    """The words of a model, with what they took."""

    text: str
    num_input_tokens: int
    num_output_tokens: int
    stop_reason: str


class AskedModel:
    """A model under a role, for one job."""

    def __init__(self, house: EvaluationRooms, arn: str, *, role_arn: str, look: Callable[[], None]) -> None:
        """`look` is called while the model is waited for, and raises what ends the job."""
        self.arn = arn
        self.sent_to: set[str] = set()
        "Hosts that questions left for."
        self._house = house
        self._role_arn = role_arn
        self._look = look
        self._target: TextTarget | None = None
        self._found_at = 0.0

    @property
    def is_remote(self) -> bool:
        """Whether it was found on a server of somebody else's."""
        return isinstance(self._target, RemoteTarget)

    async def find(self) -> None:
        """Find the model, and wait for its engine. Raises Refusal where it cannot be asked, or not under this role."""
        while True:
            self._look()
            try:
                await self._find_now()
            except NotReady:
                await asyncio.sleep(_FIND_EVERY_S)
            else:
                return

    async def say(self, params: Mapping[str, Any]) -> SaidText | OutcropError:
        """The answer to a Converse request, or the error that keeps it from having one."""
        try:
            return await patiently(lambda: self._said(params), again=self._again)
        except OutcropError:
            raise
        except Exception as error:  # a defect of ours costs a question, not the other thousand
            logs.tell(_log, "a question of an evaluation broke", level=logging.ERROR, exc_info=error)
            return ModelFailed(f"{UNEXPECTED} (the worker's log has the details).")

    async def _said(self, params: Mapping[str, Any]) -> SaidText:
        assert self._target is not None, "a model is asked once it is found"
        request = await converse.prepare(self._target, params, now=self._house.clock.now())
        finished = await answered(request.prepared, count=uncounted)
        return SaidText(
            text=finished.text,
            num_input_tokens=request.prepared.started.ended(finished).num_input_tokens,
            num_output_tokens=finished.num_output_tokens,
            stop_reason=finished.finish.value,
        )

    async def _again(self) -> None:
        """Look for the model anew, at most once a second."""
        self._look()
        if time.monotonic() - self._found_at < _FIND_EVERY_S:
            return
        try:
            await self._find_now()
        except NotReady:
            return  # it is on its way; the question is asked again

    async def _find_now(self) -> None:
        self._found_at = time.monotonic()
        found = await asyncio.to_thread(self._checked)
        if isinstance(found, EncoderTarget):
            raise Invalid(f"{self.arn}: {NO_TEXT}")
        self._target = replace(found, tell_sent=self.sent_to.add) if isinstance(found, RemoteTarget) else found

    def _checked(self) -> TextTarget | EncoderTarget:
        check_may_invoke(self._house, self._role_arn, self.arn)
        return target_of(self._house, self.arn)
