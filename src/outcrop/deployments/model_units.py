"""Model units: the tokens a minute of prompts and answers that one stands for, measured once for each base network.

The whole machine is divided into units (`OUTCROP_MODEL_UNITS`, 4 unless set), so that what is sold can be delivered:
all provisioned throughput together has no more of them. The reconciler measures a network before the first throughput
over it is in service. Its engine goes on from several prompts at once, and the best of a few rounds counts: whatever
else ran meanwhile made the others slower. The figure is a record, and stays until somebody forgets it
(`outcrop quotas measure-again`).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from outcrop.catalog.base_model import BaseModel
from outcrop.clock import Clock
from outcrop.deployments.states import FAILED, THROUGHPUT
from outcrop.engines.protocol import ServingEngine
from outcrop.errors import QuotaExceeded
from outcrop.store.damage import Damaged, understood
from outcrop.store.resources import Resource
from outcrop.store.store import Store

KIND = "model-unit"
_EVERYWHERE = "local"
_STREAMS = 8
"Prompts at once: as many as share a step well on a CPU."
_PROMPT_TOKENS = 64
_ANSWER_TOKENS = 32
_ROUNDS = 3
_LONGEST_S = 20.0
"After so long no further round begins: of a large network one says enough."
_IDS = 64
"Every vocabulary has so many."


@dataclass(frozen=True, kw_only=True)
class MeasuredRate:
    """The speed of this machine with one base network."""

    network: str
    "Id of the catalogue entry whose weights it has."
    tokens_per_minute: float
    "Of prompts and answers together, with the whole machine at it."
    measured: datetime
    num_streams: int
    "Prompts at once."
    seconds: float
    "That the best round took."


class ModelUnits:
    """The rates of an installation's networks, on record, and what of the machine is taken."""

    def __init__(self, store: Store, clock: Clock, num_units: int) -> None:
        """`num_units`: into so many units the machine is divided."""
        self._resources = store.resources
        self._clock = clock
        self.num_units = num_units

    def rate_of(self, base: BaseModel) -> MeasuredRate | None:
        """The rate of the network below `base`; None where it was not measured yet. A damaged record counts as none."""
        try:
            row = self._resources.find(KIND, _EVERYWHERE, network_name(base))
            return None if row is None else _rate_of(row)
        except Damaged:
            return None

    def tokens_per_minute(self, base: BaseModel, num_units: int) -> float | None:
        """The tokens a minute that so many units of `base` stand for; None where it was not measured yet."""
        rate = self.rate_of(base)
        return None if rate is None else rate.tokens_per_minute * num_units / self.num_units

    def all(self) -> list[MeasuredRate]:
        """The rates that can be read, in the order of measuring."""
        found = []
        for row in self._resources.all(KIND):
            try:
                found.append(_rate_of(row))
            except Damaged:
                continue  # measured anew by whoever needs it
        return found

    def write(self, rate: MeasuredRate) -> None:
        """Let this rate stand, in the place of one that was measured before."""
        arn = f"{KIND}/{rate.network}"
        row = Resource(
            arn=arn,
            kind=KIND,
            region=_EVERYWHERE,
            name=rate.network,
            created=rate.measured,
            updated=rate.measured,
            document={
                "tokensPerMinute": rate.tokens_per_minute,
                "streams": rate.num_streams,
                "seconds": rate.seconds,
            },
        )
        self._resources.remove(arn)
        self._resources.add(row)

    def forget(self, network: str) -> bool:
        """Let a network be measured anew with the next throughput over it; whether there was a rate."""
        return self._resources.remove(f"{KIND}/{network}")

    def taken(self) -> int:
        """The units that provisioned throughput has, or waits for."""
        return sum(map(units_of, self._resources.all(THROUGHPUT)))

    def check_free(self, wanted: int) -> None:
        """Raises QuotaExceeded where so many units are not free."""
        taken = self.taken()
        if taken + wanted > self.num_units:
            raise QuotaExceeded(
                f"modelUnits: {wanted} were asked for, and {max(0, self.num_units - taken)} of this machine's "
                f"{self.num_units} are free. Ask for fewer, delete a provisioned throughput, or divide the machine "
                "into more units with OUTCROP_MODEL_UNITS."
            )

    async def measure(self, base: BaseModel, client: ServingEngine, model: str) -> MeasuredRate:
        """Measure the network below `base` through its engine, which knows it as `model`. Raises EngineAway."""
        fastest = await measure(client, model, context_length=base.context_length)
        return MeasuredRate(
            network=network_name(base),
            tokens_per_minute=fastest.num_tokens / fastest.seconds * 60,
            measured=self._clock.now(),
            num_streams=_STREAMS,
            seconds=fastest.seconds,
        )


@dataclass(frozen=True, kw_only=True)
class MeasuredRound:
    """The outcome of one round of a measurement."""

    num_tokens: int
    seconds: float


async def measure(
    client: ServingEngine, model: str, *, context_length: int, now: Callable[[], float] = time.monotonic
) -> MeasuredRound:
    """The fastest of some rounds in which an engine goes on from several prompts at once."""
    prompt_length = max(1, min(_PROMPT_TOKENS, context_length // 2))
    num_tokens = max(1, min(_ANSWER_TOKENS, context_length // 4))
    began, rounds = now(), list[MeasuredRound]()
    while len(rounds) < _ROUNDS and (not rounds or now() - began < _LONGEST_S):
        # Other prompts each time: what an engine remembers of earlier ones would make it look faster than it is.
        prompts = [_prompt(len(rounds) * _STREAMS + stream, prompt_length) for stream in range(_STREAMS)]
        at = now()
        answers = await client.answer_greedily(model, prompts, num_tokens=num_tokens)
        seconds = max(now() - at, 1e-6)
        made = sum(len(answer.token_ids) for answer in answers)
        rounds.append(MeasuredRound(num_tokens=_STREAMS * prompt_length + made, seconds=seconds))
    return max(rounds, key=lambda one: one.num_tokens / one.seconds)


def network_name(base: BaseModel) -> str:
    """The entry whose network `base` has: a custom model's own weights are of the same shape."""
    return base.engine.partition("@")[0]


def units_of(row: Resource) -> int:
    """The units that a throughput has or waits for; a failed one, or one whose record is damaged, has none."""
    try:
        with understood(row.arn):
            return 0 if row.status == FAILED else int(row.document["modelUnits"])
    except Damaged:
        return 0


def _prompt(number: int, length: int) -> list[int]:
    """The ids of one prompt; two of different numbers differ from the first id on."""
    return [(number + at * (2 * number + 1)) % _IDS for at in range(length)]


def _rate_of(row: Resource) -> MeasuredRate:
    with understood(row.arn):
        document = row.document
        rate = float(document["tokensPerMinute"])
        if row.name is None or not 0 < rate < float("inf"):
            raise ValueError("a rate is above zero, and of a network")
        return MeasuredRate(
            network=row.name,
            tokens_per_minute=rate,
            measured=row.created,
            num_streams=int(document["streams"]),
            seconds=float(document["seconds"]),
        )
