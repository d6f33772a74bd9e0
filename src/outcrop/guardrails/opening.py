"""Guardrails opened for requests: found on record, compiled once, with the models that they ask."""

import threading
from collections import OrderedDict
from dataclasses import replace
from typing import Protocol

from outcrop.clock import Clock
from outcrop.guardrails.guard import Guard
from outcrop.guardrails.models import Closeness, GuardModelRooms, Judge, encoder_named, judge_named
from outcrop.guardrails.records import Guardrails, GuardrailVersion
from outcrop.settings import Settings

_MOST_OPEN = 64
"A guardrail of 10,000 words takes a third of a second to compile, and some megabytes."


class GuardRooms(GuardModelRooms, Protocol):
    """The rooms that guardrails need."""

    @property
    def clock(self) -> Clock: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def guardrails(self) -> Guardrails: ...


class Guards:
    """Guards of the versions on record; the compiled ones are kept, the least recently used go first."""

    def __init__(self, rooms: GuardRooms) -> None:
        self._rooms = rooms
        self._compiled: OrderedDict[tuple[object, ...], Guard] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, arn: str, version: str, *, region: str) -> Guard:
        """The guard of a version. Raises NotFound, and as an invocation where a model that it asks is not there."""
        found = self._rooms.guardrails.get(arn, version)
        guard = self._compile(found)
        judge, encoder = found.document.get("judge"), found.document.get("encoder")
        return replace(
            guard,
            judge=None if judge is None else self.judge(judge, region=region),
            encoder=None if encoder is None else self.encoder(encoder, region=region),
        )

    def judge(self, name: str, *, region: str) -> Judge:
        """The judge with this model id. Raises as `judge_named`."""
        return judge_named(self._rooms, name, region=region, now=self._rooms.clock.now)

    def encoder(self, name: str, *, region: str) -> Closeness:
        """The encoder with this model id. Raises as `encoder_named`."""
        return encoder_named(self._rooms, name, region=region)

    def _compile(self, found: GuardrailVersion) -> Guard:
        key = (found.arn, found.version, found.updated)
        with self._lock:
            if key in self._compiled:
                self._compiled.move_to_end(key)
                return self._compiled[key]
        guard = Guard.of(found, judge=None, encoder=None)
        with self._lock:
            self._compiled[key] = guard
            while len(self._compiled) > _MOST_OPEN:
                self._compiled.popitem(last=False)
        return guard
