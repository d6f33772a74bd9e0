"""Losses of single records under base and custom models, asked of the engines that serve them.

An engine scores a text as the trainer computes it (`inference/scoring.py`). A model that has a network of its own is
deployed while it is asked, where it is not deployed already: engines of such networks stay for deployments only.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from outcrop import arn as arns
from outcrop.catalog.base_model import BaseModel
from outcrop.catalog.catalog import Catalog
from outcrop.catalog.custom_models import CustomModels
from outcrop.clock import Clock
from outcrop.customization.output.checkpoints import digest_of
from outcrop.datasets.encoding import EncodedRecord, encode
from outcrop.datasets.problems import Problem, RecordError
from outcrop.datasets.records import Record
from outcrop.deployments.records import Deployments
from outcrop.engines.clients import Clients
from outcrop.engines.environments import EngineEnvironments
from outcrop.engines.orders import Engines
from outcrop.engines.protocol import ServingEngine
from outcrop.errors import ModelFailed, NotReady
from outcrop.forgetting.family import FamilyMember, ModelFamily
from outcrop.inference.client import EngineAway
from outcrop.tokens.prompt_format import PromptFormat
from outcrop.tokens.tokenizer import Tokenizer

_AT_ONCE = 8
_SERVING = ("Active", "InService")
_PAUSE_S = 0.2
_PATIENCE_S = 600.0


class LossUnit(StrEnum):
    """The unit of a mean loss: a token, or a byte where models make different tokens of a text."""

    TOKEN = "token"
    BYTE = "byte"


class ScoringRooms(Protocol):
    """The rooms that know models, and the engines that hold them."""

    clock: Clock

    @property
    def catalog(self) -> Catalog: ...

    @property
    def models(self) -> CustomModels: ...

    @property
    def engines(self) -> Engines: ...

    @property
    def environments(self) -> EngineEnvironments: ...

    @property
    def deployments(self) -> Deployments: ...


@dataclass(frozen=True, kw_only=True)
class LossMeter:
    """A model as an engine serves it: the loss of records under it."""

    network: BaseModel
    model: str
    "The name by which the engine knows it."


def of_base(rooms: ScoringRooms, member: FamilyMember) -> LossMeter:
    """The foundation model below a custom model."""
    base = _foundation(rooms, member)
    return LossMeter(network=base, model=base.engine)


def of_custom(rooms: ScoringRooms, member: FamilyMember) -> LossMeter:
    """The custom model itself."""
    network = rooms.models.network_below(_foundation(rooms, member), member.arn)
    adapter = rooms.models.adapter(member.arn)
    return LossMeter(network=network, model=network.engine if adapter is None else member.arn)


@contextmanager
def served(family: ModelFamily, member: FamilyMember, meter: LossMeter) -> Iterator[None]:
    """Hold an engine for the model: one with a network of its own is deployed meanwhile, unless it is already."""
    if meter.network.owner is None or any(each.status in _SERVING for each in family.served_by(member)):
        yield
    else:
        with _deployed(family, member):
            yield


def of_records(
    rooms: ScoringRooms, meter: LossMeter, member: FamilyMember, records: Sequence[Record], unit: LossUnit
) -> list[float]:
    """Mean loss of each record in nats, in the prompt format of `member`. Raises RecordError, NotReady, ModelFailed."""
    assert meter.network.folder is not None
    tokenizer = Tokenizer.open(meter.network.folder)
    sequences = _encoded(member, meter.network, tokenizer, records)
    if unit is LossUnit.TOKEN:
        sizes = [sum(each.num_supervised for each in record) for record in sequences]
    else:
        sizes = [sum(each.num_bytes(tokenizer) for each in record) for record in sequences]
    summed = asyncio.run(_summed(rooms, meter, sequences))
    return [nll / max(1, size) for nll, size in zip(summed, sizes, strict=True)]


def tokenizer_digest(meter: LossMeter) -> str:
    """Equal for models that make the same tokens of a text."""
    assert meter.network.folder is not None
    return digest_of(meter.network.folder / "tokenizer.json")


def _encoded(
    member: FamilyMember, network: BaseModel, tokenizer: Tokenizer, records: Sequence[Record]
) -> list[list[EncodedRecord]]:
    assert member.lineage is not None
    document = member.lineage.document
    day = document.get("prompt_day")
    form = PromptFormat(document["prompt_format"], None if day is None else datetime.fromisoformat(day))
    found = []
    for record in records:
        made = encode(record, tokenizer, context_length=network.context_length, name=member.name, prompt_format=form)
        if isinstance(made, Problem):
            raise RecordError([made])
        found.append(made)
    return found


async def _summed(rooms: ScoringRooms, meter: LossMeter, sequences: Sequence[Sequence[EncodedRecord]]) -> list[float]:
    # Connections belong to the loop that made them, and each measurement has its own.
    clients = Clients(
        rooms.engines, rooms.environments, rooms.models, rooms.clock, damaged=rooms.deployments.fail_model
    )
    client, turns = clients.of(meter.network), asyncio.Semaphore(_AT_ONCE)

    async def summed(record: Sequence[EncodedRecord]) -> float:
        async with turns:
            return sum([await _nll(client, meter.model, sequence) for sequence in record])

    try:
        return await asyncio.gather(*map(summed, sequences))
    finally:
        await clients.aclose()


async def _nll(client: ServingEngine, model: str, sequence: EncodedRecord) -> float:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            logprobs = await client.score(model, sequence.ids)
        except EngineAway as away:
            if time.monotonic() > deadline:
                raise NotReady(f"{away.message} Measure again later: --report tells how.") from away
            await asyncio.sleep(_PAUSE_S)
            continue
        return -sum(value for value, counts in zip(logprobs, sequence.supervised[1:], strict=True) if counts)


def _foundation(rooms: ScoringRooms, member: FamilyMember) -> BaseModel:
    assert member.lineage is not None
    return rooms.catalog.usable(member.lineage.document["base"]["id"])


@contextmanager
def _deployed(family: ModelFamily, member: FamilyMember) -> Iterator[None]:
    bedrock: Any = family.bedrock
    deployment = bedrock.create_custom_model_deployment(
        modelDeploymentName=f"measured-{arns.new_id()}",
        modelArn=member.arn,
        description="outcrop forget: deployed while its losses are measured",
    )["customModelDeploymentArn"]
    try:
        deadline = time.monotonic() + _PATIENCE_S
        while (told := bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=deployment))[
            "status"
        ] != "Active":
            if told["status"] == "Failed":
                raise ModelFailed(f"{member.name}: it cannot be served ({told['failureMessage']})")
            if time.monotonic() > deadline:
                raise NotReady(f"{member.name}: its engine does not start. Measure again later: --report tells how.")
            time.sleep(_PAUSE_S)
        yield
    finally:
        bedrock.delete_custom_model_deployment(customModelDeploymentIdentifier=deployment)
