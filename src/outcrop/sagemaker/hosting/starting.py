"""A fleet on its way to serving: its model made ready, its processes asked for, and waited for."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from outcrop.catalog.base_model import BaseModel
from outcrop.deployments import parity
from outcrop.engines.orders import Order
from outcrop.engines.states import EngineState
from outcrop.errors import MachineTrouble
from outcrop.jobs.running import RunningJob
from outcrop.sagemaker.hosting.fleets import Fleets, is_program
from outcrop.sagemaker.hosting.plans import FleetPlan
from outcrop.sagemaker.hosting.preparing import Preparation
from outcrop.sagemaker.hosting.rooms import HostingRooms

_LOOK_S = 0.1
_NO_PING = (
    "The primary container for production variant {variant} did not pass the ping health check. Please check "
    "CloudWatch logs for this endpoint."
)


@dataclass(frozen=True, kw_only=True)
class FleetStart:
    """The start of one fleet, within a job."""

    house: HostingRooms
    job: RunningJob
    fleet: FleetPlan
    region: str
    variant: str
    asked: datetime
    "When somebody asked for it: what was given up before is tried again."
    check: Callable[[], None]
    "Asked now and then; it may raise."

    def make_ready(self) -> None:
        """Fetch the model, and look at it. Raises Refusal, MachineTrouble."""
        Preparation(house=self.house, job=self.job, fleet=self.fleet, region=self.region).run()

    def wait(self) -> None:
        """Return once every process of the fleet answers. Raises MachineTrouble, and Refusal."""
        began, fleets = time.monotonic(), Fleets(self.house)
        orders = [self._again(order) for order in fleets.order(self.fleet, region=self.region)]
        while not all(order.state is EngineState.READY for order in orders):
            self.check()
            for order in orders:
                if order.failure is not None:
                    raise MachineTrouble(self._why(order))
            waiting = next(order for order in orders if order.state is not EngineState.READY)
            self.job.report(waiting.waits or f"{self.variant}: waiting for an answer")
            if time.monotonic() - began > self.fleet.startup_s and waiting.state is not EngineState.ORDERED:
                raise MachineTrouble(
                    f"{_NO_PING.format(variant=self.variant)} It did not answer in {self.fleet.startup_s} s."
                )
            self.job.pause(_LOOK_S)
            orders = fleets.order(self.fleet, region=self.region)
        if self.fleet.num_copies:
            self._prove(fleets)

    def _prove(self, fleets: Fleets) -> None:
        """Hold the engine of an adapter against what its trainer's network answers. Raises MachineTrouble."""
        model = fleets.hosted(self.fleet)
        if model.model_arn is None:
            return
        self.job.report(f"{self.fleet.model_name}: comparing the engine with the model's own network")
        failure = asyncio.run(self._failure_of(model.model_arn, fleets.network(self.fleet, model)))
        if failure is not None:
            raise MachineTrouble(failure)

    async def _failure_of(self, model_arn: str, base: BaseModel) -> str | None:
        client, folder = self.house.clients.of(base), self.house.models.folder(model_arn)
        await client.load_adapter(model_arn, folder)
        return (await parity.compare(client, model_arn, folder)).failure

    def _again(self, order: Order) -> Order:
        """An order that was given up before this was asked for, placed anew."""
        if order.failure is None or order.since >= self.asked:
            return order
        self.house.engines.retry(order.name)
        return Fleets(self.house).order_again(self.fleet, order.name, region=self.region)

    def _why(self, order: Order) -> str:
        """The reason for which a process does not serve; of somebody's own program in SageMaker's words first."""
        if not is_program(order):
            return str(order.failure)
        return f"{_NO_PING.format(variant=self.variant)} {str(order.failure).partition('does not start: ')[2]}".strip()
