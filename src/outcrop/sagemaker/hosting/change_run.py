"""One change of an endpoint from its lease to its end: models made ready, processes started, and let in together.

What served before goes on until everything new answers. Where something does not, the endpoint keeps what it had.
"""

import asyncio
import logging
import time
from collections.abc import Mapping

from outcrop import logs
from outcrop.catalog.base_model import BaseModel
from outcrop.deployments import parity
from outcrop.engines.orders import Order
from outcrop.engines.states import EngineState
from outcrop.errors import MachineTrouble, Refusal
from outcrop.jobs.running import RunningJob, StopRequested
from outcrop.sagemaker.hosting.endpoints import EndpointRecord
from outcrop.sagemaker.hosting.fleets import Fleets, is_program
from outcrop.sagemaker.hosting.plans import FleetPlan
from outcrop.sagemaker.hosting.preparing import Preparation
from outcrop.sagemaker.hosting.rooms import HostingRooms
from outcrop.sagemaker.hosting.states import IN_CHANGE, ChangeStatus
from outcrop.store.damage import Damaged

_LOOK_S = 0.1
_LONGEST_REASON = 1024
_NO_PING = (
    "The primary container for production variant {variant} did not pass the ping health check. Please check "
    "CloudWatch logs for this endpoint."
)
_log = logging.getLogger("outcrop.worker")


def run(house: HostingRooms, job: RunningJob) -> None:
    """Carry the change out, or note why it cannot be. Raises what ends the job or its worker."""
    document = job.record.document
    endpoint_arn, generation = document["endpointArn"], document["generation"]
    record = _wanted(house, endpoint_arn, generation)
    if record is None:
        return
    try:
        _Change(house, job, record).run()
    except (Refusal, MachineTrouble) as refused:
        reason = house.settings.hidden(refused.message)[:_LONGEST_REASON]
        logs.tell(_log, "endpoint cannot serve what was asked for", endpoint=endpoint_arn, reason=reason)
        house.endpoints.fail(endpoint_arn, generation, reason)
    else:
        house.endpoints.serve(endpoint_arn, generation)


def give_up(house: HostingRooms, job_arn: str) -> None:
    """Note the failure of a change that ended otherwise than by its own hand."""
    row = house.store.resources.row(job_arn)
    if row is None or row.status != ChangeStatus.FAILED or not row.is_sound:
        return
    document: Mapping[str, object] = row.resource().document
    reason = str(document.get("failureMessage") or "The change of the endpoint broke off.")[:_LONGEST_REASON]
    house.endpoints.fail(str(document["endpointArn"]), int(str(document["generation"])), reason)


def _wanted(house: HostingRooms, endpoint_arn: str, generation: int) -> EndpointRecord | None:
    """The endpoint, if this change of it is still asked for."""
    try:
        record = house.endpoints.get(endpoint_arn)
    except Damaged:
        return None
    if record is None or record.generation != generation or record.status not in IN_CHANGE:
        return None
    return record


class _Change:
    """A change of one endpoint, as it is carried out."""

    def __init__(self, house: HostingRooms, job: RunningJob, record: EndpointRecord) -> None:
        self._house = house
        self._job = job
        self._record = record
        self._fleets = Fleets(house)

    def run(self) -> None:
        """Return once everything that is asked for serves. Raises Refusal, and MachineTrouble, where it cannot."""
        wanted = [(variant.name, variant.fleet) for variant in self._record.desired.variants if variant.fleet]
        for _, fleet in wanted:
            Preparation(house=self._house, job=self._job, fleet=fleet, region=self._record.row.region).run()
        for variant, fleet in wanted:
            self._wait_for(variant, fleet)
            if fleet.num_copies:
                self._prove(fleet)

    def _prove(self, fleet: FleetPlan) -> None:
        """Hold the engine of an adapter against what its trainer's network answers. Raises MachineTrouble."""
        model = self._fleets.hosted(fleet)
        if model.model_arn is None:
            return
        self._job.report(f"{fleet.model_name}: comparing the engine with the model's own network")
        failure = asyncio.run(self._failure_of(model.model_arn, self._fleets.network(fleet, model)))
        if failure is not None:
            raise MachineTrouble(failure)

    async def _failure_of(self, model_arn: str, base: BaseModel) -> str | None:
        client, folder = self._house.clients.of(base), self._house.models.folder(model_arn)
        await client.load_adapter(model_arn, folder)
        return (await parity.compare(client, model_arn, folder)).failure

    def _wait_for(self, variant: str, fleet: FleetPlan) -> None:
        """Return once every process of a fleet answers. Raises MachineTrouble."""
        began = time.monotonic()
        asked_for = False
        while True:
            self._check()
            orders = self._fleets.order(fleet, region=self._record.row.region)
            if not asked_for:
                orders = [self._again(order) for order in orders]
                asked_for = True
            for order in orders:
                if order.failure is not None:
                    raise MachineTrouble(_why(variant, order))
            if all(order.state is EngineState.READY for order in orders):
                return
            waiting = next(order for order in orders if order.state is not EngineState.READY)
            self._job.report(waiting.waits or f"{variant}: waiting for an answer")
            if time.monotonic() - began > fleet.startup_s and waiting.state is not EngineState.ORDERED:
                raise MachineTrouble(f"{_NO_PING.format(variant=variant)} It did not answer in {fleet.startup_s} s.")
            self._job.pause(_LOOK_S)

    def _again(self, order: Order) -> Order:
        """An order that was given up before this change was asked for, placed anew."""
        if order.failure is None or order.since >= self._record.row.updated:
            return order
        self._house.engines.retry(order.name)
        return self._house.engines.find(order.name) or order

    def _check(self) -> None:
        self._job.check()
        if _wanted(self._house, self._record.row.arn, self._record.generation) is None:
            raise StopRequested(f"{self._record.row.arn}: nobody asks for this change any more.")


def _why(variant: str, order: Order) -> str:
    """The reason for which a process does not serve; of somebody's own program in SageMaker's words first."""
    if not is_program(order):
        return str(order.failure)
    return f"{_NO_PING.format(variant=variant)} {str(order.failure).partition('does not start: ')[2]}".strip()
